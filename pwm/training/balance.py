"""Rules that balance the critic against the policy: alternatives to a fixed critic weight.

A rule acts at one of two places. Some scale the errors or the critic weight by running statistics
(`episode_scales`). Others compute the two losses' gradients separately and combine them
(`COMBINATIONS`): the policy's includes its entropy bonus and, if the baseline is attached, the leak
(`pwm.core.losses`); the critic's includes the critic weight w. CONTRIBUTING.md says how to add one.

    fixed         policy loss + w value loss, w as given: the reference
    stop-trunk    the critic reads the trunk through a stop-gradient
    per-loss      optimiser state (the running mean square) for each loss
    equal         in the trunk, the critic's gradient is rescaled to the norm of the policy's
    pcgrad        conflicting gradients in the trunk are projected off each other
    uncertainty   a learned weight of the value loss
    popart        standardised returns; the value head is rescaled so that its outputs do not change
    return-scale  errors divided by the scale of rewards and returns

Cost of one update relative to `fixed`: the combinations run the backward pass twice; the others add
a few operations per step. Shapes: R replicas, P parameters of a replica, T steps per episode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from pwm.core.losses import Balance
from pwm.core.returns import Returns, Tracked, standard_deviation


class Scales(NamedTuple):
    """An episode's scales, [R] each: its errors are ((G - centre) / spread - v) / error_scale."""

    centre: Tensor  # in reward
    spread: Tensor  # in reward
    error_scale: Tensor
    critic_factor: Tensor  # of the critic weight

    def in_reward(self, outputs: Tensor) -> Tensor:
        """Values in reward, from the value head's outputs, [R, T] each."""
        return self.centre.unsqueeze(1) + self.spread.unsqueeze(1) * outputs

    def of_head(self, returns: Tensor) -> Tensor:
        """Returns in the units that the value head learns in, [R, T] each."""
        return (returns - self.centre.unsqueeze(1)) / self.spread.unsqueeze(1)


def episode_scales(
    tracked: Tensor, balance: Balance, returns: Returns, discount: float, horizon: int
) -> Scales:
    """The scales of the next episode, from what is tracked, [R, columns] of `Tracked`.

    The horizon is the number of steps of an episode, or of a trial where returns end with it.

    popart: those of standardised returns (van Hasselt et al., 2016; Hessel et al., 2019).
    return-scale (Schaul et al., 2021, eq. 3): error_scale² = Var(r) + Var(γ) E(G²), where γ is the
        discount of a step, 0 at the horizon's last.
    uncertainty (Kendall et al., 2018, eq. 7, for the critic alone): value loss L becomes
        L / 2σ² + log σ, with s = log σ² learned; critic_factor = exp(-s) / 2. Meant for w = 1.
    """
    one = torch.ones_like(tracked[:, 0])
    centre, spread, error_scale, critic_factor = torch.zeros_like(one), one, one, one
    variance = tracked[:, Tracked.RETURN_VARIANCE]
    if returns != "raw" or balance == "popart":
        centre = tracked[:, Tracked.RETURN_MEAN].clone()  # it will be updated in place
    if returns == "standardised" or balance == "popart":
        spread = standard_deviation(variance, tracked[:, Tracked.EPISODES])
    if balance == "return-scale":
        mean_square = variance + tracked[:, Tracked.RETURN_MEAN].square()
        discount_variance = discount**2 * (1 - 1 / horizon) / horizon
        variance = tracked[:, Tracked.REWARD_VARIANCE] + discount_variance * mean_square
        error_scale = standard_deviation(variance, tracked[:, Tracked.EPISODES])
    elif balance == "uncertainty":
        critic_factor = torch.exp(-tracked[:, Tracked.LOG_VARIANCE]) / 2
    return Scales(centre, spread, error_scale, critic_factor)


def stop_trunk(policy: Tensor, critic: Tensor, trunk: int) -> tuple[Tensor, ...]:
    """The sum of the gradients, without the critic's for the first `trunk` parameters."""
    return _joined(policy[:, :trunk], policy, critic)


def per_loss(policy: Tensor, critic: Tensor, _trunk: int) -> tuple[Tensor, ...]:
    """Both gradients, each with its own state in the optimiser (AdaTask; Yang et al., 2023).

    Apart from epsilon, RMSprop's step does not depend on the scale of a loss, and so not on the
    critic weight.
    """
    return policy, critic


def equal(policy: Tensor, critic: Tensor, trunk: int) -> tuple[Tensor, ...]:
    """The sum, with the critic's gradient in the trunk rescaled to the policy's norm.

    policy + |policy| / |critic| critic, whatever the critic weight. For two losses, GradNorm with
    α = 0 (Chen et al., 2018) and IMTL-G (Liu et al., 2021) ask for this ratio of norms.
    """
    by_policy, by_critic = policy[:, :trunk], critic[:, :trunk]
    ratio = _quotient(_dot(by_policy, by_policy), _dot(by_critic, by_critic)).sqrt()
    return _joined(by_policy + ratio * by_critic, policy, critic)


def pcgrad(policy: Tensor, critic: Tensor, trunk: int) -> tuple[Tensor, ...]:
    """The sum, after projecting each off the other in the trunk if they conflict (Yu et al., 2020).

    policy - (policy · critic / |critic|²) critic, and the reverse, if policy · critic < 0.
    """
    by_policy, by_critic = policy[:, :trunk], critic[:, :trunk]
    conflict = _dot(by_policy, by_critic).clamp(max=0)
    off_critic = by_policy - _quotient(conflict, _dot(by_critic, by_critic)) * by_critic
    off_policy = by_critic - _quotient(conflict, _dot(by_policy, by_policy)) * by_policy
    return _joined(off_critic + off_policy, policy, critic)


COMBINATIONS: Mapping[str, Callable[[Tensor, Tensor, int], tuple[Tensor, ...]]] = {
    "stop-trunk": stop_trunk,
    "per-loss": per_loss,
    "equal": equal,
    "pcgrad": pcgrad,
}
"""Combinations of gradients by the names of their rules.

Args: the gradients of the policy loss and of w times the value loss, [R, P], and the number of a
replica's parameters in the trunk, which come first. Returns one gradient [R, P] for each state of
the optimiser.
"""


def num_states(balance: Balance) -> int:
    """States of the optimiser: one for each gradient that it steps against."""
    return 2 if balance == "per-loss" else 1


def learn_log_variance(
    tracked: Tensor, value_loss: Tensor, learning_rates: Tensor, smoothing: float, epsilon: float
) -> None:
    """One step of RMSprop, in place, for the log σ² of `uncertainty`.

    With s = log σ², its gradient is (1 - exp(-s) L) / 2 for the value loss L, [R]. The learning
    rates are [R].
    """
    log_variance = tracked[:, Tracked.LOG_VARIANCE]  # views, so that `tracked` is updated
    mean_square = tracked[:, Tracked.LOG_VARIANCE_MEAN_SQUARE]
    gradient = (1 - torch.exp(-log_variance) * value_loss) / 2
    mean_square.copy_(smoothing * mean_square + (1 - smoothing) * gradient.square())
    log_variance -= learning_rates * gradient / (mean_square.sqrt() + epsilon)


def keep_outputs(weight: Tensor, bias: Tensor, old: Scales, new: Scales) -> None:
    """Changes a value head so that new scales leave its outputs in reward unchanged (popart).

    centre + spread * v is the same, for the value head's weights [R, H] and bias [R], which are
    changed in place.
    """
    weight *= (old.spread / new.spread).unsqueeze(1)
    bias *= old.spread
    bias += old.centre - new.centre
    bias /= new.spread


def _joined(trunk: Tensor, policy: Tensor, critic: Tensor) -> tuple[Tensor]:
    """One gradient [R, P]: that of the trunk as given, and in the heads the sum."""
    size = trunk.shape[1]
    return (torch.cat([trunk, policy[:, size:] + critic[:, size:]], dim=1),)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Inner products of rows: [R, 1]."""
    return (one * other).sum(dim=1, keepdim=True)


def _quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient; 0 where the denominator is 0."""
    return torch.where(denominator > 0, numerator / denominator, 0.0)
