"""Compiled backward pass: the gradient of an episode's total loss, and the step against it.

`pwm.fused.buffers` explains rows, levels and shapes.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.buffers import Population, UpdateRule, Work
from pwm.fused.compilation import compiled
from pwm.fused.layout import NUM_ACTIONS, NUM_OUTPUTS, VALUE, Floats, Gate, Metric, Parameters
from pwm.fused.products import add, add_product, add_product_transposed, clear, copy, transpose
from pwm.fused.scalar import ONE, TWO, ZERO
from pwm.fused.vectors import LANES, load, spread, store


@compiled
def differentiate_losses(
    rule: UpdateRule, critic_weight: np.float32, length: int, work: Work, metrics: Floats
) -> None:
    """Gradients with respect to each row's log-policy and value, and the episode's metrics.

    `pwm.core.losses` defines the losses.
    """
    steps, values = len(work.row), work.heads[-1, :, VALUE]
    work.by_log_policy[:] = ZERO
    work.by_value[:] = ZERO
    work.by_head_value[:] = ZERO
    work.visits[:] = ZERO
    by_advantage = TWO * critic_weight / np.float32(steps)
    reward = squares = gain = entropy = bias = 0.0
    return_ = ZERO
    for time in range(steps - 1, -1, -1):
        row, action = work.row[time], work.action[time]
        return_ = work.reward[time] + rule.discount * return_
        advantage = return_ - values[row]
        log_prob = work.log_policy[row, action]
        policy_advantage = advantage - rule.optimism * work.entropy[row]
        if rule.log_probs_kept:
            work.by_log_policy[row, action] -= rule.policy_factor * policy_advantage
        if rule.values_kept:
            work.by_value[row] -= by_advantage * advantage
            work.by_head_value[row] -= by_advantage * advantage
            if rule.leak_into_trunk:
                work.by_value[row] += rule.policy_factor * log_prob
            if rule.leak_into_head:
                work.by_head_value[row] += rule.policy_factor * log_prob
        work.visits[row] += ONE
        if time % length == length - 1:
            reward += work.reward[time]
        squares += np.float64(advantage) * advantage
        gain += np.float64(policy_advantage) * log_prob
        entropy += work.entropy[row]
        bias -= advantage
    metrics[Metric.REWARD] = reward / (steps // length)
    metrics[Metric.VALUE_LOSS] = squares / steps
    metrics[Metric.POLICY_LOSS] = -gain * rule.policy_factor
    metrics[Metric.ENTROPY] = entropy / steps
    metrics[Metric.CRITIC_BIAS] = bias / steps


@compiled
def differentiate_heads(rule: UpdateRule, rows: int, work: Work) -> None:
    """Gradients with respect to each row's logits and value."""
    work.by_heads[:] = ZERO
    bonus = rule.entropy_weight * rule.policy_factor
    for row in range(1, rows):
        total = ZERO
        for action in range(NUM_ACTIONS):
            total += work.by_log_policy[row, action]
        for action in range(NUM_ACTIONS):
            probability = work.policy[row, action]
            by_logit = work.by_log_policy[row, action] - probability * total
            if bonus > ZERO:
                surprise = work.log_policy[row, action] + work.entropy[row]
                by_logit += bonus * work.visits[row] * probability * surprise
            work.by_heads[0, row, action] = by_logit
        work.by_heads[-1, row, VALUE] = work.by_value[row]


@compiled
def backpropagate(parameters: Parameters, work: Work, gradient: Parameters, levels: int) -> None:
    """The gradient with respect to all parameters, from that with respect to the heads."""
    trunks, stimuli, _ = gradient.input.shape
    first, rows = work.level_start[1], work.level_start[levels]
    for trunk in range(trunks):
        gates, by_hidden, by_heads = work.gates[trunk], work.by_hidden[trunk], work.by_heads[trunk]
        clear(work.by_cell[trunk, :rows])
        clear(by_hidden[:rows])
        add_product(by_hidden[1:rows], by_heads[1:rows], work.head_transposed[trunk])
        for level in range(levels - 1, -1, -1):
            start, end = work.level_start[level], work.level_start[level + 1]
            for row in range(start, end):
                _backpropagate_row(work, trunk, row)
            if level:
                by_previous = work.by_previous[trunk, start:end]
                clear(by_previous)
                add_product_transposed(by_previous, gates[start:end], parameters.recurrent[trunk])
                for row in range(start, end):
                    add(by_hidden[work.parent[row]], by_previous[row - start])

        clear(gradient.recurrent[trunk])
        add_product(
            gradient.recurrent[trunk], work.previous[trunk, first:rows].T, gates[first:rows]
        )
        clear(work.by_projected)
        for row in range(1, rows):
            add(work.by_projected[work.shown[row]], gates[row])
        clear(gradient.input_bias[trunk : trunk + 1])
        for stimulus in range(stimuli + 1):
            add(gradient.input_bias[trunk], work.by_projected[stimulus])
        copy(gradient.recurrent_bias[trunk], gradient.input_bias[trunk])
        for stimulus in range(stimuli):
            copy(gradient.input[trunk, stimulus], work.by_projected[stimulus])

        if trunk == trunks - 1:  # the value's gradient is no longer needed for the trunk
            for row in range(1, rows):
                by_heads[row, VALUE] = work.by_head_value[row]
        by_head = work.by_head_transposed
        clear(by_head)
        add_product(by_head, by_heads[1:rows].T, work.hidden[trunk, 1:rows])
        transpose(gradient.head[trunk], by_head)
        for column in range(NUM_OUTPUTS):
            total = ZERO
            for row in range(1, rows):
                total += by_heads[row, column]
            gradient.head_bias[trunk, column] = total


@compiled
def _backpropagate_row(work: Work, trunk: int, row: int) -> None:
    """Backpropagates a row's states to its gates, in place, and to its parent's cell."""
    one, units, parent = spread(ONE), work.cell.shape[2], work.parent[row]
    gates, cell_tanh = work.gates[trunk, row], work.cell_tanh[trunk, row]
    before, by_before = work.cell[trunk, parent], work.by_cell[trunk, parent]
    for unit in range(0, units, LANES):
        input_gate = load(gates, Gate.INPUT * units + unit)
        forget_gate = load(gates, Gate.FORGET * units + unit)
        candidate = load(gates, Gate.CELL * units + unit)
        output_gate = load(gates, Gate.OUTPUT * units + unit)
        squashed, by_hidden = load(cell_tanh, unit), load(work.by_hidden[trunk, row], unit)
        by_squashed = by_hidden * output_gate
        by_cell = load(work.by_cell[trunk, row], unit) + by_squashed * (one - squashed * squashed)
        by_forget_gate = by_cell * load(before, unit)
        by_input_gate = by_cell * candidate * input_gate * (one - input_gate)
        by_candidate = by_cell * input_gate * (one - candidate * candidate)
        by_output_gate = by_hidden * squashed * output_gate * (one - output_gate)
        store(gates, Gate.INPUT * units + unit, by_input_gate)
        store(gates, Gate.FORGET * units + unit, by_forget_gate * forget_gate * (one - forget_gate))
        store(gates, Gate.CELL * units + unit, by_candidate)
        store(gates, Gate.OUTPUT * units + unit, by_output_gate)
        store(by_before, unit, load(by_before, unit) + by_cell * forget_gate)


@compiled
def rmsprop(rule: UpdateRule, population: Population, replica: int, gradient: Floats) -> None:
    """One step of `pwm.core.update.RMSprop` for a replica."""
    parameters = population.parameters[replica]
    square_average = population.square_average[replica]
    learning_rate = population.learning_rates[replica]
    fresh = ONE - rule.smoothing
    for index in range(len(parameters)):
        slope = gradient[index]
        square = square_average[index] * rule.smoothing + fresh * slope * slope
        square_average[index] = square
        parameters[index] -= slope * learning_rate / (np.sqrt(square) + rule.epsilon)
