"""Closed forms against enumeration and against constants worked out by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwm.theory import value_floor


def return_variance(success: float, num_trials: int) -> float:
    """Variance of the return over equally likely positions and all outcomes, by enumeration."""
    chance, returns = [], []
    for outcomes in product((0, 1), repeat=num_trials):
        wins = sum(outcomes)
        weight = success**wins * (1 - success) ** (num_trials - wins)
        for position in range(num_trials):
            chance.append(weight / num_trials)
            returns.append(sum(outcomes[position:]))
    mean = np.average(returns, weights=chance)
    return float(np.average((np.array(returns) - mean) ** 2, weights=chance))


@given(st.floats(0, 1), st.integers(1, 8))
def test_the_value_floor_is_the_variance_of_the_return(success: float, num_trials: int) -> None:
    assert value_floor(success, num_trials) == pytest.approx(
        return_variance(success, num_trials), abs=1e-9
    )


@pytest.mark.parametrize(
    ("success", "num_trials", "floor"),
    [
        # The notes' two episode lengths: 20 and 5 trials, at the one-sided level and solved.
        (0.5, 20, 10.9375),
        (1.0, 20, 33.25),
        (0.5, 5, 1.25),
        (1.0, 5, 2.0),
        # Nothing to foresee; one coin; the returns 2, 1 half of the time each.
        (0.0, 20, 0.0),
        (0.5, 1, 0.25),
        (1.0, 1, 0.0),
        (1.0, 2, 0.25),
    ],
)
def test_the_value_floor_at_points_worked_out_by_hand(
    success: float, num_trials: int, floor: float
) -> None:
    assert value_floor(success, num_trials) == pytest.approx(floor, abs=1e-12)


def test_no_constant_critic_has_a_smaller_value_loss_than_the_floor() -> None:
    random = np.random.default_rng(0)
    rewards = random.random((100_000, 20)) < 0.7
    returns = rewards[:, ::-1].cumsum(axis=1)
    losses = [np.mean((returns - value) ** 2) for value in np.linspace(6, 9, 31)]
    assert min(losses) == pytest.approx(value_floor(0.7, 20), rel=0.01)
