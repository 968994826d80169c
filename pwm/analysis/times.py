"""Times to learn, and how much longer a leak makes them."""

from __future__ import annotations

from collections.abc import Sequence
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray

SLOWED = 1.2  # smallest ratio of two times that counts as a slowdown rather than as scatter


def median_time(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Episodes until half of the seeds had learned; inf if fewer ever did.

    Args:
        times: episodes until each seed learned, inf if never, [..., S].
    Returns:
        Median times, [...].
    """
    half = (times.shape[-1] - 1) // 2
    return np.asarray(np.partition(times, half, axis=-1)[..., half])


def noise_constant(
    weights: Sequence[float],
    attached: NDArray[np.float64],
    detached: NDArray[np.float64],
    noise: float,
) -> NDArray[np.float64]:
    """Factor on `noise_weight` that fits the slowdown of attached runs.

    Wherever attached runs take clearly longer than detached ones of the same weight w, the ratio
    r of their median times gives sqrt(r² - 1) w / noise. The factor is the median over weights.

    Args:
        weights: critic weights, [W].
        attached: times to learn, [W, ..., S].
        detached: times to learn, [W, ..., S].
        noise: `noise_weight` of the setting.
    Returns:
        Factors, [...]; nan where no weight shows a slowdown.
    """
    slow, fast = median_time(attached), median_time(detached)  # (W, ...)
    shown = (SLOWED * fast < slow) & (slow < np.inf)
    with catch_warnings(action="ignore", category=RuntimeWarning):  # where no slowdown is shown
        factors = np.where(shown, np.sqrt((slow / fast) ** 2 - 1), np.nan)
        return np.asarray(np.nanmedian(factors.T * np.array(weights) / noise, axis=-1)).T
