"""Running means and variances of returns and rewards, and training on scaled returns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pwm.core.agent import AgentConfig
from pwm.core.rollout import Draws, Rollout
from pwm.core.task import TaskConfig
from pwm.runs.engines import EngineName, make_trainer
from pwm.training.config import TrainConfig
from pwm.training.draws import DrawSource
from pwm.training.loss_config import Baseline, LossConfig, Returns
from pwm.training.parameters import Layout
from pwm.training.tracking import Tracked, track
from pwm.training.trainer import Trainer
from tests.oracles.plain_returns import moments, returns_by_double_loop

QUICK = TrainConfig(
    task=TaskConfig(episode_length=18),
    agent=AgentConfig(hidden_size=5),
    loss=LossConfig(baseline="detached"),
    num_episodes=20,
    log_every=1,
)
NOT_RAW: tuple[Returns, ...] = ("centred", "standardised")
MOMENTS = [
    Tracked.RETURN_MEAN, Tracked.RETURN_VARIANCE, Tracked.REWARD_MEAN, Tracked.REWARD_VARIANCE
]  # fmt: skip


def test_tracking_worked_out_by_hand() -> None:
    tracked = torch.zeros(1, len(Tracked), dtype=torch.float64)
    # The first episode counts fully: means 1 and 3, variances 1 and 4.
    track(tracked, torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 5.0]]), 0.1)
    assert tracked[0].tolist() == [1, 3, 4, 1, 1, 0, 0]
    # The second counts half. Rewards 0, 2, 4, 4: mean 2.5, variance 2.75. Returns 1, 5, 9, 9:
    # mean 6, variance 11.
    track(tracked, torch.tensor([[4.0, 4.0]]), torch.tensor([[9.0, 9.0]]), 0.1)
    assert tracked[0].tolist() == [2, 6, 11, 2.5, 2.75, 0, 0]
    # At rate 1, the third alone.
    track(tracked, torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 5.0]]), 1.0)
    assert tracked[0].tolist() == [3, 3, 4, 0, 0, 0, 0]


@given(
    seed=st.integers(0, 2**32 - 1),
    episodes=st.sampled_from([1, 2, 7, 100, 250]),
    rate=st.sampled_from([0.01, 0.1, 1.0]),
)
def test_what_is_tracked_is_a_weighted_average_of_the_history(
    seed: int, episodes: int, rate: float
) -> None:
    random = np.random.default_rng(seed)
    drift = 10 * random.normal(size=(episodes, 1, 1)).cumsum(axis=0)
    rewards, returns = drift + random.normal(size=(2, episodes, 2, 3))  # (E, R, T) each
    tracked = torch.zeros(2, len(Tracked), dtype=torch.float64)
    for each in zip(rewards, returns, strict=True):
        of_rewards, of_returns = map(torch.from_numpy, each)
        track(tracked, of_rewards, of_returns, rate)
    for replica in range(2):
        terms = returns[:, replica], rewards[:, replica]
        expected = [moment for each in terms for moment in moments(list(each), rate)]
        assert tracked[replica, Tracked.EPISODES].item() == episodes
        assert tracked[replica, MOMENTS].tolist() == pytest.approx(expected, rel=1e-9)
        if episodes * rate <= 1:  # then all episodes weigh the same
            assert expected[0] == pytest.approx(returns[:, replica].mean())
            assert expected[3] == pytest.approx(rewards[:, replica].var())


class Watched:
    """A run trained episode by episode, with each episode as played before its update."""

    def __init__(self, run: TrainConfig, engine: EngineName) -> None:
        self.trainer = make_trainer([run], engine)
        layout = Layout(run.agent, run.task.num_stimuli)
        rollout = Rollout(run.task, run.agent)
        source = DrawSource(run.task, (run.seed,))
        self.rewards: list[NDArray[np.float64]] = []
        self.returns: list[NDArray[np.float64]] = []
        self.outputs: list[NDArray[np.float64]] = []  # of the value head
        self.tracked: list[NDArray[np.float32]] = []  # after each update
        for _ in range(run.num_episodes):
            trials, noise = source.next(1)
            with torch.no_grad():
                episode = rollout.play(
                    layout.weights(self.trainer.parameters), Draws(trials[0], noise[0])
                )
            rewards = episode.rewards.flatten().double()
            returns = returns_by_double_loop(rewards.tolist(), run.loss.discount)
            self.rewards.append(rewards.numpy())
            self.returns.append(np.array(returns))
            self.outputs.append(episode.values.flatten().double().numpy())
            self.trainer.advance(1)
            self.tracked.append(self.trainer.engine.state()["tracked"][0])


@pytest.mark.parametrize("discount", [1.0, 0.9])
@pytest.mark.parametrize("returns", NOT_RAW)
def test_an_episode_is_centred_by_those_before_it_and_logged_in_reward(
    returns: Returns, discount: float, engine: EngineName
) -> None:
    task = TaskConfig(episode_length=18, reward=2.0, hold_reward=0.25)
    loss = replace(QUICK.loss, returns=returns, discount=discount)
    watched = Watched(replace(QUICK, task=task, loss=loss), engine)
    history = watched.trainer.history()
    centre, spread = 0.0, 1.0  # of the first episode
    for number, outputs in enumerate(watched.outputs):
        values = centre + spread * outputs
        errors = values - watched.returns[number]
        assert history.value_loss[0, number] == pytest.approx((errors**2).mean(), rel=1e-4)
        assert history.critic_bias[0, number] == pytest.approx(errors.mean(), abs=1e-5)
        centre, variance = moments(watched.returns[: number + 1], loss.tracking_rate)
        of_rewards = moments(watched.rewards[: number + 1], loss.tracking_rate)
        seen = watched.tracked[number]
        assert seen[Tracked.EPISODES] == number + 1
        assert seen[MOMENTS] == pytest.approx([centre, variance, *of_rewards], rel=1e-4)
        if returns == "standardised":
            spread = variance**0.5


def test_raw_returns_are_not_tracked(engine: EngineName) -> None:
    trainer, other = make_trainer([QUICK], engine), make_trainer([QUICK], engine)
    trainer.advance(5)
    state = trainer.state()
    assert not state["tracked"].any()
    other.restore(state | {"tracked": np.full_like(state["tracked"], 17)})
    for each in (trainer, other):
        each.advance(5)
    assert torch.equal(trainer.parameters, other.parameters)


def with_reward(run: TrainConfig, reward: float) -> TrainConfig:
    return replace(run, task=replace(run.task, reward=reward))


def at_the_same_state(run: TrainConfig, reward: float, engine: EngineName) -> Trainer:
    """A trainer with another reward, in the run's state after ten episodes."""
    start = make_trainer([run], engine)
    start.advance(10)
    other = make_trainer([with_reward(run, reward)], engine)
    other.restore(start.state())
    return other


@pytest.mark.parametrize("returns", NOT_RAW)
def test_the_rewards_of_an_episode_do_not_change_its_baseline(
    returns: Returns, engine: EngineName
) -> None:
    # So the baseline does not depend on the actions, and the policy's gradient is unbiased.
    run = replace(QUICK, loss=replace(QUICK.loss, returns=returns))
    draws = Draws(*(part[0] for part in DrawSource(run.task, (5,)).next(1)))
    returns_by_episode = Watched(replace(run, num_episodes=11), engine).returns
    seen = []
    for reward in (1.0, 100.0):
        trainer = at_the_same_state(run, reward, engine)
        weights = np.ones(1, np.float32)
        _, played = trainer.engine.differentiate(draws, run.loss, weights)
        trainer.advance(1)
        history = trainer.history()
        mean_return = reward * returns_by_episode[10].mean()
        seen.append((played, history.critic_bias[0, -1] + mean_return, mean_return))
    (one, value, mean_return), (other, other_value, other_mean_return) = seen
    assert np.array_equal(one.values, other.values)
    assert not np.array_equal(one.returns, other.returns)
    # The same in the episode that is trained on.
    assert other_mean_return == 100 * mean_return > 0
    assert other_value == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("baseline", ["attached", "detached"])
@pytest.mark.parametrize("exponent", [-4, 7])
def test_standardised_training_does_not_depend_on_the_unit_of_reward(
    exponent: int, baseline: Baseline, engine: EngineName
) -> None:
    # Bit for bit with powers of 2, once the statistics are in the new unit. The first episode of a
    # run is not standardised, and does depend on the unit.
    loss = replace(QUICK.loss, baseline=baseline, returns="standardised", discount=0.9)
    run = replace(QUICK, loss=loss)
    one = at_the_same_state(run, 1.0, engine)
    other = make_trainer([with_reward(run, 2.0**exponent)], engine)
    state = one.state()
    for column in (Tracked.RETURN_MEAN, Tracked.REWARD_MEAN):
        state["tracked"][:, column] *= 2.0**exponent
        state["tracked"][:, column + 1] *= 4.0**exponent
    other.restore(state)
    for trainer in (one, other):
        trainer.advance(10)
    assert torch.equal(one.parameters, other.parameters)
    ours, scaled = one.history(), other.history()
    units = {"reward": 1, "entropy": 1, "policy_loss": 2, "critic_bias": 2, "value_loss": 4}
    for name, base in units.items():
        expected = getattr(ours, name)[0, 10:] * np.float32(float(base) ** exponent)
        assert np.array_equal(getattr(scaled, name)[0, 10:], expected), name


def test_the_first_standardised_episode_depends_on_the_unit_of_reward(engine: EngineName) -> None:
    run = replace(QUICK, loss=replace(QUICK.loss, returns="standardised"), seed=1)
    trainers = [make_trainer([with_reward(run, reward)], engine) for reward in (1.0, 2.0)]
    for trainer in trainers:
        trainer.advance(1)
    assert not torch.equal(trainers[0].parameters, trainers[1].parameters)


@pytest.mark.parametrize("returns", NOT_RAW)
def test_what_is_tracked_is_saved_and_restored(returns: Returns, engine: EngineName) -> None:
    run = replace(QUICK, loss=replace(QUICK.loss, returns=returns))
    whole, stopped, resumed = (make_trainer([run], engine) for _ in range(3))
    whole.advance(20)
    stopped.advance(10)
    state = stopped.state()
    assert state["tracked"].shape == (1, len(Tracked))
    resumed.restore(state)
    resumed.advance(10)
    assert torch.equal(resumed.parameters, whole.parameters)
    # Without the statistics, the run continues differently.
    forgetful = make_trainer([run], engine)
    forgetful.restore(state | {"tracked": np.zeros_like(state["tracked"])})
    forgetful.advance(10)
    assert not torch.equal(forgetful.parameters, whole.parameters)
