"""Reward levels of reference policies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pwm.core.task import TaskConfig, reward_table


class RewardLevels(NamedTuple):
    """Fractions of trials rewarded under reference policies, none below the one before it."""

    uniform: float  # left, right and hold with equal probability
    one_sided: float  # always left or always right, whichever is rewarded more often
    memoryless: float  # the best policy that sees only the second stimulus
    solved: float  # the best policy


def reward_levels(stimulus_set: str) -> RewardLevels:
    """Exact reward levels for a stimulus set, computed from all of its pairs.

    The policies choose one of the three actions at the last step of a trial, and hold before it.
    Blank trials and `hold_reward` are ignored.

    Args:
        stimulus_set: a key of `pwm.core.task.STIMULUS_SETS`.
    Raises:
        InputError: the stimulus set is unknown or invalid.
    """
    config = TaskConfig(stimulus_set=stimulus_set)
    # At the last step of each pair's trial; the table's last row, the blank trial, is left out
    rewards = reward_table(config)[:-1, -1].astype(np.float64)  # 0 or 1: (pairs, actions)
    second = config.pairs[:, 1]  # second stimulus of each pair
    # For each second stimulus, the number of its pairs in which its best action is rewarded
    most_rewarded = [rewards[second == each].sum(axis=0).max() for each in np.unique(second)]
    return RewardLevels(
        uniform=float(rewards.mean()),
        one_sided=float(rewards.mean(axis=0).max()),
        memoryless=float(sum(most_rewarded) / config.num_pairs),
        solved=float(rewards.max(axis=1).mean()),
    )
