"""Compiled backward pass: the gradient of an episode's total loss.

`pwm.fused.buffers` explains rows, levels and shapes.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.buffers import Scales, UpdateRule, Work
from pwm.fused.compilation import compiled, compiled_apart
from pwm.fused.elementary import ONE, TWO, ZERO
from pwm.fused.layout import (
    NUM_ACTIONS,
    NUM_OUTPUTS,
    VALUE,
    Floats,
    Gate,
    Metric,
    Parameters,
    Places,
)
from pwm.fused.products import (
    add,
    add_product_transposed,
    add_wide,
    clear,
    copy,
    multiply,
    multiply_wide,
    transpose,
)
from pwm.fused.vectors import LANES, load, spread, store


@compiled
def measure_errors(
    rule: UpdateRule, scales: Scales, length: int, work: Work, metrics: Floats
) -> None:
    """Each step's return, error and advantage, the leak's gradient, and the episode's metrics.

    `pwm.core.losses` defines the losses.
    """
    steps, values, unit = len(work.row), work.heads[-1, :, VALUE], scales.spread * scales.error
    reward = squares = gain = entropy = bias = 0.0  # sums in double precision
    ahead = 0  # steps of this horizon after the current step
    return_ = ZERO
    for time in range(steps - 1, -1, -1):
        row = work.row[time]
        if ahead == rule.horizon:
            ahead, return_ = 0, ZERO
        ahead += 1
        return_ = work.reward[time] + rule.discount * return_
        error = ((return_ - scales.centre) / scales.spread - values[row]) / scales.error
        work.return_[time], work.error[time] = return_, error
        work.advantage[time] = error - rule.optimism * work.entropy[row]
        log_prob = work.log_policy[work.action[time], row]
        work.leak[time] = rule.policy_factor * log_prob / scales.error
        gain += np.float64(work.advantage[time]) * log_prob
        if time % length == length - 1 and work.reward[time] > ZERO:
            reward += 1.0
        squares += np.float64(error) * error
        entropy += work.entropy[row]
        bias -= error
    if rule.trace_decay < ONE:
        squares = _bootstrap_errors(rule, scales, work)
    if rule.normalise_advantages:
        _normalise_advantages(rule, work)
    if rule.normalise_advantages or rule.trace_decay < ONE:
        gain = 0.0
        for time in range(steps - 1, -1, -1):
            log_prob = work.log_policy[work.action[time], work.row[time]]
            gain += np.float64(work.advantage[time]) * log_prob
    if rule.leaking_targets:
        _leak_through_targets(rule.horizon, rule.discount, rule.trace_decay, work.leak)
    metrics[Metric.REWARD] = reward / (steps // length)
    metrics[Metric.VALUE_LOSS] = squares / steps * unit * unit
    policy_unit = ONE if rule.normalise_advantages else unit
    metrics[Metric.POLICY_LOSS] = -gain * rule.policy_factor * policy_unit
    metrics[Metric.ENTROPY] = entropy / steps
    metrics[Metric.CRITIC_BIAS] = bias / steps * unit


@compiled_apart
def _bootstrap(
    horizon: int,
    discount: np.float32,
    trace_decay: np.float32,
    rewards: Floats,
    values: Floats,
    targets: Floats,
) -> None:
    """Writes λ-returns of rewards and values, (T,) each; see `bootstrapped_returns` of the core."""
    for end in range(len(rewards), 0, -horizon):
        target = value = ZERO  # of the next step
        for time in range(end - 1, end - horizon - 1, -1):
            later = (ONE - trace_decay) * value + trace_decay * target
            targets[time] = target = rewards[time] + discount * later
            value = values[time]


@compiled
def _bootstrap_errors(rule: UpdateRule, scales: Scales, work: Work) -> float:
    """Replaces returns by λ-returns in errors and advantages; returns the sum of squared errors."""
    steps, squares, of_rows = len(work.row), 0.0, work.heads[-1, :, VALUE]
    values, targets = work.advantage, work.error  # overwritten below
    for time in range(steps):
        values[time] = scales.centre + scales.spread * of_rows[work.row[time]]
    _bootstrap(rule.horizon, rule.discount, rule.trace_decay, work.reward, values, targets)
    for time in range(steps):
        row = work.row[time]
        error = ((targets[time] - scales.centre) / scales.spread - of_rows[row]) / scales.error
        work.error[time] = error
        work.advantage[time] = error - rule.optimism * work.entropy[row]
        squares += np.float64(error) * error
    return squares


@compiled
def _normalise_advantages(rule: UpdateRule, work: Work) -> None:
    """Normalises the advantages, and backpropagates the leak through that."""
    steps = len(work.advantage)
    mean = mean_leak = squares = product = ZERO
    for time in range(steps):
        mean += work.advantage[time] / np.float32(steps)
        mean_leak += work.leak[time] / np.float32(steps)
    for time in range(steps):
        work.advantage[time] -= mean
        squares += work.advantage[time] * work.advantage[time]
    deviation = np.sqrt(squares / np.float32(steps - 1))
    divisor = deviation + rule.normaliser
    for time in range(steps):
        product += work.leak[time] * work.advantage[time]
    slope = product / (np.float32(steps - 1) * deviation * divisor)
    for time in range(steps):
        of_deviation = slope * work.advantage[time]
        work.leak[time] = (work.leak[time] - mean_leak - of_deviation) / divisor
        work.advantage[time] /= divisor


@compiled_apart
def _leak_through_targets(
    horizon: int, discount: np.float32, trace_decay: np.float32, leak: Floats
) -> None:
    """Adds to each value's leak, (T,), that through the λ-returns of earlier steps."""
    earlier = ZERO
    for time in range(len(leak)):
        if time % horizon == 0:
            earlier = ZERO
        own = leak[time]
        leak[time] = own - discount * (ONE - trace_decay) * earlier
        earlier = own + discount * trace_decay * earlier


@compiled
def differentiate_losses(
    rule: UpdateRule, scales: Scales, of_policy: np.float32, critic_weight: np.float32, work: Work
) -> None:
    """Gradients with respect to each row's log-policy and value, but for the entropy bonus.

    The loss is `of_policy` (policy loss) + w (value loss); `of_policy` is 1, or 0 to omit it.
    """
    steps = len(work.row)
    work.by_log_policy[:] = ZERO
    work.by_value[:] = ZERO
    work.by_head_value[:] = ZERO
    work.visits[:] = ZERO
    by_error = TWO * critic_weight / np.float32(steps) / scales.error
    factor = of_policy * rule.policy_factor
    for time in range(steps - 1, -1, -1):
        row, action = work.row[time], work.action[time]
        if rule.log_probs_kept:
            work.by_log_policy[action, row] -= factor * work.advantage[time]
        if rule.values_kept:
            error = _bounded(work.error[time]) if rule.huber else work.error[time]
            work.by_value[row] -= by_error * error
            work.by_head_value[row] -= by_error * error
            if rule.leak_into_trunk:
                work.by_value[row] += of_policy * work.leak[time]
            if rule.leak_into_head:
                work.by_head_value[row] += of_policy * work.leak[time]
        work.visits[row] += ONE


@compiled
def _bounded(error: np.float32) -> np.float32:
    """The error, but at most 1 and at least -1: half the derivative of the Huber loss."""
    if error > ONE:
        return ONE
    return -ONE if error < -ONE else error  # which may be NaN


@compiled
def differentiate_heads(rule: UpdateRule, of_policy: np.float32, rows: int, work: Work) -> None:
    """Gradients with respect to each row's logits and value."""
    work.by_heads[:] = ZERO
    bonus = of_policy * rule.entropy_weight * rule.policy_factor
    for row in range(1, rows):
        total = ZERO
        for action in range(NUM_ACTIONS):
            total += work.by_log_policy[action, row]
        for action in range(NUM_ACTIONS):
            probability = work.policy[action, row]
            by_logit = work.by_log_policy[action, row] - probability * total
            if bonus > ZERO:
                surprise = work.log_policy[action, row] + work.entropy[row]
                by_logit += bonus * work.visits[row] * probability * surprise
            work.by_heads[0, row, action] = by_logit
        work.by_heads[-1, row, VALUE] = work.by_value[row]


@compiled
def backpropagate(parameters: Parameters, work: Work, gradient: Parameters, levels: int) -> None:
    """The gradient with respect to all parameters, from that to the heads' outputs."""
    trunks, stimuli, _ = gradient.input.shape
    first, rows = work.level_start[1], work.level_start[levels]
    for trunk in range(trunks):
        gates, by_hidden, by_heads = work.by_gates, work.by_hidden[trunk], work.by_heads[trunk]
        clear(work.by_cell[trunk, :rows])
        multiply(by_hidden[1:rows], by_heads[1:rows], work.head_transposed[trunk])
        for level in range(levels - 1, -1, -1):
            start, end = work.level_start[level], work.level_start[level + 1]
            _backpropagate_states(
                work.parent[start:end],
                work.cell[trunk],
                work.gates[trunk, start:end],
                work.cell_tanh[trunk, start:end],
                by_hidden[start:end],
                work.by_cell[trunk, start:end],
                work.by_cell[trunk],
                gates[start:end],
            )
            if level:
                by_previous = work.by_previous[trunk, start:end]
                clear(by_previous)
                add_product_transposed(by_previous, gates[start:end], parameters.recurrent[trunk])
                for row in range(start, end):
                    add(by_hidden[work.parent[row]], by_previous[row - start])

        multiply_wide(
            gradient.recurrent[trunk], work.previous[trunk, first:rows].T, gates[first:rows]
        )
        clear(work.by_projected)
        for row in range(1, rows):
            add_wide(work.by_projected[work.shown[row]], gates[row])
        clear(gradient.input_bias[trunk : trunk + 1])
        for stimulus in range(stimuli + 1):
            add_wide(gradient.input_bias[trunk], work.by_projected[stimulus])
        copy(gradient.recurrent_bias[trunk], gradient.input_bias[trunk])
        for stimulus in range(stimuli):
            copy(gradient.input[trunk, stimulus], work.by_projected[stimulus])

        if trunk == trunks - 1:  # the trunk is done; the value head may get another gradient
            for row in range(1, rows):
                by_heads[row, VALUE] = work.by_head_value[row]
        by_head = work.by_head_transposed
        multiply(by_head, by_heads[1:rows].T, work.hidden[trunk, 1:rows])
        transpose(gradient.head[trunk], by_head)
        for column in range(NUM_OUTPUTS):
            total = ZERO
            for row in range(1, rows):
                total += by_heads[row, column]
            gradient.head_bias[trunk, column] = total


@compiled_apart
def _backpropagate_states(
    parents: Places,
    cells: Floats,
    gates: Floats,
    cell_tanh: Floats,
    by_hidden: Floats,
    by_cell: Floats,
    by_cells: Floats,
    by_gates: Floats,
) -> None:
    """Backpropagates the states of a level's rows to their gates and to their parents' cells.

    Args:
        parents: their parents.
        cells: of all rows.
        gates: of these rows, like the others.
        cell_tanh: their squashed cells.
        by_hidden: gradient with respect to their hidden state.
        by_cell: to their cells; without what comes through the hidden state.
        by_cells: to all cells, output.
        by_gates: to their gates, output.
    """
    one, units = spread(ONE), cells.shape[1]
    for row in range(len(parents)):
        parent = parents[row]
        before, by_before, values, by_values = (
            cells[parent],
            by_cells[parent],
            gates[row],
            by_gates[row],
        )
        for unit in range(0, units, LANES):
            input_gate = load(values, Gate.INPUT * units + unit)
            forget_gate = load(values, Gate.FORGET * units + unit)
            candidate = load(values, Gate.CELL * units + unit)
            output_gate = load(values, Gate.OUTPUT * units + unit)
            squashed, slope = load(cell_tanh[row], unit), load(by_hidden[row], unit)
            through = slope * output_gate * (one - squashed * squashed)
            by_state = load(by_cell[row], unit) + through
            by_forget_gate = by_state * load(before, unit) * forget_gate * (one - forget_gate)
            by_input_gate = by_state * candidate * input_gate * (one - input_gate)
            by_candidate = by_state * input_gate * (one - candidate * candidate)
            by_output_gate = slope * squashed * output_gate * (one - output_gate)
            store(by_values, Gate.INPUT * units + unit, by_input_gate)
            store(by_values, Gate.FORGET * units + unit, by_forget_gate)
            store(by_values, Gate.CELL * units + unit, by_candidate)
            store(by_values, Gate.OUTPUT * units + unit, by_output_gate)
            store(by_before, unit, load(by_before, unit) + by_state * forget_gate)
