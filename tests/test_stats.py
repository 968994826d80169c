"""What counts as learned, and how sure one can be of a fraction of seeds."""

from __future__ import annotations

from math import nextafter, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from pwm.stats import (
    final_reward,
    final_value_loss,
    learned,
    reward_to_learn,
    success_rate,
)
from pwm.task import TaskConfig, reward_levels
from tests.histories import made_up, of_rewards

Z = 1.959963984540054  # the 97.5th percentile of the normal distribution


def wilson(successes: int, total: int, z: float) -> tuple[float, float]:
    """Wilson (1927), as in any textbook."""
    rate = successes / total
    middle = rate + z**2 / (2 * total)
    half = z * sqrt(rate * (1 - rate) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    return (middle - half) / scale, (middle + half) / scale


@given(st.integers(1, 100).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    successes, total = counts
    rate = success_rate(successes, total)
    assert (rate.successes, rate.total, rate.rate) == (successes, total, successes / total)
    assert (rate.low, rate.high) == pytest.approx(wilson(successes, total, Z), abs=1e-9)
    wide = success_rate(successes, total, confidence=0.99)
    assert (wide.low, wide.high) == pytest.approx(wilson(successes, total, 2.5758293), abs=1e-7)


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        (0, 24, 0.0, 0.13798),  # z² / (n + z²)
        (12, 24, 0.31427, 0.68573),  # 1/2 ± z / (2 sqrt(n + z²))
        (24, 24, 0.86202, 1.0),
        (1, 1, 0.20655, 1.0),
    ],
)
def test_the_interval_at_points_worked_out_by_hand(
    successes: int, total: int, low: float, high: float
) -> None:
    rate = success_rate(successes, total)
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=1e-5)


@pytest.mark.parametrize(
    ("task", "num_episodes", "threshold"),
    [
        # 10,000 trials: 0.625 + 4 sqrt(0.625 0.375 / 10,000), and 0.5 + 4 (0.5 / 100)
        (TaskConfig("pwm5", episode_length=60), 500, 0.644365),
        (TaskConfig("pwm0", episode_length=60), 500, 0.52),
        # 2,500 trials: standard errors twice as large
        (TaskConfig("pwm5", episode_length=15), 500, 0.66373),
        (TaskConfig("pwm0", episode_length=15), 500, 0.54),
        # 20 trials of 3 steps are as many as 30 of 2
        (TaskConfig("pwm0", trial_length=2, episode_length=40), 500, 0.52),
    ],
)
def test_the_reward_to_learn_is_four_standard_errors_above_the_ceiling(
    task: TaskConfig, num_episodes: int, threshold: float
) -> None:
    assert reward_to_learn(task, num_episodes) == pytest.approx(threshold, abs=1e-5)


@given(st.sampled_from(["pwm0", "pwm5"]), st.integers(1, 400), st.integers(1, 400))
def test_the_more_trials_the_lower_the_reward_to_learn(
    stimulus_set: str, episodes: int, more: int
) -> None:
    task, longer = (TaskConfig(stimulus_set, episode_length=length) for length in (15, 60))
    assert reward_to_learn(task, episodes + more) < reward_to_learn(task, episodes)
    assert reward_to_learn(longer, episodes) < reward_to_learn(task, episodes)
    levels = reward_levels(stimulus_set)
    ceiling = {"pwm0": levels.one_sided, "pwm5": levels.memoryless}[stimulus_set]
    assert reward_to_learn(task, episodes) > ceiling


@pytest.mark.parametrize(("stimulus_set", "ceiling"), [("pwm0", 0.5), ("pwm5", 0.625)])
@pytest.mark.parametrize("episode_length", [15, 60])
def test_chance_does_not_pass_for_learning(
    stimulus_set: str, ceiling: float, episode_length: int
) -> None:
    task = TaskConfig(stimulus_set, episode_length=episode_length)
    trials = 500 * task.num_trials
    assert binom.sf(reward_to_learn(task, 500) * trials, trials, ceiling) < 1e-4


# Points at which the threshold is a binary fraction: 64 trials, 0.5 + 4 sqrt(0.25 / 64), and
# 240 trials, 0.625 + 4 sqrt(0.234375 / 240).
@pytest.mark.parametrize(
    ("task", "episodes"),
    [
        (TaskConfig("pwm0", episode_length=3), 64),
        (TaskConfig("pwm5", episode_length=9), 80),
    ],
)
def test_to_be_at_the_threshold_is_not_to_have_learned(task: TaskConfig, episodes: int) -> None:
    above = float(np.nextafter(np.float32(0.75), np.float32(1)))
    history = of_rewards([episodes], [[0.75], [above], [1.0], [0.0]])
    assert reward_to_learn(task, episodes) == 0.75
    assert nextafter(0.75, 1) < above
    assert learned(history, task).tolist() == [False, True, True, False]


def test_each_task_is_judged_by_its_own_ceiling() -> None:
    history = of_rewards([250, 500], [[0.6, 0.6], [0.64, 0.64], [0.65, 0.65]])
    assert learned(history, TaskConfig("pwm0")).tolist() == [True, True, True]
    assert learned(history, TaskConfig("pwm5")).tolist() == [False, False, True]


def test_only_the_last_500_episodes_count() -> None:
    episode = list(range(10, 1001, 10))
    early, late = [1.0] * 50 + [0.5] * 50, [0.0] * 50 + [0.75] * 50
    history = of_rewards(episode, [early, late])
    assert final_reward(history).tolist() == [0.5, 0.75]
    assert learned(history, TaskConfig("pwm5")).tolist() == [False, True]


def test_a_run_shorter_than_that_counts_whole() -> None:
    history = of_rewards([100, 200], [[0.0, 1.0], [1.0, 1.0]])
    assert final_reward(history).tolist() == [0.5, 1.0]
    # 200 episodes of 20 trials: 0.625 + 4 sqrt(0.234375 / 4000) = 0.6556
    edge = of_rewards([100, 200], [[0.65, 0.65], [0.66, 0.66]])
    assert learned(edge, TaskConfig("pwm5")).tolist() == [False, True]


def test_a_window_weighs_as_much_as_it_has_episodes() -> None:
    # 40, 40 and 20 episodes
    history = of_rewards([40, 80, 100], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    assert final_reward(history) == pytest.approx([0.2, 0.4, 0.5])


@given(st.integers(1, 700), st.sampled_from([1, 2, 10, 50, 100, 250]))
def test_the_final_reward_is_the_mean_over_the_episodes(episodes: int, log_every: int) -> None:
    # A reward an episode, logged in windows that divide the 500.
    each = np.random.default_rng(episodes).integers(0, 4, (2, episodes)) / 4
    episode = [*range(log_every, episodes + 1, log_every)]
    if episodes % log_every:
        episode.append(episodes)
    windows = np.split(each, episode[:-1], axis=1)
    history = of_rewards(episode, np.stack([part.mean(axis=1) for part in windows], 1).tolist())
    # The window in which the last 500 begin is taken whole.
    first = max(episodes - 500, 0) // log_every * log_every
    np.testing.assert_allclose(final_reward(history), each[:, first:].mean(axis=1), rtol=1e-6)


def test_the_final_value_loss_is_taken_over_the_same_windows() -> None:
    history = made_up(3, 70, log_every=10)
    expected = [np.mean(values[20:], dtype=np.float64) for values in history.value_loss]
    np.testing.assert_allclose(final_value_loss(history), expected)


def test_replicas_are_judged_one_by_one() -> None:
    history = made_up(6, 60)
    together = final_reward(history)
    for replica in range(6):
        assert final_reward(history.select([replica])) == together[replica]
