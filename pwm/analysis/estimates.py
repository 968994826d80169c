"""Estimates with 95% intervals, each computed in one of two ways.

The fraction of seeds that learned in one cell (runs that differ only in the seed) has a Wilson
interval, also used for several cells if all of their runs agree (`rate`). Everything else has a
bootstrap interval over seeds: a statistic is computed for the original seeds and for each resample
of them, [1 + resamples], and the interval lies between two quantiles of the resamples. All
statistics of equally many seeds use the same resamples, so that conditions can be compared seed by
seed. Only `quantiles` returns quantiles of the values instead of an interval.

The fused engine's runs are bit-identical on every machine, and files written from them must be,
too. But the last digits of logarithms, powers and matrix products differ between processors. Three
rules keep nearly all of these differences out of files:

- A number is rounded before it is written: to six significant digits in a table, to nine in a
  claim (`rounded`).
- A discontinuous result, such as the best model in a grid or a pixel's colour, is computed by sums,
  products, quotients and roots in a fixed order, which are the same everywhere, or by exact sums
  (`pwm.analysis.edges`).
- A fit is a closed form (`slope`), as LAPACK's solvers have no fixed order of summation.
"""

from __future__ import annotations

from functools import lru_cache
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from pwm.analysis.times import median_time

RESAMPLES = 2000  # about 50 of them beyond either end of an interval
TAIL = 0.025  # probability beyond either end of an interval
DIGITS = 9  # significant digits in a claim; the paper quotes 5, and processors differ in the 16th


class SuccessRate(NamedTuple):
    """Fraction `rate` of seeds that learned, with its Wilson interval."""

    successes: int
    total: int
    rate: float
    low: float
    high: float


class Estimate(NamedTuple):
    """A number with its interval, whose ends are nan if there is none."""

    value: float
    low: float = nan
    high: float = nan


def rounded(number: float) -> float:
    """Rounds a number to `DIGITS` significant digits, nearly always equal on every processor."""
    # Results differ by about 1e-15 of the number: about one in a million rounds differently.
    return float(f"{number:.{DIGITS}g}")


def success_rate(learned: NDArray[np.bool_]) -> SuccessRate:
    """Fraction of seeds [S] that learned, with its 95% Wilson score interval (Wilson, 1927)."""
    successes, total = int(learned.sum()), learned.size
    interval = binomtest(successes, total).proportion_ci(0.95, method="wilson")
    return SuccessRate(successes, total, successes / total, interval.low, interval.high)


def rate(learned: NDArray[np.bool_]) -> Estimate:
    """Fraction of runs that learned, with a Wilson interval for one cell, else a bootstrap one.

    If all runs of several cells learned, or none did, the interval is Wilson's for a single cell.

    Args:
        learned: whether each seed learned, in one or several cells of the same seeds, [..., S].
    """
    cells = learned.reshape(-1, learned.shape[-1])
    # If all runs agree, a bootstrap interval would have no width.
    if len(cells) == 1 or cells.all() or not cells.any():
        return Estimate(*success_rate(cells[0])[2:])  # rate, low, high
    return mean(cells.mean(axis=0))


def rate_difference(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Estimate:
    """Success rate of `one` minus that of `other`, each [..., S] as in `rate`, paired by seed."""
    rates = [cells.reshape(-1, cells.shape[-1]).mean(axis=0) for cells in (one, other)]  # (S,)
    return mean(rates[0] - rates[1])


def mean(values: NDArray[np.float64]) -> Estimate:
    """Mean over seeds of `values`, [S], with its interval; non-finite values are left out."""
    is_finite = np.isfinite(values)
    terms = np.where(is_finite, values, 0.0)
    seeds = resampled(len(values))
    with np.errstate(invalid="ignore"):  # a resample may have no finite value
        return interval(terms[seeds].sum(axis=-1) / is_finite[seeds].sum(axis=-1))


def quantiles(values: NDArray[np.float64], tail: float) -> Estimate:
    """Median of the values, with the quantiles at `tail` and 1 - `tail`; nan without values."""
    if not len(values):
        return Estimate(nan)
    low, middle, high = np.quantile(values, [tail, 0.5, 1 - tail])
    return Estimate(float(middle), float(low), float(high))


@lru_cache(maxsize=8)
def resampled(num_seeds: int) -> NDArray[np.intp]:
    """Indices of S seeds, [1 + resamples, S]: row 0 in order, the others drawn with replacement."""
    drawn = np.random.default_rng(0).integers(num_seeds, size=(RESAMPLES, num_seeds))
    return np.concatenate([np.arange(num_seeds)[None], drawn])


def resampled_means(values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over seeds of `values`, [..., S]; all seeds, then resamples: [..., 1 + resamples]."""
    return np.asarray(values[..., resampled(values.shape[-1])].mean(axis=-1))


def resampled_medians(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """`median_time` of `times`, [..., S]; all seeds, then resamples: [..., 1 + resamples]."""
    return median_time(times[..., resampled(times.shape[-1])])


def median_ratios(times: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """`resampled_medians` of `times` over those of `others`; nan where both are infinite."""
    with np.errstate(invalid="ignore"):
        return resampled_medians(times) / resampled_medians(others)


def interval(values: NDArray[np.float64]) -> Estimate:
    """Value of a statistic, with its bootstrap percentile interval.

    `values`, [1 + resamples], are for the original seeds, then for each resample. Resamples where
    the statistic is nan are left out.
    """
    value, resamples = float(values[0]), values[1:]
    defined = resamples[~np.isnan(resamples)]
    if not len(defined):
        return Estimate(value)
    # This method picks values of resamples; interpolating between infinite ones would give nan.
    low, high = np.quantile(defined, [TAIL, 1 - TAIL], method="inverted_cdf")
    return Estimate(value, float(low), float(high))


def slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slopes of least-squares lines through N points each: Σ (x - mean x) y / Σ (x - mean x)².

    The lines share their abscissas x, [N]; ordinates y are [N, ...], and slopes [...].
    """
    deviations = x - x.mean()
    products = y.T * deviations  # the axes of y reversed, so that N is last: (..., N)
    return np.asarray(products.sum(axis=-1).T / np.square(deviations).sum())
