"""The criterion for *learned*, and times to learn."""

from __future__ import annotations

from math import nextafter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from pwm.analysis.learning import final_mean, learned, reward_to_learn, times_to_learn
from pwm.analysis.levels import reward_levels
from pwm.core.task import TaskConfig
from tests.support.histories import made_up, of_rewards


@pytest.mark.parametrize(
    ("task", "num_episodes", "threshold"),
    [
        # 10,000 trials: 0.625 + 4 sqrt(0.625 0.375 / 10,000), and 0.5 + 4 (0.5 / 100)
        (TaskConfig(stimulus_set="pwm5", episode_length=60), 500, 0.644365),
        (TaskConfig(stimulus_set="pwm0", episode_length=60), 500, 0.52),
        # 2,500 trials: standard errors twice as large
        (TaskConfig(stimulus_set="pwm5", episode_length=15), 500, 0.66373),
        (TaskConfig(stimulus_set="pwm0", episode_length=15), 500, 0.54),
        # 10,000 trials, as above, now of 2 steps
        (TaskConfig(stimulus_set="pwm0", trial_length=2, episode_length=40), 500, 0.52),
    ],
)
def test_threshold_is_four_standard_errors_above_the_ceiling(
    task: TaskConfig, num_episodes: int, threshold: float
) -> None:
    assert reward_to_learn(task, num_episodes) == pytest.approx(threshold, abs=1e-5)


@given(st.sampled_from(["pwm0", "pwm5"]), st.integers(1, 400), st.integers(1, 400))
def test_threshold_falls_with_the_number_of_trials(
    stimulus_set: str, episodes: int, more: int
) -> None:
    task, longer = (
        TaskConfig(stimulus_set=stimulus_set, episode_length=length) for length in (15, 60)
    )
    assert reward_to_learn(task, episodes + more) < reward_to_learn(task, episodes)
    assert reward_to_learn(longer, episodes) < reward_to_learn(task, episodes)
    levels = reward_levels(stimulus_set)
    ceiling = {"pwm0": levels.one_sided, "pwm5": levels.memoryless}[stimulus_set]
    assert reward_to_learn(task, episodes) > ceiling


@pytest.mark.parametrize(("stimulus_set", "ceiling"), [("pwm0", 0.5), ("pwm5", 0.625)])
@pytest.mark.parametrize("episode_length", [15, 60])
def test_luck_does_not_pass_for_learning(
    stimulus_set: str, ceiling: float, episode_length: int
) -> None:
    task = TaskConfig(stimulus_set=stimulus_set, episode_length=episode_length)
    trials = 500 * task.num_trials
    assert binom.sf(reward_to_learn(task, 500) * trials, trials, ceiling) < 1e-4


# Tasks whose threshold is a binary fraction: 64 trials, 0.5 + 4 sqrt(0.25 / 64), and
# 240 trials, 0.625 + 4 sqrt(0.234375 / 240).
@pytest.mark.parametrize(
    ("task", "episodes"),
    [
        (TaskConfig(stimulus_set="pwm0", episode_length=3), 64),
        (TaskConfig(stimulus_set="pwm5", episode_length=9), 80),
    ],
)
def test_reward_at_the_threshold_is_not_enough(task: TaskConfig, episodes: int) -> None:
    above = float(np.nextafter(np.float32(0.75), np.float32(1)))
    history = of_rewards([episodes], [[0.75], [above], [1.0], [0.0]])
    assert reward_to_learn(task, episodes) == 0.75
    assert nextafter(0.75, 1) < above
    assert learned(history, task).tolist() == [False, True, True, False]


def test_each_task_is_judged_by_its_own_ceiling() -> None:
    history = of_rewards([250, 500], [[0.6, 0.6], [0.64, 0.64], [0.65, 0.65]])
    assert learned(history, TaskConfig(stimulus_set="pwm0")).tolist() == [True, True, True]
    assert learned(history, TaskConfig(stimulus_set="pwm5")).tolist() == [False, False, True]


def test_only_the_last_500_episodes_count() -> None:
    episode = list(range(10, 1001, 10))
    early, late = [1.0] * 50 + [0.5] * 50, [0.0] * 50 + [0.75] * 50
    history = of_rewards(episode, [early, late])
    assert final_mean(history, history.reward).tolist() == [0.5, 0.75]
    assert learned(history, TaskConfig(stimulus_set="pwm5")).tolist() == [False, True]


def test_all_episodes_of_a_shorter_run_count() -> None:
    history = of_rewards([100, 200], [[0.0, 1.0], [1.0, 1.0]])
    assert final_mean(history, history.reward).tolist() == [0.5, 1.0]
    # 200 episodes of 20 trials: 0.625 + 4 sqrt(0.234375 / 4000) = 0.6556
    edge = of_rewards([100, 200], [[0.65, 0.65], [0.66, 0.66]])
    assert learned(edge, TaskConfig(stimulus_set="pwm5")).tolist() == [False, True]


def test_windows_are_weighted_by_their_episodes() -> None:
    # 40, 40 and 20 episodes
    history = of_rewards([40, 80, 100], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    assert final_mean(history, history.reward) == pytest.approx([0.2, 0.4, 0.5])


@given(st.integers(1, 700), st.sampled_from([1, 2, 10, 50, 100, 250]))
def test_final_mean_is_the_mean_over_episodes(episodes: int, log_every: int) -> None:
    # One reward per episode, logged in windows that divide the 500.
    each = np.random.default_rng(episodes).integers(0, 4, (2, episodes)) / 4
    episode = [*range(log_every, episodes + 1, log_every)]
    if episodes % log_every:
        episode.append(episodes)
    windows = np.split(each, episode[:-1], axis=1)
    history = of_rewards(episode, np.stack([part.mean(axis=1) for part in windows], 1).tolist())
    # The window in which the last 500 episodes begin counts in full.
    first = max(episodes - 500, 0) // log_every * log_every
    expected = each[:, first:].mean(axis=1)
    np.testing.assert_allclose(final_mean(history, history.reward), expected, rtol=1e-6)


def test_final_mean_takes_any_curve() -> None:
    history = made_up(3, 70, log_every=10)
    expected = [np.mean(values[20:], dtype=np.float64) for values in history.value_loss]
    np.testing.assert_allclose(final_mean(history, history.value_loss), expected)


def test_replicas_are_judged_one_by_one() -> None:
    history = made_up(6, 60)
    together = final_mean(history, history.reward)
    for replica in range(6):
        alone = history.select([replica])
        assert final_mean(alone, alone.reward) == together[replica]


def test_time_to_learn_is_when_500_episodes_first_meet_the_criterion() -> None:
    task = TaskConfig(stimulus_set="pwm5", episode_length=60)  # threshold 0.6444
    rewards = np.full((4, 30), 0.6)
    rewards[0, 10:] = 0.7  # of five windows of 100, three must be at 0.7: from the 13th on
    rewards[1, 10:15] = 0.7  # the same, then forgotten
    rewards[2, 29] = 0.8  # too late
    history = of_rewards(list(range(100, 3001, 100)), rewards.tolist())
    assert times_to_learn(history, task).tolist() == [1300, 1300, np.inf, np.inf]


@given(st.integers(0, 2**32 - 1))
def test_times_to_learn_agree_with_a_search_window_by_window(seed: int) -> None:
    random = np.random.default_rng(seed)
    task = TaskConfig(stimulus_set="pwm0", episode_length=6)
    walk = 0.5 + 0.02 * random.normal(size=(3, 80)).cumsum(axis=1)
    history = of_rewards(list(range(50, 4001, 50)), np.clip(walk, 0, 1).tolist())
    times = times_to_learn(history, task)
    for replica, rewards in enumerate(history.reward.astype(np.float64)):
        moments = (
            50 * end
            for end in range(10, 81)
            if rewards[end - 10 : end].mean() > reward_to_learn(task, 500)
        )
        assert times[replica] == next(moments, np.inf)


def test_a_short_history_is_one_window() -> None:
    history = of_rewards([100, 200], [[0.9, 0.9], [0.5, 0.5]])
    times = times_to_learn(history, TaskConfig(stimulus_set="pwm5", episode_length=60))
    assert times.tolist() == [200, np.inf]


def test_at_the_end_the_time_agrees_with_the_criterion() -> None:
    task = TaskConfig(stimulus_set="pwm0", episode_length=6)
    rewards = np.full((5, 20), 0.5)
    rewards[:, 10:] = np.linspace(0.5, 0.7, 5)[:, None]
    history = of_rewards(list(range(50, 1001, 50)), rewards.tolist())
    late = times_to_learn(history, task) <= 1000
    assert late.tolist() == learned(history, task).tolist() == [False, False, True, True, True]
