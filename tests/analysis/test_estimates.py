"""Success rates and bootstrap estimates with their intervals."""

from __future__ import annotations

from math import inf, isnan, nan, nextafter, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import bootstrap

from pwm.analysis.estimates import (
    RESAMPLES,
    Estimate,
    interval,
    mean,
    median_ratios,
    quantiles,
    rate,
    rate_difference,
    resampled,
    resampled_means,
    resampled_medians,
    rounded,
    slope,
    success_rate,
)

Z = 1.959963984540054  # the 97.5th percentile of the normal distribution


def seeds(successes: int, total: int) -> NDArray[np.bool_]:
    return np.arange(total) < successes


def wilson(successes: int, total: int) -> tuple[float, float]:
    """Wilson score interval of a fraction (Wilson, 1927), computed from its formula."""
    rate = successes / total
    middle = rate + Z**2 / (2 * total)
    half = Z * sqrt(rate * (1 - rate) / total + Z**2 / (4 * total**2))
    scale = 1 + Z**2 / total
    return (middle - half) / scale, (middle + half) / scale


@given(st.integers(1, 100).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_success_rate_has_the_wilson_interval(counts: tuple[int, int]) -> None:
    successes, total = counts
    found = success_rate(seeds(successes, total))
    assert (found.successes, found.total, found.rate) == (successes, total, successes / total)
    assert (found.low, found.high) == pytest.approx(wilson(successes, total), abs=1e-9)


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        (0, 24, 0.0, 0.13798),  # z² / (n + z²)
        (12, 24, 0.31427, 0.68573),  # 1/2 ± z / (2 sqrt(n + z²))
        (24, 24, 0.86202, 1.0),
        (1, 1, 0.20655, 1.0),
    ],
)
def test_wilson_interval_by_hand(successes: int, total: int, low: float, high: float) -> None:
    found = success_rate(seeds(successes, total))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-5)


def test_rate_of_one_cell_is_its_success_rate() -> None:
    assert rate(seeds(7, 24)) == success_rate(seeds(7, 24))[2:]
    assert rate(seeds(7, 24)[None]) == success_rate(seeds(7, 24))[2:]


@pytest.mark.parametrize("successes", [0, 24])
def test_unanimous_cells_count_as_one(successes: int) -> None:
    cells = np.stack([seeds(successes, 24)] * 5)
    assert rate(cells) == success_rate(seeds(successes, 24))[2:]


def test_rate_over_cells_resamples_seeds_and_not_runs() -> None:
    # Five equal cells hold no more seeds than one, so the interval is as wide.
    cells = np.stack([seeds(12, 24)] * 5).reshape(5, 1, 24)
    found = rate(cells)
    assert found.value == 0.5
    assert found.high - found.low == pytest.approx(2 * Z * sqrt(0.25 / 24), rel=0.1)


def test_rate_difference_is_paired_by_seed() -> None:
    one, other = seeds(18, 24), seeds(12, 24)
    found = rate_difference(one, other)
    assert found.value == 0.25
    assert 0 < found.low < 0.25 < found.high < 0.5
    # Six seeds make the whole difference; if seeds are paired differently, it varies more.
    apart = rate_difference(one, other[::-1])
    assert apart.value == 0.25
    assert apart.high - apart.low > 1.5 * (found.high - found.low)
    assert rate_difference(one, one) == (0, 0, 0)
    assert rate_difference(other, one).value == -0.25


def test_rate_difference_averages_over_cells_of_any_number() -> None:
    one, other = np.stack([seeds(24, 24), seeds(12, 24)]), seeds(12, 24)
    assert rate_difference(one, other).value == 0.25


def test_mean_leaves_out_seeds_without_a_value() -> None:
    assert mean(np.array([1.0, 2.0, 3.0, nan, np.inf])).value == 2
    assert isnan(mean(np.full(4, nan)).value)


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).exponential(size=24)
    reference = bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    found = mean(values)
    width = reference.high - reference.low
    assert found.low == pytest.approx(reference.low, abs=0.04 * width)
    assert found.high == pytest.approx(reference.high, abs=0.04 * width)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    found = [mean(random.normal(size=24)) for _ in range(200)]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert 0.88 <= covered <= 0.98  # 0.93 for 24 seeds, and three standard errors either way


def test_quantiles_are_the_median_and_two_quantiles() -> None:
    values = np.arange(101.0)
    assert quantiles(values, tail=0.25) == (50, 25, 75)
    assert quantiles(values, tail=0.05) == (50, 5, 95)
    assert all(map(isnan, quantiles(np.array([]), tail=0.25)))


def test_all_statistics_see_the_same_resamples() -> None:
    assert resampled(24).shape == (1 + RESAMPLES, 24)
    assert resampled(24)[0].tolist() == list(range(24))
    assert resampled(24) is resampled(24)
    values = np.random.default_rng(0).random((2, 24))
    one, other = (values[row][resampled(24)].mean(axis=-1) for row in (0, 1))
    assert mean(values[0]) == pytest.approx(interval(one))
    assert mean(values[0] - values[1]) == pytest.approx(interval(one - other))


def test_interval_ends_leave_out_a_fortieth_on_either_side() -> None:
    values = np.array([500.0, *range(1, 1001)])
    assert interval(values) == (500, 25, 975)


def test_resamples_without_a_value_are_left_out() -> None:
    found = interval(np.array([3.0, nan, 1.0, nan, 2.0]))
    assert found == (3, 1, 2)
    alone = interval(np.array([3.0, nan, nan]))
    assert alone.value == 3
    assert isnan(alone.low)
    assert isnan(alone.high)


def test_resampled_statistics_are_of_all_seeds_and_then_of_each_resample() -> None:
    times = np.array([3.0, 1.0, inf, 2.0, 2.5])
    means, medians = resampled_means(np.isfinite(times)), resampled_medians(times)
    assert means.shape == medians.shape == (1 + RESAMPLES,)
    assert (means[0], medians[0]) == (0.8, 2.5)
    for row in (1, RESAMPLES):
        chosen = times[resampled(5)[row]]
        assert means[row] == np.isfinite(chosen).mean()
        assert medians[row] == sorted(chosen)[2]
    several = np.stack([times, times[::-1], 2 * times])
    assert np.array_equal(resampled_medians(several)[2], 2 * medians)
    assert np.array_equal(resampled_means(several < 3)[0], resampled_means(times < 3))
    assert np.array_equal(
        median_ratios(several, times)[2], np.where(medians < inf, 2, nan), equal_nan=True
    )


def test_infinite_ends_stay_infinite() -> None:
    assert interval(np.array([3.0, 1.0, np.inf])) == Estimate(3, 1, np.inf)
    found = interval(median_ratios(np.full(2, np.inf), np.array([1.0, np.inf])))
    assert found == (np.inf, np.inf, np.inf)  # resamples of inf over inf are left out


@pytest.mark.parametrize("number", [0.125, 2 / 3, 22 / 24, 1e-7 / 3, -1234.5, 20_000.0, 0.0, inf])
def test_a_rounded_number_is_near_and_has_no_last_digits(number: float) -> None:
    assert rounded(number) == pytest.approx(number, rel=1e-8)
    assert rounded(nextafter(number, -inf)) == rounded(number) or number in (0.0, inf)
    assert rounded(nextafter(number, 9.0)) == rounded(number) or number in (0.0, inf)


def test_slopes_are_those_of_least_squares() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=5), random.normal(size=(5, 3))
    np.testing.assert_allclose(slope(x, y), np.polyfit(x, y, 1)[0], rtol=1e-12)
    assert slope(x, 1 - 2 * x) == pytest.approx(-2)
