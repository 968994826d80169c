"""Compiled forward pass: the network's steps, its policies and the sampled actions.

`pwm.fused.buffers` explains rows, levels and shapes.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.buffers import TaskTables, Work
from pwm.fused.compilation import compiled
from pwm.fused.layout import NUM_ACTIONS, NUM_OUTPUTS, Action, Floats, Gate, Integers, Parameters
from pwm.fused.products import add_product, add_product_transposed, copy, transpose
from pwm.fused.scalar import ONE, ZERO, exp, log, sigmoid, tanh
from pwm.fused.vectors import LANES, load, store


@compiled
def prepare(parameters: Parameters, work: Work) -> None:
    """Computes, once per episode, the inputs to the gates and the transposed heads."""
    trunks, stimuli, gates = parameters.input.shape
    for trunk in range(trunks):
        for gate in range(gates):
            bias = parameters.input_bias[trunk, gate] + parameters.recurrent_bias[trunk, gate]
            for stimulus in range(stimuli):
                weight = parameters.input[trunk, stimulus, gate]
                work.projected[trunk, stimulus, gate] = bias + weight
            work.projected[trunk, stimuli, gate] = bias
        transpose(work.head_transposed[trunk], parameters.head[trunk])


@compiled
def play(
    task: TaskTables, parameters: Parameters, trials: Integers, noise: Floats, work: Work
) -> int:
    """Plays an episode; returns its number of levels."""
    blank, num_trials, length = len(task.node) - 1, len(trials), len(task.level_end)
    if task.carry_state:
        levels = num_trials * length
        for row in range(1, levels + 1):
            work.parent[row] = row - 1
            work.level_start[row - 1] = row
        work.level_start[levels] = levels + 1
    else:
        levels = _plan(task, trials, work)
        for level in range(levels):
            start, end = work.level_start[level], work.level_start[level + 1]
            _play_level(parameters, work, start, end)
    violated = False
    for trial in range(num_trials):
        pair = blank if violated else trials[trial]
        violated = False
        for step in range(length):
            time = trial * length + step
            if task.carry_state:
                row = time + 1
                work.shown[row] = task.shown[pair, step]
                _play_level(parameters, work, row, row + 1)
            else:
                row = work.row_of_node[task.node[pair, step]]
            action = _sample(work.policy[row], noise[trial, step])
            if task.timeout and pair != blank and step < length - 1 and action != Action.HOLD:
                violated = True
            work.row[time] = row
            work.action[time] = action
            work.reward[time] = task.rewards[pair, step, action]
    return levels


@compiled
def _sample(policy: Floats, noise: np.float32) -> int:
    """Samples an action as `pwm.core.rollout.Rollout` does."""
    total = policy[0]
    for action in range(1, NUM_ACTIONS):
        total += policy[action]
    threshold = noise * total
    chosen, cumulative = 0, policy[0]
    for action in range(1, NUM_ACTIONS):
        chosen += int(threshold >= cumulative)
        cumulative += policy[action]
    return chosen


@compiled
def _plan(task: TaskTables, trials: Integers, work: Work) -> int:
    """Assigns a row to each node the trials visit; returns the number of levels.

    Fills `row_of_node`, `level_start`, and the rows' `parent` and `shown`.
    """
    row_of_node = work.row_of_node  # at first 1 for each visited node
    row_of_node[:] = 0
    for trial in range(len(trials)):
        for node in task.node[trials[trial]]:
            row_of_node[node] = 1
    if task.timeout:
        for node in task.node[-1]:  # of the blank trial
            row_of_node[node] = 1
    levels = len(task.level_end)
    row, node = 1, 0
    for level in range(levels):
        work.level_start[level] = row
        while node < task.level_end[level]:
            if row_of_node[node]:
                row_of_node[node] = row
                work.shown[row] = task.node_shown[node]
                work.parent[row] = row_of_node[task.node_parent[node]] if level else 0
                row += 1
            node += 1
    work.level_start[levels] = row
    return levels


@compiled
def _play_level(parameters: Parameters, work: Work, start: int, end: int) -> None:
    """Plays the rows of a level, after their parents; at the first level, the state is zero."""
    trunks, units, gates = parameters.recurrent.shape
    for trunk in range(trunks):
        level, hidden, heads = work.gates[trunk, start:end], work.hidden[trunk], work.heads[trunk]
        for row in range(start, end):
            copy(work.gates[trunk, row], work.projected[trunk, work.shown[row]])
        if start > 1:
            for row in range(start, end):
                copy(work.previous[trunk, row], hidden[work.parent[row]])
            add_product(level, work.previous[trunk, start:end], parameters.recurrent[trunk])
        for row in range(start, end):
            values = work.gates[trunk, row]
            for gate in range(gates):
                scale = work.scale[gate]
                values[gate] = scale * sigmoid(scale * values[gate]) - (scale - ONE)
            before, cell = work.cell[trunk, work.parent[row]], work.cell[trunk, row]
            for unit in range(0, units, LANES):
                input_gate = load(values, Gate.INPUT * units + unit)
                forget_gate = load(values, Gate.FORGET * units + unit)
                candidate = load(values, Gate.CELL * units + unit)
                store(cell, unit, input_gate * candidate + forget_gate * load(before, unit))
            cell_tanh = work.cell_tanh[trunk, row]
            for unit in range(units):
                cell_tanh[unit] = tanh(cell[unit])
            for unit in range(0, units, LANES):
                output_gate = load(values, Gate.OUTPUT * units + unit)
                store(hidden[row], unit, output_gate * load(cell_tanh, unit))
            for column in range(NUM_OUTPUTS):
                heads[row, column] = parameters.head_bias[trunk, column]
        add_product_transposed(heads[start:end], hidden[start:end], work.head_transposed[trunk])
    _decide(work, start, end)


@compiled
def _decide(work: Work, start: int, end: int) -> None:
    """Computes the policies of some rows as PyTorch does: log-softmax, and its exponential."""
    logits = work.heads[0]
    for row in range(start, end):
        largest = logits[row, 0]
        for action in range(1, NUM_ACTIONS):
            largest = logits[row, action] if logits[row, action] > largest else largest
        for action in range(NUM_ACTIONS):
            work.log_policy[row, action] = logits[row, action] - largest
    log_policy, policy = work.log_policy[start:end].reshape(-1), work.policy[start:end].reshape(-1)
    for index in range(len(policy)):
        policy[index] = exp(log_policy[index])
    for row in range(start, end):
        total = ZERO
        for action in range(NUM_ACTIONS):
            total += work.policy[row, action]
        log_total = log(total)
        for action in range(NUM_ACTIONS):
            work.log_policy[row, action] -= log_total
    for index in range(len(policy)):
        policy[index] = exp(log_policy[index])
    for row in range(start, end):
        entropy = ZERO
        for action in range(NUM_ACTIONS):
            entropy -= work.policy[row, action] * work.log_policy[row, action]
        work.entropy[row] = entropy
