"""Rules that balance the critic against the policy: alternatives to a fixed critic weight.

A rule acts at one of two places. Some rules scale the errors or the critic weight by running
statistics (`episode_scales`). Others compute the two losses' gradients separately and combine them
(`combine`). The policy's gradient then includes the entropy bonus and, if the baseline is
attached, the leak (`pwm.core.losses`); the critic's is multiplied by the critic weight w.
CONTRIBUTING.md says how to add a rule.

    fixed         policy loss + w value loss, w as given: the reference
    stop-trunk    the value loss does not train the trunk, though a leak still does
    per-loss      a separate optimiser for each loss
    equal         in the trunk, the critic's gradient is rescaled to the norm of the policy's
    pcgrad        conflicting gradients in the trunk are projected off each other
    uncertainty   a learned weight of the value loss
    popart        standardised returns; the value head is rescaled so that its values stay the same
    return-scale  errors divided by a running scale of rewards and returns

Combining takes a second backward pass; scaling takes a few operations per step. Shapes: R replicas,
P parameters of a replica, H hidden units of an LSTM.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pwm.training.config import TrainConfig
from pwm.training.episode import Scales
from pwm.training.loss_config import Balance
from pwm.training.tracking import Tracked, standard_deviation


def episode_scales(tracked: Tensor, config: TrainConfig) -> Scales:
    """Scales of errors until the next update, from running statistics, [R, columns of `Tracked`].

    The rule popart standardises returns (van Hasselt et al., 2016; Hessel et al., 2019).
    """
    balance, returns = config.loss.balance, config.loss.returns
    num_episodes = tracked[:, Tracked.EPISODES]
    mean, variance = tracked[:, Tracked.RETURN_MEAN], tracked[:, Tracked.RETURN_VARIANCE]
    one = torch.ones_like(mean)
    centre, spread, error_scale, critic_factor = torch.zeros_like(mean), one, one, one
    if returns != "raw" or balance == "popart":
        centre = mean.clone()  # not a view: `tracked` changes in place
    if returns == "standardised" or balance == "popart":
        spread = standard_deviation(variance, num_episodes)
    if balance == "return-scale":
        # sqrt(Var(r) + Var(γ) E(G²)), eq. 3 of Schaul et al. (2021), where γ is the discount of one
        # step: 0 at the last of the `horizon` steps of a return, `discount` at all others.
        horizon = config.horizon
        discount_variance = config.loss.discount**2 * (1 - 1 / horizon) / horizon
        mean_square = variance + mean.square()  # E(G²)
        total_variance = tracked[:, Tracked.REWARD_VARIANCE] + discount_variance * mean_square
        error_scale = standard_deviation(total_variance, num_episodes)
    elif balance == "uncertainty":
        # Kendall et al. (2018, eq. 7), for the critic alone: the value loss L becomes
        # L / 2σ² + log σ. The factor of L is 1 / 2σ²; `learn_log_variance` minimises the sum over
        # log σ². The rule is meant for a critic weight of 1.
        critic_factor = torch.exp(-tracked[:, Tracked.LOG_VARIANCE]) / 2
    return Scales(centre, spread, error_scale, critic_factor)


COMBINATIONS: tuple[Balance, ...] = ("stop-trunk", "per-loss", "equal", "pcgrad")
"""Rules that combine the gradients of the two losses."""


def combine(rule: Balance, policy: Tensor, critic: Tensor, trunk_size: int) -> tuple[Tensor, ...]:
    """Combines the gradients of the two losses by one of `COMBINATIONS`.

    Let p and c be the policy's and the critic's gradient in the trunk. There the result is

    - for stop-trunk, p;
    - for equal, p + (|p| / |c|) c, whatever the critic weight, if it is not 0. For two losses,
      GradNorm with α = 0 (Chen et al., 2018) and IMTL-G (Liu et al., 2021) also aim at equal norms;
    - for pcgrad (Yu et al., 2020), p + c if p · c ≥ 0. Otherwise it is the sum of
      p - (p · c / |c|²) c and c - (p · c / |p|²) p.

    In the heads, it is the sum of the two gradients. Under per-loss (AdaTask; Yang et al., 2023),
    both gradients are unchanged, in the heads too. RMSprop divides each by its own root mean
    square, so the scale of a loss, and the critic weight, matter only for clipping and epsilon.

    Args:
        rule: rule of `COMBINATIONS`.
        policy: gradient of the policy loss and the entropy bonus, [R, P].
        critic: gradient of w times the value loss, [R, P].
        trunk_size: number of trunk parameters per replica, which come first.
    Returns:
        The gradients that the optimiser steps against, [R, P] each: two under per-loss, with
        separate optimiser states; otherwise one.
    """
    if rule == "per-loss":
        return policy, critic
    p, c = policy[:, :trunk_size], critic[:, :trunk_size]
    if rule == "stop-trunk":
        trunk = p
    elif rule == "equal":
        ratio = _quotient(_dot(p, p), _dot(c, c)).sqrt()  # |p| / |c|
        trunk = p + ratio * c
    else:  # pcgrad
        conflict = _dot(p, c).clamp(max=0)  # 0 if the gradients do not conflict
        projected_p = p - _quotient(conflict, _dot(c, c)) * c
        projected_c = c - _quotient(conflict, _dot(p, p)) * p
        trunk = projected_p + projected_c
    heads = policy[:, trunk_size:] + critic[:, trunk_size:]
    return (torch.cat([trunk, heads], dim=1),)


def num_states(balance: Balance) -> int:
    """Number of optimiser states under a rule, one for each gradient that `combine` returns."""
    return 2 if balance == "per-loss" else 1


def learn_log_variance(
    tracked: Tensor, value_loss: Tensor, learning_rates: Tensor, config: TrainConfig
) -> None:
    """Takes one RMSprop step, in place, on s = log σ² of the rule `uncertainty`.

    For the value loss L, the rule's loss is exp(-s) L / 2 + s / 2. Its derivative with respect to s
    is (1 - exp(-s) L) / 2.

    Args:
        tracked: running statistics, [R, columns of `Tracked`], of which two columns change.
        value_loss: L, mean over the update's episodes, without the critic weight, [R].
        learning_rates: learning rates, [R].
        config: configuration of the runs, with RMSprop's settings.
    """
    log_variance = tracked[:, Tracked.LOG_VARIANCE]  # views, so that `tracked` is updated
    mean_square = tracked[:, Tracked.LOG_VARIANCE_MEAN_SQUARE]
    gradient = (1 - torch.exp(-log_variance) * value_loss) / 2
    decay = config.square_decay
    mean_square.copy_(decay * mean_square + (1 - decay) * gradient.square())
    log_variance -= learning_rates * gradient / (mean_square.sqrt() + config.epsilon)


def keep_outputs(weight: Tensor, bias: Tensor, old: Scales, new: Scales) -> None:
    """Rescales the weights [R, H] and bias [R] of a value head, in place, as popart does.

    Values in units of reward, centre + spread * v for an output v, are the same under both scales.
    """
    weight *= (old.spread / new.spread).unsqueeze(1)
    bias.copy_((bias * old.spread + (old.centre - new.centre)) / new.spread)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Inner product of each row of `one` with the same row of `other`: [R, 1]."""
    return (one * other).sum(dim=1, keepdim=True)


def _quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient; 0 where the denominator, which is never negative, is 0."""
    return torch.where(denominator > 0, numerator / denominator, 0.0)
