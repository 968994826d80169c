"""The history of training: metrics averaged over windows of episodes, and diagnostics.

Diagnostics are measured by probes: episodes that are played before, during or after training, but
not trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

METRICS = ("reward", "value_loss", "policy_loss", "entropy", "critic_bias")
DIAGNOSTICS = (
    "policy_norm", "critic_norm", "leak_norm", "total_norm", "cosine", "signal_to_noise",
    "explained_variance", "return_variance", "covariance",
)  # fmt: skip
AGENT_DIAGNOSTICS = ("activity", "saturated", "value_weight_norm", "trace", "distance")
"""Names of the diagnostics, which `pwm.training.diagnostics` defines and computes."""
ARRAYS = ("episode", *METRICS)
"""Names of the arrays of every history (`History.arrays`)."""
FURTHER_ARRAYS = (DIAGNOSTICS, ("probe_episode", *DIAGNOSTICS, *AGENT_DIAGNOSTICS))
"""Further arrays of a history with diagnostics: at the ends of windows, or at `probe_at`."""


@dataclass(frozen=True)
class History:
    """Window averages of metrics, and diagnostics; R replicas, K windows of episodes, J probes."""

    episode: NDArray[np.int64]
    """Last episode of each window, counted from 1: [K]."""
    reward: NDArray[np.float32]
    """Fraction of trials rewarded at their last step, whatever the reward's size; a blank trial
    counts as not rewarded. [R, K], as for all metrics."""
    value_loss: NDArray[np.float32]
    """Squared error of the critic against its targets (λ-returns, if it learns them), mean over
    steps, in reward², even with Huber's value loss (`Losses.squared_error`)."""
    policy_loss: NDArray[np.float32]
    """Policy loss with the run's reduction, in reward times nats; converted to this unit if errors
    are scaled. With normalised advantages, the loss as optimised, without a unit."""
    entropy: NDArray[np.float32]
    """Entropy of the policy, mean over steps, in nats."""
    critic_bias: NDArray[np.float32]
    """Measured bias of the critic: value minus Monte Carlo return (also if the critic learns
    λ-returns), mean over steps, in reward. `pwm.core.leak.critic_bias` predicts it for an attached
    critic, where its conditions hold."""
    diagnostics: Mapping[str, NDArray[np.float32]] = field(default_factory=dict, kw_only=True)
    """With `probe_episodes`, the diagnostics at the end of each window, by the names in
    `DIAGNOSTICS`, [R, K]; nan in an unfinished window. With `probe_at`, these and
    `AGENT_DIAGNOSTICS` at `probe_episode`, [R, J]. Empty otherwise."""
    probe_episode: NDArray[np.int64] | None = field(default=None, kw_only=True)
    """With `probe_at`, the episodes after which the diagnostics were measured: [J]."""

    def __post_init__(self) -> None:
        names = tuple(self.diagnostics)
        if self.probe_episode is None:
            names_fit = names in ((), DIAGNOSTICS)
        else:
            names_fit = names == DIAGNOSTICS + AGENT_DIAGNOSTICS
        axes_fit = all(axis.ndim == 1 and axis.dtype == np.int64 for axis in self.axes.values())
        replicas = self.reward.shape[:1]
        shapes = dict.fromkeys(METRICS, (*replicas, *self.episode.shape))
        shapes |= dict.fromkeys(names, (*replicas, *self.probed.shape))
        curves_fit = all(
            curve.shape == shapes[name] and curve.dtype == np.float32
            for name, curve in self.curves.items()
        )
        if not (names_fit and axes_fit and curves_fit):
            accepted = "episode [K], int64, metrics [R, K], float32, and all diagnostics or none"
            raise ValueError(f"a history has {accepted}")

    @classmethod
    def of_curves(
        cls,
        episode: NDArray[np.int64],
        curves: Mapping[str, NDArray[np.float32]],
        probe_episode: NDArray[np.int64] | None = None,
    ) -> History:
        """Makes a history from its curves, all metrics and any diagnostics; ignores other names."""
        metrics: dict[str, Any] = {name: curves[name] for name in METRICS}
        known = DIAGNOSTICS + AGENT_DIAGNOSTICS
        diagnostics = {name: curves[name] for name in known if name in curves}
        return cls(episode, **metrics, diagnostics=diagnostics, probe_episode=probe_episode)

    @classmethod
    def joined(cls, histories: Sequence[History]) -> History:
        """Joins the replicas of histories with the same windows.

        Diagnostics are kept if all histories have the same ones, measured at the same episodes.
        """
        first = histories[0]
        same_diagnostics = all(
            each.diagnostics.keys() == first.diagnostics.keys()
            and np.array_equal(each.probed, first.probed)
            for each in histories
        )
        names = first.curves if same_diagnostics else METRICS
        curves = {name: np.concatenate([each.curves[name] for each in histories]) for name in names}
        probe_episode = first.probe_episode if same_diagnostics else None
        return cls.of_curves(first.episode, curves, probe_episode)

    @property
    def probed(self) -> NDArray[np.int64]:
        """Episodes after which diagnostics, if any, are measured: [J] with `probe_at`, else [K]."""
        return self.episode if self.probe_episode is None else self.probe_episode

    @property
    def axes(self) -> dict[str, NDArray[np.int64]]:
        """Episode numbers, by name: `episode` and, with `probe_at`, `probe_episode`."""
        probes = {} if self.probe_episode is None else {"probe_episode": self.probe_episode}
        return {"episode": self.episode} | probes

    @property
    def curves(self) -> dict[str, NDArray[np.float32]]:
        """Metrics by name, [R, K] each, and diagnostics by name, [R, J] or [R, K] each."""
        return {name: getattr(self, name) for name in METRICS} | dict(self.diagnostics)

    def select(self, replicas: Sequence[int]) -> History:
        """The history of the replicas with these indices, in the given order."""
        chosen = {name: curve[list(replicas)] for name, curve in self.curves.items()}
        return self.of_curves(self.episode, chosen, self.probe_episode)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All arrays by name, as they are stored."""
        return {**self.axes, **self.curves}
