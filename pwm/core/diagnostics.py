"""What the gradients of a population are made of, measured on episodes that do not train.

The gradient of the total loss by the trunk is the sum of three parts: the policy's, through its
log-probabilities; the critic's, the weight times the value loss's; and the leak, the policy
loss's through the values. `DIAGNOSTICS` compares them, and says how much of the return the
critic explains.

Shapes: R replicas, T steps an episode, N trials, L steps a trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DIAGNOSTICS = (
    "policy_norm",
    "critic_norm",
    "leak_norm",
    "total_norm",
    "cosine",
    "signal_to_noise",
    "explained_variance",
    "return_variance",
    "covariance",
)
"""What is diagnosed of each replica.

policy_norm, critic_norm, leak_norm, total_norm: root mean square, over episodes, of the Euclidean
    norm of each part of the gradient by the trunk's parameters, and of their sum. The critic's is
    that of its weighted loss.
cosine: mean inner product of the policy's part and the critic's, over the product of their norms.
signal_to_noise: squared norm of the policy part's mean over the trace of its covariance, from
    unbiased estimates of both; it may fall below zero where it is small.
explained_variance: 1 - Var(G - v) / Var(G) over all steps. If the return does not vary: minus
    infinity, or nan if the values do not either.
return_variance: of the return at a step, among steps at which the trial has shown the same so
    far; mean over steps, in reward². No critic that is blind to the past trials explains it.
covariance: Σ_t Cov(G_t, log π(a_t)) among the same steps, in reward times nats.

The last two are nan where the state is carried or trials may be blanked by timeouts.
"""


class Steps(NamedTuple):
    """The steps of one episode, [R, T] each."""

    log_probs: NDArray[np.float32]
    values: NDArray[np.float32]
    returns: NDArray[np.float32]


class Probe:
    """Sums over episodes, one added after the other, of what the diagnostics are made of.

    Every sum is taken in one order, so that the diagnostics have the same bits on every machine
    if the gradients have.

    Args:
        states: number of what each pair has shown at each step of its trial, [pairs + 1, L]; None
            if that is not all that the critic may know.
    """

    def __init__(self, states: NDArray[np.int64] | None) -> None:
        self._states = states
        self._episodes = 0
        self._sums: list[NDArray[np.float64]] = []
        self._steps: list[Steps] = []
        self._visited: list[NDArray[np.int64]] = []

    def add(
        self, gradients: Sequence[NDArray[np.float32]], trials: NDArray[np.int64], steps: Steps
    ) -> None:
        """Adds an episode.

        Args:
            gradients: of the policy (with its entropy bonus), the critic and the leak by the
                trunk's parameters, [R, P'] each.
            trials: pairs shown, [R, N].
            steps: what was met at each step.
        """
        policy, critic, leak = (part.astype(np.float64) for part in gradients)
        total = policy + critic + leak
        fresh = [policy, policy**2, critic**2, leak**2, total**2, policy * critic]
        sums = self._sums or [np.zeros_like(policy) for _ in fresh]
        self._sums = [old + new for old, new in zip(sums, fresh, strict=True)]
        self._episodes += 1
        self._steps.append(steps)
        if self._states is not None:
            self._visited.append(self._states[trials].reshape(len(trials), -1))

    def diagnostics(self) -> NDArray[np.float64]:
        """What `DIAGNOSTICS` names, of two or more episodes: [diagnostics, R]."""
        count = self._episodes
        sums, *squares = self._sums
        policy, critic, leak, total, product = (_total(part) / count for part in squares)
        squared_mean = _total((sums / count) ** 2)
        noise = (policy - squared_mean) * count / (count - 1)
        log_probs, values, returns = (
            np.stack(parts, axis=1).reshape(len(sums), -1).astype(np.float64)
            for parts in zip(*self._steps, strict=True)
        )  # (R, episodes T)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack(
                [
                    np.sqrt(policy),
                    np.sqrt(critic),
                    np.sqrt(leak),
                    np.sqrt(total),
                    product / np.sqrt(policy * critic),
                    (squared_mean - noise / count) / noise,
                    1 - _variance(returns - values) / _variance(returns),
                    self._within(returns, returns),
                    self._within(returns, log_probs) * (returns.shape[1] / count),
                ]
            )

    def _within(self, one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        """Covariance of two numbers among steps of one state, mean over steps: [R]."""
        if self._states is None:
            return np.full(len(one), np.nan)
        found = []
        for states, ours, theirs in zip(
            np.concatenate(self._visited, axis=1), one, other, strict=True
        ):
            visits = np.bincount(states)
            with np.errstate(invalid="ignore"):
                means = [np.bincount(states, part) / visits for part in (ours, theirs)]
            products = (ours - means[0][states]) * (theirs - means[1][states])
            sums = np.bincount(states, products)
            several = visits > 1  # one alone does not vary
            unbiased = sums[several] * visits[several] / (visits[several] - 1)
            found.append(_total(unbiased) / visits[several].sum() if several.any() else np.nan)
        return np.array(found)


def _total(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum along the last axis, one term after the other: `sum` leaves the order to the machine."""
    return np.asarray(np.cumsum(terms, axis=-1)[..., -1])


def _variance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    mean = _total(values) / values.shape[-1]
    return np.asarray(_total((values - mean[..., None]) ** 2) / values.shape[-1])
