"""The criterion for having learned the task.

A run has learned if the fraction of trials rewarded in its last 500 episodes exceeds, by four
standard errors, the best that is possible without solving the task. With the stimulus set pwm5,
this is the best memoryless policy's 0.625. With pwm0, which a memoryless policy solves, it is the
0.5 of a policy that always gives the same answer. The criterion was fixed before any run was made.

Histories hold averages over windows of episodes, so a result over the last 500 episodes uses every
window that ends in them. Shapes: R replicas, K windows.
"""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pwm.analysis.levels import reward_levels
from pwm.core.task import TaskConfig
from pwm.training.history import History

FINAL_EPISODES = 500
STANDARD_ERRORS = 4.0  # of the fraction of trials rewarded


def reward_to_learn(task: TaskConfig, num_episodes: int) -> float:
    """Fraction of trials rewarded in `num_episodes` above which a run has learned; may exceed 1."""
    levels = reward_levels(task.stimulus_set)
    # The best level without solving the task; in pwm0, a memoryless policy solves it.
    unsolved = levels.memoryless if levels.memoryless < levels.solved else levels.one_sided
    standard_error = sqrt(unsolved * (1 - unsolved) / (num_episodes * task.num_trials))
    return unsolved + STANDARD_ERRORS * standard_error


def learned(history: History, task: TaskConfig) -> NDArray[np.bool_]:
    """Whether each replica learned the task, by its last 500 episodes, or all if fewer: [R]."""
    _, lengths = _final_windows(history)
    return final_mean(history, history.reward) > reward_to_learn(task, int(lengths.sum()))


def times_to_learn(history: History, task: TaskConfig) -> NDArray[np.float64]:
    """Episodes until the mean reward of 500 consecutive episodes first met the criterion: [R].

    It is inf if the criterion was never met. Fewer than 500 episodes are judged as a whole. All
    windows but the last must have the same length. A shorter last window counts as if it had that
    length, too.
    """
    window_length = int(history.episode[0])  # in episodes
    # Groups of consecutive windows, each of at least 500 episodes, or of all if there are fewer
    group_size = min(ceil(FINAL_EPISODES / window_length), len(history.episode))  # in windows
    groups = sliding_window_view(history.reward.astype(np.float64), group_size, axis=1)
    met = groups.mean(axis=-1) > reward_to_learn(task, group_size * window_length)  # (R, groups)
    last_episodes = history.episode[group_size - 1 :]  # of each group
    first_met = met.argmax(axis=1)  # index of the first group that met the criterion; 0 if none
    return np.where(met.any(axis=1), last_episodes[first_met], np.inf)


def final_mean(history: History, curves: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of curves [R, K] over the last 500 episodes, or over all if there are fewer: [R]."""
    in_final, lengths = _final_windows(history)
    return np.average(curves[:, in_final].astype(np.float64), axis=1, weights=lengths)


def _final_windows(history: History) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether each window ends in the last 500 episodes, [K], and the lengths of these windows."""
    in_final = history.episode > history.episode[-1] - FINAL_EPISODES
    lengths = np.diff(history.episode, prepend=0)  # in episodes
    return in_final, lengths[in_final]
