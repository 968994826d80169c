"""The criterion for having learned the task.

It was fixed before any run was made: over the last 500 episodes, the fraction of trials rewarded
exceeds, by four standard errors, the best that is possible without solving the task. For pwm5
that is the memoryless ceiling, 0.625. For pwm0, which a memoryless policy solves, it is the
one-sided level, 0.5.
"""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pwm.analysis.levels import reward_levels
from pwm.core.history import History
from pwm.core.task import TaskConfig

FINAL_EPISODES = 500
STANDARD_ERRORS = 4.0


def reward_to_learn(task: TaskConfig, num_episodes: int) -> float:
    """Final reward above which a run has learned.

    Args:
        task: the task that is played.
        num_episodes: episodes that the final reward is averaged over.
    Returns:
        Fraction of trials rewarded.
    """
    levels = reward_levels(task.stimulus_set)
    ceiling = max(level for level in levels if level < levels.solved)
    num_trials = num_episodes * task.num_trials
    return ceiling + STANDARD_ERRORS * sqrt(ceiling * (1 - ceiling) / num_trials)


def learned(history: History, task: TaskConfig) -> NDArray[np.bool_]:
    """Whether each replica learned, by its last 500 episodes.

    Args:
        history: curves of R replicas.
        task: the task that they play.
    Returns:
        Whether each learned, [R].
    """
    _, episodes = _final_windows(history)
    return final_mean(history, history.reward) > reward_to_learn(task, int(episodes.sum()))


def times_to_learn(history: History, task: TaskConfig) -> NDArray[np.float64]:
    """Episodes until the mean reward of 500 in a row first met the criterion for *learned*.

    Args:
        history: curves of R replicas; all windows but the last must have the same length.
        task: the task that they play.
    Returns:
        Numbers of episodes, [R]; inf where they never did.
    """
    log_every = int(history.episode[0])
    windows = min(ceil(FINAL_EPISODES / log_every), len(history.episode))
    # Means over the windows of about 500 episodes, as they slide along: (R, K - windows + 1)
    means = sliding_window_view(history.reward.astype(np.float64), windows, axis=1).mean(axis=-1)
    above = means > reward_to_learn(task, windows * log_every)
    last_episodes = history.episode[windows - 1 :]  # of each mean
    first = above.argmax(axis=1)  # place of the first mean above; 0 if there is none
    return np.where(above.any(axis=1), last_episodes[first], np.inf)


def final_mean(history: History, curves: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of curves [R, K] over the last 500 episodes, or over all if there are fewer: [R]."""
    in_final, episodes = _final_windows(history)
    return np.average(curves[:, in_final].astype(np.float64), axis=1, weights=episodes)


def _final_windows(history: History) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether each window lies in the last 500 episodes, [K], and the lengths of those that do."""
    in_final = history.episode > history.episode[-1] - FINAL_EPISODES
    return in_final, np.diff(history.episode, prepend=0)[in_final]
