"""What is counted, and how sure one can be. Arrays in, numbers out; no plots.

The criterion for *learned* was fixed before any run was made: over the last 500 episodes, the
fraction of trials rewarded exceeds, by four standard errors, the best that can be had without
solving the task. For pwm5 that is the memoryless ceiling, 0.625. For pwm0, which a memoryless
policy solves, it is the one-sided level, 0.5.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from pwm.task import TaskConfig, reward_levels
from pwm.train import History

FINAL_EPISODES = 500
STANDARD_ERRORS = 4.0


class SuccessRate(NamedTuple):
    """A fraction of seeds with its Wilson interval."""

    successes: int
    total: int
    rate: float
    low: float
    high: float


def success_rate(successes: int, total: int, confidence: float = 0.95) -> SuccessRate:
    """Fraction of successes with its Wilson score interval (Wilson, 1927)."""
    interval = binomtest(successes, total).proportion_ci(confidence, method="wilson")
    return SuccessRate(successes, total, successes / total, interval.low, interval.high)


def final_reward(history: History) -> NDArray[np.float64]:
    """Fraction of trials rewarded in each replica's last 500 episodes, or in all: [R]."""
    return _final_mean(history, history.reward)


def final_value_loss(history: History) -> NDArray[np.float64]:
    """Value loss of each replica's last 500 episodes, or of all: [R]."""
    return _final_mean(history, history.value_loss)


def reward_to_learn(task: TaskConfig, num_episodes: int) -> float:
    """Final reward above which a replica has learned.

    Args:
        task: what is played.
        num_episodes: episodes that the final reward is taken over.
    """
    levels = reward_levels(task.stimulus_set)
    ceiling = max(level for level in levels if level < levels.solved)
    num_trials = num_episodes * task.num_trials
    return ceiling + STANDARD_ERRORS * sqrt(ceiling * (1 - ceiling) / num_trials)


def learned(history: History, task: TaskConfig) -> NDArray[np.bool_]:
    """Whether each replica learned: [R]."""
    _, episodes = _final_windows(history)
    return final_reward(history) > reward_to_learn(task, int(episodes.sum()))


def _final_mean(history: History, curves: NDArray[np.float32]) -> NDArray[np.float64]:
    in_final, episodes = _final_windows(history)
    return np.average(curves[:, in_final].astype(np.float64), axis=1, weights=episodes)


def _final_windows(history: History) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which windows are final, and how many episodes each of those has."""
    in_final = history.episode > history.episode[-1] - FINAL_EPISODES
    return in_final, np.diff(history.episode, prepend=0)[in_final]
