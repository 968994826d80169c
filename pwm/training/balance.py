"""Rules that balance the critic against the policy: alternatives to a fixed critic weight.

A rule acts at one of two places. Some scale the errors or the critic weight by running statistics
(`episode_scales`). Others compute the two losses' gradients separately and combine them
(`COMBINATIONS`): the policy's includes its entropy bonus and, if the baseline is attached, the leak
(`pwm.core.losses`); the critic's includes the critic weight w. CONTRIBUTING.md says how to add one.

    fixed         policy loss + w value loss, w as given: the reference
    stop-trunk    the critic reads the trunk through a stop-gradient
    per-loss      each loss has a running mean square of its own in the optimiser
    equal         in the trunk, the critic's gradient is rescaled to the norm of the policy's
    pcgrad        conflicting gradients in the trunk are projected off each other
    uncertainty   a learned weight of the value loss
    popart        standardised returns; the value head is rescaled so that its values stay the same
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
from pwm.core.returns import Returns
from pwm.training.tracking import Tracked, standard_deviation


class Scales(NamedTuple):
    """An episode's scales, [R] each: its errors are ((G - centre) / spread - v) / error_scale."""

    centre: Tensor  # in reward
    spread: Tensor  # in reward
    error_scale: Tensor
    critic_factor: Tensor  # multiplies the critic weight

    def to_reward(self, outputs: Tensor) -> Tensor:
        """Converts outputs of the value head, [R, T], to values in reward."""
        return self.centre.unsqueeze(1) + self.spread.unsqueeze(1) * outputs

    def from_reward(self, returns: Tensor) -> Tensor:
        """Converts returns in reward, [R, T], to the units that the value head learns in."""
        return (returns - self.centre.unsqueeze(1)) / self.spread.unsqueeze(1)


def episode_scales(
    tracked: Tensor, balance: Balance, returns: Returns, discount: float, horizon: int
) -> Scales:
    """Scales of the next episode, from the running statistics [R, columns of `Tracked`].

    The horizon is the number of steps after which returns end. The rule popart standardises returns
    (van Hasselt et al., 2016; Hessel et al., 2019).
    """
    one = torch.ones_like(tracked[:, 0])
    zero = torch.zeros_like(one)
    scales = Scales(centre=zero, spread=one, error_scale=one, critic_factor=one)
    if returns != "raw" or balance == "popart":
        centre = tracked[:, Tracked.RETURN_MEAN].clone()  # `tracked` will be updated in place
        scales = scales._replace(centre=centre)
    if returns == "standardised" or balance == "popart":
        variance, num_episodes = tracked[:, Tracked.RETURN_VARIANCE], tracked[:, Tracked.EPISODES]
        scales = scales._replace(spread=standard_deviation(variance, num_episodes))
    if balance == "return-scale":
        scales = scales._replace(error_scale=_return_scale(tracked, discount, horizon))
    elif balance == "uncertainty":
        # Kendall et al. (2018, eq. 7), for the critic alone: the value loss L becomes
        # L / 2σ² + log σ, where log σ² is learned. It is meant for a critic weight of 1.
        scales = scales._replace(critic_factor=torch.exp(-tracked[:, Tracked.LOG_VARIANCE]) / 2)
    return scales


def _return_scale(tracked: Tensor, discount: float, horizon: int) -> Tensor:
    """Error scale of the rule return-scale, [R]: sqrt(Var(r) + Var(γ) E(G²)).

    This is eq. 3 of Schaul et al. (2021). A step's discount γ is 0 at the last step of the horizon.
    """
    variance, mean = tracked[:, Tracked.RETURN_VARIANCE], tracked[:, Tracked.RETURN_MEAN]
    mean_square = variance + mean.square()
    discount_variance = discount**2 * (1 - 1 / horizon) / horizon
    square = tracked[:, Tracked.REWARD_VARIANCE] + discount_variance * mean_square
    return standard_deviation(square, tracked[:, Tracked.EPISODES])


def stop_trunk(policy: Tensor, critic: Tensor, trunk_size: int) -> tuple[Tensor, ...]:
    """Sum of the gradients, without the critic's in the trunk."""
    return _with_trunk(policy[:, :trunk_size], policy, critic)


def per_loss(policy: Tensor, critic: Tensor, _trunk_size: int) -> tuple[Tensor, ...]:
    """Both gradients, each with its own state in the optimiser (AdaTask; Yang et al., 2023).

    Apart from epsilon, RMSprop's step does not depend on the scale of a loss, and so not on the
    critic weight.
    """
    return policy, critic


def equal(policy: Tensor, critic: Tensor, trunk_size: int) -> tuple[Tensor, ...]:
    """Sum of the gradients, with the critic's in the trunk rescaled to the policy's norm.

    In the trunk: policy + |policy| / |critic| critic, whatever the critic weight. For two losses,
    GradNorm with α = 0 (Chen et al., 2018) and IMTL-G (Liu et al., 2021) ask for this ratio.
    """
    p, c = policy[:, :trunk_size], critic[:, :trunk_size]
    ratio = _quotient(_dot(p, p), _dot(c, c)).sqrt()
    return _with_trunk(p + ratio * c, policy, critic)


def pcgrad(policy: Tensor, critic: Tensor, trunk_size: int) -> tuple[Tensor, ...]:
    """Sum of the gradients, projected off each other in the trunk if they conflict there.

    If policy · critic < 0 in the trunk, the policy's gradient becomes
    policy - (policy · critic / |critic|²) critic, and the critic's the reverse (Yu et al., 2020).
    """
    p, c = policy[:, :trunk_size], critic[:, :trunk_size]
    conflict = _dot(p, c).clamp(max=0)
    projected_p = p - _quotient(conflict, _dot(c, c)) * c
    projected_c = c - _quotient(conflict, _dot(p, p)) * p
    return _with_trunk(projected_p + projected_c, policy, critic)


COMBINATIONS: Mapping[str, Callable[[Tensor, Tensor, int], tuple[Tensor, ...]]] = {
    "stop-trunk": stop_trunk,
    "per-loss": per_loss,
    "equal": equal,
    "pcgrad": pcgrad,
}
"""Functions that combine gradients, by the names of their rules.

Args:
    policy: gradient of the policy loss, [R, P].
    critic: gradient of w times the value loss, [R, P].
    trunk_size: number of a replica's parameters in the trunk, which come first.
Returns:
    The gradients to step against, [R, P] each; the optimiser has a state for each.
"""


def num_states(balance: Balance) -> int:
    """Number of gradients that the rule steps against, each with its own optimiser state."""
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
    """Rescales the weights [R, H] and bias [R] of a value head, in place, as popart does.

    The values in reward, centre + spread * v, stay the same when the new scales replace the old.
    """
    weight *= (old.spread / new.spread).unsqueeze(1)
    bias *= old.spread
    bias += old.centre - new.centre
    bias /= new.spread


def _with_trunk(trunk: Tensor, policy: Tensor, critic: Tensor) -> tuple[Tensor]:
    """One gradient [R, P]: as given in the trunk, and the sum of both losses' in the heads."""
    trunk_size = trunk.shape[1]
    heads = policy[:, trunk_size:] + critic[:, trunk_size:]
    return (torch.cat([trunk, heads], dim=1),)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Inner products of rows: [R, 1]."""
    return (one * other).sum(dim=1, keepdim=True)


def _quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient; 0 where the denominator is 0."""
    return torch.where(denominator > 0, numerator / denominator, 0.0)
