"""Populations trained to their end, by either engine."""

from __future__ import annotations

from collections.abc import Sequence

from pwm.engines import Engine, make_trainer
from pwm.train import History, TrainConfig, Trainer


def trained(runs: Sequence[TrainConfig], engine: Engine = "fused") -> Trainer:
    """The trainer of some runs, at their end."""
    trainer = make_trainer(runs, engine)
    trainer.advance(trainer.num_episodes)
    return trainer


def history_of(runs: Sequence[TrainConfig], engine: Engine = "fused") -> History:
    """What training some runs logs."""
    return trained(runs, engine).history()
