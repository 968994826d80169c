"""How long learning takes, and the success that makes: an edge is where the time is up."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.theory import slowdown

SLOWED = 1.2  # times as long, from which on a slowdown is told from chance


def median_time(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over seeds of the episodes until they learned; inf if fewer than half did.

    Args:
        times: inf where a seed did not learn, [..., S].
    """
    return np.asarray(np.quantile(times, 0.5, axis=-1, method="inverted_cdf"))


def noise_constant(
    weights: Sequence[float],
    attached: NDArray[np.float64],
    detached: NDArray[np.float64],
    weight_of_noise: float,
) -> float:
    """Factor on `noise_weight` with which the slowdown by a bias fits times to learn.

    At each weight at which the median attached run takes clearly longer than the median detached
    one, the ratio r of the two gives sqrt(r² - 1) w / weight_of_noise; the median of those.

    Args:
        weights: critic weights, [W].
        attached: times to learn, [W, S].
        detached: times to learn at the same weights, [W, S].
        weight_of_noise: as the theory has it.
    Returns:
        The factor; nan if no weight tells it.
    """
    found = []
    for weight, slow, fast in zip(
        weights, median_time(attached), median_time(detached), strict=True
    ):
        if SLOWED * fast < slow < np.inf:
            found.append(sqrt((slow / fast) ** 2 - 1) * weight / weight_of_noise)
    return float(np.median(found)) if found else np.nan


def slowed(
    weights: Sequence[float],
    detached: NDArray[np.float64],
    budget: int,
    weight_of_noise: float,
) -> NDArray[np.bool_]:
    """Which seeds would learn with an attached baseline, foretold from the same detached: [W, S].

    Args:
        weights: critic weights, [W].
        detached: times to learn at those weights, [W, S].
        budget: episodes.
        weight_of_noise: weight at which the leak slows by a factor of sqrt(2).
    """
    factors = np.array([slowdown(weight_of_noise / weight) for weight in weights])
    return np.asarray(detached * factors[:, None] <= budget)
