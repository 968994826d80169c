"""What gradients are diagnosed to be: against plain sums, and without a trace on training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.diagnostics import DIAGNOSTICS, Probe, Steps
from pwm.core.history import METRICS, History
from pwm.core.losses import LossConfig
from pwm.core.rollout import Draws, DrawSource
from pwm.core.task import TaskConfig, observation_table, trial_states
from pwm.core.trainer import Trainer
from pwm.engines import EngineName, make_trainer
from tests.support.training import history_of, settings_of_runs, trained

QUICK = TrainConfig(
    task=TaskConfig(episode_length=9),
    agent=AgentConfig(hidden_size=5),
    num_episodes=10,
    log_every=4,
    probe_episodes=6,
    critic_weight=2.0,
)


def gradients_by_part(trainer: Trainer) -> list[list[NDArray[np.float64]]]:
    """Of the policy, the critic and the leak by the trunk, of each episode of the first probe.

    In the torch core, where what is to have no gradient is detached by hand.
    """
    run = trainer.runs[0]
    draws = DrawSource(run.task, (run.seed,), of_probes=True).next(run.probe_episodes)
    found = []
    for trials, noise in zip(draws.trials, draws.noise, strict=True):
        episode = trainer._rollout.play(trainer.parameters, Draws(trials, noise))
        returns = torch.from_numpy(np.cumsum(episode.rewards.numpy().ravel()[::-1])[::-1].copy())
        log_probs, values = episode.log_probs.flatten(), episode.values.flatten()
        advantages = returns - values
        parts = (
            -(advantages.detach() * log_probs).sum(),
            run.critic_weight * (advantages**2).mean(),
            -(advantages * log_probs.detach()).sum(),
        )
        found.append(
            [
                torch.autograd.grad(part, trainer.parameters, retain_graph=True)[0][
                    0, : trainer._trunk.stop
                ]
                .double()
                .numpy()
                for part in parts
            ]
        )
    return found


def test_norms_angle_and_noise_are_those_of_the_parts_one_by_one(engine: EngineName) -> None:
    trainer = make_trainer([QUICK], engine)
    trainer.advance(4)
    reference = Trainer([QUICK])
    with torch.no_grad():
        reference.parameters.copy_(trainer.parameters)
    policy, critic, leak = map(np.array, zip(*gradients_by_part(reference), strict=True))
    squares = [np.mean([part @ part for part in parts]) for parts in (policy, critic, leak)]
    inner = np.mean([one @ other for one, other in zip(policy, critic, strict=True)])
    noise = np.trace(np.cov(policy.T))
    mean = policy.mean(axis=0)
    found = {name: curve[0, 0] for name, curve in trainer.history().diagnostics.items()}
    assert found["policy_norm"] == pytest.approx(np.sqrt(squares[0]), rel=1e-5)
    assert found["critic_norm"] == pytest.approx(np.sqrt(squares[1]), rel=1e-5)
    assert found["leak_norm"] == pytest.approx(np.sqrt(squares[2]), rel=1e-5)
    whole = np.mean([part @ part for part in policy + critic + leak])
    assert found["total_norm"] == pytest.approx(np.sqrt(whole), rel=1e-5)
    cosine = inner / np.sqrt(squares[0] * squares[1])
    assert found["cosine"] == pytest.approx(cosine, rel=1e-4)
    ratio = (mean @ mean - noise / len(policy)) / noise
    assert found["signal_to_noise"] == pytest.approx(ratio, rel=1e-4)


@given(settings_of_runs(most_trials=5, most_units=9), st.sampled_from([0.0, 0.3, 5.0]))
def test_the_parts_make_up_the_gradient(
    engine: EngineName, run: TrainConfig, critic_weight: float
) -> None:
    # By linearity: with entropy and optimism in the policy's part, and the leak wherever it goes.
    run = replace(
        run,
        loss=replace(run.loss, lost_gradients="none"),
        critic_weight=critic_weight,
        probe_episodes=2,
    )
    trainer = make_trainer([run], engine)
    draws = DrawSource(run.task, (run.seed,)).next(1)
    first = Draws(draws.trials[0], draws.noise[0])
    whole, _ = trainer._differentiate(first, run.loss, torch.tensor([critic_weight]))
    parts = [
        trainer._differentiate(first, loss, weights)[0].astype(np.float64)
        for loss, weights in trainer._parts()
    ]
    scale = max(np.abs(part).max() for part in parts)
    np.testing.assert_allclose(sum(parts), whole, atol=3e-5 * max(scale, 1e-3))


def test_a_detached_baseline_leaks_nothing_and_separate_trunks_share_nothing(
    engine: EngineName,
) -> None:
    detached = history_of(
        [replace(QUICK, loss=LossConfig(baseline="detached"))], engine
    ).diagnostics
    assert (detached["leak_norm"] == 0)[:, :-1].all()
    assert (detached["critic_norm"] > 0)[:, :-1].all()
    apart = replace(QUICK, agent=AgentConfig(hidden_size=5, separate_trunks=True))
    assert (history_of([apart], engine).diagnostics["cosine"] == 0)[:, :-1].all()
    assert np.abs(history_of([QUICK], engine).diagnostics["cosine"])[:, :-1].min() > 0


def test_what_leaks_into_the_head_alone_is_not_of_the_trunk(engine: EngineName) -> None:
    head, trunk = (
        history_of([replace(QUICK, loss=LossConfig(baseline=baseline))], engine).diagnostics[
            "leak_norm"
        ]
        for baseline in ("attached_head", "attached_trunk")
    )
    assert (head == 0)[:, :-1].all()
    assert (trunk > 0)[:, :-1].all()


def test_probes_leave_training_as_it_is(engine: EngineName) -> None:
    runs = [replace(QUICK, seed=seed) for seed in (0, 1)]
    probed = trained(runs, engine)
    plain = trained([replace(run, probe_episodes=0) for run in runs], engine)
    assert torch.equal(probed.parameters, plain.parameters)
    assert plain.history().diagnostics == {}
    for name in METRICS:
        assert np.array_equal(getattr(probed.history(), name), getattr(plain.history(), name))


def test_windows_that_end_are_diagnosed(engine: EngineName) -> None:
    history = history_of([QUICK, replace(QUICK, seed=1)], engine)
    assert history.episode.tolist() == [4, 8, 10]
    assert tuple(history.diagnostics) == DIAGNOSTICS
    for curve in history.diagnostics.values():
        assert np.isfinite(curve[:, :2]).all()
        assert np.isnan(curve[:, 2]).all()


def test_engines_diagnose_the_same() -> None:
    # Before training lets roundings grow: after one episode.
    runs = [replace(QUICK, log_every=1, num_episodes=1, seed=seed) for seed in range(4)]
    ours, theirs = (history_of(runs, engine).diagnostics for engine in ("fused", "torch"))
    for name in DIAGNOSTICS:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize(
    "run",
    [
        replace(QUICK, agent=AgentConfig(hidden_size=5, carry_state=True)),
        replace(QUICK, task=TaskConfig(episode_length=9, timeout=True)),
    ],
)
def test_what_past_trials_may_tell_is_not_diagnosed(run: TrainConfig, engine: EngineName) -> None:
    found = history_of([run], engine).diagnostics
    for name in ("return_variance", "covariance"):
        assert np.isnan(found[name]).all()
    assert np.isfinite(found["explained_variance"][:, :-1]).all()


@st.composite
def met(draw: st.DrawFn) -> tuple[NDArray[np.int64], list[NDArray[np.int64]], list[Steps]]:
    """States of a task, and pairs and steps of a few made-up episodes of one replica."""
    task = TaskConfig(stimulus_set="pwm5", trial_length=draw(st.integers(2, 4)))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    trials = [random.integers(8, size=(1, 3)) for _ in range(draw(st.integers(2, 6)))]
    shape = (1, 3 * task.trial_length)
    steps = [
        Steps(*(random.normal(size=shape).astype(np.float32) for _ in Steps._fields))
        for _ in trials
    ]
    return trial_states(task), trials, steps


@given(met())
def test_variances_are_those_of_a_plain_loop(
    episodes: tuple[NDArray[np.int64], list[NDArray[np.int64]], list[Steps]],
) -> None:
    states, trials, steps = episodes
    probe = Probe(states)
    for pairs, part in zip(trials, steps, strict=True):
        probe.add([np.ones((1, 2), np.float32)] * 3, pairs, part)
    found = dict(zip(DIAGNOSTICS, probe.diagnostics()[:, 0], strict=True))

    groups: dict[int, list[tuple[float, float]]] = {}
    returns, errors = [], []
    for pairs, part in zip(trials, steps, strict=True):
        for time in range(part.returns.shape[1]):
            trial, step = divmod(time, states.shape[1])
            state = states[pairs[0, trial], step]
            gain, log_prob = float(part.returns[0, time]), float(part.log_probs[0, time])
            groups.setdefault(state, []).append((gain, log_prob))
            returns.append(gain)
            errors.append(gain - float(part.values[0, time]))
    several = [np.array(group).T for group in groups.values() if len(group) > 1]
    number = sum(group.shape[1] for group in several)
    variance = sum(np.cov(group)[0, 0] * group.shape[1] for group in several) / number
    covariance = sum(np.cov(group)[0, 1] * group.shape[1] for group in several) / number
    assert found["return_variance"] == pytest.approx(variance, rel=1e-9)
    length = steps[0].returns.shape[1]
    assert found["covariance"] == pytest.approx(length * covariance, rel=1e-6, abs=1e-9)
    explained = 1 - np.var(errors) / np.var(returns)
    assert found["explained_variance"] == pytest.approx(explained, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("value", "explained"), [(2.0, np.nan), (3.0, -np.inf)])
def test_a_return_that_never_varies_cannot_be_explained(value: float, explained: float) -> None:
    probe = Probe(None)
    same = np.full((1, 6), 2, np.float32)
    for other in (2.0, value):
        steps = Steps(same, np.full((1, 6), other, np.float32), same)
        probe.add([np.zeros((1, 2), np.float32)] * 3, np.zeros((1, 2), np.int64), steps)
    found = dict(zip(DIAGNOSTICS, probe.diagnostics()[:, 0], strict=True))
    assert found["explained_variance"] == pytest.approx(explained, nan_ok=True)
    assert np.isnan(found["signal_to_noise"])
    assert found["policy_norm"] == 0


@given(st.integers(2, 5), st.sampled_from(["pwm0", "pwm5", "pwm7"]))
def test_trials_are_in_one_state_while_they_have_shown_the_same(length: int, name: str) -> None:
    task = TaskConfig(stimulus_set=name, trial_length=length, episode_length=30)
    states, shown = trial_states(task), observation_table(task)
    assert set(states.ravel()) == set(range(states.max() + 1))
    for step in range(length):
        for one in range(len(states)):
            for other in range(len(states)):
                alike = np.array_equal(shown[one, : step + 1], shown[other, : step + 1])
                assert (states[one, step] == states[other, step]) == alike
    assert (np.diff(states, axis=1) > 0).all()


def test_a_history_has_all_diagnostics_or_none() -> None:
    history = history_of([QUICK])
    with pytest.raises(ValueError, match="history"):
        replace(history, diagnostics={"cosine": history.diagnostics["cosine"]})
    few = history.select([0])
    assert isinstance(few, History)
    assert tuple(few.diagnostics) == DIAGNOSTICS
