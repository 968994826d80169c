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
"""Diagnostics of each replica's gradients.

policy_norm, critic_norm, leak_norm, total_norm: root mean square, over episodes, of the Euclidean
    norm of each part of the gradient with respect to the trunk's parameters, and of their sum.
    The critic's part includes its weight.
cosine: mean inner product of the policy's part and the critic's, over the product of their
    root-mean-square norms.
signal_to_noise: squared norm of the mean of the policy's part, over the trace of its covariance,
    an estimate (both are unbiased), which can be negative.
explained_variance: 1 - Var(G - v) / Var(G) over all steps. If the return does not vary: minus
    infinity, or nan if the values do not vary either.
return_variance: variance of the return among steps in the same state of a trial
    (`pwm.core.task.trial_states`); mean over steps, in reward². A critic that does not see past
    trials cannot explain it.
covariance: Σ_t Cov(G_t, log π(a_t)) among the same steps, in reward times nats.

The last two are nan if the state is carried or trials may be blanked by timeouts.
"""
MECHANISM = ("activity", "saturated", "value_weight_norm", "trace", "distance")
"""Diagnostics of each replica's critic and hidden states h, of the LSTM that the policy reads.

activity: mean of |h| over steps and units.
saturated: fraction of steps and units with |h| > 0.6.
value_weight_norm: Euclidean norm of the weights of the value head, without its bias.
trace: variance of h at a trial's last step that the first stimulus explains given the second: of
    h's means by pair, the variance among the pairs with the same second stimulus, weighted by
    visits; mean over units. Where the state is carried, it contains the sampling variance of the
    means. Nan if trials may be blanked by timeouts.
distance: of the critic from its fixed point, in reward: mean over steps of v - G - b, where
    b = -(c T / 2 w) log π(a), the leak's bias on average (c T H / 2 w), if the policy loss's
    gradient reaches the value head, and 0 otherwise. With λ-returns, `net_weights` weigh v - G, and
    b too if targets leak. This is the total loss's gradient with respect to the head's bias, over
    2 w. Nan if w = 0, as there is no fixed point, nan with Huber's value loss, and nan if the head
    is reached and a rule or the returns' standard deviation scales the errors.
"""


@dataclass(frozen=True)
class History:
    """Averages over windows of episodes; R replicas, K windows, J probes."""

    episode: NDArray[np.int64]
    """Last episode of each window, counted from 1: [K]."""
    reward: NDArray[np.float32]
    """Fraction of trials rewarded at their last step: [R, K], as for all the following."""
    value_loss: NDArray[np.float32]
    """Mean squared advantage, with Huber's value loss too."""
    policy_loss: NDArray[np.float32]
    """Policy loss with the run's reduction, as optimised."""
    entropy: NDArray[np.float32]
    """Entropy of the policy, mean over steps, nats."""
    critic_bias: NDArray[np.float32]
    """Value minus return, mean over steps."""
    diagnostics: Mapping[str, NDArray[np.float32]] = field(default_factory=dict, kw_only=True)
    """With `probe_episodes`, the diagnostics at the end of each window, by the names of
    `DIAGNOSTICS`; nan in an unfinished window. With `probe_at`, these and
    `MECHANISM` at `probe_episode`, [R, J]. Empty otherwise."""
    probe_episode: NDArray[np.int64] | None = field(default=None, kw_only=True)
    """With `probe_at`, the episodes after which the diagnostics were measured: [J]."""

    def __post_init__(self) -> None:
        scheduled = self.probe_episode is not None
        diagnosed = [DIAGNOSTICS + MECHANISM] if scheduled else [(), DIAGNOSTICS]
        axes_fit = all(axis.ndim == 1 and axis.dtype == np.int64 for axis in self.axes.values())
        shapes = dict.fromkeys(METRICS, (*self.reward.shape[:1], *self.episode.shape))
        for name in self.diagnostics:
            shapes[name] = (*self.reward.shape[:1], *self.probed.shape)
        curves_fit = all(
            curve.shape == shapes[name] and curve.dtype == np.float32
            for name, curve in self.curves.items()
        )
        if tuple(self.diagnostics) not in diagnosed or not (axes_fit and curves_fit):
            raise ValueError("a history has episode [K], int64, and metrics [R, K], float32")

    @classmethod
    def of_curves(
        cls,
        episode: NDArray[np.int64],
        curves: Mapping[str, NDArray[np.float32]],
        probe_episode: NDArray[np.int64] | None = None,
    ) -> History:
        """The history with these curves by name: all metrics, and all diagnostics or none."""
        metrics: dict[str, Any] = {name: curves[name] for name in METRICS}
        diagnostics = {name: curves[name] for name in DIAGNOSTICS + MECHANISM if name in curves}
        return cls(episode, **metrics, diagnostics=diagnostics, probe_episode=probe_episode)

    @classmethod
    def joined(cls, histories: Sequence[History]) -> History:
        """All replicas of histories with the same windows; diagnostics if all have the same."""
        first = histories[0]
        alike = all(
            each.diagnostics.keys() == first.diagnostics.keys()
            and np.array_equal(each.probed, first.probed)
            for each in histories
        )
        names = first.curves if alike else METRICS
        curves = {name: np.concatenate([each.curves[name] for each in histories]) for name in names}
        return cls.of_curves(first.episode, curves, first.probe_episode if alike else None)

    @property
    def probed(self) -> NDArray[np.int64]:
        """Episodes after which the diagnostics were measured: [J], or [K] without `probe_at`."""
        return self.episode if self.probe_episode is None else self.probe_episode

    @property
    def axes(self) -> dict[str, NDArray[np.int64]]:
        """Episodes by name: of the windows, [K], and with `probe_at` of the probes, [J]."""
        probes = {} if self.probe_episode is None else {"probe_episode": self.probe_episode}
        return {"episode": self.episode} | probes

    @property
    def curves(self) -> dict[str, NDArray[np.float32]]:
        """Metrics by name, each [R, K], and diagnostics, each as long as `probed`."""
        return {name: getattr(self, name) for name in METRICS} | dict(self.diagnostics)

    def select(self, replicas: Sequence[int]) -> History:
        """The history of some replicas, in the given order."""
        chosen = {name: curve[list(replicas)] for name, curve in self.curves.items()}
        return self.of_curves(self.episode, chosen, self.probe_episode)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All arrays by name."""
        return {**self.axes, **self.curves}
