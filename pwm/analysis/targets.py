"""Bias and noise of a critic of other targets: discounted, bootstrapped, or of single trials.

The target of a step is the λ-return G = M r + N v, with rewards r and the values v of later steps,

    M[t, k] = (γλ)^(k - t) from k = t on,    N[t, k] = γ (1 - λ) (γλ)^(k - 1 - t) from k = t + 1 on,

up to the end of the episode, or of the trial. The state is reset at every trial, so that a critic
knows the step in the trial, but not the trial; `fixed_point_values` is its fixed point. Its bias is
up to (1 - γλ) / (1 - γ) times the leak's, but the mean of the advantage G - v is that of the leak
alone: where the value is too high, so is its target.
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
    """Targets of a critic that does not know its trial."""

    steps: int
    """T, steps per episode, in whole trials."""
    trial_length: int = 3
    discount: float = 1.0
    """γ, the discount."""
    trace_decay: float = 1.0
    """λ, the decay of traces."""
    horizon: Literal["episode", "trial"] = "episode"
    """Period at whose end a return ends."""
    leak: Leak = "none"
    temperature: float = 0.0
    """α of the leak, in reward per nat."""
    success: float = 0.5
    """Probability that a trial is rewarded."""
    entropy: float | None = None
    """Entropy of the policy, in nats; None for a policy that has only learned when to act."""

    @cached_property
    def fixed_point(self) -> Array:
        """Value at each step of an episode: [T]."""
        return fixed_point_values(
            self._rewards.tolist(),
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
        """Mean value over the steps at the fixed point."""
        return float(self.fixed_point.mean())

    @property
    def bias(self) -> float:
        """Mean over the steps of value minus return, with the same discount and horizon."""
        return self.mean_value - self.mean_return

    @property
    def mean_return(self) -> float:
        """Mean over the steps of the return without bootstrapping."""
        powers = self.discount ** np.maximum(self._lag, 0) * self._later
        return float((powers @ self._rewards).mean())

    @property
    def noise(self) -> float:
        """Root mean square over the steps of the advantage at the fixed point."""
        values = self.fixed_point
        means = self._rewarding @ self._rewards + self._bootstrap @ values - values
        variances = self._rewards * (1 - self.success)  # of the rewards
        return sqrt(float((means**2 + self._rewarding**2 @ variances).mean()))

    @property
    def unbiased(self) -> Targets:
        """The same targets without a leak."""
        return replace(self, leak="none")

    @property
    def excess(self) -> float:
        """Constant bias that would raise the noise as much as the leak does."""
        return sqrt(max(self.noise**2 - self.unbiased.noise**2, 0.0))

    @property
    def mean_variance(self) -> float:
        """Variance over episodes of the target averaged over an episode's steps, in reward²."""
        mean = self._rewarding.mean(axis=0)
        return float(mean**2 @ self._rewards) * (1 - self.success)

    @property
    def pull(self) -> float:
        """Mean error of a critic whose values are all off by one; less than 1 if it bootstraps."""
        return float(1 - self._bootstrap.sum(axis=1).mean())

    @cached_property
    def _lag(self) -> Array:
        """Lag k - t: [T, T]."""
        steps = np.arange(self.steps)
        return np.asarray(steps - steps[:, None], float)

    @cached_property
    def _later(self) -> NDArray[np.bool_]:
        """Whether step k is t or later, and before the horizon of t: [T, T]."""
        trial = np.arange(self.steps) // self.trial_length
        same = trial == trial[:, None] if self.horizon == "trial" else True
        return np.asarray((self._lag >= 0) & same)

    @property
    def _rewarding(self) -> Array:
        """Weights M of the rewards: [T, T]."""
        return self._later * (self.discount * self.trace_decay) ** np.maximum(self._lag, 0)

    @property
    def _bootstrap(self) -> Array:
        """Weights N of the later values: [T, T]."""
        decay = (self.discount * self.trace_decay) ** np.maximum(self._lag - 1, 0)
        later = self._later & (self._lag >= 1)
        return np.asarray(self.discount * (1 - self.trace_decay) * decay * later)

    @property
    def _rewards(self) -> Array:
        """Mean reward of each step: [T]."""
        last = np.arange(1, self.steps + 1) % self.trial_length == 0
        return np.asarray(self.success * last)

    @property
    def _entropies(self) -> Array:
        """Entropy of the policy at each step: [T]."""
        entropies = np.full((self.steps // self.trial_length, self.trial_length), log(3))
        entropies[:, -1] = log(2)
        if self.entropy is not None:
            entropies[:] = self.entropy
        return entropies.ravel()
