"""Median times to learn, and the factor that fits the leak's noise weight to them."""

from __future__ import annotations

from collections.abc import Sequence
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray

SLOWED = 1.2  # a smaller ratio of two median times counts as scatter, not as a slowdown


def median_time(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Episodes until at least half of the seeds had learned, [...]; inf if fewer ever did.

    `times` are the episodes until each seed learned, inf if it never did: [..., S].
    """
    middle = (times.shape[-1] - 1) // 2  # index of the median; of the lower one, if S is even
    return np.asarray(np.partition(times, middle, axis=-1)[..., middle])


def noise_constant(
    weights: Sequence[float],
    attached: NDArray[np.float64],
    detached: NDArray[np.float64],
    noise: float,
) -> NDArray[np.float64]:
    """Factor on `noise`, the `noise_weight` of a setting, that fits the slowdown of attached runs.

    By `pwm.analysis.theory.slowdown` with its `critic` at 0, attached runs take
    r = sqrt(1 + (factor · noise / w)²) times as long as detached ones with the same critic weight
    w. So each weight gives a factor sqrt(r² - 1) w / noise, if the ratio r of median times is
    finite and exceeds `SLOWED`. Returns the median over these weights; nan if there are none.
    `weights` are [W]; `attached` and `detached` are the episodes until each seed learned, [W, S],
    or [W, B, S] for B results.
    """
    slow, fast = median_time(attached).T, median_time(detached).T  # (W,) or (B, W)
    is_slowed = (SLOWED * fast < slow) & (slow < np.inf)
    with catch_warnings(action="ignore", category=RuntimeWarning):  # of weights that do not count
        factors = np.sqrt((slow / fast) ** 2 - 1) * weights / noise
        return np.asarray(np.nanmedian(np.where(is_slowed, factors, np.nan), axis=-1))
