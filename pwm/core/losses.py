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

With Huber's value loss, A_t² is 2 |A_t| - 1 where |A_t| > 1; in the first term, A_t is then ±1.

G is the return to the end of the episode or trial, or a λ-return, which contains later values
(`pwm.core.returns.bootstrapped_returns`). The value loss's targets are always detached, and so are
the policy loss's, unless `leaking_targets`: then ∂total/∂v_t has a third term,
- c γ (1 - λ) Σ_s<t (γ λ)^(t-s-1) log π(a_s), over the earlier steps whose returns contain v_t.

If `returns` is centred or standardised, G_t - v_t is in the units that the value head learns in:
(G_t - m) / s - v_t, with the running mean m and standard deviation s (`pwm.core.returns`).

A weight w here, with a summed policy loss, equals w / T in a library that averages both losses, and
2 w / T if it also halves the squared error.

Shapes: R replicas, T steps per episode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from pwm.core.errors import require, require_non_negative
from pwm.core.fields import added
from pwm.core.returns import Horizon, Returns

Balance = Literal[
    "fixed", "stop-trunk", "per-loss", "equal", "pcgrad", "uncertainty", "popart", "return-scale"
]
Baseline = Literal["attached", "detached", "attached_head", "attached_trunk"]
LostGradients = Literal["none", "values", "log_probs"]
ValueLoss = Literal["squared", "huber"]
Reduction = Literal["sum", "mean"]
NORMALISER = 1e-8  # added to the standard deviation of normalised advantages, as everyone does


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The losses, except for the critic weight, which differs between replicas."""

    baseline: Baseline = "attached"
    """Layers of the critic that receive the policy loss's gradient: all (attached, as in the
    notes), none (detached), only its head, or only the trunk."""
    policy_reduction: Reduction = "sum"
    """Reduction of the policy loss and entropy bonus over the steps of an episode."""
    discount: float = 1.0
    """Discount of the return, which runs over the whole episode or trial."""
    entropy_weight: float = 0.0
    """Weight of the entropy bonus."""
    optimism: float = 0.0
    """Multiple of the policy's entropy by which the baseline of the policy loss is raised."""
    lost_gradients: LostGradients = "none"
    """Outputs that lose their gradients while an episode is collected, as in a bug of the notes:
    the values, or the log-probabilities."""
    returns: Returns = added("raw")
    """Part of the return that the critic learns: all, the rest after subtracting its running mean
    (centred), or that in running standard deviations (standardised)."""
    tracking_rate: float = added(0.1)
    """Rate at which that mean and standard deviation follow the episodes; 1 for the last alone."""
    trace_decay: float = added(1.0)
    """λ of the λ-return, which advantages and value loss use: 1 for the rewards to come alone
    (Monte Carlo), 0 for one reward and the discounted next value."""
    leaking_targets: bool = added(False)
    """With an attached baseline and a trace decay below 1, do not detach the later values in
    λ-returns either: they receive the policy loss's gradient too."""
    return_horizon: Horizon = added("episode")
    """End of a return: that of the episode, or of the step's trial."""
    balance: Balance = added("fixed")
    """Rule that balances the critic against the policy; see `pwm.training.balance`."""
    normalise_advantages: bool = added(False)
    """Subtract the mean of an episode's advantages in the policy loss and divide by their standard
    deviation."""
    clip_gradient: float = added(0.0)
    """Norm to which a longer gradient of all parameters is scaled down; 0 for no limit."""
    value_loss: ValueLoss = added("squared")
    """Value loss: the mean of A², or of a function that grows as 2 |A| - 1 where |A| > 1 (huber),
    with the errors A in the units that the value head learns in."""

    def __post_init__(self) -> None:
        for name, value, accepted in (
            ("baseline", self.baseline, get_args(Baseline)),
            ("policy_reduction", self.policy_reduction, get_args(Reduction)),
            ("lost_gradients", self.lost_gradients, get_args(LostGradients)),
            ("returns", self.returns, get_args(Returns)),
            ("return_horizon", self.return_horizon, get_args(Horizon)),
            ("balance", self.balance, get_args(Balance)),
            ("value_loss", self.value_loss, get_args(ValueLoss)),
        ):
            require(value in accepted, name, value, "one of " + ", ".join(accepted))
        require(0 <= self.discount <= 1, "discount", self.discount, "a number from 0 to 1")
        require_non_negative("entropy_weight", self.entropy_weight)
        require_non_negative("optimism", self.optimism)
        rate = self.tracking_rate
        require(0 < rate <= 1, "tracking_rate", rate, "a number above 0 and up to 1")
        require(0 <= self.trace_decay <= 1, "trace_decay", self.trace_decay, "a number from 0 to 1")
        attached = self.baseline != "detached" or not self.leaking_targets
        require(attached, "leaking_targets", True, "False with a detached baseline")
        require_non_negative("clip_gradient", self.clip_gradient)
        clash = self.balance == "popart" and self.returns != "raw"
        require(not clash, "returns", self.returns, "raw with popart, which standardises itself")
        fits = self.balance != "uncertainty" or self.value_loss == "squared"
        named = "squared with uncertainty, which learns a variance"
        require(fits, "value_loss", self.value_loss, named)

    @property
    def tracks(self) -> bool:
        """Whether training needs the mean and variance of the returns or rewards so far."""
        return self.returns != "raw" or self.balance in ("popart", "return-scale")

    @property
    def scales_errors(self) -> bool:
        """Whether errors or losses are scaled while training, and with them the leak's bias."""
        kept = self.balance in ("fixed", "stop-trunk", "equal", "pcgrad")
        return not kept or self.returns == "standardised" or self.normalise_advantages


class Losses(NamedTuple):
    """Losses of one episode, each [R]."""

    policy: Tensor
    value: Tensor
    total: Tensor
    squared_error: Tensor  # mean over steps; the value loss itself, unless that is Huber's


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
    if config.normalise_advantages:
        advantages = advantages - advantages.mean(dim=-1, keepdim=True)
        variance = advantages.square().sum(dim=-1, keepdim=True) / (advantages.shape[-1] - 1)
        advantages = advantages / (variance.sqrt() + NORMALISER)
    return -_reduce(advantages * log_probs, config.policy_reduction)


def episode_losses(
    log_probs: Tensor,
    entropies: Tensor,
    advantages: Tensor,
    head_advantages: Tensor,
    critic_weight: Tensor | float,
    config: LossConfig,
    errors: Tensor | None = None,
) -> Losses:
    """All losses of one episode.

    Args:
        log_probs: log-probabilities of the actions taken, [R, T].
        entropies: entropies of the policy at each step, in nats, [R, T].
        advantages: returns minus values, attached to the values, [R, T].
        head_advantages: the same numbers, attached to the value head alone, [R, T].
        critic_weight: w, one for all replicas or [R].
        config: configuration of the losses.
        errors: the advantages with detached targets, for the value loss, [R, T]; None if the
            targets of `advantages` are detached.
    Returns:
        The losses, differentiable in all tensors but the critic weight.
    """
    errors = advantages if errors is None else errors
    if config.lost_gradients == "log_probs":
        log_probs = log_probs.detach()
    elif config.lost_gradients == "values":
        advantages, head_advantages = advantages.detach(), head_advantages.detach()
        errors = errors.detach()
    squared_error = errors.square().mean(dim=-1)
    value = squared_error if config.value_loss == "squared" else _huber(errors).mean(dim=-1)
    if config.optimism:
        raised = config.optimism * entropies.detach()
        advantages, head_advantages = advantages - raised, head_advantages - raised
    policy = policy_loss(log_probs, advantages, head_advantages, config)
    total = policy + critic_weight * value
    if config.entropy_weight:
        total = total - config.entropy_weight * _reduce(entropies, config.policy_reduction)
    return Losses(policy, value, total, squared_error)


def _huber(errors: Tensor) -> Tensor:
    """A² where |A| ≤ 1, else 2 |A| - 1: twice Huber's function, so that both agree near 0."""
    return torch.where(errors.abs() <= 1, errors.square(), 2 * errors.abs() - 1)


def _reduce(steps: Tensor, reduction: Reduction) -> Tensor:
    """The sum or the mean of terms by step: [R] from [R, T]."""
    return steps.sum(dim=-1) if reduction == "sum" else steps.mean(dim=-1)
