"""What counts as learned, and how sure one can be of a fraction of seeds."""

from __future__ import annotations

from math import comb, inf, nextafter, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from pwm.analysis.estimates import interquartile_mean, rate_difference, success_rate
from pwm.analysis.learning import (
    TimesToLearn,
    final_reward,
    final_value_loss,
    learned,
    median_time_to_learn,
    reward_to_learn,
    times_to_learn,
)
from pwm.core.task import TaskConfig, reward_levels
from tests.support.histories import made_up, of_rewards

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
        (TaskConfig(stimulus_set="pwm5", episode_length=60), 500, 0.644365),
        (TaskConfig(stimulus_set="pwm0", episode_length=60), 500, 0.52),
        # 2,500 trials: standard errors twice as large
        (TaskConfig(stimulus_set="pwm5", episode_length=15), 500, 0.66373),
        (TaskConfig(stimulus_set="pwm0", episode_length=15), 500, 0.54),
        # 20 trials of 3 steps are as many as 30 of 2
        (TaskConfig(stimulus_set="pwm0", trial_length=2, episode_length=40), 500, 0.52),
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
def test_chance_does_not_pass_for_learning(
    stimulus_set: str, ceiling: float, episode_length: int
) -> None:
    task = TaskConfig(stimulus_set=stimulus_set, episode_length=episode_length)
    trials = 500 * task.num_trials
    assert binom.sf(reward_to_learn(task, 500) * trials, trials, ceiling) < 1e-4


# Points at which the threshold is a binary fraction: 64 trials, 0.5 + 4 sqrt(0.25 / 64), and
# 240 trials, 0.625 + 4 sqrt(0.234375 / 240).
@pytest.mark.parametrize(
    ("task", "episodes"),
    [
        (TaskConfig(stimulus_set="pwm0", episode_length=3), 64),
        (TaskConfig(stimulus_set="pwm5", episode_length=9), 80),
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
    assert learned(history, TaskConfig(stimulus_set="pwm0")).tolist() == [True, True, True]
    assert learned(history, TaskConfig(stimulus_set="pwm5")).tolist() == [False, False, True]


def test_only_the_last_500_episodes_count() -> None:
    episode = list(range(10, 1001, 10))
    early, late = [1.0] * 50 + [0.5] * 50, [0.0] * 50 + [0.75] * 50
    history = of_rewards(episode, [early, late])
    assert final_reward(history).tolist() == [0.5, 0.75]
    assert learned(history, TaskConfig(stimulus_set="pwm5")).tolist() == [False, True]


def test_a_run_shorter_than_that_counts_whole() -> None:
    history = of_rewards([100, 200], [[0.0, 1.0], [1.0, 1.0]])
    assert final_reward(history).tolist() == [0.5, 1.0]
    # 200 episodes of 20 trials: 0.625 + 4 sqrt(0.234375 / 4000) = 0.6556
    edge = of_rewards([100, 200], [[0.65, 0.65], [0.66, 0.66]])
    assert learned(edge, TaskConfig(stimulus_set="pwm5")).tolist() == [False, True]


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


# Differences of rates


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        # the examples of Newcombe (1998), table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((5, 56), (0, 29), -0.0381, 0.1926),
    ],
)
def test_the_difference_of_two_rates_has_newcombes_interval(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    difference = rate_difference(success_rate(*one), success_rate(*other))
    assert difference.value == pytest.approx(one[0] / one[1] - other[0] / other[1])
    assert (difference.low, difference.high) == pytest.approx((low, high), abs=6e-5)


@given(*[st.integers(1, 50).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))] * 2)
def test_a_difference_turned_round_is_its_negative(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    there = rate_difference(success_rate(*one), success_rate(*other))
    back = rate_difference(success_rate(*other), success_rate(*one))
    assert (back.value, back.low, back.high) == pytest.approx(
        (-there.value, -there.high, -there.low)
    )
    assert there.low <= there.value <= there.high


def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    held = 0
    for one, other in zip(
        random.binomial(24, 0.7, 2000), random.binomial(24, 0.4, 2000), strict=True
    ):
        interval = rate_difference(success_rate(int(one), 24), success_rate(int(other), 24))
        held += interval.low <= 0.3 <= interval.high
    assert 0.93 < held / 2000 < 0.98  # 0.95, and four standard errors of 0.005 either way


# Interquartile means


def test_the_interquartile_mean_is_that_of_the_middle_half() -> None:
    random = np.random.default_rng(0)
    values = np.array([1000.0, 1.0, 2.0, 3.0, 4.0, -500.0, 5.0, 900.0])
    # a quarter of the eight on either side is left out: 2, 3, 4, 5 remain
    assert interquartile_mean(values, random).value == 3.5
    constant = interquartile_mean(np.full(24, 0.5), random)
    assert (constant.value, constant.low, constant.high) == (0.5, 0.5, 0.5)
    alone = interquartile_mean(np.array([0.5]), random)
    assert (alone.value, alone.low, alone.high) == (0.5, -inf, inf)


def test_the_bootstrap_is_the_generators_alone() -> None:
    values = np.random.default_rng(1).random(24)
    once, again, other = (
        interquartile_mean(values, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert once == again != other


def test_the_bootstrap_interval_is_that_of_resampling_by_hand() -> None:
    values = np.sort(np.random.default_rng(1).random(24))
    interval = interquartile_mean(values, np.random.default_rng(0))
    random = np.random.default_rng(2)
    means = [np.sort(random.choice(values, 24))[6:18].mean() for _ in range(20_000)]
    # percentiles of some 10,000 resamples are good to a few hundredths of the interval
    width = interval.high - interval.low
    assert interval.low == pytest.approx(np.quantile(means, 0.025), abs=0.04 * width)
    assert interval.high == pytest.approx(np.quantile(means, 0.975), abs=0.04 * width)
    narrow = interquartile_mean(values, np.random.default_rng(0), confidence=0.5)
    assert interval.low < narrow.low < narrow.value < narrow.high < interval.high


# Times to learn


def test_a_replica_has_learned_when_500_episodes_first_meet_the_criterion() -> None:
    task = TaskConfig(
        stimulus_set="pwm5", episode_length=60
    )  # learned above 0.6444 over 500 episodes
    rewards = np.full((4, 30), 0.6)
    rewards[0, 10:] = 0.7  # windows of 100: 0.6444 is passed by three of five, after the 13th
    rewards[1, 10:15] = 0.7  # and forgets it again
    rewards[2, 29] = 0.8  # too late, and too little
    history = of_rewards(list(range(100, 3001, 100)), rewards.tolist())
    times = times_to_learn(history, task)
    assert times.learned.tolist() == [True, True, False, False]
    assert times.episode.tolist() == [1300, 1300, 3000, 3000]


@given(st.integers(0, 2**32 - 1))
def test_times_to_learn_are_those_of_looking_at_every_moment(seed: int) -> None:
    random = np.random.default_rng(seed)
    task = TaskConfig(stimulus_set="pwm0", episode_length=6)
    walk = 0.5 + 0.02 * random.normal(size=(3, 80)).cumsum(axis=1)
    history = of_rewards(list(range(50, 4001, 50)), np.clip(walk, 0, 1).tolist())
    times = times_to_learn(history, task)
    for replica, rewards in enumerate(history.reward.astype(np.float64)):
        moments = [
            50 * end
            for end in range(10, 81)
            if rewards[end - 10 : end].mean() > reward_to_learn(task, 500)
        ]
        assert times.learned[replica] == bool(moments)
        assert times.episode[replica] == (moments[0] if moments else 4000)


def test_a_short_history_is_one_window() -> None:
    history = of_rewards([100, 200], [[0.9, 0.9], [0.5, 0.5]])
    times = times_to_learn(history, TaskConfig(stimulus_set="pwm5", episode_length=60))
    assert times.learned.tolist() == [True, False]
    assert times.episode.tolist() == [200, 200]


def test_the_last_moment_of_the_times_is_the_criterion_itself() -> None:
    history, task = made_up(40, 100), TaskConfig(stimulus_set="pwm0", episode_length=6)
    times = times_to_learn(history, task)
    assert times.learned[learned(history, task)].all()


def test_the_median_time_counts_those_that_never_learned_as_later_than_all() -> None:
    def median_of(*episodes: float) -> float:
        times = np.array(episodes)
        seen = np.isfinite(times)
        return median_time_to_learn(
            TimesToLearn(np.where(seen, times, 9999).astype(np.int64), seen)
        ).value

    assert median_of(300, 100, 200) == 200
    assert median_of(300, 100, inf) == 300
    assert median_of(300, 100, inf, inf) == 300  # half have learned by then
    assert median_of(300, inf, inf) == inf
    assert median_of(inf) == inf


def test_the_interval_of_the_median_is_of_order_statistics() -> None:
    # With 24 seeds the true median is between the 7th and the 18th time in all but
    # 2 P(at most 6 of 24 heads) = 2.3% of cases; 8th and 17th would leave 6.4%.
    assert 2 * sum(comb(24, heads) for heads in range(7)) / 2**24 < 0.05
    assert 2 * sum(comb(24, heads) for heads in range(8)) / 2**24 > 0.05
    times = TimesToLearn(np.arange(100, 2500, 100), np.ones(24, bool))
    assert median_time_to_learn(times) == (1200, 700, 1800)
    half = TimesToLearn(np.arange(100, 2500, 100), np.arange(24) < 15)
    assert median_time_to_learn(half) == (1200, 700, inf)
    few = TimesToLearn(np.array([5, 10]), np.ones(2, bool))
    assert median_time_to_learn(few) == (5, -inf, inf)
