"""Short histories of each setting, pinned.

They are played in double precision, so that how a machine rounds cannot be seen: initial
parameters changed by one part in 1e12, ten thousand times what rounding does, move no metric
by more than 2e-6 within these episodes. The tolerance is 1e-5; what changes the computation
moves them by a thousand times that, as the last tests show.

To pin anew: `pytest tests/core/test_regression.py --regen-all`, and say in the commit why.
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

from pwm.core import losses
from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.losses import Baseline, LossConfig, Reduction, policy_loss
from pwm.core.task import TaskConfig
from pwm.core.trainer import train

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
    "entropy": replace(NOTES, loss=LossConfig(baseline="detached", entropy_weight=0.2)),
    "carried": replace(NOTES, agent=AgentConfig(hidden_size=10, carry_state=True)),
    "separate_trunks": replace(NOTES, agent=AgentConfig(hidden_size=10, separate_trunks=True)),
    "timeout_hold_reward": replace(
        NOTES,
        task=TaskConfig(
            stimulus_set="pwm5", trial_length=3, episode_length=15, timeout=True, hold_reward=0.1
        ),
    ),
    "pwm0_long_trials": replace(
        NOTES, task=TaskConfig(stimulus_set="pwm0", trial_length=4, episode_length=18)
    ),
}


def history(config: TrainConfig) -> dict[str, NDArray[Any]]:
    """Each metric, a column a window."""
    return train([replace(config, seed=seed) for seed in SEEDS]).arrays()


@pytest.mark.parametrize("name", SETTINGS)
def test_history_is_as_pinned(name: str, ndarrays_regression: NDArraysRegressionFixture) -> None:
    tolerance = {"atol": TOLERANCE, "rtol": TOLERANCE}
    ndarrays_regression.check(history(SETTINGS[name]), basename=name, default_tolerance=tolerance)


def wrong_sign(
    log_probs: Tensor, advantages: Tensor, config: LossConfig, _of_head: Tensor
) -> Tensor:
    return -policy_loss(log_probs, advantages, config)


def other_baseline(
    log_probs: Tensor, advantages: Tensor, config: LossConfig, _of_head: Tensor
) -> Tensor:
    baseline: Baseline = "attached" if config.baseline == "detached" else "detached"
    return policy_loss(log_probs, advantages, replace(config, baseline=baseline))


def other_reduction(
    log_probs: Tensor, advantages: Tensor, config: LossConfig, _of_head: Tensor
) -> Tensor:
    reduction: Reduction = "sum" if config.policy_reduction == "mean" else "mean"
    return policy_loss(log_probs, advantages, replace(config, policy_reduction=reduction))


@pytest.mark.parametrize("mistake", [wrong_sign, other_baseline, other_reduction])
@pytest.mark.parametrize("name", SETTINGS)
def test_no_mistake_in_the_loss_fits_the_tolerance(
    name: str,
    mistake: Callable[[Tensor, Tensor, LossConfig, Tensor], Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = history(SETTINGS[name])
    monkeypatch.setattr(losses, "policy_loss", mistake)
    wrong = history(SETTINGS[name])
    for metric in ("value_loss", "policy_loss", "entropy", "critic_bias"):
        assert np.abs(wrong[metric] - right[metric]).max() > 1000 * TOLERANCE, metric


def test_no_two_settings_fit_one_history() -> None:
    histories = [history(config) for config in SETTINGS.values()]
    for one, other in combinations(histories, 2):
        assert np.abs(one["entropy"] - other["entropy"]).max() > 1000 * TOLERANCE
