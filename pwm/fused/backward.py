"""Compiled backward pass: the gradient of an episode's total loss.

`pwm.core.losses` has the derivatives of the losses by default, `pwm.training.loss_options` the
options; `pwm.fused.buffers` explains rows, levels and shapes.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.buffers import Parameters, Scales, UpdateRule, Work
from pwm.fused.compilation import compiled, compiled_apart
from pwm.fused.elementary import ONE, TWO, ZERO
from pwm.fused.layout import NUM_ACTIONS, NUM_OUTPUTS, VALUE, Floats, Gate, Places
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
from pwm.fused.vectors import LANES, load, store


@compiled
def differentiate_losses(
    rule: UpdateRule,
    scales: Scales,
    policy_weight: np.float32,
    critic_weight: np.float32,
    work: Work,
) -> None:
    """Computes the gradients with respect to each row's log-policy and value, and counts visits.

    The loss is policy_weight * policy loss + critic_weight * value loss, without the entropy bonus;
    `policy_weight` is 1, or 0 for the value loss alone; `critic_weight` includes `critic_factor`.
    Uses the results of `measure_errors`, and clips its errors if the value loss is Huber's.
    """
    steps = len(work.row)
    if rule.huber:  # clipped to [-1, 1], an error A is half the derivative of A² or 2 |A| - 1
        for time in range(steps):
            work.error[time] = min(max(work.error[time], -ONE), ONE)
    work.by_log_policy[:] = ZERO
    work.by_value[:] = ZERO
    work.by_head_value[:] = ZERO
    work.visits[:] = ZERO
    value_slope = TWO * critic_weight / np.float32(steps) / scales.error_scale
    policy_slope = policy_weight * rule.policy_factor
    for time in range(steps - 1, -1, -1):
        row, action = work.row[time], work.action[time]
        if rule.log_probs_kept:
            work.by_log_policy[action, row] -= policy_slope * work.advantage[time]
        if rule.values_kept:
            work.by_value[row] -= value_slope * work.error[time]
            work.by_head_value[row] -= value_slope * work.error[time]
            if rule.leak_into_trunk:
                work.by_value[row] += policy_weight * work.leak[time]
            if rule.leak_into_head:
                work.by_head_value[row] += policy_weight * work.leak[time]
        work.visits[row] += ONE


@compiled
def differentiate_heads(rule: UpdateRule, policy_weight: np.float32, rows: int, work: Work) -> None:
    """Computes the gradients with respect to each row's logits and value, with the entropy bonus.

    Writes them into `work.by_heads`. The value's gradient is that for the trunk; `backpropagate`
    later replaces it by that for the head, which differs if the leak reaches only one of them.
    `policy_weight` is 1, or 0 without the policy loss. As the policy is the softmax of the logits,
    ∂ log π(b) / ∂ logit(a) = [a = b] - π(a), ∂ entropy / ∂ logit(a) = -π(a) (log π(a) + entropy).
    """
    work.by_heads[:] = ZERO
    bonus = policy_weight * rule.entropy_weight * rule.policy_factor  # per step
    for row in range(1, rows):  # row 0 is the zero state
        total = ZERO
        for action in range(NUM_ACTIONS):
            total += work.by_log_policy[action, row]
        for action in range(NUM_ACTIONS):
            probability = work.policy[action, row]
            by_logit = work.by_log_policy[action, row] - probability * total
            if bonus > ZERO:
                centred_log_prob = work.log_policy[action, row] + work.entropy[row]
                # Times `visits`, as `by_log_policy` is a sum over the steps that share this row.
                by_logit += bonus * work.visits[row] * probability * centred_log_prob
            # The first trunk has the policy, the last the value; they may be the same.
            work.by_heads[0, row, action] = by_logit
        work.by_heads[-1, row, VALUE] = work.by_value[row]


@compiled
def backpropagate(parameters: Parameters, work: Work, gradient: Parameters, levels: int) -> None:
    """Backpropagates from the heads' outputs, `work.by_heads`, to all parameters.

    Overwrites `gradient`. `levels` is the number of levels of the episode's rows.
    """
    trunks, stimuli, _ = gradient.input.shape
    second_level, rows = work.level_start[1], work.level_start[levels]
    for trunk in range(trunks):
        by_gates, by_hidden, by_heads = work.by_gates, work.by_hidden, work.by_heads[trunk]
        clear(work.by_cell[:rows])
        multiply(by_hidden[1:rows], by_heads[1:rows], work.head_transposed[trunk])
        # Gradients of the states, from the last level to the first.
        for level in range(levels - 1, -1, -1):
            start, end = work.level_start[level], work.level_start[level + 1]
            _backpropagate_states(
                work.parent[start:end],
                work.cell[trunk],
                work.gates[trunk, start:end],
                work.cell_tanh[trunk, start:end],
                by_hidden[start:end],
                work.by_cell[start:end],
                work.by_cell,
                by_gates[start:end],
            )
            if level:
                by_previous = work.by_previous[start:end]
                clear(by_previous)
                add_product_transposed(
                    by_previous, by_gates[start:end], parameters.recurrent[trunk]
                )
                for row in range(start, end):
                    add(by_hidden[work.parent[row]], by_previous[row - start])

        # Parameters of the trunk. The first level's previous states are zero.
        previous = work.previous[trunk, second_level:rows]
        multiply_wide(gradient.recurrent[trunk], previous.T, by_gates[second_level:rows])
        clear(work.by_projected)
        for row in range(1, rows):
            add_wide(work.by_projected[work.shown[row]], by_gates[row])
        clear(gradient.input_bias[trunk : trunk + 1])
        for stimulus in range(stimuli + 1):
            add_wide(gradient.input_bias[trunk], work.by_projected[stimulus])
        copy(gradient.recurrent_bias[trunk], gradient.input_bias[trunk])
        for stimulus in range(stimuli):
            copy(gradient.input[trunk, stimulus], work.by_projected[stimulus])

        # Parameters of the heads.
        if trunk == trunks - 1:
            # The trunk is done; from here on, the value's gradient for the head is needed.
            for row in range(1, rows):
                by_heads[row, VALUE] = work.by_head_value[row]
        # Transposed, because `multiply` writes whole vectors, and a head has few columns.
        multiply(work.by_head_transposed, by_heads[1:rows].T, work.hidden[trunk, 1:rows])
        transpose(gradient.head[trunk], work.by_head_transposed)
        for column in range(NUM_OUTPUTS):
            total = ZERO
            for row in range(1, rows):
                total += by_heads[row, column]
            gradient.head_bias[trunk, column] = total


@compiled_apart
def _backpropagate_states(
    parents: Places,  # (m,)
    cells: Floats,  # (M, H): of all rows
    gates: Floats,  # (m, G): after the nonlinearity
    cell_tanh: Floats,  # (m, H)
    by_hidden: Floats,  # (m, H)
    by_cell: Floats,  # (m, H): except through the hidden states
    by_cells: Floats,  # (M, H): of all rows; the parents' are added to
    by_gates: Floats,  # (m, G): before the nonlinearity, output
) -> None:
    """Backpropagates from the states of a level's m rows to their gates and parents' cells."""
    units = cells.shape[1]
    for row in range(len(parents)):
        parent = parents[row]
        parent_cell, by_parent_cell = cells[parent], by_cells[parent]
        row_gates, by_row_gates = gates[row], by_gates[row]
        for unit in range(0, units, LANES):
            input_gate = load(row_gates, Gate.INPUT * units + unit)
            forget_gate = load(row_gates, Gate.FORGET * units + unit)
            candidate = load(row_gates, Gate.CELL * units + unit)
            output_gate = load(row_gates, Gate.OUTPUT * units + unit)
            state_tanh, by_hidden_state = load(cell_tanh[row], unit), load(by_hidden[row], unit)
            through_hidden = by_hidden_state * output_gate * (ONE - state_tanh * state_tanh)
            by_state = load(by_cell[row], unit) + through_hidden
            by_forget_gate = by_state * load(parent_cell, unit) * forget_gate * (ONE - forget_gate)
            by_input_gate = by_state * candidate * input_gate * (ONE - input_gate)
            by_candidate = by_state * input_gate * (ONE - candidate * candidate)
            by_output_gate = by_hidden_state * state_tanh * output_gate * (ONE - output_gate)
            store(by_row_gates, Gate.INPUT * units + unit, by_input_gate)
            store(by_row_gates, Gate.FORGET * units + unit, by_forget_gate)
            store(by_row_gates, Gate.CELL * units + unit, by_candidate)
            store(by_row_gates, Gate.OUTPUT * units + unit, by_output_gate)
            store(by_parent_cell, unit, load(by_parent_cell, unit) + by_state * forget_gate)
