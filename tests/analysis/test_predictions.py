"""The law of slowdown, and what it predicts."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwm.analysis.predictions import Law, fitted_law, learned_when_slowed, predictions
from pwm.analysis.theory import noise_weight, slowdown

UNFITTED = Law(noise_constant=1.0, share_weight=inf)


@given(st.floats(0.01, 100), st.sampled_from([6, 15, 60]), st.floats(0.5, 3))
def test_without_a_fit_the_law_is_the_closed_form(weight: float, steps: int, bias: float) -> None:
    assert UNFITTED.noise_weight(steps) == noise_weight(steps, 3)
    assert UNFITTED.leak_slowdown(weight, steps) == slowdown(noise_weight(steps, 3) / weight)
    assert UNFITTED.trunk_slowdown(weight) == 1
    assert UNFITTED.trunk_slowdown(weight, bias) == slowdown(bias)


def test_the_law_by_hand() -> None:
    law = Law(noise_constant=2.0, share_weight=5.0)
    assert law.noise_weight(10, 2) == 2 * noise_weight(10, 2)
    # At its noise weight, the leak doubles the mean square of the gradient.
    assert law.leak_slowdown(law.noise_weight(12, 4), 12, 4) == pytest.approx(2**0.5)
    assert law.trunk_slowdown(5.0) == pytest.approx(2**0.25)  # in the trunk alone
    assert law.trunk_slowdown(10.0, bias=2.0) == pytest.approx((5 * 9) ** 0.25)


def test_the_fitted_law_is_the_published_one() -> None:
    third = predictions()["third"]
    assert fitted_law() == Law(
        noise_constant=third["noise_constant"], share_weight=third["share_weight"]
    )
    assert "1.6 w_noise" in " ".join(third["law"])
    assert fitted_law().noise_constant == 1.6


def test_seeds_learn_if_the_budget_covers_the_slowed_time() -> None:
    weights = (0.05, 2.0, 100.0)
    times = np.array([[900.0, 1000, 1100, 2000, np.inf]] * 3)
    learned = learned_when_slowed(weights, times, budget=1500, noise_weight=2.0)
    assert learned.shape == times.shape
    assert not learned[0].any()
    assert learned[1].tolist() == [True, True, False, False, False]  # 1.41 times as long
    assert learned[2].tolist() == [True, True, True, False, False]
    at_last = learned_when_slowed(weights, times, budget=10**9, noise_weight=2.0)
    assert (at_last == np.isfinite(times)).all()
