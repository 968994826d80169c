"""Predictions made before the runs, and the law behind the third set of them."""

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
        InputError: the package is installed without its repository.
    """
    content: dict[str, Any] = json.loads(published("predictions.json").read_text("utf-8"))
    return content


@dataclass(frozen=True, kw_only=True)
class Law:
    """Slowdown by the leak and by a heavy critic: the closed form `slowdown` with two constants.

    The leak is the gradient of the policy loss that reaches the critic.
    """

    noise_constant: float
    """Factor on `pwm.analysis.theory.noise_weight`; 1 where nothing is fitted."""
    share_weight: float
    """Critic weight at which the critic's gradient in the shared trunk is as large as the policy's;
    inf if the networks are separate."""

    def noise_weight(self, steps: int, trial_length: int = 3) -> float:
        """Weight at which the leak slows learning by sqrt(2), for a summed policy loss."""
        return self.noise_constant * noise_weight(steps, trial_length)

    def leak_slowdown(self, weight: float, steps: int, trial_length: int = 3) -> float:
        """Predicted ratio of times to learn, attached over detached, for a summed policy loss."""
        return slowdown(self.noise_weight(steps, trial_length) / weight)

    def trunk_slowdown(self, weight: float, bias: float = 0.0) -> float:
        """Predicted ratio of times to learn, over that of a light critic without bias.

        Args:
            weight: the critic weight.
            bias: bias of the baseline over the standard deviation of the return.
        """
        return slowdown(bias, weight / self.share_weight)


def fitted_law() -> Law:
    """The law of the third set of predictions, as fitted to episodes of 15 steps before them."""
    third = predictions()["third"]
    return Law(noise_constant=third["noise_constant"], share_weight=third["share_weight"])


def learned_when_slowed(
    weights: Sequence[float], times: NDArray[np.float64], budget: int, noise: float
) -> NDArray[np.bool_]:
    """Predicts from detached runs which seeds learn with an attached baseline.

    Args:
        weights: critic weights, [W].
        times: episodes until each detached run learned, inf if never, [W, S].
        budget: number of episodes.
        noise: weight at which the leak slows learning by sqrt(2).
    Returns:
        Whether each seed learns, [W, S].
    """
    slowdowns = np.array([slowdown(noise / weight) for weight in weights])
    return np.asarray(times * slowdowns[:, None] <= budget)
