"""What diagnosed runs say: shares of the trunk, and both sides of the identity.

Shapes: S seeds, K windows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.outcomes import Outcomes
from pwm.analysis.theory import advantage_log_prob
from pwm.analysis.times import median_time

UNLEARNED = 0.6  # reward; below the memoryless ceiling of pwm5
SMALL_WEIGHT = 0.2  # up to which a detached critic takes nothing of the trunk worth the name


def reference_times(runs: Outcomes) -> NDArray[np.float64]:
    """Episodes until each detached run of a small weight learned: [small weights, S]."""
    part = runs.at(loss__baseline="detached")
    small = [weight for weight in part.weights if weight <= SMALL_WEIGHT]
    return np.stack([part.at(critic_weight=weight).time for weight in small])


def reference_time(runs: Outcomes) -> float:
    """The median of those."""
    return float(median_time(reference_times(runs).ravel()))


def before_learning(runs: Outcomes, curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of what was diagnosed over each seed's windows before its reward first rose: [S].

    Args:
        runs: of one setting, with diagnostics.
        curve: of those runs, [S, K].
    Returns:
        nan for a seed that learned within its first window.
    """
    before = np.cumprod(runs.courses["reward"] < UNLEARNED, axis=1).astype(bool)
    counts = before.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(before, curve, 0.0).sum(axis=1) / counts)


def middle(values: NDArray[np.float64]) -> float:
    """Median of the values that are known; nan if none is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def policy_share(runs: Outcomes) -> NDArray[np.float64]:
    """The policy's part of the mean squared gradient of the trunk, of one setting: [S, K]."""
    with np.errstate(invalid="ignore"):  # of a policy so deterministic that nothing is left
        return np.asarray(runs.courses["policy_norm"] ** 2 / runs.courses["total_norm"] ** 2)


def share_weight(runs: Outcomes, weight: float) -> NDArray[np.float64]:
    """Weight at which the critic's gradient of the trunk would be as large as the policy's: [S, K].

    The norms are those of runs of one setting, at a weight.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(weight * runs.courses["policy_norm"] / runs.courses["critic_norm"])


def identity_sides(
    runs: Outcomes, steps: int, weight: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Σ δ log π as it was, and as `advantage_log_prob` has it: in the second half, [S, K / 2] each.

    The policy loss and the value loss are means over a window, the return's variance and the
    covariance those at its end.

    Args:
        runs: of one setting, with diagnostics.
        steps: an episode.
        weight: the critic's.
    """
    half = {name: course[:, course.shape[1] // 2 :] for name, course in runs.courses.items()}
    predicted = np.vectorize(advantage_log_prob)(
        half["value_loss"].astype(np.float64),
        half["return_variance"].astype(np.float64),
        half["covariance"].astype(np.float64),
        critic_weight=weight,
        steps=steps,
    )
    return -half["policy_loss"].astype(np.float64), predicted
