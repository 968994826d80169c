"""Grids of the public notes that this study began with (docs/notes.md), and similar ones."""

from __future__ import annotations

from typing import Any

from pwm.runs.experiment import Experiment
from pwm.runs.fields import replaced
from pwm.training.config import TrainConfig


def _grid(
    name: str, about: str, weights: tuple[float, ...], notes_seeds: int = 1, **fields: Any
) -> Experiment:
    """Makes a grid with 96 seeds per weight, enough to tell a success rate of 0.1 from one of 0.3.

    Fields that are not given have the notes' setting, the default of `TrainConfig`.
    """
    return Experiment(
        name=name,
        about=about,
        base=replaced(TrainConfig(), fields),
        axes={"critic_weight": weights, "seed": range(96)},
        notes_seeds=notes_seeds,
    )


_FIGURE = "the notes' figure "
_AUXILIARY = (0.05, 3.0, 10.0, 20.0)  # critic weights of the notes' auxiliary figures
NOTES_GRIDS = (
    _grid(
        "eplen60",
        _FIGURE + "pwm5-eplen60-vweight_loss-REINFORCE-lrate_0.0050-1seed",
        (2.0, 3.0, 4.0, 5.0),
        num_episodes=30_000,
    ),
    _grid(
        "eplen15",
        _FIGURE + "pwm5-eplen15-vweight_loss-REINFORCE-lrate_0.0050-3seed",
        (2.0, 3.0, 4.0, 5.0),
        episode_length=15,
        notes_seeds=3,
    ),
    _grid(
        "eplen15-edge",
        "lower weights than the notes tried, where learning begins at 15 steps",
        (0.25, 0.5, 1.0, 1.5),
        episode_length=15,
        notes_seeds=3,
    ),
    _grid(
        "lrate0.001",
        _FIGURE + "pwm5-vweight_loss-REINFORCE-lrate_0.0010-1seed",
        _AUXILIARY,
        learning_rate=0.001,
    ),
    _grid(
        "lrate0.005", "a learning rate between the two of the notes' auxiliary figures", _AUXILIARY
    ),
    _grid(
        "lrate0.01",
        _FIGURE + "pwm5-vweight_loss-REINFORCE-lrate_0.0100-1seed",
        _AUXILIARY,
        learning_rate=0.01,
    ),
    _grid(
        "pwm0",
        "the trivial task, which needs no memory",
        (0.05, 3.0, 10.0, 15.0, 20.0),
        stimulus_set="pwm0",
    ),
)
