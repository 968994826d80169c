"""Where success sets in, or ends, along the critic weight.

Success is taken to rise as plateau / (1 + (edge / w)^slope). The edge is the weight at which it
reaches half of its plateau. All three are found by maximum likelihood on a grid, and the interval
of the edge by resampling seeds; weights of one seed are resampled together, since they share
their chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pwm.stats import Estimate

RESAMPLES = 400
STEPS_A_FACTOR = 12  # grid points of the edge for each factor of e
PLATEAUS = np.arange(1, 21) / 20
SLOPES = (1.0, 2.0, 3.0, 5.0, 8.0)


def lower_edge(
    weights: Sequence[float], learned: NDArray[np.bool_], random: np.random.Generator
) -> Estimate:
    """The weight above which runs learn, with its 95% interval.

    Args:
        weights: critic weights, ascending, [W].
        learned: whether each seed learned at each weight, [W, S].
        random: draws the resamples.
    """
    return resampled_estimate(resampled_edges(weights, learned, random))


def resampled_estimate(values: NDArray[np.float64]) -> Estimate:
    """A statistic with its 95% interval, from its value and then that of each resample."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Estimate(float(values[0]), float(low), float(high))


def upper_edge(
    weights: Sequence[float], learned: NDArray[np.bool_], random: np.random.Generator
) -> Estimate:
    """The weight above which runs no longer learn; see `lower_edge`."""
    inverse = lower_edge(*_turned(weights, learned), random)
    return Estimate(1 / inverse.value, 1 / inverse.high, 1 / inverse.low)


def resampled_upper_edges(
    weights: Sequence[float], learned: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The upper edge, then that of each resample, as `resampled_edges` with a fixed generator."""
    return 1 / resampled_edges(*_turned(weights, learned), np.random.default_rng(0))


def _turned(
    weights: Sequence[float], learned: NDArray[np.bool_]
) -> tuple[list[float], NDArray[np.bool_]]:
    """What makes an upper edge a lower one."""
    return [1 / weight for weight in reversed(weights)], learned[::-1]


def resampled_edges(
    weights: Sequence[float], learned: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.float64]:
    """The lower edge of the seeds as they are, then of each resample: [1 + resamples]."""
    seeds = learned.shape[1]
    chosen = random.integers(seeds, size=(RESAMPLES, seeds))
    counts = np.stack([np.bincount(row, minlength=seeds) for row in chosen])
    counts = np.concatenate([np.ones((1, seeds)), counts])  # (1 + resamples, S)
    successes = learned.astype(np.float64) @ counts.T  # (W, 1 + resamples)
    log_weights = np.log(weights)
    span = log_weights[-1] - log_weights[0]
    edges = np.linspace(log_weights[0], log_weights[-1], 1 + int(STEPS_A_FACTOR * span))
    best = np.full(len(counts), -np.inf)
    found = np.zeros(len(counts))
    for plateau, slope in itertools.product(PLATEAUS, SLOPES):
        rate = plateau / (1 + np.exp(slope * (edges[:, None] - log_weights)))  # (edges, W)
        rate = np.clip(rate, 1e-3, 1 - 1e-3)  # one odd seed does not decide
        likelihood = np.log(rate) @ successes + np.log1p(-rate) @ (seeds - successes)
        place = likelihood.argmax(axis=0)
        value = likelihood[place, np.arange(len(counts))]
        better = value > best
        best = np.where(better, value, best)
        found = np.where(better, edges[place], found)
    return np.asarray(np.exp(found))
