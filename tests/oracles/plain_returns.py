"""Returns by a double loop, and moments of all that was seen so far.

The oracle for `pwm.core.returns`, in double precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def returns_by_double_loop(rewards: Sequence[float], discount: float) -> list[float]:
    """The return of each step of an episode."""
    return [
        sum(discount ** (later - step) * rewards[later] for later in range(step, len(rewards)))
        for step in range(len(rewards))
    ]


def moments(episodes: Sequence[NDArray[np.float64]], least_rate: float) -> tuple[float, float]:
    """Mean and variance of the steps of a history of episodes, by weighted averages.

    The n-th episode enters at rate max(1/n, least rate), and every later one takes the share of
    its own rate from all before. The first 1/rate episodes therefore weigh the same.

    Args:
        episodes: terms of each, all of the same number of steps.
        least_rate: above 0, at most 1.
    """
    rates = [max(1 / (number + 1), least_rate) for number in range(len(episodes))]
    kept = np.cumprod([1.0] + [1 - rate for rate in rates[:0:-1]])[::-1]
    weights = np.array(rates) * kept
    mean = np.average([terms.mean() for terms in episodes], weights=weights)
    variance = np.average([((terms - mean) ** 2).mean() for terms in episodes], weights=weights)
    return float(mean), float(variance)
