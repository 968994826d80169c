"""The history of training: metrics averaged over windows of episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.core.diagnostics import DIAGNOSTICS

METRICS = ("reward", "value_loss", "policy_loss", "entropy", "critic_bias")


@dataclass(frozen=True)
class History:
    """Averages over windows of episodes; R replicas, K windows."""

    episode: NDArray[np.int64]
    """Last episode of each window, counted from 1: [K]."""
    reward: NDArray[np.float32]
    """Fraction of trials rewarded at their last step: [R, K], as for all the following."""
    value_loss: NDArray[np.float32]
    """Mean squared advantage."""
    policy_loss: NDArray[np.float32]
    """Policy loss with the run's reduction, as optimised."""
    entropy: NDArray[np.float32]
    """Entropy of the policy, mean over steps, nats."""
    critic_bias: NDArray[np.float32]
    """Value minus return, mean over steps."""
    diagnostics: Mapping[str, NDArray[np.float32]] = field(default_factory=dict, kw_only=True)
    """With `probe_episodes`, the diagnostics at the end of each window, by the names of
    `pwm.core.diagnostics.DIAGNOSTICS`; nan in an unfinished window. Empty otherwise."""

    def __post_init__(self) -> None:
        shape = (*self.reward.shape[:1], *self.episode.shape)
        fits = self.episode.ndim == 1 and self.episode.dtype == np.int64
        fits = fits and tuple(self.diagnostics) in ((), DIAGNOSTICS)
        for curve in self.curves.values():
            fits = fits and curve.shape == shape and curve.dtype == np.float32
        if not fits:
            raise ValueError("a history has episode [K], int64, and metrics [R, K], float32")

    @classmethod
    def of_curves(
        cls, episode: NDArray[np.int64], curves: Mapping[str, NDArray[np.float32]]
    ) -> History:
        """The history with these curves by name: all metrics, and all diagnostics or none."""
        metrics: dict[str, Any] = {name: curves[name] for name in METRICS}
        diagnostics = {name: curves[name] for name in DIAGNOSTICS if name in curves}
        return cls(episode=episode, diagnostics=diagnostics, **metrics)

    @property
    def curves(self) -> dict[str, NDArray[np.float32]]:
        """Metrics and diagnostics by name, each [R, K]."""
        return {name: getattr(self, name) for name in METRICS} | dict(self.diagnostics)

    def select(self, replicas: Sequence[int]) -> History:
        """The history of some replicas, in the given order."""
        chosen = {name: curve[list(replicas)] for name, curve in self.curves.items()}
        return self.of_curves(self.episode, chosen)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All arrays by name."""
        return {"episode": self.episode, **self.curves}
