"""How long learning takes: constants are found where they were put."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwm.analysis.theory import slowdown
from pwm.analysis.times import median_time, noise_constant, slowed

WEIGHTS = (0.05, 0.2, 1.0, 2.0, 5.0, 20.0, 100.0)
FAST = np.array([[900.0, 1000, 1100, 2000, np.inf]] * len(WEIGHTS))


def test_the_median_is_of_seeds_and_waits_for_half_of_them() -> None:
    assert median_time(np.array([3.0, 1, 2])) == 2
    assert median_time(np.array([1.0, 2, np.inf, np.inf])) == 2
    assert median_time(np.array([1.0, np.inf, np.inf])) == np.inf
    assert median_time(FAST).tolist() == [1100] * len(WEIGHTS)


@given(st.floats(0.3, 3), st.floats(1, 10))
def test_the_constant_is_found_where_it_was_put(constant: float, noise: float) -> None:
    factors = np.array([slowdown(constant * noise / weight) for weight in WEIGHTS])
    found = noise_constant(WEIGHTS, FAST * factors[:, None], FAST, noise)
    assert found == pytest.approx(constant)


def test_weights_that_tell_nothing_are_left_out() -> None:
    slow = FAST.copy()
    slow[0] = np.inf  # too slow to see
    slow[3] = 2 * FAST[3]  # the only one
    assert noise_constant(WEIGHTS, slow, FAST, 4.0) == pytest.approx(3**0.5 * 2 / 4)
    assert np.isnan(noise_constant(WEIGHTS, FAST, FAST, 4.0))
    assert np.isnan(noise_constant(WEIGHTS, np.full_like(FAST, np.inf), FAST, 4.0))


def test_who_would_learn_is_who_has_the_time() -> None:
    # At weight 2 a noise of 2 doubles the square: 1.41 times as long.
    learned = slowed(WEIGHTS, FAST, 1500, 2.0)
    assert learned.shape == FAST.shape
    assert learned[3].tolist() == [True, True, False, False, False]
    assert not learned[0].any()
    assert learned[-1].tolist() == [True, True, True, False, False]
    assert (slowed(WEIGHTS, FAST, 10**9, 2.0) == np.isfinite(FAST)).all()
