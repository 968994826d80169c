"""Public loops that leak: losses by hand, and each replica's update as if it trained alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isnan, log

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import relu

from pwm.analysis.external import Loop
from pwm.external import replicas
from pwm.external.__main__ import Arguments
from pwm.external.loops import LOOPS, LoopConfig, runs_of
from pwm.external.losses import Losses, a3c_losses, reinforce_losses, tutorial_losses
from pwm.external.replicas import Replicas, bootstrapped, summed_returns, train_loop

LOG_PROBS = torch.tensor([0.5, 0.25, 0.8, 0.3]).log()
TARGETS = torch.tensor([3.0, 2.0, 0.5, 9.0])
PLAYED = torch.tensor([1.0, 1.0, 1.0, 0.0])


def value_gradients(losses: Losses, values: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the policy loss and of the value loss with respect to the values."""
    policy = torch.autograd.grad(losses.policy, values, retain_graph=True)[0]
    return policy, torch.autograd.grad(losses.value, values)[0]


def test_tutorial_leaks_the_log_probability_against_a_bounded_error() -> None:
    values = torch.tensor([0.5, 1.5, 4.0, 0.0], requires_grad=True)
    losses = tutorial_losses(LOG_PROBS, values, TARGETS, values, PLAYED)
    assert losses.policy.item() == pytest.approx(2.5 * log(2) + 0.5 * log(4) + 3.5 * log(0.8))
    assert losses.value.item() == pytest.approx((2.5 - 0.5) + 0.5 * 0.25 + (3.5 - 0.5))
    policy, value = value_gradients(losses, values)
    assert torch.allclose(policy, LOG_PROBS * PLAYED)
    assert value.tolist() == [-1, -0.5, 1, 0]


def test_a3c_leaks_the_log_probability_against_the_error() -> None:
    values = torch.tensor([0.5, 1.5, 4.0, 0.0], requires_grad=True)
    policy, value = value_gradients(a3c_losses(LOG_PROBS, values, TARGETS, values, PLAYED), values)
    assert torch.allclose(policy, LOG_PROBS * PLAYED)
    assert value.tolist() == [-2.5, -0.5, 3.5, 0]


def test_normalised_advantages_leak_nothing_on_average() -> None:
    values = torch.tensor([0.5, 1.5, 4.0, 0.0], requires_grad=True)
    losses = reinforce_losses(LOG_PROBS, values, TARGETS, values, PLAYED)
    advantages = np.array([2.5, 0.5, -3.5])
    normal = (advantages - advantages.mean()) / advantages.std()
    assert losses.policy.item() == pytest.approx(-float(normal @ LOG_PROBS[:3].numpy()), rel=1e-5)
    policy, value = value_gradients(losses, values)
    assert policy.sum().item() == pytest.approx(0, abs=1e-6)
    assert policy.abs().sum().item() > 0.1
    assert value.tolist() == [-5, -1, 7, 0]


@pytest.mark.parametrize("losses", [tutorial_losses, reinforce_losses, a3c_losses])
def test_a_detached_baseline_leaks_nothing(losses: object) -> None:
    assert callable(losses)
    values = torch.tensor([0.5, 1.5, 4.0, 0.0], requires_grad=True)
    log_probs = LOG_PROBS.clone().requires_grad_()
    found = losses(log_probs, values, TARGETS, values.detach(), PLAYED)
    assert torch.autograd.grad(found.policy, values, allow_unused=True)[0] is None


def test_returns_are_bootstrapped_where_the_episode_goes_on() -> None:
    played = torch.tensor([[1.0, 1, 1], [1, 1, 0]])
    last, goes_on = torch.tensor([8.0, 0]), torch.tensor([True, False])
    returns, factors = bootstrapped(played, last, goes_on, 0.5)
    assert returns[0].tolist() == [1 + 0.5 * (1 + 0.5 * 5), 1 + 0.5 * 5, 5]
    assert factors[0].tolist() == [0.125, 0.25, 0.5]
    assert returns[1, :2].tolist() == [1.5, 1]
    assert factors[1, :2].tolist() == [0, 0]
    assert summed_returns([3, 1], 0.5) == pytest.approx((1.75 + 1.5 + 1) + 1)


@pytest.mark.parametrize("loop", LOOPS)
def test_an_update_is_that_of_each_replica_alone(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The expected update is computed layer by layer, from the steps that were played alone."""
    monkeypatch.setattr(replicas, "CACHED", 40_000)  # so that gradients are computed in parts
    runs = [run for run in runs_of(loop, [5, 6]) if run.weight in LOOPS[loop].weights[:2]]
    setting, many = LOOPS[loop], Replicas(runs)
    for _ in range(3):
        many._update(*many._play())
        starts = [each.detach().clone() for each in many._networks.parameters]
        states, actions, played = many._play()
        over = many._over.copy()
        optimisers = [
            type(each)(part, lr=setting.learning_rate)
            for each, part in zip(many._optimisers, many._networks.by_optimiser, strict=True)
        ]
        for fresh, old in zip(optimisers, many._optimisers, strict=True):
            old.load_state_dict(fresh.state_dict())  # the next step is a first one
        many._update(states, actions, played)
        ends = many._networks.parameters
        for replica, run in enumerate(runs):
            layers = [each[replica].clone().requires_grad_() for each in starts]
            log_probs, values, targets = [], [], []
            for episode in range(setting.episodes):
                count = int(played[replica, episode].sum())
                seen = states[replica, episode, : count + 1]
                found = output(layers, seen, -3, -1)[:, 0]
                following = 0.0 if over[replica, episode] else found[-1].item()
                returns = []
                for _ in range(count):
                    following = 1 + setting.discount * following
                    returns.append(following)
                targets.append(torch.tensor(returns[::-1]))
                values.append(found[:-1])
                chosen = actions[replica, episode, :count]
                log_policy = output(layers, seen[:-1], 0, -2).log_softmax(-1)
                log_probs.append(log_policy[torch.arange(count), chosen])
            log_prob, value, target = map(torch.cat, (log_probs, values, targets))
            if setting.standardises:
                target = (target - target.mean()) / target.std(correction=0)
            baseline = value if run.baseline == "attached" else value.detach()
            losses = setting.losses(log_prob, value, target, baseline, torch.ones_like(value))
            total = losses.policy + run.weight * losses.value
            if setting.num_optimisers == 1:
                step(setting, [total], [layers])
            else:
                trunk, policy, critic = layers[:2], layers[2:4], layers[4:]
                parts = [[*trunk, *policy], [*trunk, *critic]]
                step(setting, [losses.policy, run.weight * losses.value], parts)
            for mine, its in zip(layers, ends, strict=True):
                close = (mine - its[replica]).abs() < 0.1 * setting.learning_rate
                assert close.float().mean() > 0.99  # a gradient of about 0 may have either sign


def output(layers: Sequence[Tensor], inputs: Tensor, trunk: int, head: int) -> Tensor:
    """Output of two layers, a trunk and a head; each is a matrix and a vector."""
    pairs = list(zip(layers[::2], layers[1::2], strict=True))
    return relu(inputs @ pairs[trunk][0] + pairs[trunk][1]) @ pairs[head][0] + pairs[head][1]


def step(setting: LoopConfig, totals: Sequence[Tensor], parts: Sequence[Sequence[Tensor]]) -> None:
    """Takes the first step of a new optimiser for each loss, on its part of the parameters."""
    gradients = [
        torch.autograd.grad(total, part, retain_graph=True)
        for total, part in zip(totals, parts, strict=True)
    ]
    for part, gradient in zip(parts, gradients, strict=True):
        optimiser = setting.optimiser(part, lr=setting.learning_rate)
        for parameter, each in zip(part, gradient, strict=True):
            parameter.grad = each
        optimiser.step()


def test_a_run_ends_when_it_is_solved_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "WINDOW", 4)
    monkeypatch.setattr(replicas, "SOLVED", 24.0)
    runs = [run for run in runs_of("tutorial", range(4)) if run.weight == 1]
    found = {outcome.run: outcome for outcome in train_loop(runs, 12)}
    assert set(found) == set(runs)
    solved = [each for each in found.values() if each.time < inf]
    assert 0 < len(solved) < len(runs)
    for each in found.values():
        assert each.num_updates == each.num_episodes <= 12
        assert (each.length > 24) == (each.time < inf)
        assert each.num_updates == (each.time + 1 if each.time < inf else 12)
        assert isnan(each.bias)
        assert 0.5 < each.entropy < log(2)


def test_errors_and_biases_are_means_over_the_second_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, setting in LOOPS.items():
        monkeypatch.setitem(LOOPS, name, replace(setting, learning_rate=0.0))
    for loop in ("reinforce", "a3c"):
        (outcome, *_) = train_loop(runs_of(loop, [3])[:1], 300 if loop == "a3c" else 20)
        # Values near 0 lie below the returns of all remaining steps, or of at most 5 of them.
        assert -25 < outcome.bias < outcome.error + 1e-9 < 0.5
        assert (outcome.bias == outcome.error) == (loop == "reinforce")
        assert outcome.bootstrap == 0 if loop == "reinforce" else 0.7 < outcome.bootstrap < 0.99


def test_short_runs_end_with_an_outcome() -> None:
    for runs, num_updates in Arguments(size="smoke").loop_runs():
        assert {each.run for each in train_loop(runs, num_updates)} == set(runs)
