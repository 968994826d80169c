"""Losses with options: values by definition, gradients in closed form, in double precision."""

from __future__ import annotations

import math
from typing import NamedTuple, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import huber_loss

from pwm.core.agent import AgentConfig
from pwm.core.losses import Reduction
from pwm.core.returns import discounted_returns
from pwm.core.rollout import Draws, Rollout
from pwm.core.task import TaskConfig
from pwm.training.balance import episode_scales
from pwm.training.config import TrainConfig
from pwm.training.draws import DrawSource
from pwm.training.episode import head_values_of, play_episode
from pwm.training.loss_config import Baseline, LossConfig, LostGradients, ValueLoss
from pwm.training.loss_options import (
    Losses,
    bootstrapped_returns,
    episode_losses,
    normalised,
    partly_attached,
)
from pwm.training.parameters import Layout
from pwm.training.tracking import Tracked
from tests.oracles.plain_returns import lambda_returns, returns_by_double_loop

BASELINES: list[Baseline] = ["attached", "detached", "attached_head", "attached_trunk"]
REDUCTIONS: list[Reduction] = ["sum", "mean"]


class Case(NamedTuple):
    config: LossConfig
    critic_weights: Tensor  # (R,)
    rewards: Tensor  # (R, T), like values and actions
    values: Tensor
    head_values: Tensor  # the same numbers
    actions: Tensor
    logits: Tensor  # (R, T, 3)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    replicas, steps = draw(st.integers(1, 4)), draw(st.integers(1, 20))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))

    def normal(*shape: int) -> Tensor:
        return 2 * torch.randn(replicas, steps, *shape, generator=generator, dtype=torch.float64)

    values = normal()
    return Case(
        LossConfig(
            baseline=draw(st.sampled_from(BASELINES)),
            policy_reduction=draw(st.sampled_from(REDUCTIONS)),
            discount=draw(st.sampled_from([1.0, 0.9, 0.0])),
            entropy_weight=draw(st.sampled_from([0.0, 0.3])),
            optimism=draw(st.sampled_from([0.0, 1.5])),
            lost_gradients=draw(st.sampled_from(get_args(LostGradients))),
            value_loss=draw(st.sampled_from(get_args(ValueLoss))),
        ),
        critic_weights=normal()[:, 0].abs(),
        rewards=normal().round(),
        values=values.clone().requires_grad_(),
        head_values=values.clone().requires_grad_(),
        actions=torch.randint(3, (replicas, steps), generator=generator),
        logits=normal(3).requires_grad_(),
    )


def of_baseline(advantages: Tensor, head_advantages: Tensor, baseline: Baseline) -> Tensor:
    """Advantages of the policy loss, as `play_episode` chooses them."""
    if baseline in ("attached_head", "attached_trunk"):
        return partly_attached(advantages, head_advantages, baseline)
    return advantages


def losses_of(case: Case) -> tuple[Losses, Tensor]:
    """The losses, as the engine computes them, and the advantages."""
    log_policy = torch.log_softmax(case.logits, dim=-1)
    log_probs = log_policy.gather(-1, case.actions.unsqueeze(-1)).squeeze(-1)
    entropies = -(log_policy.exp() * log_policy).sum(dim=-1)
    advantages = discounted_returns(case.rewards, case.config.discount) - case.values
    head_advantages = advantages.detach() + case.values.detach() - case.head_values
    losses = episode_losses(
        log_probs,
        entropies,
        errors=advantages,
        advantages=of_baseline(advantages, head_advantages, case.config.baseline),
        critic_weight=case.critic_weights,
        config=case.config,
    )
    return losses, advantages


@given(cases())
def test_gradients_have_their_closed_forms(case: Case) -> None:
    losses, _ = losses_of(case)
    # Gradients reach the trunk through `values`, and the head through both tensors.
    leaves = (case.values, case.head_values, case.logits)
    by_values, by_head, by_logits = torch.autograd.grad(
        losses.total.sum(), leaves, allow_unused=True, materialize_grads=True
    )

    config, steps = case.config, case.rewards.shape[1]
    weights = case.critic_weights.unsqueeze(1)
    values, logits = case.values.detach(), case.logits.detach()
    returns = [returns_by_double_loop(row, config.discount) for row in case.rewards.tolist()]
    advantages = torch.tensor(returns, dtype=torch.float64) - values
    policy = logits.exp() / logits.exp().sum(dim=-1, keepdim=True)
    taken = torch.eye(3, dtype=torch.float64)[case.actions]  # (R, T, 3)
    log_prob = (taken * policy.log()).sum(dim=-1)
    policy_factor = 1.0 if config.policy_reduction == "sum" else 1 / steps

    entropy = -(policy * policy.log()).sum(dim=-1, keepdim=True)
    kept = config.lost_gradients != "values"
    for gradient, leaky in (
        (by_values, {"attached", "attached_trunk"}),
        (by_values + by_head, {"attached", "attached_head"}),
    ):
        leak = policy_factor * log_prob * (config.baseline in leaky)
        bound = 1.0 if config.value_loss == "huber" else math.inf
        expected = -2 * weights / steps * advantages.clamp(-bound, bound) + leak
        torch.testing.assert_close(gradient, expected if kept else torch.zeros_like(expected))

    factor = advantages.unsqueeze(-1) - config.optimism * entropy
    reinforce = -factor * (taken - policy) * (config.lost_gradients != "log_probs")
    bonus = config.entropy_weight * policy * (policy.log() + entropy)
    torch.testing.assert_close(by_logits, policy_factor * (reinforce + bonus))


@given(cases())
def test_losses_follow_their_definitions(case: Case) -> None:
    losses, attached = losses_of(case)
    log_policies = torch.log_softmax(case.logits, dim=-1).tolist()
    for replica, advantages in enumerate(attached.tolist()):
        steps = range(len(advantages))
        log_policy, actions = log_policies[replica], case.actions[replica].tolist()
        raised = [
            case.config.optimism * sum(-math.exp(log_p) * log_p for log_p in log_policy[step])
            for step in steps
        ]
        gain = sum(
            (advantages[step] - raised[step]) * log_policy[step][actions[step]] for step in steps
        )
        entropy = sum(-math.exp(log_p) * log_p for step in steps for log_p in log_policy[step])
        policy_factor = 1.0 if case.config.policy_reduction == "sum" else 1 / len(steps)
        policy = -policy_factor * gain
        squares = [advantage**2 for advantage in advantages]
        terms = squares
        if case.config.value_loss == "huber":
            terms = [a**2 if abs(a) <= 1 else 2 * abs(a) - 1 for a in advantages]
        value = sum(terms) / len(steps)
        total = policy + case.critic_weights[replica].item() * value
        total -= case.config.entropy_weight * policy_factor * entropy
        expected = [policy, value, total, sum(squares) / len(steps)]
        assert [loss[replica].item() for loss in losses] == pytest.approx(expected)


def test_each_replica_has_its_own_critic_weight() -> None:
    advantages = torch.tensor([[1.0, 2.0]]).repeat(3, 1)
    log_probs = torch.full((3, 2), -1.0)
    weights = torch.tensor([0.0, 1.0, 10.0])
    losses = episode_losses(log_probs, -log_probs, advantages, advantages, weights, LossConfig())
    assert losses.policy.tolist() == [3, 3, 3]
    assert losses.value.tolist() == [2.5, 2.5, 2.5]
    assert losses.total.tolist() == [3, 5.5, 28]


def test_losses_worked_out_by_hand() -> None:
    log_probs, entropies = torch.tensor([[-1.0, -2.0]]), torch.tensor([[1.0, 0.5]])
    advantages = torch.tensor([[3.0, -1.0]])
    for reduction, factor in zip(REDUCTIONS, (1, 0.5), strict=True):
        policy, entropy = factor * 1.0, factor * 1.5
        for baseline in BASELINES[:2]:
            config = LossConfig(baseline=baseline, policy_reduction=reduction, entropy_weight=0.5)
            losses = episode_losses(log_probs, entropies, advantages, advantages, 0.5, config)
            assert losses.policy.tolist() == [policy]
            assert losses.value.tolist() == [5]
            assert losses.total.tolist() == [policy + 0.5 * 5 - 0.5 * entropy]


@given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(2, 20),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    baseline=st.sampled_from(BASELINES),
    reduction=st.sampled_from(REDUCTIONS),
)
def test_normalised_advantages_have_the_gradient_of_autograd(
    seed: int, steps: int, scale: float, baseline: Baseline, reduction: Reduction
) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (3, steps)
    values, head_values, log_probs = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    values, log_probs = scale * values, -log_probs.abs()
    for leaf in (values, head_values, log_probs):
        leaf.requires_grad_()
    numbers = 0 * head_values + values.detach()  # the same, attached to the head
    config = LossConfig(baseline=baseline, policy_reduction=reduction, normalise_advantages=True)
    advantages = of_baseline(-values, -numbers, baseline)
    loss = episode_losses(log_probs, log_probs, -values, advantages, 0.0, config).policy
    ours = torch.autograd.grad(
        loss.sum(), (values, log_probs), allow_unused=True, materialize_grads=True
    )

    plain = (values - values.mean(dim=1, keepdim=True)).neg()
    plain = plain / (values.std(dim=1, keepdim=True) + 1e-8)
    total = -(plain * log_probs).sum(dim=1)
    total = total if reduction == "sum" else total / steps
    torch.testing.assert_close(loss, total)
    theirs = torch.autograd.grad(total.sum(), (values, log_probs))
    into_trunk = theirs[0] if baseline in ("attached", "attached_trunk") else 0 * theirs[0]
    torch.testing.assert_close(ours[0], into_trunk, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(ours[1], theirs[1])


def test_hubers_loss_is_twice_that_of_pytorch() -> None:
    advantages = torch.tensor([[0.0, 0.5, -1.0, 1.5, -4.0]], dtype=torch.float64)
    zeros = torch.zeros_like(advantages)
    config = LossConfig(value_loss="huber")
    losses = episode_losses(zeros, zeros, advantages, advantages, 1.0, config)
    assert losses.value.item() == pytest.approx((0.25 + 1 + 2 + 7) / 5, rel=1e-12)
    assert losses.value.item() == 2 * huber_loss(advantages, zeros).item()
    assert losses.squared_error.item() == pytest.approx((0.25 + 1 + 2.25 + 16) / 5)


def test_normalised_advantages_by_hand() -> None:
    # Of 1, 2 and 6: mean 3, squares 4 + 1 + 9 = 14 over 2, standard deviation sqrt(7).
    log_probs, advantages = torch.tensor([[-1.0, -1, -2]]), torch.tensor([[1.0, 2, 6]])
    config = LossConfig(normalise_advantages=True)
    assert normalised(advantages)[0].tolist() == pytest.approx(
        [-2 / 7**0.5, -1 / 7**0.5, 3 / 7**0.5]
    )
    # The critic's errors are not normalised.
    losses = episode_losses(log_probs, -log_probs, advantages, advantages, 1.0, config)
    assert losses.policy.item() == pytest.approx((-2 - 1 + 2 * 3) / 7**0.5)
    assert losses.value.item() == pytest.approx((1 + 4 + 36) / 3)


@pytest.mark.parametrize("field", ["baseline", "value_loss"])
def test_a_new_word_of_an_option_is_not_silently_taken_for_another(field: str) -> None:
    run = TrainConfig()
    object.__setattr__(run.loss, field, "new")  # as after an addition to the option alone
    layout = Layout(run.agent, run.task.num_stimuli)
    draws = Draws(*(part[0] for part in DrawSource(run.task, [0]).next(1)))
    with pytest.raises(AssertionError, match="new"):
        play_episode(
            Rollout(run.task, run.agent),
            layout.weights(layout.initial_parameters([0])),
            draws,
            run.loss,
            torch.ones(1),
            episode_scales(torch.zeros(1, len(Tracked)), run),
        )


def test_lambda_returns_worked_out_by_hand() -> None:
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[9.0, 2.0, 4.0]])
    for discount, decay, returns in (
        (1.0, 0.0, [2, 4, 1]),  # the next value
        (0.5, 0.0, [1, 2, 1]),
        (1.0, 0.5, [2.25, 2.5, 1]),  # (4 + 1) / 2, and (2 + 2.5) / 2
        (1.0, 1.0, [1, 1, 1]),
    ):
        assert bootstrapped_returns(rewards, values, discount, decay).tolist() == [returns]


@settings(max_examples=50)
@given(
    replicas=st.integers(1, 3),
    steps=st.integers(1, 20),
    discount=st.floats(0, 1),
    trace_decay=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_lambda_returns_are_averages_of_n_step_returns(
    replicas: int, steps: int, discount: float, trace_decay: float, seed: int
) -> None:
    rewards, values, surprises = torch.from_numpy(
        np.random.default_rng(seed).normal(size=(3, replicas, steps))
    )
    values.requires_grad_()
    found = bootstrapped_returns(rewards, values, discount, trace_decay)
    expected = torch.stack(
        [
            torch.stack(lambda_returns(row.tolist(), list(of_row), discount, trace_decay))
            for row, of_row in zip(rewards, values, strict=True)
        ]
    )
    torch.testing.assert_close(found, expected)
    # The gradient of a leak, Σ_t G_t x_t for any x, by autograd of the written-out averages.
    if trace_decay < 1 and steps > 1:
        ours, theirs = (
            torch.autograd.grad((returns * surprises).sum(), values)
            for returns in (found, expected)
        )
        torch.testing.assert_close(ours, theirs)


@given(st.integers(1, 70), st.floats(0, 1), st.sampled_from([0.0, float("inf"), float("nan")]))
def test_monte_carlo_returns_do_not_depend_on_values(
    steps: int, discount: float, value: float
) -> None:
    rewards = torch.rand(2, steps, generator=torch.Generator().manual_seed(steps))
    found = bootstrapped_returns(rewards, torch.full_like(rewards, value), discount, 1.0)
    assert torch.equal(found, discounted_returns(rewards, discount))


@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("timeout", [False, True])
def test_values_of_the_head_have_the_same_bits_and_train_the_head_only(
    carry_state: bool, timeout: bool
) -> None:
    task, agent = TaskConfig(timeout=timeout), AgentConfig(carry_state=carry_state)
    layout, rollout = Layout(agent, task.num_stimuli), Rollout(task, agent)
    parameters = layout.initial_parameters([0, 1]).requires_grad_()
    draws = Draws(*(part[0] for part in DrawSource(task, [0, 1]).next(1)))
    weights = layout.weights(parameters)
    of_head = head_values_of(rollout, weights, draws)
    values = rollout.play(weights, draws).values.flatten(1)
    assert torch.equal(of_head, values)
    by_head, by_both = (
        torch.autograd.grad(output.sum(), parameters)[0] for output in (of_head, values)
    )
    trunk = layout.trunk_size
    assert not by_head[:, :trunk].any()
    assert by_both[:, :trunk].any()
    assert torch.equal(by_head[:, trunk:], by_both[:, trunk:])
