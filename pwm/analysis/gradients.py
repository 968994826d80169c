"""Gradients of the two losses during training, and a check of the losses against theory.

The gradient of the trunk (the LSTM that policy and critic share) is the sum of the policy's, the
critic's and the leak's part, which `pwm.training.diagnostics` defines. A curve is a history's
metric or diagnostic. Shapes: S seeds at one setting and weight, K windows of episodes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.outcomes import Outcomes
from pwm.analysis.theory import advantage_log_prob

UNLEARNED = 0.6  # fraction of trials rewarded; with pwm5, a policy without memory can reach 0.625


def before_learning(runs: Outcomes, curve: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean of a curve, [S, K], over the windows before the reward reaches `UNLEARNED`: [S].

    It is nan if the reward reaches `UNLEARNED` in the first window.
    """
    before = np.logical_and.accumulate(runs.curve("reward") < UNLEARNED, axis=1)
    with np.errstate(invalid="ignore"):  # 0 / 0 if there is no such window
        return np.asarray(np.where(before, curve, 0.0).sum(axis=1) / before.sum(axis=1))


def policy_share(runs: Outcomes) -> NDArray[np.float64]:
    """Squared norm of the policy's part over that of the trunk's gradient: [S, K].

    It exceeds 1 where the parts oppose each other, and is nan where there is no gradient.
    """
    with np.errstate(invalid="ignore"):  # nan: saturated units pass no gradient to the trunk
        return np.asarray(runs.curve("policy_norm") ** 2 / runs.curve("total_norm") ** 2)


def share_weight(runs: Outcomes) -> NDArray[np.float64]:
    """Critic weight at which the policy's and critic's parts would have equal norms: [S, K].

    It is inf where the critic's part is 0, and nan where both are.
    """
    weight = runs.base.critic_weight  # to which the critic's part is proportional
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(weight * runs.curve("policy_norm") / runs.curve("critic_norm"))


def identity_sides(runs: Outcomes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both sides of the identity in `advantage_log_prob`, in the second half of training.

    The left side is minus the policy loss. The right side is computed from the value loss, the
    variance of the return, and the return's covariance with log π. Losses are means over a window;
    variance and covariance were measured at its end. Each side is [S, windows].
    """
    names = ("policy_loss", "value_loss", "return_variance", "covariance")
    curves = np.array([runs.curve(name) for name in names], np.float64)  # (4, S, K)
    policy_loss, *moments = curves[:, :, curves.shape[-1] // 2 :]
    right_side = np.vectorize(advantage_log_prob)
    return -policy_loss, right_side(*moments, critic_weight=runs.base.critic_weight)
