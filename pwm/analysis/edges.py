"""Edges of the working range: the critic weights at which success sets in and at which it ends.

The probability that a run of critic weight w learns is modelled as
plateau / (1 + (edge / w)^slope), so that the edge is the weight at which it reaches half of its
plateau. All three numbers are found by maximum likelihood on a grid.

Many models of the grid are equally likely, and the first of them is taken. So that rounding does
not decide which, logarithms are multiples of `UNIT`: their products with numbers of seeds, and the
sums of these, are then exact, in whatever order a processor's matrix product adds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import resampled

POINTS_PER_E = 12  # grid points of the edge per factor of e
PLATEAUS = np.arange(1, 21) / 20
SLOPES = np.array([1.0, 2.0, 3.0, 5.0, 8.0])
LEAST_RATE = 1e-3  # least probability of either outcome, so that no single seed decides
UNIT = 2.0**-32  # of logarithms; 20 more bits hold sums over ten thousand runs
BLOCK = 32  # resamples per matrix product: too few for the product to start threads


def lower_edges(weights: Sequence[float], learned: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weight above which runs learn, for the seeds as they are and for each resample.

    Args:
        weights: critic weights, ascending, [W].
        learned: whether each seed learned at each weight, [W, S].
    Returns:
        The edge, [1 + resamples]; `pwm.analysis.estimates.interval` makes an estimate of it.
    """
    seeds = learned.shape[1]
    edges, log_odds, log_failure = _models(tuple(weights))
    # Number of seeds that learned at each weight, by resample: (1 + resamples, W)
    successes = learned[:, resampled(seeds)].sum(axis=-1, dtype=np.float64).T
    best = []  # number of the most likely model of each resample
    for block in np.array_split(successes, 1 + len(successes) // BLOCK):
        likelihood = block @ log_odds + seeds * log_failure  # (P, block, M)
        by_resample = likelihood.swapaxes(0, 1).reshape(len(block), -1)  # (block, P · M)
        best.append(by_resample.argmax(axis=1))
    return np.asarray(edges[np.concatenate(best)])


def upper_edges(weights: Sequence[float], learned: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weight above which runs no longer learn; arguments and result as for `lower_edges`.

    This is the lower edge on the axis of 1 / w, where the order of the weights is reversed.
    """
    return 1 / lower_edges([1 / weight for weight in reversed(weights)], learned[::-1])


@lru_cache(maxsize=16)
def _models(
    weights: tuple[float, ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The models on the grid: P plateaus by M pairs of slope and edge.

    Returns:
        The edge of each model, [P · M]; its log odds of success at each weight, [P, W, M]; and
        its log probability that one seed fails at every weight, [P, 1, M].
    """
    log_weights = np.log(weights)
    span = log_weights[-1] - log_weights[0]
    log_edges = np.linspace(log_weights[0], log_weights[-1], 1 + int(POINTS_PER_E * span))
    log_ratios = log_edges - log_weights[:, None, None]  # of edge and weight: (W, 1, edges)
    powers = np.exp(SLOPES[:, None] * log_ratios).reshape(len(weights), -1)  # (W, M)
    rate = PLATEAUS[:, None, None] / (1 + powers)  # (P, W, M)
    rate = np.clip(rate, LEAST_RATE, 1 - LEAST_RATE)
    log_failures = _in_units(np.log1p(-rate))
    edges = np.tile(np.exp(log_edges), len(PLATEAUS) * len(SLOPES))
    return edges, _in_units(np.log(rate)) - log_failures, log_failures.sum(axis=1, keepdims=True)


def _in_units(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms rounded to multiples of `UNIT`."""
    return np.asarray(np.round(logarithms / UNIT) * UNIT)
