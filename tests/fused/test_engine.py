"""The fused engine against the torch core, which defines what it computes."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pwm.core.agent import Agent, AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.errors import InputError
from pwm.core.history import METRICS
from pwm.core.losses import LossConfig, discounted_returns, episode_losses
from pwm.core.rollout import Draws, DrawSource, Episode, Rollout
from pwm.core.task import TaskConfig
from pwm.core.trainer import Trainer
from pwm.fused.engine import FusedEngine
from tests.support.training import settings_of_runs

QUICK = TrainConfig(
    task=TaskConfig(episode_length=9),
    agent=AgentConfig(hidden_size=5),
    num_episodes=10,
    log_every=1,
)


RUNS = st.builds(
    replace,
    settings_of_runs(most_trials=12, most_units=33),
    critic_weight=st.sampled_from([0.0, 0.05, 3.0, 20.0]),
    num_episodes=st.just(1),
    log_every=st.just(1),
    seed=st.integers(0, 1000),
)


class Reference(NamedTuple):
    """What one episode is in the torch core, in double precision."""

    episode: Episode
    gradient: Tensor  # (P,)
    metrics: list[float]


def reference(run: TrainConfig, parameters: Tensor, draws: Draws) -> Reference:
    """Plays and differentiates an episode of one replica with parameters [1, P]."""
    doubles = parameters.detach().double().requires_grad_()
    agent = Agent(run.agent, run.task.num_stimuli)
    episode = Rollout(run.task, agent).play(doubles, draws)
    returns = discounted_returns(episode.rewards.flatten(1).double(), run.loss.discount)
    advantages = returns - episode.values.flatten(1)
    entropies = episode.entropies.flatten(1)
    log_probs = episode.log_probs.flatten(1)
    head_advantages = returns - episode.head_values.flatten(1)
    losses = episode_losses(
        log_probs,
        entropies,
        advantages,
        run.critic_weight,
        run.loss,
        head_advantages=head_advantages,
    )
    (gradient,) = torch.autograd.grad(losses.total, doubles)
    metrics = (
        episode.decision_rewards.mean(),
        losses.value,
        losses.policy,
        entropies.mean(),
        -advantages.mean(),
    )
    return Reference(episode, gradient[0], [metric.item() for metric in metrics])


def first_draws(run: TrainConfig) -> Draws:
    """The chance of a run's first episode, [1, N] and [1, N, L]."""
    draws = DrawSource(run.task, (run.seed,)).next(1)
    return Draws(draws.trials[0], draws.noise[0])


@settings(max_examples=150)
@given(run=RUNS, scale=st.sampled_from([1.0, 4.0]))
def test_an_episode_and_its_gradient_are_those_of_the_torch_core(
    run: TrainConfig, scale: float
) -> None:
    trainer = FusedEngine([run])
    with torch.no_grad():
        trainer.parameters *= scale  # further from uniform policies
    expected = reference(run, trainer.parameters, first_draws(run))
    trainer.advance(1)

    work, episode = trainer._work, expected.episode
    assert np.array_equal(work.action, episode.actions.flatten())
    assert np.array_equal(work.reward, episode.rewards.flatten())
    rows = work.row
    for ours, theirs in (
        (work.heads[-1, rows, 3], episode.values),
        (work.log_policy[rows, work.action], episode.log_probs),
        (work.entropy[rows], episode.entropies),
    ):
        np.testing.assert_allclose(ours, theirs.detach().flatten(), rtol=1e-5, atol=2e-6)
    for name, metric in zip(METRICS, expected.metrics, strict=True):
        ours = getattr(trainer.history(), name)[0, 0]
        # A mean over steps may cancel: what rounding does is set by what is summed.
        assert ours == pytest.approx(metric, rel=1e-5, abs=1e-5), name
    # An element of the gradient is a sum of products over steps, each rounded a few times.
    error = np.abs(work.gradient - expected.gradient.numpy())
    assert error.max() <= 2e-5 * max(float(expected.gradient.abs().max()), 1e-3)


UPDATES = {
    "detached": replace(QUICK, loss=LossConfig(baseline="detached")),
    "mean_discounted_entropy": replace(
        QUICK,
        loss=LossConfig(
            baseline="detached", policy_reduction="mean", discount=0.9, entropy_weight=0.1
        ),
    ),
    "attached": replace(QUICK, critic_weight=20.0),
    "carried_separate": replace(
        QUICK,
        agent=AgentConfig(hidden_size=5, carry_state=True, separate_trunks=True),
        loss=LossConfig(baseline="detached"),
    ),
    "timeout": replace(
        QUICK,
        task=TaskConfig(episode_length=9, timeout=True, hold_reward=0.1),
        loss=LossConfig(baseline="detached"),
    ),
}


@pytest.mark.parametrize("run", UPDATES.values(), ids=UPDATES.keys())
def test_fifty_updates_are_those_of_the_torch_core(run: TrainConfig) -> None:
    runs = [
        replace(run, num_episodes=50, seed=seed, learning_rate=rate)
        for seed, rate in ((0, 0.002), (1, 0.005), (2, 0.01))
    ]
    torch_core, fused = Trainer(runs), FusedEngine(runs)
    start = fused.parameters.detach().clone()
    assert torch.equal(start, torch_core.parameters)
    for trainer in (torch_core, fused):
        trainer.advance(50)
    for name in METRICS:
        np.testing.assert_allclose(
            getattr(fused.history(), name),
            getattr(torch_core.history(), name),
            rtol=1e-3,
            atol=1e-3,
        )
    torch.testing.assert_close(fused.parameters, torch_core.parameters, rtol=0, atol=1e-3)
    assert (fused.parameters - start).abs().max() > 0.05


@pytest.mark.parametrize("carry_state", [False, True])
def test_either_engine_goes_on_where_the_other_stopped(carry_state: bool) -> None:
    run = replace(
        UPDATES["detached"],
        agent=AgentConfig(hidden_size=5, carry_state=carry_state),
        num_episodes=20,
    )
    whole = Trainer([run])
    whole.advance(20)
    for first, second in ((Trainer, FusedEngine), (FusedEngine, Trainer)):
        one, other = first([run]), second([run])
        one.advance(11)
        other.restore(one.state())
        other.advance(20)
        for name in METRICS:
            ours, theirs = getattr(other.history(), name), getattr(whole.history(), name)
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("carry_state", [False, True])
def test_a_run_that_diverges_goes_on_and_harms_nobody(carry_state: bool) -> None:
    agent = AgentConfig(hidden_size=5, carry_state=carry_state)
    healthy = replace(QUICK, agent=agent, num_episodes=40, seed=1)
    lost = replace(healthy, learning_rate=1e30)
    together, alone = FusedEngine([lost, healthy, lost]), FusedEngine([healthy])
    for trainer in (together, alone):
        trainer.advance(40)
    history = together.history()
    assert not np.isfinite(history.value_loss[0, -1])
    assert np.array_equal(history.value_loss[0], history.value_loss[2], equal_nan=True)
    assert np.isfinite(history.reward).all()
    for name in METRICS:
        assert np.array_equal(getattr(history, name)[1], getattr(alone.history(), name)[0])


def test_values_that_run_away_are_no_trouble() -> None:
    # Attached and without a value loss, nothing holds the values back.
    run = TrainConfig(critic_weight=0.0, learning_rate=0.01, num_episodes=4000, log_every=100)
    trainer = FusedEngine([run])
    trainer.advance(run.num_episodes)
    history = trainer.history()
    assert history.value_loss[0, -1] > 1000
    assert np.isfinite(history.entropy).all()
    assert (history.reward >= 0).all()
    assert (history.reward <= 1).all()


@pytest.mark.parametrize("device", ["cuda", "mps", "tpu9", ""])
def test_a_device_other_than_the_cpu_is_refused_by_name(device: str) -> None:
    with pytest.raises(InputError) as caught:
        FusedEngine([QUICK], device)
    assert (caught.value.name, caught.value.value) == ("device", device)
