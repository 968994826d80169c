"""Runs of any setting, and populations trained to their end, by either engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from hypothesis import strategies as st

from pwm.agent import AgentConfig
from pwm.engines import Engine, make_trainer
from pwm.history import History
from pwm.losses import Baseline, LossConfig
from pwm.task import TaskConfig
from pwm.train import TrainConfig, Trainer


@st.composite
def settings_of_runs(draw: st.DrawFn, most_trials: int, most_units: int) -> TrainConfig:
    """A run of any setting and odd sizes."""
    trial_length = draw(st.integers(2, 5))
    return TrainConfig(
        TaskConfig(
            draw(st.sampled_from(["pwm0", "pwm5"])),
            trial_length,
            episode_length=draw(st.integers(trial_length, most_trials * trial_length)),
            timeout=draw(st.booleans()),
            hold_reward=draw(st.sampled_from([0.0, 0.1])),
        ),
        AgentConfig(
            draw(st.integers(1, most_units)),
            carry_state=draw(st.booleans()),
            separate_trunks=draw(st.booleans()),
        ),
        LossConfig(
            draw(st.sampled_from(get_args(Baseline))),
            draw(st.sampled_from(["sum", "mean"])),
            discount=draw(st.sampled_from([1.0, 0.9, 0.0])),
            entropy_weight=draw(st.sampled_from([0.0, 0.05, 0.3])),
            optimism=draw(st.sampled_from([0.0, 1.5])),
            lost_gradients=draw(st.sampled_from(["none", "none", "values", "log_probs"])),
        ),
    )


def trained(runs: Sequence[TrainConfig], engine: Engine = "fused") -> Trainer:
    """The trainer of some runs, at their end."""
    trainer = make_trainer(runs, engine)
    trainer.advance(trainer.num_episodes)
    return trainer


def history_of(runs: Sequence[TrainConfig], engine: Engine = "fused") -> History:
    """What training some runs logs."""
    return trained(runs, engine).history()
