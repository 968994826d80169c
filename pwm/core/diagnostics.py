"""Diagnostics of a population's gradients, measured on episodes that are not trained on.

The gradient of the total loss with respect to the trunk is the sum of three parts: the policy's,
through its log-probabilities; the critic's, the weight times the value loss's; and the leak, the
policy loss's through the values.

Shapes: R replicas, E episodes, T steps per episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
DIAGNOSTICS = (
    "policy_norm", "critic_norm", "leak_norm", "total_norm", "cosine", "signal_to_noise",
    "explained_variance", "return_variance", "covariance",
)  # fmt: skip
"""Diagnostics of each replica.

policy_norm, critic_norm, leak_norm, total_norm: root mean square, over episodes, of the Euclidean
    norm of each part of the gradient with respect to the trunk's parameters, and of their sum.
    The critic's part includes its weight.
cosine: mean inner product of the policy's part and the critic's, over the product of their
    root-mean-square norms.
signal_to_noise: squared norm of the mean of the policy's part, over the trace of its covariance,
    an estimate (both are unbiased), which can be negative.
explained_variance: 1 - Var(G - v) / Var(G) over all steps. If the return does not vary: minus
    infinity, or nan if the values do not vary either.
return_variance: variance of the return among steps in the same trial state (`trial_states`); mean
    over steps, in reward². A critic that does not see past trials cannot explain it.
covariance: Σ_t Cov(G_t, log π(a_t)) among the same steps, in reward times nats.

The last two are nan if the state is carried or trials may be blanked by timeouts.
"""


class Trajectory(NamedTuple):
    """Quantities of one episode at each step, [R, T] each."""

    log_probs: NDArray[np.float32]
    values: NDArray[np.float32]
    returns: NDArray[np.float32]


class Probe:
    """Accumulates episodes and computes their diagnostics.

    Every sum is taken in a fixed order, so that the diagnostics have the same bits on every
    machine if the gradients do.
    """

    def __init__(self) -> None:
        self._sums = [np.zeros(())] * 6  # of the terms in `add`
        self._trajectories: list[Trajectory] = []

    def add(self, gradients: Sequence[NDArray[np.float32]], trajectory: Trajectory) -> None:
        """Adds an episode.

        Args:
            gradients: parts of the policy (with its entropy bonus), the critic and the leak, with
                respect to the P' parameters of the trunk, [R, P'] each.
            trajectory: the episode.
        """
        policy, critic, leak = (part.astype(np.float64) for part in gradients)
        total = policy + critic + leak
        terms = [policy, policy**2, critic**2, leak**2, total**2, policy * critic]
        self._sums = [old + new for old, new in zip(self._sums, terms, strict=True)]
        self._trajectories.append(trajectory)

    def diagnostics(self, states: NDArray[np.int64] | None) -> Doubles:
        """The diagnostics named by `DIAGNOSTICS`, [diagnostics, R], of E >= 2 episodes.

        Args:
            states: state of the trial at each step, [R, E T]; see `pwm.core.task.trial_states`.
                None if the state is carried or trials may be blanked.
        """
        count = len(self._trajectories)
        policy_sum, *product_sums = self._sums
        policy_square, critic_square, leak_square, total_square, product = (
            _total(terms) / count for terms in product_sums
        )
        squared_mean = _total((policy_sum / count) ** 2)
        covariance_trace = (policy_square - squared_mean) * count / (count - 1)
        log_probs, values, returns = (
            np.concatenate(episodes, axis=1).astype(np.float64)
            for episodes in zip(*self._trajectories, strict=True)
        )  # (R, E T)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {
                "policy_norm": np.sqrt(policy_square),
                "critic_norm": np.sqrt(critic_square),
                "leak_norm": np.sqrt(leak_square),
                "total_norm": np.sqrt(total_square),
                "cosine": product / np.sqrt(policy_square * critic_square),
                "signal_to_noise": (squared_mean - covariance_trace / count) / covariance_trace,
                "explained_variance": 1 - _variance(returns - values) / _variance(returns),
                "return_variance": _covariance(returns, returns, states),
                "covariance": _covariance(returns, log_probs, states) * (returns.shape[1] / count),
            }
        return np.stack([found[name] for name in DIAGNOSTICS])


def _covariance(one: Doubles, other: Doubles, states: NDArray[np.int64] | None) -> Doubles:
    """Unbiased covariance within states visited more than once, mean over their steps: [R]."""
    if states is None:
        return np.full(len(one), np.nan)
    shape = (len(one), states.max() + 1)
    bins = states + shape[1] * np.arange(len(one))[:, None]

    def by_state(terms: Doubles) -> Doubles:
        sums = np.bincount(bins.ravel(), terms.ravel(), minlength=prod(shape))
        return np.asarray(sums, np.float64).reshape(shape)

    visits = by_state(np.ones(bins.shape))
    deviations = [terms - (by_state(terms) / visits).ravel()[bins] for terms in (one, other)]
    several = visits > 1
    unbiased = np.where(several, by_state(deviations[0] * deviations[1]) * visits / (visits - 1), 0)
    return np.asarray(_total(unbiased) / (visits * several).sum(axis=-1))


def _variance(values: Doubles) -> Doubles:
    mean = _total(values) / values.shape[-1]
    return np.asarray(_total((values - mean[..., None]) ** 2) / values.shape[-1])


def _total(terms: Doubles) -> Doubles:
    """Sum over the last axis in order; the order of `np.sum` depends on the machine."""
    return np.asarray(np.cumsum(terms, axis=-1)[..., -1])
