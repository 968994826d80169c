"""Estimates with 95% intervals, each computed in one of two ways.

The fraction of seeds that learned in one cell (the runs of one setting, over seeds) has a Wilson
interval. Everything else has a bootstrap interval over seeds: a statistic is computed on the seeds
as they are and on each resample of them, [1 + resamples], and the interval lies between two
quantiles of the resamples. All statistics see the same resamples, so that conditions can be
compared seed by seed.

Runs have the same bits on every machine, and so must what is written about them. But logarithms,
powers and matrix products differ in their last digits between processors. Three rules keep that
out of what is written:

- A number is rounded before it is written: to six digits in a table, and if it is claimed, to
  nine, by `rounded`.
- A result that jumps, such as the best model of a grid or a pixel's colour, comes from sums,
  products, quotients and roots in a fixed order, which are the same everywhere, or from exact sums
  (`pwm.analysis.edges`).
- A fit is a closed form (`slope`): a solver of LAPACK would add in an order of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from pwm.analysis.times import median_time

RESAMPLES = 2000  # 50 of them beyond either end of an interval
TAIL = 0.025
DIGITS = 9  # significant, of a claim: the paper quotes 5, and processors differ in the 16th


class SuccessRate(NamedTuple):
    """A fraction of seeds with its Wilson interval."""

    successes: int
    total: int
    rate: float
    low: float
    high: float


class Estimate(NamedTuple):
    """A number with its interval; nan at both ends if it has none."""

    value: float
    low: float = nan
    high: float = nan


def rounded(number: float) -> float:
    """A number rounded to `DIGITS` digits, so that it is the same on every processor.

    Results of two processors differ by about 1e-15 of a number: they round differently for one
    number in a million.
    """
    return float(f"{number:.{DIGITS}g}")


def success_rate(learned: NDArray[np.bool_]) -> SuccessRate:
    """Fraction of seeds [S] that learned, with its 95% Wilson score interval (Wilson, 1927)."""
    successes, total = int(learned.sum()), learned.size
    interval = binomtest(successes, total).proportion_ci(0.95, method="wilson")
    return SuccessRate(successes, total, successes / total, interval.low, interval.high)


def rate(learned: NDArray[np.bool_]) -> Estimate:
    """Fraction of runs that learned, in one or several cells of the same seeds: [..., S].

    A single cell has its Wilson interval, several have a bootstrap interval. If all of their runs
    learned or none did, that would have no width: they then count as one cell.
    """
    cells = learned.reshape(-1, learned.shape[-1])
    if len(cells) == 1 or cells.all() or not cells.any():
        one = success_rate(cells[0])
        return Estimate(one.rate, one.low, one.high)
    return mean(cells.mean(axis=0))


def rate_difference(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Estimate:
    """Success rate of `one` minus that of `other`, paired by seed; cells as for `rate`."""
    return mean(_seed_rates(one) - _seed_rates(other))


def _seed_rates(learned: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Fraction of the cells in which each seed learned: [S] from [..., S]."""
    return np.asarray(learned.reshape(-1, learned.shape[-1]).mean(axis=0))


def mean(values: NDArray[np.float64]) -> Estimate:
    """Mean over the seeds [S] that have a finite value."""
    known = np.isfinite(values)
    finite = np.where(known, values, 0.0)
    seeds = resampled(len(values))
    with np.errstate(invalid="ignore"):  # a resample may have no finite value
        return interval(finite[seeds].sum(axis=-1) / known[seeds].sum(axis=-1))


def quantiles(values: NDArray[np.float64], tail: float) -> Estimate:
    """Median of the values, and the quantiles at `tail` and 1 - `tail`; nan without values."""
    if not len(values):
        return Estimate(nan)
    low, middle, high = np.quantile(values, [tail, 0.5, 1 - tail])
    return Estimate(float(middle), float(low), float(high))


@lru_cache(maxsize=8)
def resampled(seeds: int) -> NDArray[np.intp]:
    """Indices of S seeds, first in order, then of each resample: [1 + resamples, S]."""
    drawn = np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))
    return np.concatenate([np.arange(seeds)[None], drawn])


def resampled_means(values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over the seeds as they are and over each resample: [1 + resamples] from [S]."""
    return np.asarray(values[resampled(len(values))].mean(axis=-1))


def resampled_medians(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """`median_time` of the seeds as they are and of each resample: [1 + resamples] from [S]."""
    return median_time(times[resampled(len(times))])


def over_seeds(
    statistic: Callable[[NDArray[np.intp]], NDArray[np.float64]], seeds: int
) -> Estimate:
    """Value of a statistic over seeds, with its bootstrap interval.

    Args:
        statistic: maps indices of seeds, [B, S], to one value per row, [B].
        seeds: S, the number of seeds.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # times may be infinite
        return interval(np.asarray(statistic(resampled(seeds))))


def interval(values: NDArray[np.float64]) -> Estimate:
    """Value of a statistic, with its percentile interval by the bootstrap.

    Args:
        values: the statistic of the original seeds, then of each resample, [1 + resamples].
            Resamples without a value (nan) are left out. An infinite end stays infinite.
    """
    value, resamples = float(values[0]), values[1:]
    known = resamples[~np.isnan(resamples)]
    if not len(known):
        return Estimate(value)
    low, high = np.quantile(known, [TAIL, 1 - TAIL], method="inverted_cdf")
    return Estimate(value, float(low), float(high))


def slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slopes of the least-squares lines through N points each, by their closed form.

    Args:
        x: abscissas, the same for all lines, [N].
        y: ordinates, one line per further index, [N, ...].
    Returns:
        Slopes, [...].
    """
    deviations = x - x.mean()
    products = y.T * deviations  # (..., N): the transpose lets N be the axis of both
    return np.asarray(products.sum(axis=-1).T / np.square(deviations).sum())
