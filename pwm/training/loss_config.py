"""The settings of the losses, with the symbols of `pwm.core.losses`.

Four are not read where losses are computed (`pwm.training.episode`): `returns`, `balance` and
`tracking_rate`, which set the `Scales` of an episode (same module) or how the gradients of the two
losses are combined, and `clip_gradient`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pwm.core.errors import (
    is_number,
    require,
    require_between,
    require_choice,
    require_non_negative,
)
from pwm.core.losses import Reduction

Balance = Literal[
    "fixed", "stop-trunk", "per-loss", "equal", "pcgrad", "uncertainty", "popart", "return-scale"
]
Baseline = Literal["attached", "detached", "attached_head", "attached_trunk"]
LostGradients = Literal["none", "values", "log_probs"]
Returns = Literal["raw", "centred", "standardised"]
Horizon = Literal["episode", "trial"]
ValueLoss = Literal["squared", "huber"]


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Settings of the losses, except for the critic weight, which may differ between replicas."""

    baseline: Baseline = "attached"
    """Layers that the policy loss's gradient reaches through the values (the leak): the value head
    and the trunk (attached, as in the notes), neither (detached), or one of them."""
    policy_reduction: Reduction = "sum"
    """Reduction of the policy loss and entropy bonus over the steps of an episode."""
    discount: float = 1.0
    """Discount of the return per step."""
    entropy_weight: float = 0.0
    """Weight of the entropy bonus."""
    # Each of the others serves single studies; the defaults leave it out.
    optimism: float = 0.0
    """Multiple of the policy's entropy by which the baseline of the policy loss is raised, as the
    leak raises the values: the policy loss uses Ã - optimism * H, without a gradient in H."""
    lost_gradients: LostGradients = "none"
    """Outputs whose gradients are cut, as in an early version of the notes' code: the values, so
    that nothing trains their head; or the log-probabilities of the actions in the policy loss."""
    returns: Returns = "raw"
    """Form of the return that the critic learns: as it is (raw), minus its running mean (centred),
    or also divided by its running standard deviation (standardised)."""
    tracking_rate: float = 0.1
    """Least rate of the running averages of returns, of rewards (for return-scale) and of their
    variances: the n-th episode counts max(1/n, rate). With 1, only the last episode counts."""
    trace_decay: float = 1.0
    """λ of the λ-return, which advantages and value loss use: 1 for future rewards alone (Monte
    Carlo), 0 for one reward and the discounted next value."""
    leaking_targets: bool = False
    """With an attached baseline, let the policy loss's gradient also reach the later values that
    λ-returns contain."""
    return_horizon: Horizon = "episode"
    """End of a return: the end of the episode, or of the step's trial."""
    balance: Balance = "fixed"
    """Rule that balances the critic against the policy: the critic weight as it is (fixed), or one
    of `pwm.training.balance`."""
    normalise_advantages: bool = False
    """In the policy loss, subtract the mean of an episode's advantages, then divide by their
    standard deviation. If the advantages are attached, gradients pass through these two as well."""
    clip_gradient: float = 0.0
    """Largest norm of the gradient of all parameters (under per-loss, of each loss's gradient); a
    longer gradient is scaled down to it. 0 for no limit."""
    value_loss: ValueLoss = "squared"
    """Value loss: the mean of A² (squared), or of A² where |A| ≤ 1 and 2 |A| - 1 elsewhere (huber),
    with the errors A as `returns` and `balance` scale them."""

    def __post_init__(self) -> None:
        require_choice("baseline", self.baseline, get_args(Baseline))
        require_choice("policy_reduction", self.policy_reduction, get_args(Reduction))
        require_choice("lost_gradients", self.lost_gradients, get_args(LostGradients))
        require_choice("returns", self.returns, get_args(Returns))
        require_choice("return_horizon", self.return_horizon, get_args(Horizon))
        require_choice("balance", self.balance, get_args(Balance))
        require_choice("value_loss", self.value_loss, get_args(ValueLoss))
        require_between("discount", self.discount, 0, 1)
        require_non_negative("entropy_weight", self.entropy_weight)
        require_non_negative("optimism", self.optimism)
        rate = self.tracking_rate
        is_rate = is_number(rate, 0, 1) and rate > 0
        require(is_rate, "tracking_rate", rate, "a number above 0 and up to 1")
        require_between("trace_decay", self.trace_decay, 0, 1)
        require_non_negative("clip_gradient", self.clip_gradient)
        if self.baseline == "detached":
            accepted = "False with a detached baseline"
            require(not self.leaking_targets, "leaking_targets", True, accepted)
        if self.balance == "popart":
            accepted = "raw with popart, which standardises itself"
            require(self.returns == "raw", "returns", self.returns, accepted)
        if self.balance == "uncertainty":
            accepted = "squared with uncertainty, which learns a variance"
            require(self.value_loss == "squared", "value_loss", self.value_loss, accepted)

    @property
    def tracks(self) -> bool:
        """Whether training keeps running means and variances of returns and rewards."""
        return self.returns != "raw" or self.balance in ("popart", "return-scale")

    @property
    def leaks_into_head(self) -> bool:
        """Whether the policy loss's gradient reaches the value head."""
        return self.baseline in ("attached", "attached_head") and self.lost_gradients != "values"

    @property
    def scales_errors(self) -> bool:
        """Whether errors, losses or updates are scaled, which changes the leak's bias."""
        # The other rules leave the value head's gradients, which determine the bias, as they are;
        # clipping scales those of both losses by the same factor.
        rule_scales = self.balance in ("per-loss", "uncertainty", "popart", "return-scale")
        return rule_scales or self.returns == "standardised" or self.normalise_advantages
