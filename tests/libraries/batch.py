"""A made-up batch, and its gradients according to a row of `conventions.toml`; NumPy alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.conventions import Convention

if TYPE_CHECKING:
    from pwm.tools.report import LeakReport

Array = NDArray[np.float64]
STEPS, ACTIONS = 8, 3
SPREADS = (0.25, 0.5)
"""Standard deviations of the errors; all errors stay below 1, where the Huber loss is quadratic."""


class Gradients(NamedTuple):
    """Derivatives of a library's whole loss, at its default weight and without an entropy bonus."""

    weight: float
    """Default weight, read from the library."""
    logits: Array
    """[n, actions]"""
    values: Array
    """[n]"""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Steps of one episode, undiscounted, whose advantages have a mean of 0.

    The policy and the critic are tables: one row of logits and one value per step.
    """

    logits: Array
    """[n, actions]"""
    values: Array
    """[n]"""
    actions: NDArray[np.int64]
    """[n]"""
    scores: Array
    """Errors over their standard deviation, [n]."""
    spread: float
    """Standard deviation of the errors, in reward."""

    @property
    def advantages(self) -> Array:
        """Returns minus values."""
        return self.spread * self.scores

    @property
    def returns(self) -> Array:
        """Returns, which exceed the values by the advantages."""
        return self.values + self.advantages

    @property
    def rewards(self) -> Array:
        """Rewards that lead to these returns."""
        return np.asarray(self.returns - np.append(self.returns[1:], 0))

    @property
    def log_policy(self) -> Array:
        """Log-probabilities of all actions, [n, actions]."""
        peak = self.logits.max(axis=1, keepdims=True)
        total = np.exp(self.logits - peak).sum(axis=1, keepdims=True)
        return np.asarray(self.logits - peak - np.log(total))

    @property
    def log_probs(self) -> Array:
        """Log-probabilities of the actions taken."""
        return self.log_policy[np.arange(len(self.actions)), self.actions]


Loss = Callable[[Batch], Gradients]
"""Runs a library's own loss on a batch."""
Check = Callable[[Batch], "LeakReport"]
"""Runs `check_leak` on a library's loss of a batch; for PyTorch only."""


def make_batch(spread: float, ddof: int = 1) -> Batch:
    """A batch whose errors have the standard deviation `spread`, computed with n - ddof."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=STEPS)
    return Batch(
        logits=rng.normal(size=(STEPS, ACTIONS)),
        values=rng.normal(size=STEPS),
        actions=rng.integers(ACTIONS, size=STEPS),
        scores=(draws - draws.mean()) / draws.std(ddof=ddof),
        spread=spread,
    )


def expected(row: Convention, batch: Batch, ddof: int = 1) -> Gradients:
    """The gradients of the loss that a row describes, in closed form."""
    n = len(batch.actions)
    policy, value = (1 if c == "sum" else 1 / n for c in (row.policy, row.value))
    normalised = "advantages" in row.normalises
    scores = batch.scores if normalised else batch.advantages
    taken = np.eye(ACTIONS)[batch.actions]
    logits = -policy * scores[:, None] * (taken - np.exp(batch.log_policy))
    values = -2 * row.weight * row.factor * value * batch.advantages
    if row.attached:
        leak = batch.log_probs
        if normalised:  # shifting or scaling the errors does not change the scores
            share = (batch.scores * leak).sum() / (n - ddof)
            leak = (leak - leak.mean() - batch.scores * share) / batch.spread
        values = values + policy * leak
    return Gradients(row.weight, logits, values)


class Factors(NamedTuple):
    """Factors of a step's terms in a loss, found from its gradients alone."""

    policy: float
    """Of -A log π."""
    value: float
    """Of δ²."""
    leak: float
    """Of log π in the gradient with respect to the value."""


def measured_factors(batch: Batch, gradients: Gradients) -> Factors:
    """Fits the factors to the gradients by least squares, without the table."""
    taken = np.eye(ACTIONS)[batch.actions]
    direction = -batch.advantages[:, None] * (taken - np.exp(batch.log_policy))
    policy = (direction * gradients.logits).sum() / (direction**2).sum()
    columns = np.stack([-2 * batch.advantages, batch.log_probs], axis=1)
    (value, leak), *_ = np.linalg.lstsq(columns, gradients.values, rcond=None)
    return Factors(float(policy), float(value), float(leak))


def largest_difference(found: Gradients, wanted: Gradients) -> float:
    """Largest difference of two gradients, relative to the largest entry of the wanted one."""
    pairs = ((found.logits, wanted.logits), (found.values, wanted.values))
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
