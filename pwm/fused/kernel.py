"""The compiled code of the fused engine: plays, differentiates and updates replicas.

Its results have the same bits on every machine. It uses only IEEE arithmetic, square roots and bit
operations, in a fixed order: no libm, no BLAS, no fused multiply-add, no reassociation. It is fast
nevertheless, because the inner loops of products, LSTM cells and optimisers run over independent
numbers, which the compiler can compute in vectors of any width.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.advantages import measure_errors
from pwm.fused.backward import backpropagate, differentiate_heads, differentiate_losses
from pwm.fused.balance import clip, combine, episode_scales, keep_outputs, learn_log_variance, track
from pwm.fused.buffers import (
    Episodes,
    Parameters,
    Population,
    ProbedEpisode,
    Scales,
    TaskTables,
    UpdateRule,
    Work,
)
from pwm.fused.compilation import cached, compiled
from pwm.fused.elementary import ONE, ZERO
from pwm.fused.forward import play
from pwm.fused.layout import NUM_GATES, NUM_OUTPUTS, VALUE, Balance, Floats, Metric
from pwm.fused.optimiser import advance_powers, step


@cached
def train(
    task: TaskTables, rule: UpdateRule, population: Population, episodes: Episodes, work: Work
) -> None:
    """Trains each replica on its episodes, which must fill whole updates; writes their metrics."""
    for replica in range(len(population.parameters)):
        for first in range(0, len(episodes.trials), rule.episodes_per_update):
            _update(task, rule, population, episodes, first, replica, work)


@cached
def differentiate(
    task: TaskTables, rule: UpdateRule, population: Population, probed: ProbedEpisode, work: Work
) -> None:
    """Plays and differentiates one episode of each replica, without training; fills `probed`."""
    for replica in range(len(population.parameters)):
        tracked, weight = population.tracked[replica], population.critic_weights[replica]
        scales = episode_scales(rule, tracked)
        parameters = _parameters(population.parameters[replica], work)
        trials, noise = probed.episodes.trials[0, replica], probed.episodes.noise[0, replica]
        levels = play(task, parameters, trials, noise, work)
        measure_errors(rule, scales, noise.shape[1], work, probed.episodes.metrics[0, replica])
        gradient = probed.gradients[replica]
        _differentiate(rule, scales, parameters, ONE, weight, levels, work, gradient)
        for time in range(len(work.row)):
            row = work.row[time]
            probed.returns[replica, time] = work.return_[time]
            value = scales.centre + scales.spread * work.heads[-1, row, VALUE]
            probed.values[replica, time] = value
            probed.log_probs[replica, time] = work.log_policy[work.action[time], row]
            for unit in range(probed.hidden.shape[2]):
                probed.hidden[replica, time, unit] = work.hidden[0, row, unit]


@compiled
def _update(
    task: TaskTables,
    rule: UpdateRule,
    population: Population,
    episodes: Episodes,
    first: int,
    replica: int,
    work: Work,
) -> None:
    """Takes one update of a replica, on its batch from episode `first` on; writes the metrics."""
    tracked, weight = population.tracked[replica], population.critic_weights[replica]
    scales, mean_value_loss = episode_scales(rule, tracked), ZERO
    parameters = _parameters(population.parameters[replica], work)
    parts = 2 if rule.takes_apart else 1
    count = np.float32(rule.episodes_per_update)
    for episode in range(first, first + rule.episodes_per_update):
        trials, noise = episodes.trials[episode, replica], episodes.noise[episode, replica]
        metrics = episodes.metrics[episode, replica]
        levels = play(task, parameters, trials, noise, work)
        measure_errors(rule, scales, noise.shape[1], work, metrics)
        # A single part is the total loss; two are the policy loss and the value loss. The loop has
        # one call of `_differentiate` for both, because every call in the source is inlined.
        for part in range(parts):
            policy_weight = ONE if part == 0 else ZERO
            critic_weight = ZERO if rule.takes_apart and part == 0 else weight
            total = work.gradients[part]  # sum over episodes; the first episode writes into it
            gradient = total if episode == first else work.gradient
            _differentiate(
                rule, scales, parameters, policy_weight, critic_weight, levels, work, gradient
            )
            if episode > first:
                total += gradient
        mean_value_loss += metrics[Metric.VALUE_LOSS] / count
        track(rule, tracked, work)
    if rule.episodes_per_update > 1:
        for part in range(parts):
            total = work.gradients[part]
            total /= count
    _step(rule, population, replica, work)
    if rule.balance == Balance.UNCERTAINTY:
        mean_value_loss /= scales.spread * scales.spread  # reward² to squared units of the head
        learn_log_variance(rule, tracked, population.learning_rates[replica], mean_value_loss)
    elif rule.balance == Balance.POPART:
        keep_outputs(parameters, scales, episode_scales(rule, tracked))


@compiled
def _step(rule: UpdateRule, population: Population, replica: int, work: Work) -> None:
    """Combines and clips the gradients in `work`, as the rule requires; updates the parameters."""
    if rule.takes_apart and rule.balance != Balance.PER_LOSS:
        combine(rule, work.gradients[0], work.gradients[1])
    advance_powers(rule, population, replica)
    # One optimiser state, or two if each loss's gradient has its own.
    for state in range(population.square_average.shape[1]):
        if rule.clip_gradient > ZERO:
            clip(rule, work.gradients[state])
        step(rule, population, replica, state, work.gradients[state])


@compiled
def _parameters(flat: Floats, work: Work) -> Parameters:
    """Splits a replica's parameters or gradient, (P,), into named views; ignores final padding."""
    trunks, inputs, gates = work.projected.shape
    stimuli, units = inputs - 1, gates // NUM_GATES
    recurrent = trunks * stimuli * gates  # each name is the offset of its part
    input_bias = recurrent + trunks * units * gates
    recurrent_bias = input_bias + trunks * gates
    head = recurrent_bias + trunks * gates
    head_bias = head + trunks * units * NUM_OUTPUTS
    return Parameters(
        flat[:recurrent].reshape((trunks, stimuli, gates)),
        flat[recurrent:input_bias].reshape((trunks, units, gates)),
        flat[input_bias:recurrent_bias].reshape((trunks, gates)),
        flat[recurrent_bias:head].reshape((trunks, gates)),
        flat[head:head_bias].reshape((trunks, units, NUM_OUTPUTS)),
        flat[head_bias : head_bias + trunks * NUM_OUTPUTS].reshape((trunks, NUM_OUTPUTS)),
    )


@compiled
def _differentiate(
    rule: UpdateRule,
    scales: Scales,
    parameters: Parameters,
    policy_weight: np.float32,  # 1, or 0; that of the entropy bonus too
    critic_weight: np.float32,  # w, or 0
    levels: int,
    work: Work,
    gradient: Floats,  # (P,), output
) -> None:
    """Computes the gradient of the weighted losses and entropy bonus of the episode in `work`."""
    differentiate_losses(rule, scales, policy_weight, critic_weight * scales.critic_factor, work)
    differentiate_heads(rule, policy_weight, work.level_start[levels], work)
    backpropagate(parameters, work, _parameters(gradient, work), levels)
