"""Grids, by default with 24 seeds: enough to tell a success rate of 0.3 from one of 0.7."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pwm.core.task import TaskConfig
from pwm.runs.experiment import INNER_AXES, Experiment
from pwm.runs.fields import replaced
from pwm.training.config import TrainConfig

WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
FEW_WEIGHTS = (0.2, 1.0, 2.0, 5.0, 20.0, 100.0)  # critic weights, like `WEIGHTS`
LENGTHS = (6, 15, 30, 60, 120)  # steps per episode
TRIAL_LENGTHS = (2, 4, 6)  # steps per trial, other than the default, 3
BASE = TrainConfig(
    task=TaskConfig(episode_length=15), learning_rate=0.001, num_episodes=20_000, log_every=100
)
"""Setting of the first studies. The public notes' setting is the default of `TrainConfig`."""


def grid(
    name: str, about: str, weights: Sequence[float] = WEIGHTS, seeds: int = 24, **fields: Any
) -> Experiment:
    """Makes an experiment: a grid of critic weights and seeds (0 to `seeds` - 1) around `BASE`.

    `fields` are other fields of `TrainConfig` and its parts; a tuple of values is an axis of the
    grid. Values of `probe_at` are tuples, so it needs a tuple of tuples. Without a `baseline`, the
    grid has both attached and detached runs.
    """
    fields.setdefault("baseline", ("attached", "detached"))
    fields |= {"critic_weight": tuple(weights), "seed": tuple(range(seeds))}
    axes = {field: value for field, value in fields.items() if isinstance(value, tuple)}
    constants = {field: value for field, value in fields.items() if field not in axes}
    inner = {field: axes.pop(field) for field in INNER_AXES if field in axes}  # must come last
    return Experiment(name=name, about=about, base=replaced(BASE, constants), axes=axes | inner)
