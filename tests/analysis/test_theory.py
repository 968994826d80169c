"""Closed forms, compared with enumeration, simulation and constants worked out by hand."""

from __future__ import annotations

from itertools import product
from math import exp, log
from typing import NamedTuple, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pwm.analysis.theory import (
    advantage_log_prob,
    mean_return,
    noise_weight,
    policy_factor,
    slowdown,
    value_floor,
)
from pwm.core.agent import AgentConfig
from pwm.core.leak import critic_bias, leak_temperature, start_entropy
from pwm.core.losses import Reduction
from pwm.core.returns import discounted_returns
from pwm.core.rollout import Draws, Rollout
from pwm.core.task import TaskConfig
from pwm.training.draws import DrawSource
from pwm.training.loss_config import Baseline, LossConfig
from pwm.training.loss_options import episode_losses
from pwm.training.parameters import Layout

REDUCTIONS: list[Reduction] = ["sum", "mean"]
steps = st.integers(1, 100)
weights = st.floats(1e-3, 1e3)
entropies = st.floats(1e-3, log(3))
policies = st.lists(st.floats(-3, 3), min_size=3, max_size=3).map(
    lambda logits: [exp(logit) / sum(map(exp, logits)) for logit in logits]
)


def return_variance(success: float, num_trials: int) -> float:
    """Variance of the return over equally likely positions and all outcomes, by enumeration."""
    probability, returns = [], []
    for outcomes in product((0, 1), repeat=num_trials):
        wins = sum(outcomes)
        weight = success**wins * (1 - success) ** (num_trials - wins)
        for position in range(num_trials):
            probability.append(weight / num_trials)
            returns.append(sum(outcomes[position:]))
    mean = np.average(returns, weights=probability)
    return float(np.average((np.array(returns) - mean) ** 2, weights=probability))


@given(st.floats(0, 1), st.integers(1, 8))
def test_the_value_floor_is_the_variance_of_the_return(success: float, num_trials: int) -> None:
    assert value_floor(success, num_trials) == pytest.approx(
        return_variance(success, num_trials), abs=1e-9
    )


@pytest.mark.parametrize(
    ("success", "num_trials", "floor"),
    [
        # The notes' two episode lengths: 20 and 5 trials, at the one-sided level and solved.
        (0.5, 20, 10.9375),
        (1.0, 20, 33.25),
        (0.5, 5, 1.25),
        (1.0, 5, 2.0),
        # No reward; one coin; one certain reward; returns of 2 and 1, equally often.
        (0.0, 20, 0.0),
        (0.5, 1, 0.25),
        (1.0, 1, 0.0),
        (1.0, 2, 0.25),
    ],
)
def test_the_value_floor_by_hand(success: float, num_trials: int, floor: float) -> None:
    assert value_floor(success, num_trials) == pytest.approx(floor, abs=1e-12)


def test_no_constant_critic_beats_the_value_floor() -> None:
    random = np.random.default_rng(0)
    rewards = random.random((100_000, 20)) < 0.7
    returns = rewards[:, ::-1].cumsum(axis=1)
    losses = [np.mean((returns - value) ** 2) for value in np.linspace(6, 9, 31)]
    assert min(losses) == pytest.approx(value_floor(0.7, 20), rel=0.01)


@pytest.mark.parametrize(
    ("success", "num_trials", "floor"),
    # Rewarded half of the time, or always; one coin; never.
    [(0.5, 20, 2.625), (1.0, 20, 0.0), (0.5, 5, 0.75), (0.5, 1, 0.25), (0.0, 5, 0.0)],
)
def test_the_floor_of_a_critic_that_knows_its_position(
    success: float, num_trials: int, floor: float
) -> None:
    assert value_floor(success, num_trials, position_known=True) == pytest.approx(floor, abs=1e-12)


@pytest.mark.parametrize(("success", "num_trials"), [(0.3, 5), (0.7, 20), (1.0, 5)])
def test_the_floors_are_the_variances_of_simulated_returns(success: float, num_trials: int) -> None:
    random = np.random.default_rng(1)
    rewards = random.random((100_000, num_trials)) < success
    returns = rewards[:, ::-1].cumsum(axis=1)[:, ::-1]
    assert returns.var() == pytest.approx(value_floor(success, num_trials), rel=0.02)
    given_position = returns.var(axis=0).mean()
    floor = value_floor(success, num_trials, position_known=True)
    assert given_position == pytest.approx(floor, rel=0.02)


def test_the_bias_by_hand() -> None:
    # The notes' smallest weight, at 60 steps and a uniform policy over three actions.
    assert critic_bias(60, log(3), 0.05) == pytest.approx(659.167, abs=1e-3)
    assert critic_bias(60, log(3), 0.05, "mean") == pytest.approx(10.98612, abs=1e-5)
    assert critic_bias(15, log(3), 2) == pytest.approx(4.11980, abs=1e-5)
    assert critic_bias(60, 0.0, 0.05) == 0


@given(steps, entropies, weights, st.floats(0.1, 10))
def test_the_bias_scales(steps: int, entropy: float, weight: float, scale: float) -> None:
    bias = critic_bias(steps, entropy, weight)
    assert critic_bias(steps, entropy, weight * scale) == pytest.approx(bias / scale)
    assert critic_bias(2 * steps, entropy, weight) == pytest.approx(2 * bias)
    assert critic_bias(steps, entropy, weight, "mean") == pytest.approx(bias / steps)
    # With a mean policy loss, the bias does not depend on the length of the episode.
    per_step = critic_bias(1, entropy, weight)
    assert critic_bias(steps, entropy, weight, "mean") == pytest.approx(per_step)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("baseline", ["attached", "detached"])
def test_a_tabular_critic_trained_by_gradient_settles_at_the_bias(
    baseline: Baseline, reduction: Reduction
) -> None:
    random = np.random.default_rng(2)
    episodes, steps, weight = 20_000, 6, 1.5
    policy = np.array([[0.2, 0.3, 0.5], [0.05, 0.05, 0.9]])
    reward = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]])
    state = random.integers(2, size=(episodes, steps))
    # The action is the number of cumulative probabilities that a uniform number exceeds.
    uniform = random.random((episodes, steps, 1))
    action = (uniform > policy.cumsum(axis=1)[state][..., :2]).sum(axis=2)
    returns = discounted_returns(torch.tensor(reward[state, action]), discount=1.0)
    log_probs = torch.tensor(np.log(policy[state, action]))

    values = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    config = LossConfig(baseline=baseline, policy_reduction=reduction)
    for _ in range(60):
        advantages = returns - values[torch.tensor(state)]
        losses = episode_losses(
            log_probs,
            torch.zeros(episodes, steps),
            advantages,
            advantages,
            weight,
            config,
        )
        (gradient,) = torch.autograd.grad(losses.total.mean(), [values])
        values = (values - 0.3 * gradient).detach().requires_grad_()

    # On average 2.5 steps follow, each worth the mean over both states.
    mean_reward = (policy * reward).sum(axis=1)
    mean_return = mean_reward + (steps - 1) / 2 * mean_reward.mean()
    entropy = -(policy * np.log(policy)).sum(axis=1)
    bias = [critic_bias(steps, h, weight, reduction) for h in entropy]
    expected = mean_return + (np.array(bias) if baseline == "attached" else 0)
    assert values.detach().numpy() == pytest.approx(expected, abs=0.05)
    assert min(bias) > 0.1  # clearly above the tolerance


def covariance_of(policy: list[float], rewards: list[float]) -> float:
    """Covariance of the reward with the log-probability of the action."""
    return float(np.cov([rewards, np.log(policy)], aweights=policy, ddof=0)[0, 1])


class Moments(NamedTuple):
    """Moments over all episodes that visit given states, weighted by their probabilities."""

    value_loss: float
    variance: float
    advantage_log_prob: float


def enumerated(
    states: tuple[int, ...], policy: list[list[float]], reward: list[list[float]], bias: list[float]
) -> Moments:
    """Enumerates every episode; the critic's value is a state's mean return plus its bias."""
    probability, returns, log_probs = [], [], []
    for actions in product(range(3), repeat=len(states)):
        taken = [policy[state][action] for state, action in zip(states, actions, strict=True)]
        rewards = [reward[state][action] for state, action in zip(states, actions, strict=True)]
        probability.append(np.prod(taken))
        returns.append([sum(rewards[step:]) for step in range(len(states))])
        log_probs.append(np.log(taken))
    state = np.array(states)
    mean_at_step = np.average(returns, axis=0, weights=probability)
    mean = np.array([mean_at_step[state == visited].mean() for visited in states])
    advantages = np.array(returns) - mean - np.array(bias)[state]
    return Moments(
        float(np.average(advantages**2, axis=0, weights=probability).mean()),
        float(np.average((returns - mean) ** 2, axis=0, weights=probability).mean()),
        float(np.average(advantages * np.array(log_probs), axis=0, weights=probability).sum()),
    )


# One step; two steps in equal or different states; three, of which two are in the same state.
@pytest.mark.parametrize("states", [(0,), (0, 0), (0, 1), (0, 1, 0)])
@given(
    policy=st.lists(policies, min_size=2, max_size=2),
    reward=st.lists(st.lists(st.floats(0, 2), min_size=3, max_size=3), min_size=2, max_size=2),
    weight=st.floats(0.05, 20),
    baseline=st.sampled_from(get_args(Baseline)),
)
def test_the_identity_holds_over_all_episodes(
    states: tuple[int, ...],
    policy: list[list[float]],
    reward: list[list[float]],
    weight: float,
    baseline: Baseline,
) -> None:
    attached, steps = baseline == "attached", len(states)
    entropy = [-sum(p * log(p) for p in probabilities) for probabilities in policy]
    bias = [critic_bias(steps, h, weight) if attached else 0.0 for h in entropy]
    seen = enumerated(states, policy, reward, bias)
    covariance = sum(covariance_of(policy[state], reward[state]) for state in states)
    predicted = advantage_log_prob(seen.value_loss, seen.variance, covariance, critic_weight=weight)
    assert predicted == pytest.approx(seen.advantage_log_prob, rel=1e-8, abs=1e-8)
    if not attached:
        assert seen.advantage_log_prob == pytest.approx(covariance, abs=1e-8)


def test_the_identity_by_hand() -> None:
    assert advantage_log_prob(12.0, 11.0, 0.5, critic_weight=5) == 10.5


def test_the_policy_factor_makes_a_sum_of_a_mean() -> None:
    assert (policy_factor(60, "sum"), policy_factor(60, "mean")) == (1, 1 / 60)


@pytest.mark.parametrize(
    ("steps", "trial_length", "by_hand"),
    [
        # T H / 2σ, with H = (2 ln 3 + ln 2) / 3 = 0.96346, σ² = (N² - 1) / 48 + (N + 1) / 8
        (15, 3, 15 * 0.963457 / (2 * 1.118034)),
        (60, 3, 60 * 0.963457 / (2 * 3.307189)),
        # H = (ln 3 + ln 2) / 2 = 0.89588
        (10, 2, 10 * 0.895880 / (2 * 1.118034)),
    ],
)
def test_the_noise_weight_by_hand(steps: int, trial_length: int, by_hand: float) -> None:
    assert noise_weight(steps, trial_length) == pytest.approx(by_hand, rel=1e-6)
    assert noise_weight(steps, trial_length, "mean") == pytest.approx(by_hand / steps, rel=1e-6)


@pytest.mark.parametrize("bias", [0.0, 0.5, 2.0, 8.0])
def test_a_bias_slows_progress_in_simulation(bias: float) -> None:
    # A policy over two actions, one of them rewarded; the rest of the return is noise. Progress
    # per normalised step is the mean of a logit's gradient over its root mean square.
    random = np.random.default_rng(0)
    sd, draws = 3.0, 2_000_000
    score = random.integers(2, size=draws) - 0.5
    advantage = 0.2 * score + random.normal(0, sd, draws)

    def progress(baseline: float) -> float:
        gradient = (advantage - baseline) * score
        return float(gradient.mean() / np.sqrt(np.mean(gradient**2)))

    assert progress(0.0) / progress(bias * sd) == pytest.approx(slowdown(bias), rel=0.15)


@pytest.mark.parametrize(("bias", "critic"), [(0.0, 0.0), (0.0, 10.0), (3.0, 0.0), (2.0, 5.0)])
def test_a_product_of_two_slowed_factors_grows_in_simulation(bias: float, critic: float) -> None:
    head, trunk = np.sqrt(1 + bias**2), np.sqrt(1 + bias**2 + critic**2)

    def time(of_head: float, of_trunk: float) -> float:
        x = y = 1e-6
        elapsed, step = 0.0, 1e-3
        while x * y < 1:
            x, y = x + step * y / of_trunk, y + step * x / of_head
            elapsed += step
        return elapsed

    ratio = time(head, trunk) / time(1.0, 1.0)
    assert ratio == pytest.approx(slowdown(bias, critic), rel=0.08)


def test_the_slowdown_by_hand() -> None:
    assert slowdown() == 1
    assert slowdown(bias=3.0) == pytest.approx(10**0.5)  # separate networks
    assert slowdown(critic=3.0) == pytest.approx(10**0.25)  # an unbiased baseline
    assert slowdown(2.0, 2.0) == pytest.approx(45**0.25)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(1.1, 3))
def test_more_bias_or_a_heavier_critic_never_speeds_up_learning(
    bias: float, critic: float, by: float
) -> None:
    assert slowdown(by * bias, critic) >= slowdown(bias, critic)
    assert slowdown(bias, by * critic) >= slowdown(bias, critic)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("carry_state", [False, True])
def test_the_leak_is_an_entropy_bonus_in_the_target_at_every_update(
    carry_state: bool, reduction: Reduction
) -> None:
    task = TaskConfig(episode_length=12)
    agent = AgentConfig(hidden_size=5, carry_state=carry_state)
    layout = Layout(agent, task.num_stimuli)
    parameters = layout.initial_parameters([0, 1]).double().requires_grad_()
    trials, noise = DrawSource(task, [0, 1]).next(1)
    episode = Rollout(task, agent).play(layout.weights(parameters), Draws(trials[0], noise[0]))
    returns = discounted_returns(episode.rewards.flatten(1).double(), discount=1.0)
    log_probs, values = episode.log_probs.flatten(1), episode.values.flatten(1)
    weight = 0.7

    def losses(baseline: Baseline, targets: torch.Tensor) -> torch.Tensor:
        """Sum of the policy loss with the returns and the weighted value loss with the targets."""
        config = LossConfig(baseline=baseline, policy_reduction=reduction)
        advantages = returns - values
        terms = episode_losses(log_probs, torch.zeros(()), advantages, advantages, 0.0, config)
        return (terms.policy + weight * (targets - values).square().mean(dim=-1)).sum()

    alpha = leak_temperature(task.episode_length, weight, reduction)
    bonus = -alpha * log_probs.detach()
    pairs = losses("attached", returns), losses("detached", returns + bonus)
    attached, regressed = (
        torch.autograd.grad(loss, parameters, retain_graph=True)[0] for loss in pairs
    )
    torch.testing.assert_close(attached, regressed)
    without, *_ = torch.autograd.grad(losses("detached", returns), parameters)
    assert (attached - without).norm() > 0.01 * without.norm()


def test_the_temperature_by_hand() -> None:
    assert leak_temperature(60, 5) == 6
    assert leak_temperature(60, 5, "mean") == pytest.approx(0.1)


def test_the_entropy_at_the_start_is_that_of_the_policy() -> None:
    uniform, two_sided = np.full(3, 1 / 3), np.array([0.5, 0.5])
    entropies = [-(policy * np.log(policy)).sum() for policy in (uniform, uniform, two_sided)]
    assert start_entropy(3) == pytest.approx(np.mean(entropies))
    assert start_entropy(1) == pytest.approx(log(2))


@pytest.mark.parametrize(("success", "num_trials"), [(0.5, 5), (0.5, 20), (0.3, 1), (1.0, 7)])
def test_the_mean_return_in_simulation(success: float, num_trials: int) -> None:
    rewards = 2.0 * (np.random.default_rng(3).random((100_000, num_trials)) < success)
    returns = rewards[:, ::-1].cumsum(axis=1)
    expected = mean_return(success, num_trials, reward=2.0)
    assert returns.mean() == pytest.approx(expected, rel=0.01)


def test_the_fixed_point_by_hand() -> None:
    # 15 steps, weight 2: 1.5 rewards to come, overestimated by 15 * 0.963457 / 4.
    fixed_point = mean_return(0.5, 5) + critic_bias(15, start_entropy(3), 2)
    assert fixed_point == pytest.approx(1.5 + 3.612965, abs=1e-5)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("baseline", ["attached", "detached"])
def test_the_identity_of_a_linear_value_head(baseline: Baseline, reduction: Reduction) -> None:
    # Correlated features that cannot represent the mean return, and a policy that is not uniform.
    random = np.random.default_rng(4)
    episodes, steps, weight = 500, 6, 0.8
    features = torch.tensor(random.normal(size=(episodes, steps, 4)).cumsum(axis=1))
    policy = np.array([0.1, 0.2, 0.7])
    actions = random.choice(3, p=policy, size=(episodes, steps))
    rewards = (actions == 2) * (features[..., 0].numpy() > 0)
    returns = discounted_returns(torch.tensor(rewards).double(), discount=1.0)
    log_probs = torch.tensor(np.log(policy)[actions])
    config = LossConfig(baseline=baseline, policy_reduction=reduction)

    def loss(head: torch.Tensor) -> torch.Tensor:
        advantages = returns - features @ head
        none = torch.zeros(())
        return episode_losses(log_probs, none, advantages, advantages, weight, config).total.mean()

    zero = torch.zeros(4, dtype=torch.float64)
    gradient = torch.autograd.functional.jacobian(loss, zero)
    head = -torch.linalg.solve(torch.autograd.functional.hessian(loss, zero), gradient)
    values = features @ head
    leaked = float((values * log_probs).sum(dim=1).mean()) if baseline == "attached" else 0.0
    # The head's expected gradient, Σ_t E[(-(2 w / T) (G_t - v_t) + c log π(a_t)) x_t], is zero.
    # So is its product with the head's weights, which replaces x_t by v_t.
    predicted = leak_temperature(steps, weight, reduction) * leaked
    measured = float(((returns - values) * values).sum(dim=1).mean())
    assert measured == pytest.approx(predicted, abs=1e-9)
    assert abs(leaked) > 0.1 or baseline == "detached"


def test_the_noise_weight_falls_with_the_reward() -> None:
    assert noise_weight(60, 3, reward=10.0) == pytest.approx(noise_weight(60, 3) / 10)


@pytest.mark.parametrize(("steps", "weight"), [(15, 1.0), (15, 3.0), (60, 5.0)])
def test_the_slowdown_of_a_leak_in_simulation(steps: int, weight: float) -> None:
    # Policy gradient of a choice between two sides, with returns of whole episodes
    random = np.random.default_rng(5)
    episodes, num_trials = 200_000, steps // 3
    returns = (random.random((episodes, num_trials)) < 0.5)[:, ::-1].cumsum(axis=1)[:, ::-1]
    position = random.integers(num_trials, size=episodes)
    error = returns[np.arange(episodes), position] - mean_return(0.5, num_trials)
    score = random.integers(2, size=episodes) - 0.5
    noise = [
        np.sqrt(np.mean(((error - bias) * score) ** 2))
        for bias in (0.0, critic_bias(steps, start_entropy(3), weight))
    ]
    predicted = slowdown(noise_weight(steps, 3) / weight)
    assert noise[1] / noise[0] == pytest.approx(predicted, rel=0.02)
