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
    pairs, last_step = slice(config.num_pairs), -1
    rewards = reward_table(config)[pairs, last_step].astype(np.float64)  # (pairs, actions)
    second = config.pairs[:, 1]
    # The best action after a second stimulus is rewarded in most of the pairs that end with it.
    rewarded = [rewards[second == stimulus].sum(axis=0).max() for stimulus in np.unique(second)]
    return RewardLevels(
        uniform=float(rewards.mean()),
        one_sided=float(rewards.mean(axis=0).max()),
        memoryless=float(sum(rewarded) / config.num_pairs),
        solved=float(rewards.max(axis=1).mean()),
    )
