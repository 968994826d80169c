"""The edges of the working range: the critic weights at which success sets in and ends.

Success is modelled as plateau / (1 + (edge / w)^slope), so that the edge is the weight at which it
reaches half of its plateau. All three are found by maximum likelihood on a grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import resampled

POINTS_PER_FACTOR = 12  # grid points of the edge for each factor of e
PLATEAUS = np.arange(1, 21) / 20
SLOPES = (1.0, 2.0, 3.0, 5.0, 8.0)
LEAST_RATE = 1e-3  # one odd seed does not decide


def lower_edges(weights: Sequence[float], learned: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weight above which runs learn, for the seeds and for each resample of them.

    Args:
        weights: critic weights, ascending, [W].
        learned: whether each seed learned at each weight, [W, S].
    Returns:
        [1 + resamples]; `pwm.analysis.estimates.interval` makes an estimate of it.
    """
    seeds = learned.shape[1]
    chosen = resampled(seeds)
    successes = learned[:, chosen].sum(axis=-1, dtype=np.float64)  # (W, 1 + resamples)
    log_weights = np.log(weights)
    span = log_weights[-1] - log_weights[0]
    edges = np.linspace(log_weights[0], log_weights[-1], 1 + int(POINTS_PER_FACTOR * span))
    best = np.full(len(chosen), -np.inf)
    found = np.zeros(len(chosen))
    for plateau, slope in itertools.product(PLATEAUS, SLOPES):
        rate = plateau / (1 + np.exp(slope * (edges[:, None] - log_weights)))  # (edges, W)
        rate = np.clip(rate, LEAST_RATE, 1 - LEAST_RATE)
        likelihood = (np.log(rate) - np.log1p(-rate)) @ successes
        likelihood += np.log1p(-rate).sum(axis=1, keepdims=True) * seeds
        place = likelihood.argmax(axis=0)
        value = likelihood[place, np.arange(len(chosen))]
        found = np.where(value > best, edges[place], found)
        best = np.maximum(best, value)
    return np.asarray(np.exp(found))


def upper_edges(weights: Sequence[float], learned: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weight above which runs no longer learn; see `lower_edges`."""
    return 1 / lower_edges([1 / weight for weight in reversed(weights)], learned[::-1])
