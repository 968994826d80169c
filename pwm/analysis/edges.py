"""Edges of the working range: the critic weights where success sets in and where it ends.

The probability that a run of critic weight w learns is modelled as
plateau / (1 + (edge / w)^slope). The edge is the weight at which this is half the plateau. All
three parameters are found by maximum likelihood on a grid.

Of equally likely models in the grid, the first is taken. Logarithms are rounded to multiples of
`UNIT`, so that rounding errors do not break such ties: the products of logarithms with numbers of
seeds, and the sums of these products, are then exact in any order of summation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import resampled

POINTS_PER_E = 12  # edges in the grid per factor of e
PLATEAUS = np.arange(1, 21) / 20
SLOPES = np.array([1.0, 2.0, 3.0, 5.0, 8.0])
LEAST_RATE = 1e-3  # least probability of either outcome, so that no single seed decides
UNIT = 2.0**-32  # leaves a double 20 bits above 1, enough for sums over ten thousand runs
BLOCK = 32  # about this many rows per matrix product, too few to make it start threads


def lower_edges(weights: Sequence[float], learned: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Critic weight above which runs learn, for all seeds and for each resample: [1 + resamples].

    `weights`, [W], are ascending and above 0; `learned` says whether each seed learned, [W, S].
    The edge lies within the range of the weights, at an end of it if the seeds show no edge inside.
    `pwm.analysis.estimates.interval` turns the result into an estimate with an interval.
    """
    num_seeds = learned.shape[1]
    model_edges, log_odds, log_failure = _models(tuple(weights))
    learned_by_resample = learned.T[resampled(num_seeds)]  # (1 + resamples, S, W)
    successes = learned_by_resample.sum(axis=1, dtype=np.float64)  # (1 + resamples, W)
    counts, row = np.unique(successes, axis=0, return_inverse=True)  # equal rows need one result
    best = []  # index of the most likely model for each row of counts
    for block in np.array_split(counts, 1 + len(counts) // BLOCK):  # (B, W)
        # With s successes of S seeds: s log p + (S - s) log(1 - p) = s log odds + S log(1 - p)
        log_likelihood = block @ log_odds + num_seeds * log_failure  # (P, B, M), see `_models`
        by_row = log_likelihood.swapaxes(0, 1).reshape(len(block), -1)  # (B, P · M)
        best.append(by_row.argmax(axis=1))
    return np.asarray(model_edges[np.concatenate(best)[row]])


def upper_edges(weights: Sequence[float], learned: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Critic weight above which runs no longer learn; arguments and shape as in `lower_edges`."""
    # The inverse of the lower edge of the inverse weights, whose order is reversed
    return 1 / lower_edges([1 / weight for weight in reversed(weights)], learned[::-1])


@lru_cache(maxsize=16)
def _models(
    weights: tuple[float, ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Models on the grid: P plateaus by M pairs of a slope and an edge.

    Returns each model's edge, [P · M], log odds of success at each of the W weights, [P, W, M], and
    log probability that a seed fails at every weight, [P, 1, M].
    """
    log_weights = np.log(weights)
    span = log_weights[-1] - log_weights[0]
    log_edges = np.linspace(log_weights[0], log_weights[-1], 1 + int(POINTS_PER_E * span))  # (E,)
    log_ratios = log_edges - log_weights[:, None, None]  # of edge to weight: (W, 1, E)
    powers = np.exp(SLOPES[:, None] * log_ratios)  # (edge / weight)^slope: (W, slopes, E)
    rates = PLATEAUS[:, None, None] / (1 + powers.reshape(len(weights), -1))  # (P, W, M)
    rates = np.clip(rates, LEAST_RATE, 1 - LEAST_RATE)
    log_failures = np.round(np.log1p(-rates) / UNIT) * UNIT
    log_odds = np.round(np.log(rates) / UNIT) * UNIT - log_failures
    edges = np.tile(np.exp(log_edges), len(PLATEAUS) * len(SLOPES))  # the edge varies fastest
    return edges, log_odds, log_failures.sum(axis=1, keepdims=True)
