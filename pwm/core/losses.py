"""The losses of one episode, as pure functions.

This is the only place where the critic weight, the reductions and the detach are decided.
With the advantage A_t = G_t - v_t of the return over the baseline,

    value loss  = mean_t A_t²
    policy loss = -reduce_t (Ã_t log π(a_t)),   Ã = A if attached, stop-gradient(A) if detached
    total       = policy loss + critic weight * value loss - entropy weight * reduce_t H_t

so that, for T steps an episode,

    ∂total/∂v_t = -(2 w / T) A_t + [attached] c log π(a_t),   c = 1 (sum) or 1/T (mean).

The second term is the leak. An experiment may let it reach the value head alone, or the trunk
alone; raise a baseline by hand instead (Ã = A - optimism * H); or lose gradients, as the notes
once did.

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

from pwm.core.errors import require, require_finite

Baseline = Literal["attached", "detached", "attached_head", "attached_trunk"]
Lost = Literal["none", "values", "log_probs"]
Reduction = Literal["sum", "mean"]


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised, but for the critic weight, which is each replica's own."""

    baseline: Baseline = "attached"
    """Whether the policy loss's gradient flows into the critic (attached, as in the notes): not
    at all (detached), or into its head alone or into the trunk alone."""
    policy_reduction: Reduction = "sum"
    """How the policy loss and the entropy bonus are reduced over the steps of an episode."""
    discount: float = 1.0
    """Discount of the return, which runs over the whole episode."""
    entropy_weight: float = 0.0
    """Weight of the entropy bonus."""
    optimism: float = 0.0
    """Raises the baseline of the policy loss by this many times the policy's entropy."""
    lost_gradients: Lost = "none"
    """What loses its gradient while an episode is collected, a bug of the notes: the values, or
    the log-probabilities."""

    def __post_init__(self) -> None:
        for name, value, accepted in (
            ("baseline", self.baseline, get_args(Baseline)),
            ("policy_reduction", self.policy_reduction, get_args(Reduction)),
            ("lost_gradients", self.lost_gradients, get_args(Lost)),
        ):
            require(value in accepted, name, value, "one of " + ", ".join(accepted))
        require(0 <= self.discount <= 1, "discount", self.discount, "a number from 0 to 1")
        require_finite("entropy_weight", self.entropy_weight)
        require_finite("optimism", self.optimism)


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


def policy_loss(
    log_probs: Tensor,
    advantages: Tensor,
    config: LossConfig,
    head_advantages: Tensor | None = None,
) -> Tensor:
    """Loss of the REINFORCE gradient with a baseline (Williams, 1992).

    Args:
        log_probs: of the actions taken, [R, T].
        advantages: returns less values, attached to the values, [R, T].
        config: how much of the advantages to detach, and how to reduce.
        head_advantages: the same numbers, attached to the value head alone; needed where the
            leak reaches a part of the critic.
    Returns:
        [R].
    """
    if config.baseline == "detached":
        advantages = advantages.detach()
    elif config.baseline != "attached":
        assert head_advantages is not None
        if config.baseline == "attached_trunk":  # the two gradients by the head cancel
            advantages = advantages - head_advantages + head_advantages.detach()
        else:
            advantages = head_advantages
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
    *,
    head_advantages: Tensor | None = None,
) -> Losses:
    """All losses of one episode.

    Args:
        log_probs: of the actions taken, [R, T].
        entropies: of the policy at each step, in nats, [R, T].
        advantages: returns less values, attached to the values, [R, T].
        critic_weight: w, one for all or [R].
        config: everything else.
        head_advantages: see `policy_loss`.
    Returns:
        Policy, value and total loss, each [R].
    """
    if config.lost_gradients == "log_probs":
        log_probs = log_probs.detach()
    elif config.lost_gradients == "values":
        advantages = advantages.detach()
        head_advantages = None if head_advantages is None else head_advantages.detach()
    value = value_loss(advantages)
    if config.optimism:
        raised = config.optimism * entropies.detach()
        advantages = advantages - raised
        head_advantages = None if head_advantages is None else head_advantages - raised
    policy = policy_loss(log_probs, advantages, config, head_advantages)
    total = policy + critic_weight * value
    if config.entropy_weight:
        total = total - config.entropy_weight * _reduce(entropies, config.policy_reduction)
    return Losses(policy, value, total)


def _reduce(steps: Tensor, reduction: Reduction) -> Tensor:
    return steps.sum(dim=-1) if reduction == "sum" else steps.mean(dim=-1)
