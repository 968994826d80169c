"""What diagnosed runs say: shares of the trunk, and both sides of the identity.

Shapes: S seeds, K windows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pwm.outcomes import Outcomes
from pwm.speed import median_time
from pwm.theory import advantage_log_prob

SMALL_WEIGHT = 0.2  # up to which a detached critic takes nothing of the trunk worth the name


def reference_times(runs: Outcomes) -> NDArray[np.float64]:
    """Episodes until each detached run of a small weight learned: [their number]."""
    part = runs.at(loss__baseline="detached")
    small = [weight for weight in part.weights if weight <= SMALL_WEIGHT]
    return np.concatenate([part.at(critic_weight=weight).time for weight in small])


def reference_time(runs: Outcomes) -> float:
    """The median of those."""
    return float(median_time(reference_times(runs)))


def policy_share(runs: Outcomes, steps: int, weight: float) -> NDArray[np.float64]:
    """The policy's part of the mean squared gradient of the trunk, at each window: [S, K]."""
    courses = runs.at(task__episode_length=steps, critic_weight=weight).courses
    return np.asarray(courses["policy_norm"] ** 2 / courses["total_norm"] ** 2)


def share_weight(runs: Outcomes, steps: int, weight: float) -> NDArray[np.float64]:
    """Weight at which the critic's gradient of the trunk would be as large as the policy's: [S, K].

    The norms are those at a weight at which runs were made.
    """
    courses = runs.at(task__episode_length=steps, critic_weight=weight).courses
    return np.asarray(weight * courses["policy_norm"] / courses["critic_norm"])


def identity_sides(
    runs: Outcomes, steps: int, weight: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Σ δ log π as it was, and as `advantage_log_prob` has it: in the second half, [S, K / 2] each.

    The policy loss and the value loss are means over a window, the return's variance and the
    covariance those at its end.
    """
    courses = {
        name: course[:, course.shape[1] // 2 :].astype(np.float64)
        for name, course in runs.at(
            task__episode_length=steps, critic_weight=weight
        ).courses.items()
    }
    measured = -courses["policy_loss"]
    predicted = np.vectorize(advantage_log_prob)(
        courses["value_loss"],
        courses["return_variance"],
        courses["covariance"],
        critic_weight=weight,
        steps=steps,
    )
    return measured, predicted
