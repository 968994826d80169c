"""Reward levels of reference policies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pwm.core.task import TaskConfig, reward_table


class RewardLevels(NamedTuple):
    """Fractions of trials rewarded under reference policies, in increasing order."""

    uniform: float
    """Every action equally likely."""
    one_sided: float
    """The better of always left and always right."""
    memoryless: float
    """The best policy that sees only the second stimulus."""
    solved: float
    """The best policy."""


def reward_levels(stimulus_set: str) -> RewardLevels:
    """Exact reward levels of a stimulus set, by enumeration of its pairs.

    The policies hold before the last step; `hold_reward` and blank trials do not count.

    Args:
        stimulus_set: a key of `pwm.core.task.STIMULUS_SETS`.
    Raises:
        InputError: the stimulus set is unknown.
    """
    config = TaskConfig(stimulus_set=stimulus_set)
    decision = reward_table(config)[:-1, -1].astype(np.float64)  # (pairs, actions)
    second = config.pairs[:, 1]
    memoryless = sum(decision[second == shown].sum(axis=0).max() for shown in np.unique(second))
    return RewardLevels(
        uniform=float(decision.mean()),
        one_sided=float(decision.mean(axis=0).max()),
        memoryless=float(memoryless / config.num_pairs),
        solved=float(decision.max(axis=1).mean()),
    )
