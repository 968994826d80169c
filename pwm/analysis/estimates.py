"""Every interval of the paper, made in one of two ways.

A fraction of seeds has a Wilson interval. Everything else has the 95% interval that resampling
the seeds gives: a statistic is computed for the seeds as they are and for each resample of them,
and the interval ends at the resamples' quantiles. All statistics see the same resamples, so that
those of different conditions can be compared seed by seed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

RESAMPLES = 2000  # 50 of them beyond either end of a 95% interval
TAIL = 0.025


class SuccessRate(NamedTuple):
    """A fraction of seeds with its Wilson interval."""

    successes: int
    total: int
    rate: float
    low: float
    high: float


class Estimate(NamedTuple):
    """A number with its interval."""

    value: float
    low: float = nan
    high: float = nan


def success_rate(learned: NDArray[np.bool_]) -> SuccessRate:
    """Fraction of seeds [S] that learned, with its 95% Wilson score interval (Wilson, 1927)."""
    successes, total = int(learned.sum()), learned.size
    interval = binomtest(successes, total).proportion_ci(0.95, method="wilson")
    return SuccessRate(successes, total, successes / total, interval.low, interval.high)


def rate(learned: NDArray[np.bool_]) -> Estimate:
    """Fraction of runs [..., S] that learned; the seeds S are shared by all cells.

    One cell has its Wilson interval. So have several of which all runs learned or none did, where
    resampling says nothing: they count as one cell.
    """
    seeds = learned.shape[-1]
    value = float(learned.mean())
    if learned.ndim == 1 or value in {0.0, 1.0}:
        return Estimate(*success_rate(learned.reshape(-1, seeds)[0])[2:])
    return over_seeds(
        lambda chosen: learned[..., chosen].mean(axis=(*range(learned.ndim - 1), -1)), seeds
    )


def rate_difference(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Estimate:
    """Difference of two rates over cells [..., S] of the same seeds, which are resampled."""
    gain = one.reshape(-1, one.shape[-1]).mean(axis=0) - other.reshape(-1, one.shape[-1]).mean(
        axis=0
    )
    return over_seeds(lambda chosen: gain[chosen].mean(axis=-1), len(gain))


def spread(values: NDArray[np.float64], tail: float) -> Estimate:
    """Median of the values, and the quantiles that leave out a tail at either end."""
    if not len(values):
        return Estimate(nan)
    low, middle, high = np.quantile(values, [tail, 0.5, 1 - tail])
    return Estimate(float(middle), float(low), float(high))


@lru_cache(maxsize=8)
def resampled(seeds: int) -> NDArray[np.intp]:
    """The seeds as they are, then each resample of them: [1 + resamples, seeds]."""
    chosen = np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))
    return np.concatenate([np.arange(seeds)[None], chosen])


def over_seeds(
    statistic: Callable[[NDArray[np.intp]], NDArray[np.float64]], seeds: int
) -> Estimate:
    """A statistic of seeds, with its interval.

    Args:
        statistic: of chosen seeds [B, S], by number, to one value for each choice, [B].
        seeds: how many there are.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # times may be infinite
        return interval(np.asarray(statistic(resampled(seeds))))


def interval(values: NDArray[np.float64]) -> Estimate:
    """An estimate from a statistic's value on the seeds as they are, then on each resample.

    Resamples without a value (nan) are left out; an infinite end stays infinite.
    """
    value, known = float(values[0]), values[1:][~np.isnan(values[1:])]
    if not len(known):
        return Estimate(value)
    low, high = np.quantile(known, [TAIL, 1 - TAIL], method="inverted_cdf")
    return Estimate(value, float(low), float(high))
