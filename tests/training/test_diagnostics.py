"""Diagnostics agree with simple sums, and leave training unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pwm.core.agent import VALUE, AgentConfig
from pwm.core.losses import Reduction
from pwm.core.rollout import Draws, Rollout
from pwm.core.task import TaskConfig, observation_table
from pwm.runs.engines import EngineName, make_trainer
from pwm.training.config import TrainConfig
from pwm.training.diagnostics import (
    AgentProbe,
    GradientProbe,
    Trajectory,
    net_weights,
    trial_states,
)
from pwm.training.draws import DrawSource
from pwm.training.history import AGENT_DIAGNOSTICS, DIAGNOSTICS, METRICS, History
from pwm.training.loss_config import Baseline, LossConfig
from pwm.training.loss_options import bootstrapped_returns
from pwm.training.parameters import Layout
from pwm.training.trainer import Trainer
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
    """The policy's, critic's and leak's gradients in each episode of the first probe.

    They are computed in PyTorch, with tensors detached by hand.
    """
    run = trainer.runs[0]
    layout = Layout(run.agent, run.task.num_stimuli)
    rollout, parameters = Rollout(run.task, run.agent), trainer.parameters
    draws = DrawSource(run.task, (run.seed,), of_probes=True).next(run.probe_episodes)
    found = []
    for trials, noise in zip(draws.trials, draws.noise, strict=True):
        episode = rollout.play(layout.weights(parameters), Draws(trials, noise))
        returns = torch.from_numpy(np.cumsum(episode.rewards.numpy().ravel()[::-1])[::-1].copy())
        log_probs, values = episode.log_probs.flatten(), episode.values.flatten()
        advantages = returns - values
        parts = (
            -(advantages.detach() * log_probs).sum(),
            run.critic_weight * (advantages**2).mean(),
            -(advantages * log_probs.detach()).sum(),
        )
        gradients = (torch.autograd.grad(part, parameters, retain_graph=True) for part in parts)
        found.append(
            [gradient[0, : layout.trunk_size].double().numpy() for (gradient,) in gradients]
        )
    return found


def test_norms_cosine_and_noise_agree_with_the_parts_one_by_one(engine: EngineName) -> None:
    trainer = make_trainer([QUICK], engine)
    trainer.advance(4)
    reference = make_trainer([QUICK], "torch")
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
def test_the_parts_add_up_to_the_gradient(
    engine: EngineName, run: TrainConfig, critic_weight: float
) -> None:
    # For any leak; entropy bonus and optimism belong to the policy's part.
    run = replace(
        run,
        loss=replace(run.loss, lost_gradients="none"),
        critic_weight=critic_weight,
        critic_start="mean" if critic_weight == 0 else run.critic_start,
        probe_episodes=2,
    )
    trainer = make_trainer([run], engine)
    differentiate = trainer.engine.differentiate
    draws = DrawSource(run.task, (run.seed,)).next(1)
    first = Draws(draws.trials[0], draws.noise[0])
    whole, _ = differentiate(first, run.loss, np.array([critic_weight], np.float32))
    parts = [differentiate(first, *part)[0].astype(np.float64) for part in trainer.parts()]
    scale = max(np.abs(part).max() for part in parts)
    np.testing.assert_allclose(sum(parts), whole, atol=3e-5 * max(scale, 1e-3))


def test_no_leak_if_detached_and_cosine_zero_if_trunks_are_separate(
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


def test_a_leak_into_the_head_alone_does_not_reach_the_trunk(engine: EngineName) -> None:
    head, trunk = (
        history_of([replace(QUICK, loss=LossConfig(baseline=baseline))], engine).diagnostics[
            "leak_norm"
        ]
        for baseline in ("attached_head", "attached_trunk")
    )
    assert (head == 0)[:, :-1].all()
    assert (trunk > 0)[:, :-1].all()


def test_probes_leave_training_unchanged(engine: EngineName) -> None:
    runs = [replace(QUICK, seed=seed) for seed in (0, 1)]
    probed = trained(runs, engine)
    unprobed = trained([replace(run, probe_episodes=0) for run in runs], engine)
    assert torch.equal(probed.parameters, unprobed.parameters)
    assert unprobed.history().diagnostics == {}
    for name in METRICS:
        assert np.array_equal(getattr(probed.history(), name), getattr(unprobed.history(), name))


def test_probes_come_at_the_chosen_episodes(engine: EngineName) -> None:
    chosen = trained([replace(QUICK, probe_at=(4, 8), log_every=3)], engine)
    by_window = trained([QUICK], engine)  # at 4 and 8 too
    history = chosen.history()
    assert torch.equal(chosen.parameters, by_window.parameters)
    assert history.episode.tolist() == [3, 6, 9, 10]
    assert history.probed.tolist() == [4, 8]
    assert tuple(history.diagnostics) == DIAGNOSTICS + AGENT_DIAGNOSTICS
    for name in DIAGNOSTICS:
        expected = by_window.history().diagnostics[name][:, :2]
        assert np.array_equal(history.diagnostics[name], expected)


def test_a_probe_may_come_before_training(engine: EngineName) -> None:
    run = replace(QUICK, probe_at=(0, 10))
    trainer = make_trainer([run], engine)
    assert trainer.history().probed.tolist() == []
    draws = DrawSource(run.task, (run.seed,), of_probes=True).next(run.probe_episodes)
    expected = trainer.probe(draws).astype(np.float32)
    trainer.advance(9)
    history = trainer.history()
    assert history.probed.tolist() == [0]
    assert np.array_equal(np.stack([*history.diagnostics.values()])[:, :, 0], expected)


def test_finished_windows_have_diagnostics(engine: EngineName) -> None:
    history = history_of([QUICK, replace(QUICK, seed=1)], engine)
    assert history.episode.tolist() == [4, 8, 10]
    assert tuple(history.diagnostics) == DIAGNOSTICS
    for curve in history.diagnostics.values():
        assert np.isfinite(curve[:, :2]).all()
        assert np.isnan(curve[:, 2]).all()


def test_engines_agree_on_the_diagnostics() -> None:
    # After one episode, before training amplifies rounding.
    runs = [replace(QUICK, num_episodes=1, probe_at=(0, 1), seed=seed) for seed in range(4)]
    ours, theirs = (history_of(runs, engine).diagnostics for engine in ("fused", "torch"))
    for name in DIAGNOSTICS + AGENT_DIAGNOSTICS:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize(
    "run",
    [
        replace(QUICK, agent=AgentConfig(hidden_size=5, carry_state=True)),
        replace(QUICK, task=TaskConfig(episode_length=9, timeout=True)),
    ],
)
def test_no_variance_by_state_where_past_trials_may_matter(
    run: TrainConfig, engine: EngineName
) -> None:
    found = history_of([run], engine).diagnostics
    for name in ("return_variance", "covariance"):
        assert np.isnan(found[name]).all()
    assert np.isfinite(found["explained_variance"][:, :-1]).all()


@st.composite
def episodes(draw: st.DrawFn) -> tuple[NDArray[np.int64], list[Trajectory]]:
    """A few made-up episodes of two replicas, and the state at each step, [2, E T]."""
    task = TaskConfig(stimulus_set="pwm5", trial_length=draw(st.integers(2, 4)))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    count = draw(st.integers(2, 6))
    states = trial_states(task)[random.integers(8, size=(2, 3 * count))].reshape(2, -1)
    shape = (2, 3 * task.trial_length)
    shapes = [shape, shape, shape, (*shape, 1)]
    return states, [
        Trajectory(*(random.normal(size=each).astype(np.float32) for each in shapes))
        for _ in range(count)
    ]


@given(episodes())
def test_variances_agree_with_a_loop_over_states(
    drawn: tuple[NDArray[np.int64], list[Trajectory]],
) -> None:
    states, trajectories = drawn
    probe = GradientProbe()
    for trajectory in trajectories:
        probe.add([np.ones((2, 2), np.float32)] * 3, trajectory)
    diagnostics = probe.diagnostics(states)
    for replica in range(2):
        found = dict(zip(DIAGNOSTICS, diagnostics[:, replica], strict=True))
        log_probs, values, returns = (
            np.concatenate([part[replica] for part in parts]).astype(np.float64)
            for parts in zip(*(each[:3] for each in trajectories), strict=True)
        )
        groups: dict[int, list[tuple[float, float]]] = {}
        for state, one, other in zip(states[replica], returns, log_probs, strict=True):
            groups.setdefault(state, []).append((one, other))
        several = [np.array(group).T for group in groups.values() if len(group) > 1]
        number = sum(group.shape[1] for group in several)
        variance = sum(np.cov(group)[0, 0] * group.shape[1] for group in several) / number
        covariance = sum(np.cov(group)[0, 1] * group.shape[1] for group in several) / number
        assert found["return_variance"] == pytest.approx(variance, rel=1e-9)
        length = trajectories[0].returns.shape[1]
        assert found["covariance"] == pytest.approx(length * covariance, rel=1e-6, abs=1e-9)
        explained = 1 - np.var(returns - values) / np.var(returns)
        assert found["explained_variance"] == pytest.approx(explained, rel=1e-9, abs=1e-12)


def test_states_visited_once_are_left_out_of_variances() -> None:
    steps = np.array([[1.0, 3.0, 8.0]], np.float32)
    probe = GradientProbe()
    for _ in range(2):
        trajectory = Trajectory(steps, steps, steps, np.zeros((1, 3, 1), np.float32))
        probe.add([np.ones((1, 2), np.float32)] * 3, trajectory)
    for states, variance in (([0, 0, 2, 3, 4, 5], 2.0), ([0, 1, 2, 3, 4, 5], np.nan)):
        found = dict(zip(DIAGNOSTICS, probe.diagnostics(np.array([states]))[:, 0], strict=True))
        assert found["return_variance"] == pytest.approx(variance, nan_ok=True)


@pytest.mark.parametrize(("value", "explained"), [(2.0, np.nan), (3.0, -np.inf)])
def test_a_constant_return_cannot_be_explained(value: float, explained: float) -> None:
    probe = GradientProbe()
    same = np.full((1, 6), 2, np.float32)
    for other in (2.0, value):
        values, hidden = np.full((1, 6), other, np.float32), np.zeros((1, 6, 1), np.float32)
        trajectory = Trajectory(same, values, same, hidden)
        probe.add([np.zeros((1, 2), np.float32)] * 3, trajectory)
    found = dict(zip(DIAGNOSTICS, probe.diagnostics(None)[:, 0], strict=True))
    assert found["explained_variance"] == pytest.approx(explained, nan_ok=True)
    assert np.isnan(found["signal_to_noise"])
    assert np.isnan(found["return_variance"])
    assert found["policy_norm"] == 0


@given(st.integers(2, 5), st.sampled_from(["pwm0", "pwm5", "pwm7"]))
def test_trials_are_in_the_same_state_while_they_have_shown_the_same(
    length: int, name: str
) -> None:
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
    with pytest.raises(ValueError, match="history"):
        replace(history, probe_episode=history.episode)  # needs `AGENT_DIAGNOSTICS` too
    scheduled = history_of([replace(QUICK, probe_at=(0, 3))])
    with pytest.raises(ValueError, match="history"):
        replace(scheduled, probe_episode=scheduled.episode)
    assert scheduled.select([0]).probed.tolist() == [0, 3]


# Hidden states and the critic

TWO_UNITS = TrainConfig(
    task=TaskConfig(trial_length=2, episode_length=8),
    agent=AgentConfig(hidden_size=2),
    critic_weight=2.0,
)
AB, BA, CB = 0, 1, 3  # pairs of pwm5


def worked(run: TrainConfig, episodes: int = 2) -> dict[str, float]:
    """Diagnostics of a made-up agent in equal episodes of the trials AB, CB, CB and BA."""
    hidden = np.zeros((1, 8, 2), np.float32)
    hidden[0, 1] = 0.875, 0  # AB
    hidden[0, 3] = hidden[0, 5] = 0.125, 0  # CB
    hidden[0, 7] = 0.25, -0.75  # BA
    log_probs, values, returns = (np.full((1, 8), at, np.float32) for at in (-0.5, 3, 1))
    probe = AgentProbe(run, np.array([run.critic_weight], np.float32))
    for _ in range(episodes):
        trajectory = Trajectory(log_probs, values, returns, hidden)
        probe.add(trajectory, np.array([[AB, CB, CB, BA]]))
    found = probe.diagnostics(np.array([[3, -4]], np.float32))
    return dict(zip(AGENT_DIAGNOSTICS, found[:, 0].tolist(), strict=True))


def test_the_diagnostics_of_the_agent_as_worked_by_hand() -> None:
    found = worked(TWO_UNITS)
    assert found["activity"] == (0.875 + 2 * 0.125 + 0.25 + 0.75) / 16
    assert found["saturated"] == 2 / 16  # 0.875 and -0.75
    assert found["value_weight_norm"] == 5
    # Before B come A (0.875) and, twice, C (0.125), mean 0.375; before A comes B alone. So unit 1
    # has (0.5**2 + 2 * 0.25**2) / 4 over four trials, and unit 2 has 0.
    assert found["trace"] == pytest.approx((0.25 + 0.125) / 4 / 2, rel=1e-12)
    assert worked(TWO_UNITS, episodes=3) == pytest.approx(found, rel=1e-12)
    assert np.isnan(worked(replace(TWO_UNITS, task=replace(TWO_UNITS.task, timeout=True)))["trace"])


@pytest.mark.parametrize(
    ("baseline", "reduction", "weight", "distance"),
    [
        ("attached", "sum", 2.0, 3 - 1 - 8 * 0.5 / 4),  # v - G - c T H / 2 w
        ("attached_head", "sum", 2.0, 1.0),
        ("attached", "mean", 2.0, 3 - 1 - 0.5 / 4),
        ("detached", "sum", 2.0, 2.0),
        ("attached_trunk", "sum", 2.0, 2.0),
        ("attached", "sum", 0.0, np.nan),
        ("detached", "sum", 0.0, np.nan),
    ],
)
def test_the_critics_distance_as_worked_by_hand(
    baseline: Baseline, reduction: Reduction, weight: float, distance: float
) -> None:
    loss = LossConfig(baseline=baseline, policy_reduction=reduction)
    found = worked(replace(TWO_UNITS, loss=loss, critic_weight=weight))
    assert found["distance"] == pytest.approx(distance, nan_ok=True)


@pytest.mark.parametrize(
    ("loss", "distance"),
    [
        (LossConfig(returns="centred", balance="equal"), 1.0),  # as with raw returns
        (LossConfig(returns="standardised"), np.nan),
        (LossConfig(balance="popart"), np.nan),
        (LossConfig(normalise_advantages=True), np.nan),
        (LossConfig(balance="popart", baseline="detached"), 2.0),
    ],
)
def test_the_distance_is_unknown_where_errors_are_scaled(loss: LossConfig, distance: float) -> None:
    assert worked(replace(TWO_UNITS, loss=loss))["distance"] == pytest.approx(distance, nan_ok=True)


@given(settings_of_runs(most_trials=5, most_units=9))
@example(TrainConfig(loss=LossConfig(trace_decay=0.5, discount=0.9, leaking_targets=True)))
@example(
    TrainConfig(loss=LossConfig(trace_decay=0.8, leaking_targets=True, return_horizon="trial"))
)
def test_the_distance_is_the_gradient_of_the_heads_bias(
    engine: EngineName, run: TrainConfig
) -> None:
    run = replace(run, loss=replace(run.loss, lost_gradients="none"), critic_weight=1.5)
    trainer = make_trainer([run], engine)
    draws = DrawSource(run.task, (run.seed,)).next(2)
    weights, of_bias = np.array([1.5], np.float32), []
    for each in zip(draws.trials, draws.noise, strict=True):
        gradient, _ = trainer.engine.differentiate(Draws(*each), run.loss, weights)
        layout = Layout(run.agent, run.task.num_stimuli)
        named = layout.named(torch.from_numpy(gradient))
        of_bias.append(float(named["head_bias"][0, -1, 0, VALUE]))
    found = dict(zip(DIAGNOSTICS + AGENT_DIAGNOSTICS, trainer.probe(draws)[:, 0], strict=True))
    critic = 0.5 if run.loss.balance == "uncertainty" else 1.0  # the value loss's initial factor
    expected = np.mean(of_bias) / (2 * run.critic_weight * critic)
    known = not np.isnan(found["distance"])
    assert not known or found["distance"] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(st.integers(1, 50), st.floats(0, 1), st.floats(0, 1))
def test_net_weights_are_what_is_left_of_a_value(
    steps: int, discount: float, trace_decay: float
) -> None:
    values = torch.zeros(1, steps, dtype=torch.float64, requires_grad=True)
    returns = bootstrapped_returns(torch.zeros(1, steps).double(), values, discount, trace_decay)
    (left,) = torch.autograd.grad((values - returns).sum(), values)
    weights = net_weights(steps, discount, trace_decay)
    assert weights == pytest.approx(left[0].tolist(), abs=1e-12)
    if trace_decay == 1:
        assert set(weights) == {1.0}


def test_a_fresh_agent_has_no_trace_where_the_second_stimulus_decides(engine: EngineName) -> None:
    run = replace(QUICK, task=TaskConfig(stimulus_set="pwm0", episode_length=9), probe_at=(0,))
    assert history_of([run], engine).diagnostics["trace"].item() == 0
    assert history_of([replace(QUICK, probe_at=(0,))], engine).diagnostics["trace"].item() > 0
