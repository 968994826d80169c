"""The losses of `pwm.core.losses` with options, which change nothing by default.

These options of `LossConfig` change the inputs of the losses, replace the value loss or add a term.
`pwm.training.episode` applies the options of returns and scales.

Shapes: R replicas, T steps per episode.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, assert_never

import torch
from torch import Tensor
from torch.nn.functional import pad

from pwm.core.losses import entropy_bonus, policy_loss, value_loss
from pwm.core.returns import discounted_returns
from pwm.training.loss_config import LossConfig

NORMALISER = 1e-8  # added to the standard deviation of advantages, against division by 0


class Losses(NamedTuple):
    """Losses of one episode, [R] each."""

    policy: Tensor
    value: Tensor
    total: Tensor
    squared_error: Tensor  # mean of A² over steps, which is the value loss unless that is Huber's


def episode_losses(
    log_probs: Tensor,
    entropies: Tensor,
    errors: Tensor,
    advantages: Tensor,
    critic_weight: Tensor | float,
    config: LossConfig,
) -> Losses:
    """Computes all losses of one episode.

    Errors and advantages have the same numbers, A, [R, T]: returns minus values, possibly scaled
    (`pwm.training.episode`). They may differ in the values that their gradients reach.

    Args:
        log_probs: log-probabilities of the actions taken, [R, T].
        entropies: entropies of the policy at each step, in nats, [R, T].
        errors: A, for the value loss.
        advantages: A, for the policy loss.
        critic_weight: w, one for all replicas or [R].
        config: configuration of the losses.
    """
    if config.lost_gradients == "log_probs":
        log_probs = log_probs.detach()
    elif config.lost_gradients == "values":
        errors, advantages = errors.detach(), advantages.detach()
    # Before the policy loss: gradients with respect to a shared tensor are added up in this order.
    squared_error = value_loss(errors)
    match config.value_loss:
        case "squared":
            value = squared_error
        case "huber":
            value = huber_loss(errors)
        case _:
            assert_never(config.value_loss)
    if config.optimism:  # raises the baseline, as the leak raises the values
        advantages = advantages - config.optimism * entropies.detach()
    if config.normalise_advantages:
        advantages = normalised(advantages)
    attached, reduction = config.baseline != "detached", config.policy_reduction
    policy = policy_loss(log_probs, advantages, attached=attached, reduction=reduction)
    total = policy + critic_weight * value
    if config.entropy_weight:
        total = total - config.entropy_weight * entropy_bonus(entropies, reduction)
    return Losses(policy, value, total, squared_error)


def partly_attached(
    advantages: Tensor,
    head_advantages: Tensor,
    baseline: Literal["attached_head", "attached_trunk"],
) -> Tensor:
    """Advantages, [R, T], whose gradient reaches the value head alone, or the trunk alone.

    Args:
        advantages: A, [R, T], whose gradients reach the value head and the trunk.
        head_advantages: the same numbers; their gradients reach the value head only.
        baseline: "attached_head" or "attached_trunk".
    """
    if baseline == "attached_head":
        return head_advantages
    return advantages - head_advantages + head_advantages.detach()  # in the head, they cancel


def normalised(advantages: Tensor) -> Tensor:
    """Advantages, [R, T], minus their mean over steps, divided by their standard deviation."""
    centred = advantages - advantages.mean(dim=-1, keepdim=True)
    variance = centred.square().sum(dim=-1, keepdim=True) / (centred.shape[-1] - 1)
    return centred / (variance.sqrt() + NORMALISER)


def huber_loss(errors: Tensor) -> Tensor:
    """Mean over steps of twice Huber's function, [R], which equals the square near 0."""
    return torch.where(errors.abs() <= 1, errors.square(), 2 * errors.abs() - 1).mean(dim=-1)


def bootstrapped_returns(
    rewards: Tensor, values: Tensor, discount: float, trace_decay: float
) -> Tensor:
    """λ-returns G_t = r_t + γ ((1 - λ) v_t+1 + λ G_t+1), [R, T]; v and G are 0 after the end.

    Since G_t = (r_t + γ (1 - λ) v_t+1) + γ λ G_t+1, they are the discounted returns of the terms
    in brackets, with discount γ λ. G_t - v_t is the advantage of GAE(λ) (Schulman et al., 2016).
    Rewards r and values v are [R, T], in units of reward; γ is `discount` and λ is `trace_decay`.
    If λ is 1, the values are not used; otherwise gradients pass through to them.
    """
    if trace_decay == 1:
        return discounted_returns(rewards, discount)
    next_values = pad(values[:, 1:], (0, 1))  # 0 after the last step
    bootstrapped = rewards + discount * (1 - trace_decay) * next_values
    return discounted_returns(bootstrapped, discount * trace_decay)
