"""Arbitrary configurations, and populations trained to the end by either engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from hypothesis import strategies as st

from pwm.core.agent import AgentConfig
from pwm.core.task import TaskConfig
from pwm.runs.engines import EngineName, make_trainer
from pwm.training.config import OptimizerName, TrainConfig
from pwm.training.history import History
from pwm.training.loss_config import Balance, Baseline, LossConfig, Returns, ValueLoss
from pwm.training.trainer import Trainer


@st.composite
def settings_of_runs(draw: st.DrawFn, most_trials: int, most_units: int) -> TrainConfig:
    """Draws an arbitrary configuration; values listed twice are drawn more often.

    If `critic_start` is "fixed-point", tests must not set a critic weight of 0.
    """
    trial_length = draw(st.integers(2, 5))
    baseline = draw(st.sampled_from(get_args(Baseline)))
    trace_decay = draw(st.sampled_from([1.0, 1.0, 0.8, 0.0]))
    fixed_point = ["fixed-point"] if trace_decay == 1 else []
    balance = draw(st.sampled_from(("fixed", *get_args(Balance))))
    learns_variance = balance == "uncertainty"  # which needs RMSprop and squared errors
    value_losses = ["squared"] if learns_variance else get_args(ValueLoss)
    optimizers = ["rmsprop"] if learns_variance else get_args(OptimizerName)
    return TrainConfig(
        task=TaskConfig(
            stimulus_set=draw(st.sampled_from(["pwm0", "pwm5"])),
            trial_length=trial_length,
            episode_length=draw(st.integers(trial_length, most_trials * trial_length)),
            timeout=draw(st.booleans()),
            hold_reward=draw(st.sampled_from([0.0, 0.1])),
            reward=draw(st.sampled_from([1.0, 1.0, 2.5])),
        ),
        agent=AgentConfig(
            hidden_size=draw(st.integers(1, most_units)),
            carry_state=draw(st.booleans()),
            separate_trunks=draw(st.booleans()),
        ),
        loss=LossConfig(
            baseline=baseline,
            policy_reduction=draw(st.sampled_from(["sum", "mean"])),
            discount=draw(st.sampled_from([1.0, 0.9, 0.0])),
            entropy_weight=draw(st.sampled_from([0.0, 0.05, 0.3])),
            optimism=draw(st.sampled_from([0.0, 1.5])),
            lost_gradients=draw(st.sampled_from(["none", "none", "values", "log_probs"])),
            returns=draw(st.sampled_from(["raw"] if balance == "popart" else get_args(Returns))),
            tracking_rate=draw(st.sampled_from([0.1, 0.02, 1.0])),
            trace_decay=trace_decay,
            leaking_targets=baseline != "detached" and draw(st.booleans()),
            return_horizon=draw(st.sampled_from(["episode", "episode", "trial"])),
            balance=balance,
            normalise_advantages=draw(st.sampled_from([False, False, True])),
            clip_gradient=draw(st.sampled_from([0.0, 0.0, 0.5])),
            value_loss=draw(st.sampled_from(value_losses)),
        ),
        optimizer=draw(st.sampled_from(optimizers)),
        square_decay=draw(st.sampled_from([0.99, 0.5])),
        momentum_decay=draw(st.sampled_from([0.9, 0.0])),
        epsilon=draw(st.sampled_from([1e-8, 1e-3])),
        episodes_per_update=draw(st.sampled_from([1, 1, 2])),
        trunk_rate=draw(st.sampled_from([1.0, 0.25])),
        critic_start=draw(st.sampled_from([0.0, -1.5, "mean", *fixed_point])),
    )


def trained(runs: Sequence[TrainConfig], engine: EngineName = "fused") -> Trainer:
    """Trains the runs to the end; returns the trainer."""
    trainer = make_trainer(runs, engine)
    trainer.advance(trainer.num_episodes)
    return trainer


def history_of(runs: Sequence[TrainConfig], engine: EngineName = "fused") -> History:
    """Trains the runs to the end; returns their history."""
    return trained(runs, engine).history()
