"""Balancing rules, running statistics and gradient clipping for one replica, in compiled code."""

from __future__ import annotations

import numpy as np

from pwm.fused.buffers import Parameters, Scales, UpdateRule, Work
from pwm.fused.compilation import compiled
from pwm.fused.elementary import HALF, ONE, ZERO, exp_of_number
from pwm.fused.layout import VALUE, Balance, Floats, Tracked
from pwm.fused.products import dot


@compiled
def episode_scales(rule: UpdateRule, tracked: Floats) -> Scales:
    """Scales until the next update, computed as in `pwm.training.balance.episode_scales`."""
    centre, spread, error_scale, critic_factor = ZERO, ONE, ONE, ONE
    mean, variance = tracked[Tracked.RETURN_MEAN], tracked[Tracked.RETURN_VARIANCE]
    if rule.centred:
        centre = mean
    if rule.standardised:
        spread = _standard_deviation(rule, tracked, variance)
    if rule.balance == Balance.RETURN_SCALE:
        horizon = np.float32(rule.horizon)
        # Variance over steps of the discount, which is 0 at the last of a return's `horizon` steps.
        discount_variance = rule.discount * rule.discount * (ONE - ONE / horizon) / horizon
        reward_variance = tracked[Tracked.REWARD_VARIANCE]
        total_variance = reward_variance + discount_variance * (variance + mean * mean)
        error_scale = _standard_deviation(rule, tracked, total_variance)
    elif rule.balance == Balance.UNCERTAINTY:
        critic_factor = exp_of_number(-tracked[Tracked.LOG_VARIANCE]) * HALF
    return Scales(centre, spread, error_scale, critic_factor)


@compiled
def _standard_deviation(rule: UpdateRule, tracked: Floats, variance: np.float32) -> np.float32:
    """Square root of a running variance, at least `least_scale`; 1 before the first episode."""
    root = max(np.sqrt(variance), rule.least_scale)
    return root if tracked[Tracked.EPISODES] > ZERO else ONE


@compiled
def combine(rule: UpdateRule, policy: Floats, critic: Floats) -> None:
    """Combines the two losses' gradients, (P,) each, as `pwm.training.balance.combine` does.

    The result replaces `policy`; `critic` is overwritten. In the heads, the result is the sum of
    the gradients. Must not be called under the rule per-loss, which keeps them apart.
    """
    trunk_size = rule.trunk_size
    p, c = policy[:trunk_size], critic[:trunk_size]  # views of the trunk's gradients
    if rule.balance == Balance.STOP_TRUNK:
        c[:] = ZERO
    elif rule.balance == Balance.EQUAL:
        c *= np.sqrt(_quotient(dot(p, p), dot(c, c)))
    elif rule.balance == Balance.PCGRAD:
        # If the gradients conflict, each loses its component along the other.
        conflict = min(dot(p, c), ZERO)
        along_policy, along_critic = _quotient(conflict, dot(p, p)), _quotient(conflict, dot(c, c))
        for index in range(trunk_size):
            projected = p[index] - along_critic * c[index]
            c[index] -= along_policy * p[index]
            p[index] = projected
    policy += critic


@compiled
def _quotient(numerator: np.float32, denominator: np.float32) -> np.float32:
    """The quotient; 0 if the denominator, which is never negative, is 0."""
    return numerator / denominator if denominator > ZERO else ZERO


@compiled
def clip(rule: UpdateRule, gradient: Floats) -> None:
    """Clips a gradient, (P,), in place like `pwm.training.update.clipped`, at a limit above 0."""
    factor = rule.clip_gradient / (np.sqrt(dot(gradient, gradient)) + rule.clip_epsilon)
    if factor < ONE:
        gradient *= factor


@compiled
def track(rule: UpdateRule, tracked: Floats, work: Work) -> None:
    """Updates the running statistics after an episode, if needed, as in `pwm.training.tracking`."""
    if not rule.tracks:
        return
    tracked[Tracked.EPISODES] += ONE
    rate = max(ONE / tracked[Tracked.EPISODES], rule.rate)
    # A mean and its variance are adjacent columns.
    _track_moments(tracked[Tracked.RETURN_MEAN :], rate, work.return_)
    _track_moments(tracked[Tracked.REWARD_MEAN :], rate, work.reward)


@compiled
def _track_moments(moments: Floats, rate: np.float32, terms: Floats) -> None:
    """Updates a running mean and variance, `moments[:2]`, with returns or rewards, (T,).

    They become those of a mixture of the past and the episode's terms, which have weight `rate`.
    """
    count = np.float32(len(terms))
    total = squares = ZERO
    for term in terms:
        total += term
    mean = total / count
    for term in terms:
        squares += (term - mean) * (term - mean)
    change = mean - moments[0]
    widened = moments[1] + rate * change * change
    moments[0] += rate * change
    moments[1] = (ONE - rate) * widened + rate * (squares / count)


@compiled
def learn_log_variance(
    rule: UpdateRule, tracked: Floats, learning_rate: np.float32, value_loss: np.float32
) -> None:
    """Takes an RMSprop step on log σ² of the rule uncertainty, as in `pwm.training.balance`."""
    # The derivative of value_loss / 2σ² + log σ with respect to log σ². The value loss is the mean
    # over the update's episodes, in squared units of the head.
    slope = (ONE - exp_of_number(-tracked[Tracked.LOG_VARIANCE]) * value_loss) * HALF
    square = tracked[Tracked.LOG_VARIANCE_MEAN_SQUARE] * rule.square_decay
    square += (ONE - rule.square_decay) * slope * slope
    tracked[Tracked.LOG_VARIANCE_MEAN_SQUARE] = square
    tracked[Tracked.LOG_VARIANCE] -= learning_rate * slope / (np.sqrt(square) + rule.epsilon)


@compiled
def keep_outputs(parameters: Parameters, old: Scales, new: Scales) -> None:
    """Rescales the value head so that values in reward stay the same when the scales change."""
    weight, bias = parameters.head[-1], parameters.head_bias[-1]  # of the critic's trunk
    for unit in range(len(weight)):
        weight[unit, VALUE] *= old.spread / new.spread
    bias[VALUE] = (bias[VALUE] * old.spread + (old.centre - new.centre)) / new.spread
