"""Bias and noise of a critic of discounted or bootstrapped returns, or of returns of one trial.

The targets are λ-returns G = M r + N v, whose weights M of the rewards and N of the later values
`target_weights` computes. They end with the episode or with the trial. The state is reset at every
trial, so that a critic knows the step within the trial, but not the trial.

The leak is the gradient of the policy loss that reaches the critic. It raises the values and, with
bootstrapping, the targets too, so that the mean of the advantage G - v does not grow with the bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import log, sqrt
from typing import Literal

import numpy as np

from pwm.analysis.fixed_points import Array, fixed_point_values, target_weights

Leak = Literal["none", "own", "all"]
"""Values that the policy loss's gradient reaches: none, only v_t, or those in the targets too."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Targets of a critic that sees the step within a trial, but not which trial of the episode."""

    steps: int
    """T, steps per episode, in whole trials."""
    trial_length: int = 3
    discount: float = 1.0
    """γ, the discount."""
    trace_decay: float = 1.0
    """λ, the decay of traces."""
    horizon: Literal["episode", "trial"] = "episode"
    """Whether returns end with the episode or with the trial."""
    leak: Leak = "none"
    temperature: float = 0.0
    """Strength α of the leak, `pwm.core.leak.leak_temperature`, in reward per nat."""
    success: float = 0.5
    """Probability that a trial is rewarded."""
    entropy: float | None = None
    """Entropy of the policy at every step, in nats; None for the policy of `start_entropy`."""

    @cached_property
    def fixed_point(self) -> Array:
        """Value at each step of an episode, with the critic at its fixed point: [T]."""
        return fixed_point_values(
            self._mean_rewards,
            self._entropies,
            self.temperature if self.leak != "none" else 0.0,
            discount=self.discount,
            trace_decay=self.trace_decay,
            leaking_targets=self.leak == "all",
            horizon=self._horizon_steps,
            period=self.trial_length,
        )

    @property
    def mean_value(self) -> float:
        """Mean over the steps of the value at the fixed point."""
        return float(self.fixed_point.mean())

    @property
    def bias(self) -> float:
        """Mean over the steps of the value at the fixed point minus `mean_return`."""
        return self.mean_value - self.mean_return

    @property
    def mean_return(self) -> float:
        """Mean over the steps of the discounted return within the horizon, not bootstrapped."""
        weights, _ = target_weights(self.steps, self.discount, 1.0, self._horizon_steps)
        return float((weights @ self._mean_rewards).mean())

    @property
    def noise(self) -> float:
        """Root mean square over steps and episodes of the advantage at the fixed point."""
        reward_weights, value_weights = self._weights
        mean_targets = reward_weights @ self._mean_rewards + value_weights @ self.fixed_point
        reward_variances = self._mean_rewards * (1 - self.success)  # p (1 - p) at last steps
        variances = reward_weights**2 @ reward_variances
        return sqrt(float(((mean_targets - self.fixed_point) ** 2 + variances).mean()))

    @property
    def unbiased(self) -> Targets:
        """The same targets without a leak."""
        return replace(self, leak="none")

    @property
    def excess(self) -> float:
        """Constant bias of the advantages that would raise the noise as much as the leak does."""
        return sqrt(max(self.noise**2 - self.unbiased.noise**2, 0.0))

    @property
    def mean_variance(self) -> float:
        """Variance over episodes of the target averaged over an episode's steps, in reward²."""
        mean_weights = self._weights[0].mean(axis=0)
        return float(mean_weights**2 @ self._mean_rewards) * (1 - self.success)

    @property
    def pull(self) -> float:
        """Mean increase of v - G if all values increase by 1; below 1 with bootstrapping."""
        return float(1 - self._weights[1].sum(axis=1).mean())

    @property
    def _horizon_steps(self) -> int | None:
        """Number of steps after which returns are cut; None if they end with the episode."""
        return self.trial_length if self.horizon == "trial" else None

    @cached_property
    def _weights(self) -> tuple[Array, Array]:
        """Weights M of the rewards and N of the later values in the targets: [T, T] each."""
        return target_weights(self.steps, self.discount, self.trace_decay, self._horizon_steps)

    @property
    def _mean_rewards(self) -> Array:
        """Mean reward of each step: [T]. Only the last step of a trial can be rewarded."""
        is_last = np.arange(1, self.steps + 1) % self.trial_length == 0
        return np.asarray(self.success * is_last)

    @property
    def _entropies(self) -> Array:
        """Entropy of the policy at each step, in nats: [T]."""
        if self.entropy is not None:
            return np.full(self.steps, self.entropy)
        # Three equally likely actions; at a trial's last step, only the two that may be rewarded
        of_trial = [*[log(3)] * (self.trial_length - 1), log(2)]
        return np.tile(of_trial, self.steps // self.trial_length)
