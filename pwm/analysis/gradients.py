"""Gradients of probed runs: shares of the trunk's gradient, and an identity of the losses.

Shapes: S seeds of one setting and weight, K windows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.outcomes import Outcomes
from pwm.analysis.theory import advantage_log_prob

UNLEARNED = 0.6  # reward, below the memoryless ceiling of pwm5
SMALL_WEIGHT = 0.2  # up to this weight, a detached critic hardly moves the trunk


def reference_times(runs: Outcomes) -> NDArray[np.float64]:
    """Episodes until each detached run of a small weight learned: [small weights, S]."""
    small = [weight for weight in runs.weights if weight <= SMALL_WEIGHT]
    return runs.at(baseline="detached", critic_weight=small).time


def before_learning(runs: Outcomes, curve: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean of a curve over each seed's windows before its reward first reaches `UNLEARNED`.

    Args:
        runs: runs with diagnostics, [S].
        curve: a curve of those runs, [S, K].
    Returns:
        Means, [S]; nan for a seed that learned within its first window.
    """
    # True in the windows before the first with that reward
    before = np.cumprod(runs.curve("reward") < UNLEARNED, axis=1, dtype=bool)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(before, curve, 0.0).sum(axis=1) / before.sum(axis=1))


def middle(values: NDArray[np.float64]) -> float:
    """Median of the values that are not nan; nan if there are none."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def policy_share(runs: Outcomes) -> NDArray[np.float64]:
    """The policy's share of the trunk's mean squared gradient norm: [S, K]; nan if that is 0."""
    with np.errstate(invalid="ignore"):  # a deterministic policy has no gradient left
        return np.asarray(runs.curve("policy_norm") ** 2 / runs.curve("total_norm") ** 2)


def share_weight(runs: Outcomes) -> NDArray[np.float64]:
    """Critic weight at which both gradients of the trunk would have equal norms: [S, K]."""
    weight = runs.base.critic_weight
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(weight * runs.curve("policy_norm") / runs.curve("critic_norm"))


def identity_sides(runs: Outcomes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Σ δ log π as measured and as `advantage_log_prob` predicts it: [S, K / 2] each.

    Windows are those of the second half of training. The losses are means over a window; the
    return's variance and the covariance were measured at its end.
    """
    half = runs.curve("policy_loss").shape[1] // 2
    policy_loss, value_loss, variance, covariance = (
        runs.curve(name)[:, half:].astype(np.float64)
        for name in ("policy_loss", "value_loss", "return_variance", "covariance")
    )  # (S, K / 2)
    predicted = np.vectorize(advantage_log_prob)(
        value_loss,
        variance,
        covariance,
        critic_weight=runs.base.critic_weight,
        steps=runs.base.task.episode_length,
    )
    return -policy_loss, predicted
