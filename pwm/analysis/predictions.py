"""Predictions made before the runs that test them, and the law behind the third set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.theory import slowdown
from pwm.io.repository import published


@lru_cache(maxsize=1)
def predictions() -> dict[str, Any]:
    """The contents of `paper/predictions.json`.

    Raises:
        FileError: the package is installed without its repository.
    """
    content: dict[str, Any] = json.loads(published("predictions.json").read_text("utf-8"))
    return content


class Law(NamedTuple):
    """Constants of the law of the slowdown, the closed form `pwm.analysis.theory.slowdown`."""

    noise_constant: float
    """Factor on the noise weight (`pwm.analysis.theory.noise_weight`)."""
    share_weight: float
    """Critic weight at which the critic's gradient in the shared trunk is as large as the
    policy's."""


def fitted_law() -> Law:
    """The constants as the third set of predictions stated them, before its runs.

    There, the law was sqrt(1 + b²) (1 + c²)^¼, for bias b and critic c: `slowdown` if one is 0.
    """
    third = predictions()["third"]
    return Law(third["noise_constant"], third["share_weight"])


def learned_when_slowed(
    weights: Sequence[float], times: NDArray[np.float64], budget: int, noise_weight: float
) -> NDArray[np.bool_]:
    """Predicts from detached runs which seeds learn with an attached baseline.

    A seed learns if its detached run's time, multiplied by the leak's slowdown, is within `budget`.

    Args:
        weights: critic weights, [W].
        times: episodes until each detached run learned, inf if never, [W, S].
        budget: episodes per run.
        noise_weight: critic weight at which the leak slows learning by a factor of sqrt(2).
    Returns:
        Whether each seed learns, [W, S].
    """
    slowdowns = np.array([slowdown(bias=noise_weight / weight) for weight in weights])  # (W,)
    return np.asarray(times * slowdowns[:, None] <= budget)
