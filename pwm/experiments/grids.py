"""Grids of 24 seeds per cell, enough to tell a success rate of 0.3 from one of 0.7."""

from __future__ import annotations

from typing import Any

from pwm.core.config import TrainConfig
from pwm.core.task import TaskConfig
from pwm.runs.experiment import Experiment
from pwm.runs.fields import replaced

WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
FEW_WEIGHTS = (0.2, 1.0, 2.0, 5.0, 20.0, 100.0)
BASE = TrainConfig(
    task=TaskConfig(episode_length=15), learning_rate=0.001, num_episodes=20_000, log_every=100
)


def answer(
    name: str, about: str, weights: tuple[float, ...] = WEIGHTS, seeds: int = 24, **fields: Any
) -> Experiment:
    """A grid with either baseline unless given; a tuple of values is an axis."""
    fields.setdefault("baseline", ("attached", "detached"))
    axes = {field: values for field, values in fields.items() if isinstance(values, tuple)}
    rates = {field: axes.pop(field) for field in ("learning_rate",) if field in axes}
    base = {field: value for field, value in fields.items() if not isinstance(value, tuple)}
    return Experiment(
        name=name,
        about=about,
        base=replaced(BASE, base),
        axes=axes | {"critic_weight": weights} | rates | {"seed": range(seeds)},
    )
