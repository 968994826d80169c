"""Closed forms against enumeration, simulation and constants worked out by hand."""

from __future__ import annotations

from itertools import product
from math import exp, log
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pwm.analysis import theory
from pwm.analysis.conventions import CONVENTIONS, convert_weight, weight_of_library
from pwm.analysis.theory import (
    Reduction,
    advantage_log_prob,
    bias_to_noise,
    critic_bias,
    edge_weight,
    log_prob_covariance,
    noise_weight,
    return_sd,
    slowdown,
    value_floor,
)
from pwm.core import losses
from pwm.core.losses import LossConfig, discounted_returns, episode_losses

REDUCTIONS: list[Reduction] = ["sum", "mean"]
reductions = st.sampled_from(REDUCTIONS)
steps = st.integers(1, 100)
weights = st.floats(1e-3, 1e3)
entropies = st.floats(1e-3, log(3))
policies = st.lists(st.floats(-3, 3), min_size=3, max_size=3).map(
    lambda logits: [exp(logit) / sum(map(exp, logits)) for logit in logits]
)


def return_variance(success: float, num_trials: int) -> float:
    """Variance of the return over equally likely positions and all outcomes, by enumeration."""
    chance, returns = [], []
    for outcomes in product((0, 1), repeat=num_trials):
        wins = sum(outcomes)
        weight = success**wins * (1 - success) ** (num_trials - wins)
        for position in range(num_trials):
            chance.append(weight / num_trials)
            returns.append(sum(outcomes[position:]))
    mean = np.average(returns, weights=chance)
    return float(np.average((np.array(returns) - mean) ** 2, weights=chance))


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
        # Nothing to foresee; one coin; the returns 2, 1 half of the time each.
        (0.0, 20, 0.0),
        (0.5, 1, 0.25),
        (1.0, 1, 0.0),
        (1.0, 2, 0.25),
    ],
)
def test_the_value_floor_at_points_worked_out_by_hand(
    success: float, num_trials: int, floor: float
) -> None:
    assert value_floor(success, num_trials) == pytest.approx(floor, abs=1e-12)


def test_no_constant_critic_has_a_smaller_value_loss_than_the_floor() -> None:
    random = np.random.default_rng(0)
    rewards = random.random((100_000, 20)) < 0.7
    returns = rewards[:, ::-1].cumsum(axis=1)
    losses = [np.mean((returns - value) ** 2) for value in np.linspace(6, 9, 31)]
    assert min(losses) == pytest.approx(value_floor(0.7, 20), rel=0.01)


@pytest.mark.parametrize(
    ("success", "num_trials", "floor"),
    # Rewarded half of the time, or always; one coin.
    [(0.5, 20, 2.625), (1.0, 20, 0.0), (0.5, 5, 0.75), (0.5, 1, 0.25), (0.0, 5, 0.0)],
)
def test_the_floor_of_a_critic_that_knows_its_position(
    success: float, num_trials: int, floor: float
) -> None:
    assert value_floor(success, num_trials, position_known=True) == pytest.approx(floor, abs=1e-12)


@pytest.mark.parametrize(("success", "num_trials"), [(0.3, 5), (0.7, 20), (1.0, 5)])
def test_simulated_returns_vary_as_the_floors_say(success: float, num_trials: int) -> None:
    random = np.random.default_rng(1)
    rewards = random.random((100_000, num_trials)) < success
    returns = rewards[:, ::-1].cumsum(axis=1)[:, ::-1]
    assert returns.var() == pytest.approx(value_floor(success, num_trials), rel=0.02)
    given_position = returns.var(axis=0).mean()
    floor = value_floor(success, num_trials, position_known=True)
    assert given_position == pytest.approx(floor, rel=0.02)
    assert return_sd(success, num_trials) == pytest.approx(returns.std(), rel=0.01)


def test_the_standard_deviation_at_a_point_worked_out_by_hand() -> None:
    assert return_sd(1.0, 7) == 2.0
    assert return_sd(0.5, 7, position_known=True) == 1.0


def test_both_modules_know_the_same_reductions() -> None:
    assert get_args(theory.Reduction) == get_args(losses.Reduction)


def test_the_bias_at_points_worked_out_by_hand() -> None:
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
    # A mean of the policy loss does not know how long the episode is.
    per_step = critic_bias(1, entropy, weight)
    assert critic_bias(steps, entropy, weight, "mean") == pytest.approx(per_step)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("baseline", ["attached", "detached"])
def test_a_tabular_critic_trained_by_gradient_settles_where_the_bias_says(
    baseline: losses.Baseline, reduction: Reduction
) -> None:
    random = np.random.default_rng(2)
    episodes, steps, weight = 20_000, 6, 1.5
    policy = np.array([[0.2, 0.3, 0.5], [0.05, 0.05, 0.9]])
    reward = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]])
    state = random.integers(2, size=(episodes, steps))
    # The action is the number of cumulative probabilities that a uniform number is above.
    uniform = random.random((episodes, steps, 1))
    action = (uniform > policy.cumsum(axis=1)[state][..., :2]).sum(axis=2)
    returns = discounted_returns(torch.tensor(reward[state, action]), discount=1.0)
    log_probs = torch.tensor(np.log(policy[state, action]))

    values = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    config = LossConfig(baseline=baseline, policy_reduction=reduction)
    for _ in range(60):
        advantages = returns - values[torch.tensor(state)]
        total = episode_losses(log_probs, torch.tensor(0.0), advantages, weight, config).total
        (gradient,) = torch.autograd.grad(total.mean(), [values])
        values = (values - 0.3 * gradient).detach().requires_grad_()

    # What is to come is worth the mean over both states at each of 2.5 further steps.
    mean_reward = (policy * reward).sum(axis=1)
    mean_return = mean_reward + (steps - 1) / 2 * mean_reward.mean()
    entropy = -(policy * np.log(policy)).sum(axis=1)
    bias = [critic_bias(steps, h, weight, reduction) for h in entropy]
    expected = mean_return + (np.array(bias) if baseline == "attached" else 0)
    assert values.detach().numpy() == pytest.approx(expected, abs=0.05)
    assert min(bias) > 0.1  # what the tolerance can tell from none


@given(policies, st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_the_covariance_is_that_of_reward_and_log_probability(
    policy: list[float], rewards: list[float]
) -> None:
    covariance = np.cov([rewards, np.log(policy)], aweights=policy, ddof=0)[0, 1]
    assert log_prob_covariance(policy, rewards) == pytest.approx(covariance, abs=1e-9)


def test_the_covariance_at_points_worked_out_by_hand() -> None:
    # ¾ · log ¾ less ¾ · (¾ log ¾ + ¼ log ¼) is ³⁄₁₆ log 3.
    assert log_prob_covariance([0.75, 0.25], [1, 0]) == pytest.approx(3 / 16 * log(3))
    assert log_prob_covariance([0.75, 0, 0.25], [1, 100, 0]) == pytest.approx(3 / 16 * log(3))
    assert log_prob_covariance([1, 0, 0], [1, 2, 3]) == 0
    assert log_prob_covariance([1 / 3] * 3, [1, 2, 3]) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="shorter"):
        log_prob_covariance([0.5, 0.5], [1])


class Moments(NamedTuple):
    """Of all episodes that visit one state at each step."""

    value_loss: float
    variance: float
    advantage_log_prob: float


def enumerated(
    states: tuple[int, ...], policy: list[list[float]], reward: list[list[float]], bias: list[float]
) -> Moments:
    """Go through every episode, with the critic at its mean return in each state plus a bias."""
    chance, returns, log_probs = [], [], []
    for actions in product(range(3), repeat=len(states)):
        taken = [policy[state][action] for state, action in zip(states, actions, strict=True)]
        rewards = [reward[state][action] for state, action in zip(states, actions, strict=True)]
        chance.append(np.prod(taken))
        returns.append([sum(rewards[step:]) for step in range(len(states))])
        log_probs.append(np.log(taken))
    state = np.array(states)
    mean_at_step = np.average(returns, axis=0, weights=chance)
    mean = np.array([mean_at_step[state == visited].mean() for visited in states])
    advantages = np.array(returns) - mean - np.array(bias)[state]
    return Moments(
        float(np.average(advantages**2, axis=0, weights=chance).mean()),
        float(np.average((returns - mean) ** 2, axis=0, weights=chance).mean()),
        float(np.average(advantages * np.array(log_probs), axis=0, weights=chance).sum()),
    )


# One step; two trials, from a reset state or not; three, of which two look alike.
@pytest.mark.parametrize("states", [(0,), (0, 0), (0, 1), (0, 1, 0)])
@given(
    policy=st.lists(policies, min_size=2, max_size=2),
    reward=st.lists(st.lists(st.floats(0, 2), min_size=3, max_size=3), min_size=2, max_size=2),
    weight=st.floats(0.05, 20),
    loss=st.tuples(reductions, st.sampled_from(get_args(losses.Baseline))),
)
def test_the_identity_holds_for_every_episode_enumerated(
    states: tuple[int, ...],
    policy: list[list[float]],
    reward: list[list[float]],
    weight: float,
    loss: tuple[Reduction, losses.Baseline],
) -> None:
    reduction, baseline = loss
    attached, steps = baseline == "attached", len(states)
    entropy = [-sum(p * log(p) for p in probabilities) for probabilities in policy]
    bias = [critic_bias(steps, h, weight, reduction) if attached else 0.0 for h in entropy]
    seen = enumerated(states, policy, reward, bias)
    covariance = sum(log_prob_covariance(policy[state], reward[state]) for state in states)
    predicted = advantage_log_prob(
        seen.value_loss,
        seen.variance,
        covariance,
        critic_weight=weight,
        steps=steps,
        reduction=reduction,
    )
    assert predicted == pytest.approx(seen.advantage_log_prob, rel=1e-8, abs=1e-8)
    if not attached:
        assert seen.advantage_log_prob == pytest.approx(covariance, abs=1e-8)


def test_the_identity_at_a_point_worked_out_by_hand() -> None:
    assert advantage_log_prob(12.0, 11.0, 0.5, critic_weight=5, steps=60) == 10.5
    averaged = advantage_log_prob(12.0, 11.0, 0.5, critic_weight=5, steps=60, reduction="mean")
    assert averaged == pytest.approx(600.5)


def test_the_bias_over_the_noise_at_a_point_worked_out_by_hand() -> None:
    # A bias of 15 · 1 / (2 · 2.5) = 3 over √((49 - 1) / 12) = 2.
    assert bias_to_noise(15, 1.0, 2.5, success=1, num_trials=7) == pytest.approx(1.5)
    assert edge_weight(1.5, 15, 1.0, success=1, num_trials=7) == pytest.approx(2.5)
    averaged = bias_to_noise(15, 1.0, 2.5, success=1, num_trials=7, reduction="mean")
    assert averaged == pytest.approx(0.1)
    # With the position known: √(½ · ½ · 8 / 2) = 1.
    known = bias_to_noise(15, 1.0, 2.5, success=0.5, num_trials=7, position_known=True)
    assert known == pytest.approx(3)
    with pytest.raises(ZeroDivisionError):
        bias_to_noise(15, 1.0, 2.5, success=0, num_trials=7)


@given(
    st.tuples(steps, entropies),
    weights,
    st.fixed_dictionaries(
        {
            "success": st.floats(0.01, 0.99),
            "num_trials": st.integers(1, 30),
            "position_known": st.booleans(),
        }
    ),
    reductions,
)
def test_the_edge_weight_is_the_inverse_of_the_ratio(
    episode: tuple[int, float], weight: float, returns: dict[str, Any], reduction: Reduction
) -> None:
    ratio = bias_to_noise(*episode, weight, **returns, reduction=reduction)
    bias = critic_bias(*episode, weight, reduction)
    assert ratio**2 * value_floor(**returns) == pytest.approx(bias**2)
    edge = edge_weight(ratio, *episode, **returns, reduction=reduction)
    assert edge == pytest.approx(weight)
    assert bias_to_noise(*episode, edge / 2, **returns, reduction=reduction) == pytest.approx(
        2 * ratio
    )


@pytest.mark.parametrize(
    ("weight", "steps", "reduction", "library", "converted"),
    [
        # The notes' best weights, in the units of libraries that mean both losses.
        (5, 60, "sum", "stable-baselines3-a2c", 1 / 12),
        (5, 60, "sum", "cleanrl-ppo", 1 / 6),
        (2, 15, "sum", "rllib-ppo", 2 / 15),
        (2, 15, "sum", "acme-ppo", 2 / 15),
        # Two means here too: alike, but for the half.
        (0.5, 60, "mean", "stable-baselines3-ppo", 0.5),
        (0.5, 60, "mean", "cleanrl-ppo", 1),
    ],
)
def test_weights_in_the_units_of_libraries(
    weight: float, steps: int, reduction: Reduction, library: str, converted: float
) -> None:
    assert convert_weight(weight, steps, reduction, to=library) == pytest.approx(converted)


def test_default_weights_of_libraries_here() -> None:
    here = {
        name: weight_of_library(convention.default_weight, 60, "sum", name)
        for name, convention in CONVENTIONS.items()
    }
    assert here == {
        "stable-baselines3-a2c": 30,
        "stable-baselines3-ppo": 30,
        "cleanrl-ppo": 15,
        "rllib-ppo": 60,
        "rllib-a3c": 15,
        "acme-ppo": 60,
    }


@given(weights, steps, reductions, st.sampled_from(sorted(CONVENTIONS)))
def test_a_weight_comes_back_from_a_library(
    weight: float, steps: int, reduction: Reduction, library: str
) -> None:
    there = convert_weight(weight, steps, reduction, library)
    assert weight_of_library(there, steps, reduction, library) == pytest.approx(weight)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("library", sorted(CONVENTIONS))
def test_a_converted_weight_gives_a_gradient_in_the_same_direction(
    library: str, reduction: Reduction
) -> None:
    steps, weight = 7, 3.0
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(3, 1, steps, generator=generator, dtype=torch.float64)
    log_probs, returns, values = draws[0].log(), draws[1], draws[2]
    log_probs.requires_grad_()
    values.requires_grad_()
    config = LossConfig(baseline="detached", policy_reduction=reduction)
    advantages = returns - values
    here = episode_losses(log_probs, torch.tensor(0.0), advantages, weight, config).total
    factor = CONVENTIONS[library].value_factor
    squared = factor * advantages.square().mean()
    there = convert_weight(weight, steps, reduction, library) * squared
    there = there - (advantages.detach() * log_probs).mean()
    ours = torch.cat(torch.autograd.grad(here, [log_probs, values], torch.ones(1)))
    theirs = torch.cat(torch.autograd.grad(there, [log_probs, values]))
    torch.testing.assert_close(theirs, ours * (theirs.norm() / ours.norm()))


# How long learning takes


@pytest.mark.parametrize(
    ("steps", "trial_length", "by_hand"),
    [
        # T H / 2σ, with H = (2 ln 3 + ln 2) / 3 = 0.96345, σ² = (N² - 1) / 48 + (N + 1) / 8
        (15, 3, 15 * 0.963453 / (2 * 1.118034)),
        (60, 3, 60 * 0.963453 / (2 * 3.307189)),
        # H = (ln 3 + ln 2) / 2 = 0.89588
        (10, 2, 10 * 0.895880 / (2 * 1.118034)),
    ],
)
def test_the_weight_of_noise_by_hand(steps: int, trial_length: int, by_hand: float) -> None:
    assert noise_weight(steps, trial_length) == pytest.approx(by_hand, rel=1e-5)
    assert noise_weight(steps, trial_length, "mean") == pytest.approx(by_hand / steps, rel=1e-5)


@pytest.mark.parametrize("bias", [0.0, 0.5, 2.0, 8.0])
def test_a_bias_slows_progress_as_its_noise_grows(bias: float) -> None:
    # A policy of two actions, one paid, where the rest of the return is noise: the mean of the
    # gradient by a logit, over its root mean square, is the progress of a normalised step.
    random = np.random.default_rng(0)
    sd, draws = 3.0, 2_000_000
    score = random.integers(2, size=draws) - 0.5
    advantage = 0.2 * score + random.normal(0, sd, draws)

    def progress(baseline: float) -> float:
        gradient = (advantage - baseline) * score
        return float(gradient.mean() / np.sqrt(np.mean(gradient**2)))

    assert progress(0.0) / progress(bias * sd) == pytest.approx(slowdown(bias), rel=0.15)


@pytest.mark.parametrize(("bias", "critic"), [(0.0, 0.0), (0.0, 10.0), (3.0, 0.0), (2.0, 5.0)])
def test_a_product_grows_as_slowly_as_its_factors_together(bias: float, critic: float) -> None:
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
def test_more_bias_and_more_critic_take_longer(bias: float, critic: float, by: float) -> None:
    assert slowdown(by * bias, critic) >= slowdown(bias, critic)
    assert slowdown(bias, by * critic) >= slowdown(bias, critic)
