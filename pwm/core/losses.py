"""The losses of one episode, as pure functions; `episode_losses` defines them.

With the advantage A_t = G_t - v_t of the return over the baseline, the policy's entropy H_t, the
critic weight w, and a reduction over the T steps of the episode, reduce_t = c Σ_t,

    value loss  = mean_t A_t²
    policy loss = -reduce_t (Ã_t log π(a_t)),   Ã = A if attached, stop-gradient(A) if detached
    total       = policy loss + w * value loss - entropy weight * reduce_t H_t

so that

    ∂total/∂v_t = -(2 w / T) A_t + [attached] c log π(a_t),   c = 1 (sum) or 1/T (mean).

The second term is the leak. Experiments may restrict it to the value head or to the trunk; raise
the baseline explicitly (Ã = A - optimism * H) instead; or lose gradients, as the notes once did.

A weight w here, with a summed policy loss, equals w / T in a library that averages both losses, and
2 w / T if it also halves the squared error.

Shapes: R replicas, T steps per episode.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn.functional import pad

from pwm.core.errors import require, require_non_negative

Baseline = Literal["attached", "detached", "attached_head", "attached_trunk"]
LostGradients = Literal["none", "values", "log_probs"]
Reduction = Literal["sum", "mean"]
BLOCK = 16  # steps


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The losses, except for the critic weight, which differs between replicas."""

    baseline: Baseline = "attached"
    """Layers of the critic that receive the policy loss's gradient: all (attached, as in the
    notes), none (detached), only its head, or only the trunk."""
    policy_reduction: Reduction = "sum"
    """Reduction of the policy loss and entropy bonus over the steps of an episode."""
    discount: float = 1.0
    """Discount of the return, which runs over the whole episode."""
    entropy_weight: float = 0.0
    """Weight of the entropy bonus."""
    optimism: float = 0.0
    """Multiple of the policy's entropy by which the baseline of the policy loss is raised."""
    lost_gradients: LostGradients = "none"
    """Outputs that lose their gradients while an episode is collected, as in a bug of the notes:
    the values, or the log-probabilities."""

    def __post_init__(self) -> None:
        for name, value, accepted in (
            ("baseline", self.baseline, get_args(Baseline)),
            ("policy_reduction", self.policy_reduction, get_args(Reduction)),
            ("lost_gradients", self.lost_gradients, get_args(LostGradients)),
        ):
            require(value in accepted, name, value, "one of " + ", ".join(accepted))
        require(0 <= self.discount <= 1, "discount", self.discount, "a number from 0 to 1")
        require_non_negative("entropy_weight", self.entropy_weight)
        require_non_negative("optimism", self.optimism)


class Losses(NamedTuple):
    """Losses of one episode, each [R]."""

    policy: Tensor
    value: Tensor
    total: Tensor


def discounted_returns(rewards: Tensor, discount: float) -> Tensor:
    """Returns G_t = Σ_k≥t discount^(k-t) r_k to the end of the episode: [R, T] from [R, T]."""
    steps = rewards.shape[1]
    # Padded to whole blocks, a batched product rounds like the product of one row alone.
    rewards = pad(rewards, (0, (-steps) % BLOCK))
    matrix = _discount_matrix(rewards.shape[1], discount, rewards.dtype, rewards.device)
    returns = torch.bmm(rewards.unsqueeze(1), matrix.expand(len(rewards), -1, -1)).squeeze(1)
    return returns[:, :steps]


@lru_cache(maxsize=8)
def _discount_matrix(
    steps: int, discount: float, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Contribution of the reward at step k (row) to the return at step t (column): [T, T]."""
    lag = torch.arange(steps).unsqueeze(1) - torch.arange(steps)
    weight = torch.where(lag < 0, 0.0, torch.tensor(discount, dtype=torch.float64) ** lag)
    return weight.to(device, dtype)


def policy_loss(
    log_probs: Tensor, advantages: Tensor, head_advantages: Tensor, config: LossConfig
) -> Tensor:
    """Loss of REINFORCE with a baseline (Williams, 1992): [R]; see `episode_losses`."""
    if config.baseline == "detached":
        advantages = advantages.detach()
    elif config.baseline == "attached_head":
        advantages = head_advantages
    elif config.baseline == "attached_trunk":  # the head's gradient cancels; the trunk's stays
        advantages = advantages - head_advantages + head_advantages.detach()
    return -_reduce(advantages * log_probs, config.policy_reduction)


def episode_losses(
    log_probs: Tensor,
    entropies: Tensor,
    advantages: Tensor,
    head_advantages: Tensor,
    critic_weight: Tensor | float,
    config: LossConfig,
) -> Losses:
    """All losses of one episode.

    Args:
        log_probs: of the actions taken, [R, T].
        entropies: of the policy at each step, in nats, [R, T].
        advantages: returns minus values, attached to the values, [R, T].
        head_advantages: the same numbers, attached to the value head alone.
        critic_weight: w, one for all or [R].
        config: everything else.
    Returns:
        The losses, differentiable in the first four arguments.
    """
    if config.lost_gradients == "log_probs":
        log_probs = log_probs.detach()
    elif config.lost_gradients == "values":
        advantages, head_advantages = advantages.detach(), head_advantages.detach()
    value = advantages.square().mean(dim=-1)
    if config.optimism:
        raised = config.optimism * entropies.detach()
        advantages, head_advantages = advantages - raised, head_advantages - raised
    policy = policy_loss(log_probs, advantages, head_advantages, config)
    total = policy + critic_weight * value
    if config.entropy_weight:
        total = total - config.entropy_weight * _reduce(entropies, config.policy_reduction)
    return Losses(policy, value, total)


def _reduce(steps: Tensor, reduction: Reduction) -> Tensor:
    return steps.sum(dim=-1) if reduction == "sum" else steps.mean(dim=-1)
