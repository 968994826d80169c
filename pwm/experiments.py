"""Every experiment of the paper: the notes' grids, then those that answer the question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pwm.core.config import TrainConfig
from pwm.core.errors import require
from pwm.core.fields import replaced
from pwm.core.task import TaskConfig
from pwm.engines import EngineName
from pwm.runs.experiment import Experiment, Size


def _notes(
    name: str, about: str, *weights: float, steps: int = 60, notes_seeds: int = 1, **base: Any
) -> Experiment:
    """96 seeds per weight, enough to tell a success rate of 0.1 from one of 0.3."""
    setting = {"episode_length": steps, "num_episodes": 10_000, "learning_rate": 0.005} | base
    return Experiment(
        name=name,
        about=about,
        base=replaced(TrainConfig(log_every=10), {"stimulus_set": "pwm5"} | setting),
        axes={"critic_weight": weights, "seed": range(96)},
        notes_seeds=notes_seeds,
    )


_FIGURE = "the notes' figure "
_AUXILIARY = (0.05, 3.0, 10.0, 20.0)
_NOTES = (
    _notes(
        "eplen60",
        _FIGURE + "pwm5-eplen60-vweight_loss-REINFORCE-lrate_0.0050-1seed",
        *(2.0, 3.0, 4.0, 5.0),
        num_episodes=30_000,
    ),
    _notes(
        "eplen15",
        _FIGURE + "pwm5-eplen15-vweight_loss-REINFORCE-lrate_0.0050-3seed",
        *(2.0, 3.0, 4.0, 5.0),
        steps=15,
        notes_seeds=3,
    ),
    _notes(
        "eplen15-edge",
        "lower weights than the notes tried, where learning begins at 15 steps",
        *(0.25, 0.5, 1.0, 1.5),
        steps=15,
        notes_seeds=3,
    ),
    _notes(
        "lrate0.001",
        _FIGURE + "pwm5-vweight_loss-REINFORCE-lrate_0.0010-1seed",
        *_AUXILIARY,
        learning_rate=0.001,
    ),
    _notes(
        "lrate0.005", "a learning rate between the two of the notes' auxiliary figures", *_AUXILIARY
    ),
    _notes(
        "lrate0.01",
        _FIGURE + "pwm5-vweight_loss-REINFORCE-lrate_0.0100-1seed",
        *_AUXILIARY,
        learning_rate=0.01,
    ),
    _notes(
        "pwm0",
        "the trivial task, which needs no memory",
        *(0.05, 3.0, 10.0, 15.0, 20.0),
        stimulus_set="pwm0",
    ),
)
WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
FEW_WEIGHTS = (0.2, 1.0, 2.0, 5.0, 20.0, 100.0)
_ANSWERS = TrainConfig(
    task=TaskConfig(episode_length=15), learning_rate=0.001, num_episodes=20_000, log_every=100
)


def _answer(
    name: str, about: str, weights: tuple[float, ...] = WEIGHTS, **fields: Any
) -> Experiment:
    """24 seeds per cell, with either baseline unless given; a tuple of values is an axis."""
    fields.setdefault("baseline", ("attached", "detached"))
    axes = {field: values for field, values in fields.items() if isinstance(values, tuple)}
    rates = {field: axes.pop(field) for field in ("learning_rate",) if field in axes}
    base = {field: value for field, value in fields.items() if not isinstance(value, tuple)}
    return Experiment(
        name=name,
        about=about,
        base=replaced(_ANSWERS, base),
        axes=axes | {"critic_weight": weights} | rates | {"seed": range(24)},
    )


def _answers() -> Iterator[Experiment]:
    """Experiments of 24 seeds per cell, enough to tell a success rate of 0.3 from one of 0.7."""
    for rate, episodes in ((0.005, 10_000), (0.001, 20_000)):
        yield _answer(
            f"weight-{rate:g}",
            "how success depends on critic weight, episode length and baseline",
            learning_rate=rate,
            num_episodes=episodes,
            episode_length=(6, 15, 30, 60, 120),
        )
    yield _answer(
        "held-out",
        "episode lengths and a learning rate used in no fit, predicted in advance",
        learning_rate=0.002,
        episode_length=(9, 24, 45, 90),
    )
    for trial_length in (2, 4, 6):
        yield _answer(
            f"trial-length-{trial_length}",
            "shorter or longer trials, five per episode: the return keeps its variance",
            episode_length=5 * trial_length,
            trial_length=trial_length,
        )
    yield _answer(
        "mean",
        "the policy loss as a mean over steps, which divides the leak by their number",
        weights=tuple(weight / 20 for weight in WEIGHTS),
        policy_reduction="mean",
        episode_length=(15, 60),
    )
    yield _answer(
        "budget-lower",
        "weights below the lower edge, trained five times as long",
        num_episodes=100_000,
        weights=(0.5, 1.0),
        baseline="attached",
    )
    yield _answer(
        "budget-upper",
        "weights above the upper edge, trained five times as long",
        episode_length=60,
        num_episodes=100_000,
        weights=(20.0, 50.0),
        baseline="detached",
    )
    yield _answer(
        "learning-rate",
        "learning rate by critic weight: where policies collapse to one action",
        num_episodes=10_000,
        weights=(0.2, 1.0, 5.0, 20.0, 100.0),
        episode_length=(15, 60),
        learning_rate=(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03),
    )
    yield _answer(
        "separate",
        "separate LSTMs for actor and critic, which then share no trunk",
        weights=FEW_WEIGHTS,
        separate_trunks=True,
        episode_length=(15, 60),
    )
    yield _answer(
        "leak-parts",
        "the leak into the value head only, or into the trunk only",
        baseline=("attached_head", "attached_trunk"),
    )
    yield _answer(
        "by-hand",
        "a detached baseline raised by T / 2w times the entropy, as the leak raises it",
        weights=(5.0,),
        baseline="detached",
        optimism=tuple(15 / (2 * weight) for weight in WEIGHTS),
    )
    yield _answer(
        "entropy",
        "an entropy bonus, at the learning rate where policies collapse",
        learning_rate=0.005,
        num_episodes=10_000,
        weights=(0.2, 5.0),
        episode_length=(15, 60),
        baseline=("attached", "detached"),
        entropy_weight=(0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    )
    yield _answer(
        "carried",
        "the LSTM's state carried across the trials of an episode",
        weights=FEW_WEIGHTS,
        carry_state=True,
    )
    yield _answer(
        "variants",
        "variants of the task: timeouts, fewer stimuli, more stimuli",
        weights=FEW_WEIGHTS,
        stimulus_set=("pwm0", "pwm5", "pwm7"),
        timeout=(False, True),
    )
    yield _answer(
        "hidden-size",
        "smaller and larger networks",
        num_episodes=10_000,
        weights=FEW_WEIGHTS,
        hidden_size=(12, 24, 48, 96),
    )
    yield _answer(
        "gradients",
        "the gradients in the trunk, below, within and above the working range",
        log_every=1000,
        probe_episodes=64,
        weights=(0.1, 1.0, 5.0, 20.0, 100.0),
        episode_length=(6, 15, 30, 60, 120),
    )
    yield _answer(
        "lost",
        "gradients lost while an episode is collected, a bug in the notes' code",
        weights=FEW_WEIGHTS,
        lost_gradients=("none", "values", "log_probs"),
        baseline="attached",
    )


_ALL = (*_NOTES, *_answers())
EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType({item.name: item for item in _ALL})
NOTES = tuple(item.name for item in _NOTES)
"""Experiments that reproduce the notes' figures, and their neighbours."""


def chosen(
    names: Sequence[str],
    size: Size = "paper",
    engine: EngineName | None = None,
    known: Mapping[str, Experiment] = EXPERIMENTS,
) -> tuple[Experiment, ...]:
    """The experiments with those names, or all if none is named.

    Args:
        names: of experiments.
        size: of each.
        engine: that trains them; by default each experiment's own.
        known: experiments to choose from, by name.
    Raises:
        InputError: no experiment has that name.
    """
    for name in names:
        require(name in known, "EXPERIMENT", name, "some of " + ", ".join(known))
    experiments = [known[name].sized(size) for name in names or known]
    return tuple(replace(item, engine=engine or item.engine) for item in experiments)
