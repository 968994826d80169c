"""Median times, and the noise constant recovered from slowed runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwm.analysis.theory import slowdown
from pwm.analysis.times import median_time, noise_constant

WEIGHTS = (0.05, 0.2, 1.0, 2.0, 5.0, 20.0, 100.0)
FAST = np.array([[900.0, 1000, 1100, 2000, np.inf]] * len(WEIGHTS))


def test_the_median_is_over_seeds_and_waits_for_half_of_them() -> None:
    assert median_time(np.array([3.0, 1, 2])) == 2
    assert median_time(np.array([1.0, 2, np.inf, np.inf])) == 2
    assert median_time(np.array([1.0, np.inf, np.inf])) == np.inf
    assert median_time(np.array([np.inf])) == np.inf
    assert median_time(FAST).tolist() == [1100] * len(WEIGHTS)


@given(st.floats(0.3, 3), st.floats(1, 10))
def test_a_known_constant_is_recovered(constant: float, noise: float) -> None:
    factors = np.array([slowdown(constant * noise / weight) for weight in WEIGHTS])
    found = noise_constant(WEIGHTS, FAST * factors[:, None], FAST, noise)
    assert found == pytest.approx(constant)


def test_weights_without_a_visible_slowdown_are_left_out() -> None:
    slow = FAST.copy()
    slow[0] = np.inf  # never learn
    slow[1] = 1.15 * FAST[1]  # not slow enough
    slow[3] = 2 * FAST[3]  # the only one
    assert noise_constant(WEIGHTS, slow, FAST, 4.0) == pytest.approx(3**0.5 * 2 / 4)
    assert np.isnan(noise_constant(WEIGHTS, FAST, FAST, 4.0))
    never = np.full_like(FAST, np.inf)
    assert np.isnan(noise_constant(WEIGHTS, never, FAST, 4.0))
    assert np.isnan(noise_constant(WEIGHTS, never, never, 4.0))


def test_resamples_are_fitted_one_by_one() -> None:
    slow = FAST * np.geomspace(1, 3, 5)
    seeds = np.array([[0, 1, 2, 3, 4], [4, 4, 4, 3, 3], [0, 0, 0, 0, 1]])
    together = noise_constant(WEIGHTS, slow[:, seeds], FAST[:, seeds], 4.0)
    alone = [noise_constant(WEIGHTS, slow[:, one], FAST[:, one], 4.0) for one in seeds]
    np.testing.assert_array_equal(together, alone)
