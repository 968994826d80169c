"""Closed forms. No torch.

One episode has T steps. Its loss, as in `pwm.core.losses`, is the policy loss, reduced over the
steps by a sum or a mean, plus the critic weight w times the mean squared error of the values. A policy
loss has the factor c before each step's term: c = 1 for the sum, 1/T for the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, log, sqrt
from typing import Literal

Reduction = Literal["sum", "mean"]


def value_floor(success: float, num_trials: int, position_known: bool = False) -> float:
    """Smallest value loss of a critic that cannot foresee the outcome of a trial.

    A step of the n-th of N trials is followed by S successes among n' = N - n + 1 trials, so
    its return has mean p n' and variance p (1 - p) n'. A critic that is blind to n can do no
    better than the overall mean, and is left with the variance of p n' over n and the mean of
    the variance: p² (N² - 1) / 12 + p (1 - p) (N + 1) / 2. One that knows n predicts p n', and
    is left with the second term. It holds for undiscounted returns over whole episodes, with
    every trial alike; for the blind critic, with the LSTM's state reset at every trial.

    Args:
        success: p, probability that a trial is rewarded, in [0, 1].
        num_trials: N, trials an episode, at least 1.
        position_known: whether the critic can tell which trial of the episode it is in.
    Returns:
        Variance of the return given what the critic knows, in reward².
    """
    between = success**2 * (num_trials**2 - 1) / 12
    within = success * (1 - success) * (num_trials + 1) / 2
    return within if position_known else between + within


def return_sd(success: float, num_trials: int, position_known: bool = False) -> float:
    """Standard deviation of the return given what the critic knows: root of `value_floor`.

    Args:
        success: p, probability that a trial is rewarded, in [0, 1].
        num_trials: N, trials an episode, at least 1.
        position_known: whether the critic can tell which trial of the episode it is in.
    Returns:
        In reward.
    """
    return sqrt(value_floor(success, num_trials, position_known))


def critic_bias(
    steps: int, entropy: float, critic_weight: float, reduction: Reduction = "sum"
) -> float:
    """How far above the mean return the critic comes to rest, with an attached baseline.

    The loss of an episode has ∂L/∂v_t = -(2 w / T) (G_t - v_t) + c log π(a_t). In a state s its
    expectation is -(2 w / T) (E[G|s] - v) - c H, which is zero at v = E[G|s] + c T H / (2 w).
    With a detached baseline there is no second term, and no bias.

    Args:
        steps: T, steps an episode, at least 1.
        entropy: H, of the policy in that state, in nats.
        critic_weight: w, above 0.
        reduction: of the policy loss.
    Returns:
        b = c T H / (2 w), in reward.
    """
    return policy_factor(steps, reduction) * steps * entropy / (2 * critic_weight)


def log_prob_covariance(probabilities: Sequence[float], rewards: Sequence[float]) -> float:
    """Covariance of the reward with the log-probability of the action, at one step.

    Σ_a π(a) r(a) log π(a) - Σ_a π(a) r(a) · Σ_a π(a) log π(a), with 0 log 0 = 0. It is zero
    for a uniform and for a deterministic policy. Where what follows does not depend on the
    action, the return has the same covariance as the reward.

    Args:
        probabilities: π(a) of each action, which sum to 1.
        rewards: mean reward (or mean return) of each action.
    Returns:
        Cov(r, log π(a)), in reward times nats.
    """
    # An action that is never taken has no log-probability and does not count.
    taken = [(p, r, log(p)) for p, r in zip(probabilities, rewards, strict=True) if p > 0]
    mean_reward = fsum(p * r for p, r, _ in taken)
    # About the mean, where sums of large terms do not cancel.
    return fsum(p * (r - mean_reward) * log_prob for p, r, log_prob in taken)


def advantage_log_prob(
    value_loss: float,
    variance: float,
    covariance: float,
    *,
    critic_weight: float,
    steps: int,
    reduction: Reduction = "sum",
) -> float:
    """Σ_t E[(G_t - v_t) log π(a_t)] of an episode, once the critic is at its fixed point.

    With an attached baseline v = E[G|s] + b(s), b = c T H / (2 w), as in `critic_bias`. Then,
    a term for each step,

        T · value loss         = T · variance + Σ b²
        Σ E[(G - v) log π(a)]  = Σ Cov(G, log π(a)) + Σ b H
        Σ b H                  = (2 w / (c T)) Σ b² = (2 w / c) (value loss - variance),

    where neither the entropy nor the bias is left. With a detached baseline the value loss is
    the variance, and only the covariance remains.

    Args:
        value_loss: mean squared error of the values, in reward².
        variance: of the return given the critic's state, mean over the steps, in reward²; for
            a critic blind to its position, `value_floor`.
        covariance: Σ_t Cov(G_t, log π(a_t)) given the critic's state, in reward times nats.
        critic_weight: w.
        steps: T, steps an episode, at least 1.
        reduction: of the policy loss.
    Returns:
        In reward times nats. The policy loss is -c times it.
    """
    factor = 2 * critic_weight / policy_factor(steps, reduction)
    return factor * (value_loss - variance) + covariance


def bias_to_noise(
    steps: int,
    entropy: float,
    critic_weight: float,
    *,
    success: float,
    num_trials: int,
    reduction: Reduction = "sum",
    position_known: bool = False,
) -> float:
    """Bias of an attached critic over the standard deviation of the return.

    `critic_bias` by `return_sd`: c T H / (2 w σ). Above 1 the baseline adds more to the
    advantage's second moment than the return's own variance does.

    Args:
        steps: T, steps an episode, at least 1.
        entropy: H, of the policy, in nats.
        critic_weight: w, above 0.
        success: p, probability that a trial is rewarded, in (0, 1].
        num_trials: N, trials an episode; 2 or more where the success is certain.
        reduction: of the policy loss.
        position_known: whether the critic can tell which trial of the episode it is in.
    Returns:
        A ratio, without a unit. There is none (`ZeroDivisionError`) if the return is certain.
    """
    bias = critic_bias(steps, entropy, critic_weight, reduction)
    return bias / return_sd(success, num_trials, position_known)


def edge_weight(
    ratio: float,
    steps: int,
    entropy: float,
    *,
    success: float,
    num_trials: int,
    reduction: Reduction = "sum",
    position_known: bool = False,
) -> float:
    """Critic weight at which `bias_to_noise` has a given value: w = c T H / (2 ratio σ).

    If learning fails above one ratio of bias to noise, this is the lower edge of the weights.

    Args:
        ratio: of the bias to the standard deviation of the return, above 0.
        steps: T, steps an episode, at least 1.
        entropy: H, of the policy, in nats.
        success: p, probability that a trial is rewarded, in (0, 1].
        num_trials: N, trials an episode; 2 or more where the success is certain.
        reduction: of the policy loss.
        position_known: whether the critic can tell which trial of the episode it is in.
    Returns:
        A critic weight. There is none (`ZeroDivisionError`) if the return is certain.
    """
    # The ratio is inversely proportional to the weight.
    return bias_to_noise(
        steps,
        entropy,
        ratio,
        success=success,
        num_trials=num_trials,
        reduction=reduction,
        position_known=position_known,
    )


def noise_weight(steps: int, trial_length: int, reduction: Reduction = "sum") -> float:
    """Critic weight at which the leak's bias is the return's standard deviation, before learning.

    Before a rule is learned the policy is taken to be uniform, over three actions before a
    trial's last step and over the two that may pay at it, and the critic to be blind to its
    position. There is no free number in it.

    Args:
        steps: T, steps an episode, whole trials.
        trial_length: steps a trial, at least 1.
        reduction: of the policy loss.
    Returns:
        A critic weight.
    """
    entropy = ((trial_length - 1) * log(3) + log(2)) / trial_length
    return edge_weight(
        1.0,
        steps,
        entropy,
        success=0.5,
        num_trials=steps // trial_length,
        reduction=reduction,
    )


def slowdown(bias: float = 0.0, critic: float = 0.0) -> float:
    """How many times as many episodes learning takes, with a biased baseline and a shared trunk.

    RMSprop's steps are of one size, so progress is the mean of the gradient over its root mean
    square. A bias b multiplies the policy's mean square by 1 + (b / σ)², in the head and in the
    trunk; in the trunk the critic's mean square is added. What is learned is a product of the
    two, and of two factors that each grow in proportion to the other, x' = y / S₁ and
    y' = x / S₂, both grow at the rate 1 / sqrt(S₁ S₂).

    Args:
        bias: of the baseline, over the standard deviation of the return.
        critic: root mean square of the critic's gradient of the trunk, over that of the policy's
            with an unbiased baseline; 0 if they share no trunk.
    Returns:
        ((1 + bias²) (1 + bias² + critic²))^¼.
    """
    head, trunk = 1 + bias**2, 1 + bias**2 + critic**2
    return sqrt(sqrt(head) * sqrt(trunk))


def policy_factor(steps: int, reduction: Reduction) -> float:
    """Return c, the factor before each step's term of the policy loss."""
    return {"sum": 1.0, "mean": 1 / steps}[reduction]
