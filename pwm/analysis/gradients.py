"""Gradients of the two losses during training, and a check of the losses against theory.

Shapes: S seeds of one setting and weight, K windows of episodes over which curves are averaged.
"""

from __future__ import annotations

from math import nan

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.outcomes import Outcomes
from pwm.analysis.theory import advantage_log_prob

UNLEARNED = 0.6  # fraction of trials rewarded; a policy without memory reaches 0.625 in pwm5
SMALL_WEIGHT = 0.2  # up to this weight, a detached critic hardly moves the trunk


def undisturbed_times(runs: Outcomes) -> NDArray[np.float64]:
    """Times to learn of detached runs whose critic hardly moves the trunk: [small weights, S]."""
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
    before = np.logical_and.accumulate(runs.curve("reward") < UNLEARNED, axis=1)
    with np.errstate(invalid="ignore"):  # 0 / 0 where no window is before
        return np.asarray(np.where(before, curve, 0.0).sum(axis=1) / before.sum(axis=1))


def known_median(values: NDArray[np.float64]) -> float:
    """Median of the values that are not nan; nan if there are none."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else nan


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
    """Both sides of an identity: Σ δ log π as measured, and by `advantage_log_prob`.

    The losses are means over a window; the return's variance and the covariance were measured at
    its end.

    Returns:
        Two arrays, [S, K / 2], over the windows of the second half of training.
    """

    def late(name: str) -> NDArray[np.float64]:
        """The second half of a curve."""
        curve = runs.curve(name).astype(np.float64)
        return curve[:, curve.shape[1] // 2 :]

    predicted = np.vectorize(advantage_log_prob)(
        late("value_loss"),
        late("return_variance"),
        late("covariance"),
        critic_weight=runs.base.critic_weight,
        steps=runs.base.task.episode_length,
    )
    return -late("policy_loss"), predicted
