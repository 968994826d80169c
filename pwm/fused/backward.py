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
    """Computes each step's return, error, advantage and leak, and the episode's metrics.

    The leak is the policy loss's gradient with respect to the value; `pwm.core.losses` defines all.

    Args:
        rule: settings of the losses.
        scales: scales of the episode.
        length: steps per trial.
        work: working memory with the episode, which receives the quantities of each step.
        metrics: metrics of the episode, output.
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
        arrays = work.row, work.reward, values, work.entropy, work.error, work.advantage
        squares = _bootstrap(rule, scales, *arrays)
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
    rule: UpdateRule,
    scales: Scales,
    rows: Places,
    rewards: Floats,
    outputs: Floats,
    entropy: Floats,
    errors: Floats,
    advantages: Floats,
) -> float:
    """Replaces returns by λ-returns in errors and advantages; returns the sum of squared errors.

    Args:
        rule: settings of the losses.
        scales: scales of the episode.
        rows: row of each step, (T,).
        rewards: rewards, (T,).
        outputs: outputs of the value head, (M,).
        entropy: entropies of the policy, (M,).
        errors: errors, (T,), output.
        advantages: advantages, (T,), output.
    """
    squares = 0.0
    ahead = 0  # steps of this horizon after the current step
    target = value = ZERO  # of the next step
    for time in range(len(rows) - 1, -1, -1):
        if ahead == rule.horizon:
            ahead, target, value = 0, ZERO, ZERO
        ahead += 1
        row = rows[time]
        later = (ONE - rule.trace_decay) * value + rule.trace_decay * target
        target = rewards[time] + rule.discount * later
        value = scales.centre + scales.spread * outputs[row]
        error = ((target - scales.centre) / scales.spread - outputs[row]) / scales.error
        errors[time] = error
        advantages[time] = error - rule.optimism * entropy[row]
        squares += np.float64(error) * error
    return squares


@compiled
def _normalise_advantages(rule: UpdateRule, work: Work) -> None:
    """Normalises the advantages, and backpropagates the leak through the normalisation."""
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
    """Computes the gradients with respect to each row's log-policy and value.

    The loss is `of_policy` (policy loss) + w (value loss), without the entropy bonus; `of_policy`
    is 1, or 0 to leave out the policy loss.
    """
    steps = len(work.row)
    if rule.huber:
        _bound(work.error)
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
            work.by_value[row] -= by_error * work.error[time]
            work.by_head_value[row] -= by_error * work.error[time]
            if rule.leak_into_trunk:
                work.by_value[row] += of_policy * work.leak[time]
            if rule.leak_into_head:
                work.by_head_value[row] += of_policy * work.leak[time]
        work.visits[row] += ONE


@compiled
def _bound(errors: Floats) -> None:
    """Bounds errors to -1 and 1: half the derivative of `pwm.core.losses`' Huber loss."""
    for time in range(len(errors)):
        if errors[time] > ONE:
            errors[time] = ONE
        elif errors[time] < -ONE:
            errors[time] = -ONE


@compiled
def differentiate_heads(rule: UpdateRule, of_policy: np.float32, rows: int, work: Work) -> None:
    """Computes gradients with respect to each row's logits and value, with the entropy bonus."""
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
    """Computes the gradient with respect to all parameters from that of the heads' outputs."""
    trunks, stimuli, _ = gradient.input.shape
    first, rows = work.level_start[1], work.level_start[levels]
    for trunk in range(trunks):
        gates, by_hidden, by_heads = work.by_gates, work.by_hidden[trunk], work.by_heads[trunk]
        clear(work.by_cell[trunk, :rows])
        multiply(by_hidden[1:rows], by_heads[1:rows], work.head_transposed[trunk])
        for level in range(levels - 1, -1, -1):  # states, from the last level to the first
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

        # parameters of the trunk
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

        # parameters of the heads
        if trunk == trunks - 1:  # the leak may reach the trunk or the value head alone
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
        parents: parent of each row of the level.
        cells: cell states of all rows.
        gates: activations of the gates of the level's rows.
        cell_tanh: tanh of the cell states of the level's rows.
        by_hidden: gradient with respect to the hidden states of the level's rows.
        by_cell: gradient with respect to their cell states, except through their hidden states.
        by_cells: gradient with respect to the cell states of all rows, output.
        by_gates: gradient with respect to the inputs to the gates of the level's rows, output.
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
