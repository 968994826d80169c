"""The law of slowdown, and what it predicts."""

from __future__ import annotations

import numpy as np

from pwm.analysis.predictions import fitted_law, learned_when_slowed, predictions


def test_the_fitted_law_is_the_published_one() -> None:
    third = predictions()["third"]
    assert fitted_law() == (third["noise_constant"], third["share_weight"])
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
