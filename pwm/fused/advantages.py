"""Errors, advantages, leaks and metrics of an episode, in compiled code.

The leak is the policy loss's gradient with respect to an output of the value head.
`pwm.training.episode` and `loss_options` define them; `pwm.fused.buffers` explains rows and shapes.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.buffers import Scales, UpdateRule, Work
from pwm.fused.compilation import compiled, compiled_apart
from pwm.fused.elementary import ONE, ZERO
from pwm.fused.layout import VALUE, Floats, Metric, Places


@compiled
def measure_errors(
    rule: UpdateRule, scales: Scales, trial_length: int, work: Work, metrics: Floats
) -> None:
    """Computes each step's return, error, advantage and leak, and the episode's metrics.

    An error is ((G - centre) / spread - v) / error_scale, v being the value head's output and G the
    return or, with a trace decay below 1, the λ-return; `work.return_` has the return in any case.
    Leaks are computed as if attached. `work` holds the episode and receives each step's results.
    Metrics have the units of `pwm.training.episode.episode_metrics`.
    """
    steps = len(work.row)
    outputs = work.heads[-1, :, VALUE]  # of the last trunk: the critic's, if trunks are separate
    reward_per_error = scales.spread * scales.error_scale
    # Sums in double precision. `rewarded`: number of rewarded trials; `squares`: squared errors;
    # `bias`: values minus Monte Carlo returns, in units of errors.
    rewarded = squares = entropy = bias = 0.0
    ahead = 0  # later steps of the same episode or trial, whose rewards are in the return
    return_ = ZERO
    for time in range(steps - 1, -1, -1):
        row = work.row[time]
        if ahead == rule.horizon:  # a trial's last step, if returns end with the trial
            ahead, return_ = 0, ZERO
        ahead += 1
        return_ = work.reward[time] + rule.discount * return_
        error = ((return_ - scales.centre) / scales.spread - outputs[row]) / scales.error_scale
        work.return_[time], work.error[time] = return_, error
        # Optimism raises the baseline by a multiple of the entropy, as the leak raises the values.
        work.advantage[time] = error - rule.optimism * work.entropy[row]
        log_prob = work.log_policy[work.action[time], row]
        work.leak[time] = rule.policy_factor * log_prob / scales.error_scale
        if time % trial_length == trial_length - 1 and work.reward[time] > ZERO:
            rewarded += 1.0
        squares += np.float64(error) * error
        entropy += work.entropy[row]
        bias -= error
    if rule.trace_decay < ONE:
        squares = _bootstrap(
            rule, scales, work.row, work.reward, outputs, work.entropy, work.error, work.advantage
        )
    if rule.normalise_advantages:
        _normalise_advantages(rule, work)
    gain = 0.0  # sum of advantages times log-probabilities
    for time in range(steps - 1, -1, -1):
        log_prob = work.log_policy[work.action[time], work.row[time]]
        gain += np.float64(work.advantage[time]) * log_prob
    if rule.leaking_targets:
        _leak_through_targets(rule.horizon, rule.discount, rule.trace_decay, work.leak)
    metrics[Metric.REWARD] = rewarded / (steps // trial_length)
    metrics[Metric.VALUE_LOSS] = squares / steps * reward_per_error * reward_per_error
    reward_per_advantage = ONE if rule.normalise_advantages else reward_per_error
    metrics[Metric.POLICY_LOSS] = -gain * rule.policy_factor * reward_per_advantage
    metrics[Metric.ENTROPY] = entropy / steps
    metrics[Metric.CRITIC_BIAS] = bias / steps * reward_per_error


@compiled_apart
def _bootstrap(
    rule: UpdateRule,
    scales: Scales,
    rows: Places,  # (T,)
    rewards: Floats,  # (T,)
    outputs: Floats,  # (M,): of the value head
    entropy: Floats,  # (M,)
    errors: Floats,  # (T,), output
    advantages: Floats,  # (T,), output
) -> float:
    """Replaces errors and advantages by those of λ-returns; returns the sum of squared errors."""
    squares = 0.0
    ahead = 0  # later steps of the same episode or trial, whose rewards are in the return
    target = value = ZERO  # λ-return and value of the next step
    for time in range(len(rows) - 1, -1, -1):
        if ahead == rule.horizon:  # a trial's last step, if returns end with the trial
            ahead, target, value = 0, ZERO, ZERO
        ahead += 1
        row = rows[time]
        future = (ONE - rule.trace_decay) * value + rule.trace_decay * target
        target = rewards[time] + rule.discount * future
        value = scales.centre + scales.spread * outputs[row]
        error = ((target - scales.centre) / scales.spread - outputs[row]) / scales.error_scale
        errors[time] = error
        advantages[time] = error - rule.optimism * entropy[row]
        squares += np.float64(error) * error
    return squares


@compiled
def _normalise_advantages(rule: UpdateRule, work: Work) -> None:
    """Normalises the advantages, and backpropagates the leak through the normalisation.

    A normalised advantage is (A - mean) / divisor, divisor = standard deviation + `normaliser`.
    Each value affects its own advantage, the mean and the standard deviation, so its leak has three
    terms. On entry, `work.leak` has the leaks without normalisation.
    """
    steps = len(work.advantage)
    mean = mean_leak = squares = product = ZERO
    for time in range(steps):
        mean += work.advantage[time] / np.float32(steps)
        mean_leak += work.leak[time] / np.float32(steps)
    for time in range(steps):
        work.advantage[time] -= mean
        squares += work.advantage[time] * work.advantage[time]
        product += work.leak[time] * work.advantage[time]
    deviation = np.sqrt(squares / np.float32(steps - 1))
    divisor = deviation + rule.normaliser
    # The deviation's derivative with respect to A_t is (A_t - mean) / ((T - 1) deviation).
    slope = product / (np.float32(steps - 1) * deviation * divisor)
    for time in range(steps):
        through_deviation = slope * work.advantage[time]
        work.leak[time] = (work.leak[time] - mean_leak - through_deviation) / divisor
        work.advantage[time] /= divisor


@compiled_apart
def _leak_through_targets(
    horizon: int, discount: np.float32, trace_decay: np.float32, leak: Floats
) -> None:
    """Adds to each value's leak, (T,), the gradient through the λ-returns that contain the value.

    The λ-return of an earlier step s contains v_t with the weight γ (1 - λ) (γ λ)^(t-s-1).
    """
    earlier = ZERO  # Σ (γ λ)^(t-s-1) leak_s over the steps s < t of the horizon
    for time in range(len(leak)):
        if time % horizon == 0:
            earlier = ZERO
        own = leak[time]
        leak[time] = own - discount * (ONE - trace_decay) * earlier
        earlier = own + discount * trace_decay * earlier
