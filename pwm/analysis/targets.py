"""Bias and noise of a critic trained on discounted, bootstrapped or single-trial returns.

The targets are λ-returns G = M r + N v of rewards r and later values v, with the weights M and N of
`target_weights`. A return ends with the episode or with the trial. The LSTM's state is reset at
every trial, so the critic knows the step within the trial, but not which trial it is. Bootstrapping
across trials thus biases it even without a leak: the values in a target ignore the trial.

The leak is the policy loss's gradient with respect to the values. Without `leaking_targets`, it
raises the values and, with bootstrapping, the targets, so advantages are biased less than values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import log, sqrt
from typing import Literal

import numpy as np

from pwm.analysis.fixed_points import Array, fixed_point_values, target_weights


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Targets of a critic that knows the step within a trial, but not the trial; rewards are 1."""

    steps: int  # T, steps per episode, in whole trials
    trial_length: int = 3
    discount: float = 1.0  # γ
    trace_decay: float = 1.0  # λ
    horizon: Literal["episode", "trial"] = "episode"  # at whose end returns are cut
    temperature: float = 0.0  # α in reward per nat, the leak's strength (`leak_temperature`)
    leaking_targets: bool = False  # whether the leak reaches the values in the targets, too
    success: float = 0.5  # probability that a trial is rewarded
    entropy: float | None = None
    """Entropy at every step, in nats; None for the policy in `pwm.core.leak.start_entropy`."""

    @cached_property
    def fixed_point(self) -> Array:
        """Value at each step of an episode when the critic is at its fixed point: [T]."""
        return fixed_point_values(
            self._mean_rewards,
            self._entropies,
            self.temperature,
            discount=self.discount,
            trace_decay=self.trace_decay,
            leaking_targets=self.leaking_targets,
            horizon=self._horizon_steps,
            period=self.trial_length,
        )

    @property
    def mean_value(self) -> float:
        """Mean over the steps of the value at the fixed point, in reward."""
        return float(self.fixed_point.mean())

    @property
    def bias(self) -> float:
        """`mean_value` minus `mean_return`, in reward, due to the leak and to bootstrapping."""
        return self.mean_value - self.mean_return

    @property
    def mean_return(self) -> float:
        """Expected discounted return, averaged over the steps, in reward."""
        weights, _ = replace(self, trace_decay=1.0)._weights  # not bootstrapped
        return float((weights @ self._mean_rewards).mean())

    @property
    def noise(self) -> float:
        """Root mean square of G - v at the fixed point, over steps and episodes, in reward."""
        reward_weights, value_weights = self._weights
        mean_targets = reward_weights @ self._mean_rewards + value_weights @ self.fixed_point
        reward_variances = self._mean_rewards * (1 - self.success)  # p (1 - p) where rewarded
        variances = reward_weights**2 @ reward_variances
        return sqrt(float(((mean_targets - self.fixed_point) ** 2 + variances).mean()))

    @property
    def unbiased(self) -> Targets:
        """The same targets without a leak; bootstrapping may still bias them."""
        return replace(self, temperature=0.0)

    @property
    def excess(self) -> float:
        """Constant bias of the advantages, in reward, that would add as much noise as the leak."""
        return sqrt(max(self.noise**2 - self.unbiased.noise**2, 0.0))  # 0 despite rounding

    @property
    def mean_variance(self) -> float:
        """Variance over episodes of the target averaged over an episode's steps, in reward²."""
        mean_weights = self._weights[0].mean(axis=0)  # of each reward in this average: (T,)
        # Only rewards vary: each has probability and mean p, and variance p (1 - p).
        return float(mean_weights**2 @ self._mean_rewards) * (1 - self.success)

    @property
    def pull(self) -> float:
        """Mean increase of v - G if all values v increase by 1; below 1 with bootstrapping."""
        return float(1 - self._weights[1].sum(axis=1).mean())

    @property
    def _horizon_steps(self) -> int:
        """Steps per segment, a trial or the episode, at whose end returns are cut."""
        return self.trial_length if self.horizon == "trial" else self.steps

    @cached_property
    def _weights(self) -> tuple[Array, Array]:
        """Weights M of the rewards and N of the later values in the targets, [T, T] each."""
        return target_weights(self.steps, self.discount, self.trace_decay, self._horizon_steps)

    @property
    def _mean_rewards(self) -> Array:
        """Mean reward at each step: [T]. Only the last step of a trial can be rewarded."""
        is_last = np.arange(1, self.steps + 1) % self.trial_length == 0
        return np.asarray(self.success * is_last)

    @property
    def _entropies(self) -> Array:
        """Entropy of the policy at each step, in nats: [T]."""
        if self.entropy is not None:
            return np.full(self.steps, self.entropy)
        # Three equally likely actions; at a trial's last step, only the two that can be rewarded
        of_trial = [*[log(3)] * (self.trial_length - 1), log(2)]
        return np.tile(of_trial, self.steps // self.trial_length)
