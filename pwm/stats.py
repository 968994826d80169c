"""What is counted, and how sure one can be. Arrays in, numbers out; no plots.

The criterion for *learned* was fixed before any run was made: over the last 500 episodes, the
fraction of trials rewarded exceeds, by four standard errors, the best that can be had without
solving the task. For pwm5 that is the memoryless ceiling, 0.625. For pwm0, which a memoryless
policy solves, it is the one-sided level, 0.5.
"""

from __future__ import annotations

from math import hypot, inf, isnan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap, quantile_test, trim_mean

from pwm.history import History
from pwm.task import TaskConfig, reward_levels

FINAL_EPISODES = 500
STANDARD_ERRORS = 4.0
RESAMPLES = 9999


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


class Estimate(NamedTuple):
    """A number with its interval."""

    value: float
    low: float
    high: float


def rate_difference(one: SuccessRate, other: SuccessRate) -> Estimate:
    """How much higher one success rate is than another, of other seeds.

    The interval is Newcombe's (1998, method 10), from the two Wilson intervals, and has the
    confidence of those.
    """
    value = one.rate - other.rate
    below = hypot(one.rate - one.low, other.high - other.rate)
    above = hypot(one.high - one.rate, other.rate - other.low)
    return Estimate(value, value - below, value + above)


def interquartile_mean(
    values: NDArray[np.float64], random: np.random.Generator, confidence: float = 0.95
) -> Estimate:
    """Mean of the middle half of the values, with its bootstrap interval (percentiles).

    Args:
        values: one a seed, [R].
        random: draws the resamples.
        confidence: of the interval.
    """

    def middle(sample: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return np.asarray(trim_mean(sample, 0.25, axis=axis))

    value = float(middle(values))
    if len(values) == 1:
        return Estimate(value, -inf, inf)
    interval = bootstrap(
        (values,),
        middle,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=random,
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))


class TimesToLearn(NamedTuple):
    """When each replica first learned, as far as that was seen."""

    episode: NDArray[np.int64]
    """Episode that it had learned at, or the last one played: [R]."""
    learned: NDArray[np.bool_]
    """Whether it had learned; if not, its time is longer (right-censored): [R]."""


def times_to_learn(history: History, task: TaskConfig) -> TimesToLearn:
    """When the last 500 episodes first met the criterion for *learned*.

    The windows of the history must all be of one length, but for the last.
    """
    log_every = int(history.episode[0])
    windows = min(-(-FINAL_EPISODES // log_every), len(history.episode))
    mean = sliding_window_view(history.reward.astype(np.float64), windows, axis=1).mean(axis=-1)
    above = mean > reward_to_learn(task, windows * log_every)  # (R, K - windows + 1)
    success = above.any(axis=1)
    first = history.episode[windows - 1 :][above.argmax(axis=1)]
    return TimesToLearn(np.where(success, first, history.episode[-1]), success)


def median_time_to_learn(times: TimesToLearn, confidence: float = 0.95) -> Estimate:
    """Median of the times with its exact interval from order statistics; inf is "not yet".

    All replicas were watched for as long, so that those which had not learned count as later
    than all others, and nothing more need be known of them (Kaplan & Meier's estimate is the
    same then).
    """
    episodes = np.where(times.learned, times.episode, inf)
    value = np.quantile(episodes, 0.5, method="inverted_cdf")
    low, high = np.ravel(quantile_test(episodes).confidence_interval(confidence))
    # nan is an end that so few replicas do not settle
    return Estimate(
        float(value), -inf if isnan(low) else float(low), inf if isnan(high) else float(high)
    )


def final_reward(history: History) -> NDArray[np.float64]:
    """Fraction of trials rewarded in each replica's last 500 episodes, or in all: [R]."""
    return final_mean(history, history.reward)


def final_value_loss(history: History) -> NDArray[np.float64]:
    """Value loss of each replica's last 500 episodes, or of all: [R]."""
    return final_mean(history, history.value_loss)


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


def final_mean(history: History, curves: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of a logged curve [R, K] over each replica's last 500 episodes, or over all: [R]."""
    in_final, episodes = _final_windows(history)
    return np.average(curves[:, in_final].astype(np.float64), axis=1, weights=episodes)


def _final_windows(history: History) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which windows are final, and how many episodes each of those has."""
    in_final = history.episode > history.episode[-1] - FINAL_EPISODES
    return in_final, np.diff(history.episode, prepend=0)[in_final]
