"""Pinned short histories of some settings.

They are computed in double precision, so that a machine's rounding does not show: changing the
initial parameters by one part in 1e12, ten thousand times more than rounding does, moves no metric
by more than 2e-6 within these episodes. The tolerance is 1e-5; a change of the computation moves
metrics by more than a thousand times that, as the last tests show.

To pin again: `pytest tests/training/test_regression.py --force-regen`; say why in the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_regressions.ndarrays_regression import NDArraysRegressionFixture
from torch import Tensor

from pwm.core.agent import AgentConfig
from pwm.core.losses import Reduction, policy_loss
from pwm.core.task import TaskConfig
from pwm.training import loss_options
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig
from tests.support.training import history_of

pytestmark = pytest.mark.usefixtures("double_precision")

TOLERANCE = 1e-5
SEEDS = (0, 1, 2)

NOTES = TrainConfig(
    task=TaskConfig(episode_length=15),
    agent=AgentConfig(hidden_size=10),
    critic_weight=3.0,
    num_episodes=30,
    log_every=2,
)
SETTINGS = {
    "attached_sum": NOTES,
    "attached_mean": replace(NOTES, loss=LossConfig(baseline="attached", policy_reduction="mean")),
    "detached_sum": replace(NOTES, loss=LossConfig(baseline="detached", policy_reduction="sum")),
    "detached_mean": replace(NOTES, loss=LossConfig(baseline="detached", policy_reduction="mean")),
    "discount": replace(NOTES, loss=LossConfig(discount=0.8)),
    "leaking_lambda_returns": replace(
        NOTES, loss=LossConfig(discount=0.9, trace_decay=0.7, leaking_targets=True)
    ),
    "returns_of_trials": replace(
        NOTES, loss=LossConfig(baseline="detached", return_horizon="trial")
    ),
    "entropy": replace(NOTES, loss=LossConfig(baseline="detached", entropy_weight=0.2)),
    "carried": replace(NOTES, agent=AgentConfig(hidden_size=10, carry_state=True)),
    "separate_trunks": replace(NOTES, agent=AgentConfig(hidden_size=10, separate_trunks=True)),
    "timeout_hold_reward": replace(
        NOTES,
        task=TaskConfig(
            stimulus_set="pwm5", trial_length=3, episode_length=15, timeout=True, hold_reward=0.1
        ),
    ),
    "adam": replace(NOTES, optimizer="adam", learning_rate=0.03),
    "sgd_three_per_update": replace(
        NOTES, optimizer="sgd", learning_rate=0.03, episodes_per_update=3
    ),
    "huber": replace(NOTES, loss=LossConfig(value_loss="huber")),
    "pwm0_long_trials": replace(
        NOTES, task=TaskConfig(stimulus_set="pwm0", trial_length=4, episode_length=18)
    ),
}


def history(config: TrainConfig) -> dict[str, NDArray[Any]]:
    """Arrays of the history of three seeds."""
    return history_of([replace(config, seed=seed) for seed in SEEDS], "torch").arrays()


@pytest.mark.parametrize("name", SETTINGS)
def test_histories_are_as_pinned(name: str, ndarrays_regression: NDArraysRegressionFixture) -> None:
    tolerance = {"atol": TOLERANCE, "rtol": TOLERANCE}
    ndarrays_regression.check(history(SETTINGS[name]), basename=name, default_tolerance=tolerance)


def wrong_sign(
    log_probs: Tensor, advantages: Tensor, *, attached: bool, reduction: Reduction
) -> Tensor:
    return -policy_loss(log_probs, advantages, attached=attached, reduction=reduction)


def other_baseline(
    log_probs: Tensor, advantages: Tensor, *, attached: bool, reduction: Reduction
) -> Tensor:
    return policy_loss(log_probs, advantages, attached=not attached, reduction=reduction)


def other_reduction(
    log_probs: Tensor, advantages: Tensor, *, attached: bool, reduction: Reduction
) -> Tensor:
    other: Reduction = "sum" if reduction == "mean" else "mean"
    return policy_loss(log_probs, advantages, attached=attached, reduction=other)


@pytest.mark.parametrize("mistake", [wrong_sign, other_baseline, other_reduction])
@pytest.mark.parametrize("name", SETTINGS)
def test_every_mistake_in_the_loss_exceeds_the_tolerance(
    name: str,
    mistake: Callable[..., Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = history(SETTINGS[name])
    monkeypatch.setattr(loss_options, "policy_loss", mistake)
    wrong = history(SETTINGS[name])
    for metric in ("value_loss", "policy_loss", "entropy", "critic_bias"):
        assert np.abs(wrong[metric] - right[metric]).max() > 1000 * TOLERANCE, metric


def test_no_two_settings_have_the_same_history() -> None:
    histories = [history(config) for config in SETTINGS.values()]
    for one, other in combinations(histories, 2):
        assert np.abs(one["entropy"] - other["entropy"]).max() > 1000 * TOLERANCE
