"""The history of training: metrics averaged over windows of episodes, and diagnostics."""

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
"""Diagnostics of each replica: of its gradients with respect to the trunk's parameters, and of its
returns and values. `pwm.training.diagnostics` computes them.

policy_norm, critic_norm, leak_norm, total_norm: root mean square, over episodes, of the Euclidean
    norm of each part of the gradient (`pwm.training.diagnostics`), and of the sum of the three. The
    critic's part includes the critic weight.
cosine: E(p · q) / (policy_norm critic_norm), for the policy's part p and the critic's part q.
signal_to_noise: |E(p)|² / tr Cov(p) over episodes, for the policy's part p. Numerator and
    denominator are unbiased estimates, so the ratio can be negative.
explained_variance: 1 - Var(G - v) / Var(G) over all steps. If the return does not vary: minus
    infinity, or nan if the values do not vary either.
return_variance: variance of the return among steps in the same state of a trial
    (`pwm.core.task.trial_states`); mean over steps, in reward². A critic that does not see past
    trials cannot explain it.
covariance: Σ_t Cov(G_t, log π(a_t)), each among steps in the same state, in reward times nats.

The last two are nan if the LSTM's state is carried over trials, if trials may be blanked by
timeouts, or if no state was visited twice.
"""
AGENT_DIAGNOSTICS = ("activity", "saturated", "value_weight_norm", "trace", "distance")
"""Diagnostics of each replica's critic, and of hidden states h of the LSTM that the policy reads.

activity: mean of |h| over steps and units.
saturated: fraction of steps and units with |h| > 0.6, where h passes on little gradient.
value_weight_norm: Euclidean norm of the weights of the value head, without its bias.
trace: how much h remembers of the first stimulus at a trial's last step. It is the variance of h's
    mean per pair, among pairs with the same second stimulus, weighted by visits; mean over units.
    Where the state is carried, it contains the sampling variance of the means. Nan if trials may
    be blanked by timeouts.
distance: distance of the critic from its fixed point, in reward: mean over steps of v - G - b,
    where G is the Monte Carlo return. If the policy loss's gradient reaches the value head,
    b = -(c T / (2 w)) log π(a), whose mean is the leak's bias c T H / (2 w) (`pwm.core.leak`);
    otherwise b = 0. Unless errors are scaled, the distance is the total loss's gradient with
    respect to the value head's bias, divided by 2 w.
    With λ-returns, the terms v - G are weighted by the `net_weights` of `pwm.training.diagnostics`,
    and if the targets leak, the terms b by the same weights in reverse order.
    Nan where no fixed point is known: if w = 0; with Huber's value loss; or if the policy loss's
    gradient reaches the value head and `LossConfig.scales_errors`.
"""


@dataclass(frozen=True)
class History:
    """Window averages of metrics, and diagnostics; R replicas, K windows of episodes, J probes."""

    episode: NDArray[np.int64]
    """Last episode of each window, counted from 1: [K]."""
    reward: NDArray[np.float32]
    """Fraction of trials rewarded at their last step, whatever the reward's size; a blank trial
    counts as not rewarded. [R, K], as for all metrics."""
    value_loss: NDArray[np.float32]
    """Squared error of the critic, mean over steps, in reward², even with Huber's value loss
    (`Losses.squared_error`)."""
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
    `DIAGNOSTICS`; nan in an unfinished window. With `probe_at`, these and `AGENT_DIAGNOSTICS` at
    `probe_episode`, [R, J]. Empty otherwise."""
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
            raise ValueError("a history has episode [K], int64, and metrics [R, K], float32")

    @classmethod
    def of_curves(
        cls,
        episode: NDArray[np.int64],
        curves: Mapping[str, NDArray[np.float32]],
        probe_episode: NDArray[np.int64] | None = None,
    ) -> History:
        """Makes a history from curves by name: all metrics, and diagnostics if there are any."""
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
        """Episodes after which diagnostics are measured: [J] with `probe_at`, otherwise [K]."""
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
