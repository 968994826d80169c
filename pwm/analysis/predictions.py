"""Predictions made before the runs that test them, and the law behind the third set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.theory import noise_weight, slowdown
from pwm.io.repository import published


@lru_cache(maxsize=1)
def predictions() -> dict[str, Any]:
    """The contents of `paper/predictions.json`.

    Raises:
        FileError: the package is installed without its repository.
    """
    content: dict[str, Any] = json.loads(published("predictions.json").read_text("utf-8"))
    return content


@dataclass(frozen=True, kw_only=True)
class Law:
    """Law of the slowdown: the closed form `pwm.analysis.theory.slowdown` with two constants.

    A slowdown is a ratio of times to learn. Two things slow learning: the leak (the policy loss's
    gradient with respect to the values), and a heavy critic's gradient in the shared trunk. The
    policy loss is a sum over steps.
    """

    noise_constant: float
    """Factor on the noise weight (`pwm.analysis.theory.noise_weight`); 1 if not fitted."""
    share_weight: float
    """Critic weight at which the critic's gradient in the shared trunk is as large as the policy's;
    inf if the networks are separate."""

    def noise_weight(self, steps: int, trial_length: int = 3) -> float:
        """Critic weight at which the leak slows learning by a factor of sqrt(2)."""
        return self.noise_constant * noise_weight(steps, trial_length)

    def leak_slowdown(self, weight: float, steps: int, trial_length: int = 3) -> float:
        """Predicted slowdown by the leak alone."""
        return slowdown(bias=self.noise_weight(steps, trial_length) / weight)

    def trunk_slowdown(self, weight: float, bias: float = 0.0) -> float:
        """Predicted slowdown by a critic in a shared trunk, relative to a light, unbiased one.

        `bias` is the bias of the baseline divided by the standard deviation of the return.
        """
        return slowdown(bias, weight / self.share_weight)


def fitted_law() -> Law:
    """The law of the third set of predictions, with the constants stated before its runs."""
    third = predictions()["third"]
    return Law(noise_constant=third["noise_constant"], share_weight=third["share_weight"])


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
