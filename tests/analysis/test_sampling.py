"""Bound and power of a sample, compared with their definitions and with simulated audits."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwm.analysis.sampling import drawn, most_wrong, power


def probability(total: int, count: int, wrong: int, at_most: int) -> float:
    """Probability that a sample has no more than `at_most` wrong runs, by counting samples."""
    samples = (
        comb(wrong, shown) * comb(total - wrong, count - shown) for shown in range(at_most + 1)
    )
    return sum(samples) / comb(total, count)


@given(st.data())
def test_the_bound_is_the_largest_number_that_the_sample_does_not_exclude(
    data: st.DataObject,
) -> None:
    total = data.draw(st.integers(1, 60))
    count = data.draw(st.integers(1, total))
    shown = data.draw(st.integers(0, count))
    bound = most_wrong(total, count, shown)
    assert shown <= bound <= total - count + shown
    assert probability(total, count, bound, shown) > 0.05
    if bound < total - count + shown:
        assert probability(total, count, bound + 1, shown) <= 0.05


def test_as_many_clean_runs_as_it_takes() -> None:
    total = 10**6
    for count, fraction in ((59, 0.05), (299, 0.01)):
        assert most_wrong(total, count, 0) < fraction * total
        assert most_wrong(total, count - 1, 0) >= fraction * total
    assert 0.0095 < most_wrong(44_160, 300, 0) / 44_160 < 0.01
    assert most_wrong(72, 72, 3) == 3  # all were seen


def test_a_bound_is_right_in_at_least_95_of_100_samples() -> None:
    random = np.random.default_rng(0)
    for wrong in (0, 3, 25, 250):
        shown = random.hypergeometric(wrong, 500 - wrong, 40, size=4000)
        bounds = {count: most_wrong(500, 40, count) for count in set(shown.tolist())}
        right = np.mean([bounds[count] >= wrong for count in shown.tolist()])
        assert right > 0.94  # at least 0.95, less three standard errors


RUNS = range(44_160)


def test_a_draw_takes_every_run_equally_often_and_none_twice() -> None:
    counts = np.zeros(20, int)
    for seed in range(2000):
        sample = drawn(range(20), 5, seed)
        assert len(set(sample)) == 5
        counts[sample] += 1
    assert np.abs(counts - 500).max() < 4 * np.sqrt(2000 * 0.25 * 0.75)
    assert sorted(drawn(range(3), 5, 0)) == [0, 1, 2]
    assert drawn(RUNS, 300, 1) == drawn(RUNS, 300, 1)
    assert drawn(RUNS, 300, 1) != drawn(RUNS, 300, 2)


@pytest.mark.parametrize(("count", "fraction", "expected"), [(300, 0.01, 0.951), (60, 0.05, 0.954)])
def test_the_power_is_that_of_simulated_draws(count: int, fraction: float, expected: float) -> None:
    wrong = int(fraction * len(RUNS))
    stated = power(len(RUNS), count, wrong)
    assert stated == pytest.approx(expected, abs=0.002)
    # Which runs are wrong does not matter: here, the first ones.
    caught = [any(run < wrong for run in drawn(RUNS, count, seed)) for seed in range(400)]
    assert np.mean(caught) == pytest.approx(stated, abs=0.033)  # three standard errors
