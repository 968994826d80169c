"""The fused engine agrees with the torch engine, which defines what it computes."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pwm.core.agent import VALUE, Agent, AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.history import METRICS, History
from pwm.core.losses import LossConfig, episode_losses
from pwm.core.returns import discounted_returns
from pwm.core.rollout import Draws, DrawSource, Episode, Rollout
from pwm.core.task import TaskConfig
from pwm.core.update import TorchEngine
from pwm.engines import EngineName, make_trainer
from pwm.fused import engine as fused_engine
from pwm.fused.engine import FusedEngine
from tests.support.training import history_of, settings_of_runs

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
    """One episode in PyTorch, in double precision."""

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
        log_probs, entropies, advantages, head_advantages, run.critic_weight, run.loss
    )
    (gradient,) = torch.autograd.grad(losses.total, doubles)
    metrics = (
        episode.rewarded.mean(),
        losses.value,
        losses.policy,
        entropies.mean(),
        -advantages.mean(),
    )
    return Reference(episode, gradient[0], [metric.item() for metric in metrics])


def first_draws(run: TrainConfig) -> Draws:
    """Random draws for a run's first episode, trials [1, 1, N] and noise [1, 1, N, L]."""
    return DrawSource(run.task, (run.seed,)).next(1)


@settings(max_examples=150)
@given(run=RUNS, scale=st.sampled_from([1.0, 4.0]))
def test_an_episode_and_its_gradient_agree_with_pytorch(run: TrainConfig, scale: float) -> None:
    engine, draws = FusedEngine((run,)), first_draws(run)
    engine.parameters *= scale  # further from uniform policies
    expected = reference(run, engine.parameters, Draws(draws.trials[0], draws.noise[0]))
    metrics = engine.train(draws)[0, :, 0]

    work, episode = engine.work, expected.episode
    assert np.array_equal(work.action, episode.actions.flatten())
    assert np.array_equal(work.reward, episode.rewards.flatten())
    rows = work.row
    for ours, theirs in (
        (work.heads[-1, rows, VALUE], episode.values),
        (work.log_policy[rows, work.action], episode.log_probs),
        (work.entropy[rows], episode.entropies),
    ):
        np.testing.assert_allclose(ours, theirs.detach().flatten(), rtol=1e-5, atol=2e-6)
    # Terms of a mean over steps may cancel, so the error is relative to the terms.
    np.testing.assert_allclose(metrics, expected.metrics, rtol=1e-5, atol=1e-5)
    # An element of the gradient is a sum over steps of products, each rounded a few times.
    error = np.abs(work.gradient - expected.gradient.numpy())
    assert error.max() <= 2e-5 * max(float(expected.gradient.abs().max()), 1e-3)


@given(run=RUNS)
def test_a_probed_episode_agrees_with_pytorch(run: TrainConfig) -> None:
    runs, draws = (
        (run, replace(run, seed=run.seed + 1)),
        DrawSource(run.task, (run.seed, 9)).next(1),
    )
    found = [
        engine(runs).differentiate(
            Draws(draws.trials[0], draws.noise[0]), run.loss, np.ones(2, np.float32)
        )
        for engine in (FusedEngine, TorchEngine)
    ]
    for ours, theirs in zip(*(trajectory for _, trajectory in found), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)
    steps = run.task.num_trials * run.task.trial_length
    assert found[0][1].hidden.shape == (2, steps, run.agent.hidden_size)


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


def assert_close(one: History, other: History) -> None:
    """Asserts that the metrics of two histories agree."""
    for name in METRICS:
        ours, theirs = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("run", UPDATES.values(), ids=UPDATES.keys())
def test_fifty_updates_agree_with_the_torch_engine(run: TrainConfig) -> None:
    runs = [
        replace(run, num_episodes=50, seed=seed, learning_rate=rate)
        for seed, rate in ((0, 0.002), (1, 0.005), (2, 0.01))
    ]
    fused, in_torch = make_trainer(runs, "fused"), make_trainer(runs, "torch")
    start = fused.parameters.clone()
    assert torch.equal(start, in_torch.parameters)
    for trainer in (in_torch, fused):
        trainer.advance(50)
    assert_close(fused.history(), in_torch.history())
    torch.testing.assert_close(fused.parameters, in_torch.parameters.detach(), rtol=0, atol=1e-3)
    assert (fused.parameters - start).abs().max() > 0.05


@pytest.mark.parametrize("carry_state", [False, True])
def test_either_engine_continues_where_the_other_stopped(carry_state: bool) -> None:
    run = replace(
        UPDATES["detached"],
        agent=AgentConfig(hidden_size=5, carry_state=carry_state),
        num_episodes=20,
    )
    whole = history_of([run], "torch")
    pairs: tuple[tuple[EngineName, EngineName], ...] = (("torch", "fused"), ("fused", "torch"))
    for first, second in pairs:
        one, other = make_trainer([run], first), make_trainer([run], second)
        one.advance(11)
        other.restore(one.state())
        other.advance(20)
        assert_close(other.history(), whole)


@pytest.mark.parametrize("carry_state", [False, True])
def test_a_diverging_run_does_not_disturb_the_others(carry_state: bool) -> None:
    agent = AgentConfig(hidden_size=5, carry_state=carry_state)
    healthy = replace(QUICK, agent=agent, num_episodes=40, seed=1)
    diverging = replace(healthy, learning_rate=1e30)
    history, alone = history_of([diverging, healthy, diverging]), history_of([healthy])
    assert not np.isfinite(history.value_loss[0, -1])
    assert np.array_equal(history.value_loss[0], history.value_loss[2], equal_nan=True)
    assert np.isfinite(history.reward).all()
    for name in METRICS:
        assert np.array_equal(getattr(history, name)[1], getattr(alone, name)[0])


def test_runaway_values_are_no_trouble() -> None:
    # With an attached baseline and no value loss, nothing restrains the values.
    run = TrainConfig(critic_weight=0.0, learning_rate=0.01, num_episodes=4000, log_every=100)
    history = history_of([run])
    assert history.value_loss[0, -1] > 1000
    assert np.isfinite(history.entropy).all()
    assert (history.reward >= 0).all()
    assert (history.reward <= 1).all()


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("METRICS", (*METRICS, "gradient_norm")),
        ("METRICS", METRICS[::-1]),
        ("GATES", ("input", "forget", "output", "cell")),
        ("NUM_OUTPUTS", 5),
        ("VALUE", 0),
        ("Action", IntEnum("Action", ["LEFT", "HOLD", "RIGHT"], start=0)),
    ],
)
def test_constants_that_differ_from_the_cores_are_refused(
    name: str, changed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_engine, name, changed)
    with pytest.raises(ValueError, match="the fused engine computes"):
        FusedEngine((QUICK,))
