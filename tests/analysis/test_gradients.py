"""Summaries of runs with diagnostics, computed from made-up curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import ArrayLike

from pwm.analysis.gradients import before_learning, identity_sides, policy_share, share_weight
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.theory import advantage_log_prob
from pwm.core.task import TaskConfig
from pwm.runs.experiment import Experiment
from pwm.training.config import TrainConfig
from tests.support.outcomes import made_up_outcomes

EXPERIMENT = Experiment(
    name="probed",
    base=TrainConfig(task=TaskConfig(episode_length=6), num_episodes=800, log_every=100),
    axes={
        "baseline": ("attached", "detached"),
        "critic_weight": (0.1, 0.2, 5.0),
        "seed": (0, 1, 2),
    },
)
REWARD = [
    [0.5, 0.4, 0.7, 0.5, 0.5, 0.5, 0.5, 0.5],  # rises in the third window
    [0.5] * 8,
    [1.0] * 8,
]


def curves(run: TrainConfig) -> Mapping[str, ArrayLike]:
    windows = np.arange(1.0, 9)
    return {
        "reward": REWARD,
        "policy_norm": windows,
        "critic_norm": 2 * windows * run.critic_weight,
        "total_norm": 4 * windows,
        "policy_loss": -windows * np.array([[1.0], [2.0], [3.0]]),
        "value_loss": windows + 2,
        "return_variance": windows,
        "covariance": 0.5,
    }


@pytest.fixture
def runs() -> Outcomes:
    return made_up_outcomes(EXPERIMENT, lambda _run: {}, curves)


def test_before_learning_ends_at_the_first_rise(runs: Outcomes) -> None:
    part = runs.at(baseline="detached", critic_weight=5.0)
    found = before_learning(part, np.tile(np.arange(8.0), (3, 1)))
    np.testing.assert_array_equal(found, [0.5, 3.5, np.nan])


def test_shares_are_ratios_of_squared_norms(runs: Outcomes) -> None:
    part = runs.at(baseline="detached", critic_weight=5.0)
    np.testing.assert_allclose(policy_share(part), np.full((3, 8), 1 / 16))
    # The critic's norm is the policy's times twice the weight, so they are equal at weight 1/2.
    np.testing.assert_allclose(share_weight(part), np.full((3, 8), 0.5))


def test_the_sides_of_the_identity_are_its_terms_in_the_second_half(runs: Outcomes) -> None:
    left, right = identity_sides(runs.at(baseline="attached", critic_weight=5.0))
    np.testing.assert_allclose(left, np.outer([1, 2, 3], [5, 6, 7, 8]))
    expected = advantage_log_prob(2.0, 0.0, 0.5, critic_weight=5.0)
    assert expected == 20.5
    np.testing.assert_allclose(right, np.full((3, 4), expected))
