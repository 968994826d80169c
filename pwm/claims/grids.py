"""Counts of runs, and a one-line description of each experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from pwm.analysis.estimates import rounded
from pwm.core.config import TrainConfig
from pwm.experiments import EXPERIMENTS, fifth, fourth, rules
from pwm.runs.experiment import Experiment
from pwm.runs.fields import flat
from pwm.runs.shards import plan

Number = Mapping[str, Any]
"""A number as printed ("text") and as computed ("value", if it is a single number)."""
AXES: Mapping[str, str] = MappingProxyType(
    {
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
)
"""Printed names of the axes; an axis that is not listed has its field's name."""
COUNTED: Mapping[str, str] = MappingProxyType(
    {"num_episodes": "episodes", "episode_length": "steps", "hidden_size": "units"}
)
"""Printed names of fixed fields that follow their value, as in "60 steps"."""
UNLISTED = ("log_every", "probe_episodes", "probe_at", "seed", "critic_weight", "stimulus_set")
"""Fixed fields that are not printed."""
LISTED = 5  # most values of an axis to print; of more, only the first and the last


def grids() -> dict[str, Number]:
    """Counts (`compute.*`) and descriptions of experiments (`experiment.*`), by name."""
    return dict(_counts()) | _descriptions()


def number(value: float, digits: int = 0, text: str = "") -> Number:
    """A number, printed with that many decimal places or as the text given."""
    value = rounded(value) if isinstance(value, float) else value
    return {"text": text or f"{value:,.{digits}f}", "value": value}


@lru_cache(maxsize=1)
def _counts() -> Mapping[str, Number]:
    """Numbers of experiments, runs and settings.

    Experiments that share a shard train it once; runs that they share in different shards are
    trained again. Settings are different if they differ in more than the seed and what is logged.
    """
    shards = {shard.key: shard for each in EXPERIMENTS.values() for shard in plan(each)}
    trained = [(shard.setting, member) for shard in shards.values() for member in shard.members]
    settings = set[tuple[TrainConfig, float, float]]()
    for shard in shards.values():
        unlogged = replace(shard.setting, log_every=1, probe_episodes=0, probe_at=())
        settings |= {(unlogged, each.critic_weight, each.learning_rate) for each in shard.members}
    return {
        "compute.runs": number(sum(each.num_runs for each in EXPERIMENTS.values())),
        "compute.trained": number(len(trained)),
        "compute.different": number(len(set(trained))),
        "compute.settings": number(len(settings)),
        "compute.experiments": number(len(EXPERIMENTS)),
    }


def _descriptions() -> dict[str, Number]:
    """One-line descriptions of every experiment or family: what varies and what is fixed."""
    shown = {
        name: _described(each)
        for name, each in EXPERIMENTS.items()
        if not name.startswith(("rules-", "fourth-", "fifth-")) or name == "fourth-above"
    }
    for name in rules.CONDITIONS:  # all methods have the conditions in common
        shown[f"rules-{name}"] = _described(
            EXPERIMENTS[f"rules-{name}-popart"], ("balance", "critic_weight")
        )
    for name in fourth.CONDITIONS:
        shown[f"fourth-{name}"] = _described(EXPERIMENTS[f"fourth-{name}-raw"], ("critic_weight",))
    for group, steps in fifth.WEIGHTS:
        name, hidden = f"fifth-{group}-{steps}", ("critic_weight", "critic_start", "baseline")
        shown[name] = _described(EXPERIMENTS[f"{name}-light"], hidden)
    return {f"experiment.{name}": {"text": text} for name, text in shown.items()}


def _described(experiment: Experiment, hidden: Sequence[str] = ()) -> str:
    """One-line description: the axes, then fixed fields that differ from the defaults.

    Args:
        experiment: the experiment to describe.
        hidden: fields to leave out.
    """
    base, default = flat(experiment.base), flat(TrainConfig())
    axes = [
        _axis(name, values)
        for name, values in experiment.axes.items()
        if name not in {*hidden, "probe_at"}
    ]
    always = ("num_episodes", "episode_length", "learning_rate")
    others = [name for name in base if base[name] != default[name] and name not in always]
    left_out = {*hidden, *experiment.axes, *UNLISTED}
    fixed = [_fixed(name, base[name]) for name in (*always, *others) if name not in left_out]
    return "; ".join([*axes, *fixed])


def _fixed(field: str, value: Any) -> str:
    """The value of a field that does not vary, in words."""
    if field in COUNTED:
        return f"{value:,} {COUNTED[field]}"
    name = field.replace("_", " ")
    if value is True:
        return name
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"


def _axis(field: str, values: Sequence[Any]) -> str:
    """An axis as printed: its name, and its values or their number and ends."""
    name = AXES.get(field, field.replace("_", " "))
    if field == "seed":
        return f"{len(values)} {name}"
    shown = [
        f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")
        for value in values
    ]
    if len(values) > LISTED:
        return f"{len(values)} {name} from {shown[0]} to {shown[-1]}"
    return f"{name} {', '.join(shown)}"
