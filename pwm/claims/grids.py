"""Counts of runs, and one-line descriptions of the experiments, for the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from pwm.claims.claim import Number, number
from pwm.experiments import EXPERIMENTS, fifth, fourth, rules
from pwm.runs.experiment import Experiment
from pwm.runs.fields import flat
from pwm.runs.shards import Member, planned
from pwm.training.config import TrainConfig

WORDS: Mapping[str, str] = {
    "num_episodes": "episodes",
    "episode_length": "steps",
    "stimulus_set": "tasks",
    "timeout": "timeouts",
    "hidden_size": "units",
    "baseline": "baselines",
    "entropy_weight": "entropy weights",
    "optimism": "biases by hand",
    "critic_start": "starts",
    "tracking_rate": "tracking rates",
    "trunk_rate": "learning rates of the trunk, relative",
    "reward": "rewards",
    "lost_gradients": "lost gradients",
    "critic_weight": "weights",
    "learning_rate": "learning rates",
    "seed": "seeds",
}
"""Printed names of axes; an axis that is not listed is printed with its field's name."""
COUNTED = ("num_episodes", "episode_length", "hidden_size")
"""Fixed fields printed with the value first and the name of the axis, as in "60 steps"."""
ALWAYS = ("num_episodes", "episode_length", "learning_rate")
"""Fixed fields that are printed even if they have their default value."""
NEVER = ("log_every", "probe_episodes", "stimulus_set")
"""Fixed fields not printed: those of logs and probes, and the stimuli, as they name experiments."""
MOST_VALUES = 5  # of an axis with more values, only the first and the last are printed


def grids() -> dict[str, Number]:
    """Counts of runs, settings and experiments (`compute.*`); their fields (`experiment.*`)."""
    return _counts() | _descriptions()


@lru_cache(maxsize=1)
def _counts() -> dict[str, Number]:
    """Numbers of experiments, runs and settings.

    A shard is a set of runs that are trained together. A shard that experiments share is trained
    once; a run that is in several shards is trained in each. Two settings differ if their runs
    differ in a field other than the seed and those that only decide what is logged.

    `compute.runs` counts the runs of all experiments, `trained` those of all shards, and
    `different` the distinct ones of these.
    """
    trained = list[tuple[TrainConfig, Member]]()
    settings = set[tuple[TrainConfig, float, float]]()
    for shard in planned(EXPERIMENTS.values()):
        unlogged = replace(shard.setting, log_every=1, probe_episodes=0, probe_at=())
        for member in shard.members:
            trained.append((shard.setting, member))
            settings.add((unlogged, member.critic_weight, member.learning_rate))
    return {
        "compute.runs": number(sum(each.num_runs for each in EXPERIMENTS.values())),
        "compute.trained": number(len(trained)),
        "compute.different": number(len(set(trained))),
        "compute.settings": number(len(settings)),
        "compute.experiments": number(len(EXPERIMENTS)),
    }


def _descriptions() -> dict[str, Number]:
    """One-line descriptions of experiments and of families of experiments, for the paper.

    A family is all experiments of one condition or group of conditions, such as `rules-length-*`.
    They differ in their methods or variants. The one described sets, beyond its condition, only
    hidden fields and, in the fourth set, the baseline: few of its conditions have both baselines.
    """
    prefixes = ("rules-", "fourth-", "fifth-")  # of experiments in families
    texts = {"fourth-above": _described(EXPERIMENTS["fourth-above"])}  # in no family
    for name, experiment in EXPERIMENTS.items():
        if not name.startswith(prefixes):
            texts[name] = _described(experiment)
    for name in rules.CONDITIONS:
        popart = EXPERIMENTS[f"rules-{name}-popart"]
        texts[f"rules-{name}"] = _described(popart, hidden=("balance", "critic_weight"))
    for name in fourth.CONDITIONS:
        raw = EXPERIMENTS[f"fourth-{name}-raw"]
        texts[f"fourth-{name}"] = _described(raw, hidden=("critic_weight",))
    for group, steps in fifth.WEIGHTS:
        name = f"fifth-{group}-{steps}"
        hidden = ("critic_weight", "critic_start", "baseline")
        texts[name] = _described(EXPERIMENTS[f"{name}-light"], hidden)
    return {f"experiment.{name}": {"text": text} for name, text in texts.items()}


def _described(experiment: Experiment, hidden: Sequence[str] = ()) -> str:
    """Describes an experiment in one line: its axes, then its fixed fields, without hidden ones.

    The axis `probe_at`, which only decides what is logged, is left out. Of the fixed fields, those
    in `ALWAYS` and those that differ from the defaults are printed, and none in `NEVER`.
    """
    axes = [name for name in experiment.axes if name not in ("probe_at", *hidden)]
    base, default = flat(experiment.base), flat(TrainConfig())
    changed = [name for name in base if base[name] != default[name] and name not in ALWAYS]
    left_out = {*NEVER, *experiment.axes, *hidden}
    fixed = [name for name in (*ALWAYS, *changed) if name not in left_out]
    parts = [_axis(name, experiment.axes[name]) for name in axes]
    return "; ".join(parts + [_fixed(name, base[name]) for name in fixed])


def _fixed(field: str, value: Any) -> str:
    """Describes a field that does not vary: "60 steps", "discount 0.95" or, if true, its name."""
    if field in COUNTED:
        return f"{value:,} {WORDS[field]}"
    name = field.replace("_", " ")
    if value is True:
        return name
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"


def _axis(field: str, values: Sequence[Any]) -> str:
    """Describes an axis by name and values, such as "critic weight 1, 5, 20" or "24 seeds".

    Of more than `MOST_VALUES` values, it gives the number, the first and the last; of seeds, only
    the number.
    """
    name = WORDS.get(field, field.replace("_", " "))
    if field == "seed":
        return f"{len(values)} {name}"
    shown = [
        f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")
        for value in values
    ]
    if len(values) > MOST_VALUES:
        return f"{len(values)} {name} from {shown[0]} to {shown[-1]}"
    return f"{name} {', '.join(shown)}"
