"""Closed forms, without PyTorch: the return, the critic's loss, the leak's noise, the slowdown.

An episode has T steps. Its loss (`pwm.core.losses`) is the policy loss, a sum or a mean over the
steps, plus the critic weight w times the mean squared error of the values. Each step's term in
the policy loss has the factor c: 1 for a sum, 1/T for a mean. With an attached baseline, the policy
loss's gradient also reaches the values: this leak biases them (`pwm.core.leak`).
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from pwm.core.leak import critic_bias, start_entropy

if TYPE_CHECKING:
    from pwm.core.losses import Reduction


def policy_factor(steps: int, reduction: Reduction) -> float:
    """Factor c of each step's term in the policy loss: 1 for a sum, 1/T for a mean of T steps."""
    return 1.0 if reduction == "sum" else 1 / steps


def mean_return(success: float, num_trials: int, reward: float = 1.0) -> float:
    """Mean expected return over the steps of an episode of N trials, in reward.

    Returns are undiscounted and end with the episode, whose trials are equally long. Each trial is
    rewarded with probability p, the `success`. At a step of trial n, trials n to N
    can still be rewarded, so the expected return is reward p (N - n + 1). Its mean over n is
    reward p (N + 1) / 2.
    """
    return reward * success * (num_trials + 1) / 2


def value_floor(success: float, num_trials: int, position_known: bool = False) -> float:
    """Smallest value loss of a critic that cannot predict whether a trial will be rewarded.

    It is the variance of the return given what the critic knows, in reward². Each of the N trials
    of an episode is rewarded with probability p, the `success`. From trial n on, n' = N - n + 1
    trials can be rewarded, so the return has mean p n' and variance p (1 - p) n'. A critic that
    does not know n, because its LSTM's state is reset at every trial, can at best predict the
    overall mean. Its loss is then the variance of p n' over n, plus the mean of p (1 - p) n':
    p² (N² - 1) / 12 + p (1 - p) (N + 1) / 2. A critic that knows n, its position, predicts p n', so
    only the second term remains. Valid for rewards of 1 and undiscounted returns of whole episodes
    whose trials are all alike.
    """
    between = success**2 * (num_trials**2 - 1) / 12
    within = success * (1 - success) * (num_trials + 1) / 2
    return within if position_known else between + within


def advantage_log_prob(
    value_loss: float, variance: float, covariance: float, *, critic_weight: float
) -> float:
    """Sum over an episode of E[(G_t - v_t) log π(a_t)], with the critic at its fixed point.

    It is minus the policy loss (a sum over steps), in reward times nats. With an attached baseline,
    v = E[G|s] + b(s) in a state s, where b = T H / (2 w) as in `critic_bias`. Then

        T · value loss         = T · variance + Σ b²
        Σ E[(G - v) log π(a)]  = Σ Cov(G, log π(a)) + Σ b H
        Σ b H                  = (2 w / T) Σ b² = 2 w (value loss - variance),

    so neither the entropy nor the bias remains in the result. With a detached baseline, the value
    loss equals the variance, and only the covariance remains.

    Args:
        value_loss: mean squared error of the values, in reward².
        variance: variance of the return given the critic's state, mean over steps, in reward²;
            `value_floor` for a critic that does not know which trial it is in.
        covariance: Σ_t Cov(G_t, log π(a_t)) given the critic's state, in reward times nats.
        critic_weight: w, weight of the value loss.
    """
    return 2 * critic_weight * (value_loss - variance) + covariance


def noise_weight(
    steps: int, trial_length: int, reduction: Reduction = "sum", *, reward: float = 1.0
) -> float:
    """Critic weight at which the leak's bias equals the return's standard deviation.

    At a weight w, the bias is `noise_weight` / w standard deviations, and adds that much noise to
    the policy's gradient (`slowdown`). Assumes a policy that is uniform, except that it never picks
    hold at a trial's last step (`start_entropy`), so half of the trials are rewarded, and a critic
    that does not know which trial it is in. Nothing is fitted. The bias does not depend on the size
    of the reward; the standard deviation is proportional to it.

    Args:
        steps: T, steps per episode, in whole trials, at least one.
        trial_length: steps per trial, at least 1.
        reduction: reduction of the policy loss.
        reward: reward of a trial.
    Returns:
        w = c T H / (2 σ), where σ is the reward times the square root of `value_floor`.
    """
    bias_at_weight_1 = critic_bias(steps, start_entropy(trial_length), 1.0, reduction)
    return bias_at_weight_1 / (reward * sqrt(value_floor(0.5, steps // trial_length)))


def slowdown(bias: float = 0.0, critic: float = 0.0) -> float:
    """Factor by which a biased baseline and a critic's gradient in the shared trunk slow learning.

    RMSprop divides a gradient by its root mean square, so progress is the mean gradient divided by
    this root mean square. A bias multiplies the root mean square by S₁ = sqrt(1 + bias²) in the
    policy head. In the trunk, where the critic's gradient is added, the factor is
    S₂ = sqrt(1 + bias² + critic²). The policy's logits are a product of the head's weights, of size
    x, and the trunk's features, of size y. The gradient of each is proportional to the other,
    so x' = y / S₁ and y' = x / S₂. Both then grow at the rate 1 / sqrt(S₁ S₂): learning takes
    sqrt(S₁ S₂) times as long.

    Args:
        bias: bias of the baseline divided by the standard deviation σ of the return.
        critic: root mean square of the critic's gradient in the trunk, divided by that of the
            policy's with an unbiased baseline; 0 if they do not share a trunk.
    Returns:
        ((1 + bias²) (1 + bias² + critic²))^¼.
    """
    head, trunk = 1 + bias**2, 1 + bias**2 + critic**2  # S₁² and S₂²
    return sqrt(sqrt(head) * sqrt(trunk))
