"""The losses of one episode, as pure functions.

This is the only place where the critic weight, the reductions and the detach are decided.
With the advantage A_t = G_t - v_t of the return over the baseline,

    value loss  = mean_t A_t²
    policy loss = -reduce_t (Ã_t log π(a_t)),   Ã = A if attached, stop-gradient(A) if detached
    total       = policy loss + critic weight * value loss - entropy weight * reduce_t H_t

so that, for T steps an episode,

    ∂total/∂v_t = -(2 w / T) A_t + [attached] c log π(a_t),   c = 1 (sum) or 1/T (mean).

A weight w here, with the policy loss a sum, weighs the two as w / T does in a library that
means both, and as 2 w / T in one that means both and halves the squared error.

Shapes: R replicas, T steps an episode.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn.functional import pad

from pwm.errors import require, require_finite

Baseline = Literal["attached", "detached"]
Reduction = Literal["sum", "mean"]


@dataclass(frozen=True)
class LossConfig:
    """What is minimised, but for the critic weight, which is each replica's own."""

    baseline: Baseline = "attached"
    """Whether the policy loss's gradient flows into the critic (attached, as in the notes)."""
    policy_reduction: Reduction = "sum"
    """How the policy loss and the entropy bonus are reduced over the steps of an episode."""
    discount: float = 1.0
    """Discount of the return, which runs over the whole episode."""
    entropy_weight: float = 0.0
    """Weight of the entropy bonus."""

    def __post_init__(self) -> None:
        for name, value, accepted in (
            ("baseline", self.baseline, get_args(Baseline)),
            ("policy_reduction", self.policy_reduction, get_args(Reduction)),
        ):
            require(value in accepted, name, value, "one of " + ", ".join(accepted))
        require(0 <= self.discount <= 1, "discount", self.discount, "a number from 0 to 1")
        require_finite("entropy_weight", self.entropy_weight)


class Losses(NamedTuple):
    """Each [R]."""

    policy: Tensor
    value: Tensor
    total: Tensor


def discounted_returns(rewards: Tensor, discount: float) -> Tensor:
    """Return G_t = Σ_k≥t discount^(k-t) r_k of every step, to the episode's end.

    Args:
        rewards: [R, T].
        discount: in [0, 1].
    Returns:
        [R, T].
    """
    steps = rewards.shape[1]
    # Filled up to whole blocks, a batched product rounds as the product of each row alone.
    rewards = pad(rewards, (0, -steps % 16))
    matrix = _discount_matrix(rewards.shape[1], discount, rewards.dtype, rewards.device)
    returns = torch.bmm(rewards.unsqueeze(1), matrix.expand(len(rewards), -1, -1)).squeeze(1)
    return returns[:, :steps]


@lru_cache(maxsize=8)
def _discount_matrix(
    steps: int, discount: float, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """What a reward at step k (row) adds to the return of step t (column): [T, T]."""
    lag = torch.arange(steps).unsqueeze(1) - torch.arange(steps)
    weight = torch.where(lag < 0, 0.0, torch.tensor(discount, dtype=torch.float64) ** lag)
    return weight.to(device, dtype)


def policy_loss(log_probs: Tensor, advantages: Tensor, config: LossConfig) -> Tensor:
    """Loss of the REINFORCE gradient with a baseline (Williams, 1992).

    Args:
        log_probs: of the actions taken, [R, T].
        advantages: returns less values, attached to the values, [R, T].
        config: whether to detach the advantages, and how to reduce.
    Returns:
        [R].
    """
    if config.baseline == "detached":
        advantages = advantages.detach()
    return -_reduce(advantages * log_probs, config.policy_reduction)


def value_loss(advantages: Tensor) -> Tensor:
    """Mean squared error of the values: [R, T] to [R]."""
    return advantages.square().mean(dim=-1)


def episode_losses(
    log_probs: Tensor,
    entropies: Tensor,
    advantages: Tensor,
    critic_weight: Tensor | float,
    config: LossConfig,
) -> Losses:
    """All losses of one episode.

    Args:
        log_probs: of the actions taken, [R, T].
        entropies: of the policy at each step, in nats, [R, T].
        advantages: returns less values, attached to the values, [R, T].
        critic_weight: w, one for all or [R].
        config: everything else.
    Returns:
        Policy, value and total loss, each [R].
    """
    policy = policy_loss(log_probs, advantages, config)
    value = value_loss(advantages)
    total = policy + critic_weight * value
    if config.entropy_weight:
        total = total - config.entropy_weight * _reduce(entropies, config.policy_reduction)
    return Losses(policy, value, total)


def _reduce(steps: Tensor, reduction: Reduction) -> Tensor:
    return steps.sum(dim=-1) if reduction == "sum" else steps.mean(dim=-1)
