"""Rules of `pwm.training.balance`, running statistics and clipping, compiled, for one replica."""

from __future__ import annotations

import numpy as np

from pwm.fused.buffers import Scales, UpdateRule, Work
from pwm.fused.compilation import compiled
from pwm.fused.elementary import HALF, ONE, ZERO, exp_of_number
from pwm.fused.layout import VALUE, Balance, Floats, Parameters, Tracked
from pwm.fused.products import dot


@compiled
def episode_scales(rule: UpdateRule, tracked: Floats) -> Scales:
    """Scales of the next episode, as `pwm.training.balance.episode_scales`."""
    centre, spread, error, critic = ZERO, ONE, ONE, ONE
    mean, variance = tracked[Tracked.RETURN_MEAN], tracked[Tracked.RETURN_VARIANCE]
    if rule.centred:
        centre = mean
    if rule.standardised:
        spread = _standard_deviation(rule, tracked, variance)
    if rule.balance == Balance.RETURN_SCALE:
        length = np.float32(rule.horizon)
        of_discount = rule.discount * rule.discount * (ONE - ONE / length) / length
        of_rewards = tracked[Tracked.REWARD_VARIANCE]
        square = of_rewards + of_discount * (variance + mean * mean)
        error = _standard_deviation(rule, tracked, square)
    elif rule.balance == Balance.UNCERTAINTY:
        critic = exp_of_number(-tracked[Tracked.LOG_VARIANCE]) * HALF
    return Scales(centre, spread, error, critic)


@compiled
def _standard_deviation(rule: UpdateRule, tracked: Floats, variance: np.float32) -> np.float32:
    """The root of a variance, at least `least_scale`; 1 before the first episode."""
    root = max(np.sqrt(variance), rule.least_scale)
    return root if tracked[Tracked.EPISODES] > ZERO else ONE


@compiled
def combine(rule: UpdateRule, policy: Floats, critic: Floats) -> None:
    """Replaces the policy's gradient by the rule's combination; overwrites the critic's."""
    shared = rule.trunk_size
    p, c = policy[:shared], critic[:shared]
    if rule.balance == Balance.STOP_TRUNK:
        c[:] = ZERO
    elif rule.balance == Balance.EQUAL:
        c *= np.sqrt(_quotient(dot(p, p), dot(c, c)))
    elif rule.balance == Balance.PCGRAD:
        conflict = min(dot(p, c), ZERO)
        off_policy, off_critic = _quotient(conflict, dot(p, p)), _quotient(conflict, dot(c, c))
        for index in range(shared):
            projected = p[index] - off_critic * c[index]
            c[index] -= off_policy * p[index]
            p[index] = projected
    policy += critic


@compiled
def _quotient(numerator: np.float32, denominator: np.float32) -> np.float32:
    """The quotient; 0 if the denominator is 0."""
    return numerator / denominator if denominator > ZERO else ZERO


@compiled
def clip(rule: UpdateRule, gradient: Floats) -> None:
    """Scales a gradient down to the limit if its norm is larger: `pwm.training.update.clipped`."""
    factor = rule.clip_gradient / (np.sqrt(dot(gradient, gradient)) + rule.clip_epsilon)
    if factor < ONE:
        gradient *= factor


@compiled
def track(rule: UpdateRule, tracked: Floats, work: Work) -> None:
    """Updates the running statistics after an episode."""
    if not rule.tracks:
        return
    tracked[Tracked.EPISODES] += ONE
    rate = max(ONE / tracked[Tracked.EPISODES], rule.rate)
    # A mean and its variance are adjacent columns; both are updated in place.
    _track_moments(tracked[Tracked.RETURN_MEAN :], rate, work.return_)
    _track_moments(tracked[Tracked.REWARD_MEAN :], rate, work.reward)


@compiled
def _track_moments(moments: Floats, rate: np.float32, terms: Floats) -> None:
    """Updates a mean and a variance, the first two moments, by an episode's terms (T,)."""
    count = np.float32(len(terms))
    total = squares = ZERO
    for term in terms:
        total += term
    mean = total / count
    for term in terms:
        squares += (term - mean) * (term - mean)
    change = mean - moments[0]
    old = moments[1] + rate * change * change
    moments[0] += rate * change
    moments[1] = (ONE - rate) * old + rate * (squares / count)


@compiled
def learn_log_variance(
    rule: UpdateRule, tracked: Floats, learning_rate: np.float32, value_loss: np.float32
) -> None:
    """Learns the log σ² of `uncertainty`, as `pwm.training.balance.learn_log_variance`."""
    slope = (ONE - exp_of_number(-tracked[Tracked.LOG_VARIANCE]) * value_loss) * HALF
    square = tracked[Tracked.LOG_VARIANCE_MEAN_SQUARE] * rule.square_decay
    square += (ONE - rule.square_decay) * slope * slope
    tracked[Tracked.LOG_VARIANCE_MEAN_SQUARE] = square
    tracked[Tracked.LOG_VARIANCE] -= learning_rate * slope / (np.sqrt(square) + rule.epsilon)


@compiled
def keep_outputs(parameters: Parameters, old: Scales, new: Scales) -> None:
    """Rescales the value head to new scales, as `pwm.training.balance.keep_outputs`."""
    weight, bias = parameters.head[-1], parameters.head_bias[-1]
    for unit in range(len(weight)):
        weight[unit, VALUE] *= old.spread / new.spread
    bias[VALUE] = (bias[VALUE] * old.spread + (old.centre - new.centre)) / new.spread
