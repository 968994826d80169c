"""The losses of one episode, as pure functions.

With the return G_t to the end of the episode, the value v_t, the advantage A_t = G_t - v_t, the
policy's entropy H_t, the critic weight w, and c, which is 1 if the policy loss is a sum over the T
steps of the episode and 1/T if it is a mean,

    value loss  = mean_t A_t²
    policy loss = -c Σ_t Ã_t log π(a_t),   Ã = A if attached, stop-gradient(A) if detached
    total       = policy loss + w * value loss - entropy weight * c Σ_t H_t

Hence, with G constant,

    ∂total/∂v_t = -(2 w / T) A_t + (c log π(a_t) if attached, else 0).

The last term is the *leak*: as log π ≤ 0, it raises the critic's values, by c T H / (2 w) at their
fixed point (`pwm.core.leak`). These formulas hold for any discount, `policy_reduction` and entropy
weight, for `baseline` attached or detached, and with the defaults of all other fields.

A weight w here, with a summed policy loss, equals w / T in a library that averages both losses, and
2 w / T if it also halves the squared error.

Shapes: R replicas, T steps per episode.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

import torch
from torch import Tensor

from pwm.core.loss_config import LossConfig, Reduction

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
    advantages: Tensor,
    head_advantages: Tensor,
    errors: Tensor,
    critic_weight: Tensor | float,
    config: LossConfig,
) -> Losses:
    """Computes all losses of one episode.

    Three arguments, [R, T], hold A, returns minus values, possibly scaled (`pwm.core.episode`).
    They differ in the values that their gradients reach; targets are λ-returns, with later values:

                                       head   trunk   later values in the targets
        errors (value loss)            yes    yes     no
        advantages (policy loss)       yes    yes     with `leaking_targets`
        head_advantages (likewise)     yes    no      with `leaking_targets`, through the head

    Args:
        log_probs: log-probabilities of the actions taken, [R, T].
        entropies: entropies of the policy at each step, in nats, [R, T].
        advantages: A; by default the same tensor as `errors`.
        head_advantages: A, only for the baselines "attached_head" and "attached_trunk".
        errors: A.
        critic_weight: w, one for all replicas or [R].
        config: configuration of the losses.
    """
    if config.lost_gradients == "log_probs":
        log_probs = log_probs.detach()
    elif config.lost_gradients == "values":
        advantages, head_advantages = advantages.detach(), head_advantages.detach()
        errors = errors.detach()
    squared_error = errors.square().mean(dim=-1)
    match config.value_loss:
        case "squared":
            value = squared_error
        case "huber":  # twice Huber's function, to equal the square near 0
            huber = torch.where(errors.abs() <= 1, errors.square(), 2 * errors.abs() - 1)
            value = huber.mean(dim=-1)
        case _:
            assert_never(config.value_loss)
    if config.optimism:  # raises the baseline, as the leak raises the values
        raised = config.optimism * entropies.detach()
        advantages, head_advantages = advantages - raised, head_advantages - raised
    policy = policy_loss(log_probs, advantages, head_advantages, config)
    total = policy + critic_weight * value
    if config.entropy_weight:
        total = total - config.entropy_weight * _reduce(entropies, config.policy_reduction)
    return Losses(policy, value, total, squared_error)


def policy_loss(
    log_probs: Tensor, advantages: Tensor, head_advantages: Tensor, config: LossConfig
) -> Tensor:
    """REINFORCE loss (Williams, 1992), [R]; inputs of `episode_losses` after cuts and optimism."""
    match config.baseline:
        case "attached":
            pass  # gradients reach the values: this is the leak
        case "detached":
            advantages = advantages.detach()
        case "attached_head":
            advantages = head_advantages
        case "attached_trunk":  # A, whose gradient in the head cancels
            advantages = advantages - head_advantages + head_advantages.detach()
        case _:
            assert_never(config.baseline)
    if config.normalise_advantages:
        advantages = advantages - advantages.mean(dim=-1, keepdim=True)
        variance = advantages.square().sum(dim=-1, keepdim=True) / (advantages.shape[-1] - 1)
        advantages = advantages / (variance.sqrt() + NORMALISER)
    return -_reduce(advantages * log_probs, config.policy_reduction)


def _reduce(steps: Tensor, reduction: Reduction) -> Tensor:
    """Sum or mean over the steps: [R] from [R, T]."""
    return steps.sum(dim=-1) if reduction == "sum" else steps.mean(dim=-1)
