"""The gradient of an episode, compiled, and the update along it.

Shapes are those of `pwm.fused.buffers`.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.buffers import Floats, Update, Weights, Work
from pwm.fused.compilation import compiled
from pwm.fused.products import add, add_product, add_product_transposed, clear, copy, transpose
from pwm.fused.scalar import ONE, TWO, ZERO
from pwm.fused.vectors import LANES, load, spread, store


@compiled
def differentiate_losses(
    update: Update, critic_weight: np.float32, length: int, work: Work, metrics: Floats
) -> None:
    """Gradients of the total loss by each row's log-policy and value, and the episode's metrics.

    See `pwm.core.losses` for the definition.
    """
    steps, value_heads = len(work.row), work.heads[-1, :, 3]
    work.by_log_policy[:] = ZERO
    work.by_value[:] = ZERO
    work.by_head_value[:] = ZERO
    work.visits[:] = ZERO
    by_advantage = TWO * critic_weight / np.float32(steps)
    reward = squares = gain = entropy = bias = 0.0
    value = ZERO
    for time in range(steps - 1, -1, -1):
        row, action = work.row[time], work.action[time]
        value = work.reward[time] + update.discount * value
        advantage = value - value_heads[row]
        log_prob = work.log_policy[row, action]
        policy_advantage = advantage - update.optimism * work.entropy[row]
        if update.log_probs_kept:
            work.by_log_policy[row, action] -= update.policy_share * policy_advantage
        if update.values_kept:
            work.by_value[row] -= by_advantage * advantage
            work.by_head_value[row] -= by_advantage * advantage
            if update.leak_into_trunk:
                work.by_value[row] += update.policy_share * log_prob
            if update.leak_into_head:
                work.by_head_value[row] += update.policy_share * log_prob
        work.visits[row] += ONE
        if time % length == length - 1:
            reward += work.reward[time]
        squares += np.float64(advantage) * advantage
        gain += np.float64(policy_advantage) * log_prob
        entropy += work.entropy[row]
        bias -= advantage
    metrics[0] = reward / (steps // length)
    metrics[1] = squares / steps
    metrics[2] = -gain * update.policy_share
    metrics[3] = entropy / steps
    metrics[4] = bias / steps


@compiled
def differentiate_heads(update: Update, rows: int, work: Work) -> None:
    """Gradients by each row's logits and value."""
    work.by_heads[:] = ZERO
    actions = work.policy.shape[1]
    bonus = update.entropy_weight * update.policy_share
    for row in range(1, rows):
        total = ZERO
        for action in range(actions):
            total += work.by_log_policy[row, action]
        for action in range(actions):
            probability = work.policy[row, action]
            by_logit = work.by_log_policy[row, action] - probability * total
            if bonus > ZERO:
                surprise = work.log_policy[row, action] + work.entropy[row]
                by_logit += bonus * work.visits[row] * probability * surprise
            work.by_heads[0, row, action] = by_logit
        work.by_heads[-1, row, actions] = work.by_value[row]


@compiled
def backpropagate(weights: Weights, work: Work, gradient: Weights, levels: int) -> None:
    """The gradient by all parameters, from that by the heads."""
    trunks, stimuli, _ = gradient.input.shape
    first, rows = work.level_start[1], work.level_start[levels]
    for trunk in range(trunks):
        clear(work.by_cell[trunk, :rows])
        clear(work.by_hidden[trunk, :rows])
        add_product(
            work.by_hidden[trunk, 1:rows], work.by_heads[trunk, 1:rows], work.head_transposed[trunk]
        )
        for level in range(levels - 1, -1, -1):
            start, end = work.level_start[level], work.level_start[level + 1]
            for row in range(start, end):
                _backpropagate_row(work, trunk, row)
            if level:
                by_previous = work.by_previous[trunk, start:end]
                clear(by_previous)
                add_product_transposed(
                    by_previous, work.gates[trunk, start:end], weights.recurrent[trunk]
                )
                for row in range(start, end):
                    add(work.by_hidden[trunk, work.parent[row]], by_previous[row - start])

        clear(gradient.recurrent[trunk])
        add_product(
            gradient.recurrent[trunk],
            work.previous[trunk, first:rows].T,
            work.gates[trunk, first:rows],
        )
        clear(work.by_projected)
        for row in range(1, rows):
            add(work.by_projected[work.shown[row]], work.gates[trunk, row])
        clear(gradient.input_bias[trunk : trunk + 1])
        for stimulus in range(stimuli + 1):
            add(gradient.input_bias[trunk], work.by_projected[stimulus])
        copy(gradient.recurrent_bias[trunk], gradient.input_bias[trunk])
        for stimulus in range(stimuli):
            copy(gradient.input[trunk, stimulus], work.by_projected[stimulus])

        if trunk == trunks - 1:  # the trunk has had its part of the value's gradient
            for row in range(1, rows):
                work.by_heads[trunk, row, -1] = work.by_head_value[row]
        by_head = work.by_head_transposed
        clear(by_head)
        add_product(by_head, work.by_heads[trunk, 1:rows].T, work.hidden[trunk, 1:rows])
        transpose(gradient.head[trunk], by_head)
        for column in range(gradient.head_bias.shape[1]):
            total = ZERO
            for row in range(1, rows):
                total += work.by_heads[trunk, row, column]
            gradient.head_bias[trunk, column] = total


@compiled
def _backpropagate_row(work: Work, trunk: int, row: int) -> None:
    """From a row's hidden and cell state to its gates, in their place, and its parent's cell."""
    one, units, parent = spread(ONE), work.cell.shape[2], work.parent[row]
    gates, cell_tanh, before = (
        work.gates[trunk, row],
        work.cell_tanh[trunk, row],
        work.cell[trunk, parent],
    )
    for unit in range(0, units, LANES):
        enter, forget = load(gates, unit), load(gates, units + unit)
        candidate, leave = load(gates, 2 * units + unit), load(gates, 3 * units + unit)
        size, by_hidden = load(cell_tanh, unit), load(work.by_hidden[trunk, row], unit)
        by_cell = load(work.by_cell[trunk, row], unit) + by_hidden * leave * (one - size * size)
        by_forget = by_cell * load(before, unit)
        store(gates, unit, by_cell * candidate * enter * (one - enter))
        store(gates, units + unit, by_forget * forget * (one - forget))
        store(gates, 2 * units + unit, by_cell * enter * (one - candidate * candidate))
        store(gates, 3 * units + unit, by_hidden * size * leave * (one - leave))
        by_before = work.by_cell[trunk, parent]
        store(by_before, unit, load(by_before, unit) + by_cell * forget)


@compiled
def rmsprop(
    parameters: Floats,
    square_average: Floats,
    gradient: Floats,
    learning_rate: np.float32,
    update: Update,
) -> None:
    """The update of `pwm.core.update.RMSprop`."""
    fresh = ONE - update.smoothing
    for index in range(len(parameters)):
        slope = gradient[index]
        square = square_average[index] * update.smoothing + fresh * slope * slope
        square_average[index] = square
        parameters[index] -= slope * learning_rate / (np.sqrt(square) + update.epsilon)
