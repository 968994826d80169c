"""Bias and noise of a critic of discounted or bootstrapped returns, or of returns of one trial.

The targets of the steps are the λ-returns G = M r + N v, with rewards r, values v, and

    M[t, k] = (γλ)^(k - t) from k = t on,    N[t, k] = γ (1 - λ) (γλ)^(k - 1 - t) from k = t + 1 on,

up to the end of the episode, or of the trial; γ is the discount and λ the decay of traces. The
state is reset at every trial, so that a critic knows the step within the trial, but not the trial.
`fixed_point_values` computes the values at its fixed point.

The leak is the gradient of the policy loss that reaches the critic. It raises the values and, with
bootstrapping, the targets too. The bias is then up to (1 - γλ) / (1 - γ) times as large as without
bootstrapping. The mean of the advantage G - v does not grow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.fixed_points import fixed_point_values

Leak = Literal["none", "own", "all"]
"""Values that the policy loss's gradient reaches: none, only v_t, or those in the targets too."""
Array = NDArray[np.float64]


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
            self._mean_rewards.tolist(),
            self._entropies.tolist(),
            self.temperature if self.leak != "none" else 0.0,
            discount=self.discount,
            trace_decay=self.trace_decay,
            leaking_targets=self.leak == "all",
            horizon=self.trial_length if self.horizon == "trial" else None,
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
        weights = self.discount ** np.maximum(self._lag, 0) * self._included
        return float((weights @ self._mean_rewards).mean())

    @property
    def noise(self) -> float:
        """Root mean square over steps and episodes of the advantage at the fixed point."""
        values = self.fixed_point
        mean_targets = self._reward_weights @ self._mean_rewards + self._value_weights @ values
        reward_variances = self._mean_rewards * (1 - self.success)  # p (1 - p) at last steps
        variances = self._reward_weights**2 @ reward_variances
        return sqrt(float(((mean_targets - values) ** 2 + variances).mean()))

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
        mean_weights = self._reward_weights.mean(axis=0)
        return float(mean_weights**2 @ self._mean_rewards) * (1 - self.success)

    @property
    def pull(self) -> float:
        """Mean increase of v - G if all values increase by 1; below 1 with bootstrapping."""
        return float(1 - self._value_weights.sum(axis=1).mean())

    @cached_property
    def _lag(self) -> Array:
        """Number of steps k - t from step t (row) to step k (column): [T, T]."""
        steps = np.arange(self.steps)
        return np.asarray(steps - steps[:, None], float)

    @cached_property
    def _included(self) -> NDArray[np.bool_]:
        """Whether the return of step t includes the reward of step k: [T, T]."""
        included = self._lag >= 0
        if self.horizon == "trial":
            trial = np.arange(self.steps) // self.trial_length
            included &= trial == trial[:, None]
        return included

    @property
    def _reward_weights(self) -> Array:
        """Weights M of the rewards in the targets: [T, T]."""
        return self._included * (self.discount * self.trace_decay) ** np.maximum(self._lag, 0)

    @property
    def _value_weights(self) -> Array:
        """Weights N of the later values in the targets: [T, T]."""
        decay = (self.discount * self.trace_decay) ** np.maximum(self._lag - 1, 0)
        is_later = self._included & (self._lag >= 1)
        return np.asarray(self.discount * (1 - self.trace_decay) * decay * is_later)

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
