"""Compiled forward pass: the LSTM's states, the policies and the sampled actions.

A row is a state of the LSTM; `pwm.fused.buffers` explains rows, levels, nodes and shapes.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.buffers import Parameters, TaskTables, Work
from pwm.fused.compilation import compiled, compiled_apart
from pwm.fused.elementary import ONE, TWO, ZERO, exp, larger, log, sigmoid, tanh
from pwm.fused.layout import NUM_ACTIONS, NUM_OUTPUTS, Action, Floats, Gate, Integers, Places
from pwm.fused.products import add_product_transposed, add_product_wide, copy, copy_wide, transpose
from pwm.fused.vectors import LANES, WIDE, broadcast, columns, load, load_wide, store


@compiled
def prepare(parameters: Parameters, work: Work) -> None:
    """Computes each stimulus's input to the gates, and transposes the heads' weights."""
    trunks, stimuli, gates = parameters.input.shape
    for trunk in range(trunks):
        projected = work.projected[trunk]
        for gate in range(0, gates, WIDE):
            bias = load_wide(parameters.input_bias[trunk], gate)
            bias += load_wide(parameters.recurrent_bias[trunk], gate)
            for stimulus in range(stimuli):
                weights = load_wide(parameters.input[trunk, stimulus], gate)
                store(projected[stimulus], gate, bias + weights)
            store(projected[stimuli], gate, bias)  # no stimulus
        transpose(work.head_transposed[trunk], parameters.head[trunk])


@compiled
def play(
    task: TaskTables, parameters: Parameters, trials: Integers, noise: Floats, work: Work
) -> int:
    """Plays an episode, trials (N,) and noise (N, L), into `work`; returns the number of levels.

    If states are reset at each trial, they do not depend on the actions, so all are computed first.
    """
    prepare(parameters, work)
    blank = len(task.node) - 1  # in place of a pair
    num_trials, trial_length = len(trials), len(task.level_end)
    if task.carry_state:
        levels = num_trials * trial_length
        for row in range(1, levels + 1):
            work.parent[row] = row - 1
            work.level_start[row - 1] = row
        work.level_start[levels] = levels + 1
    else:
        levels = _assign_rows(task, trials, work)
        for level in range(levels):
            start, end = work.level_start[level], work.level_start[level + 1]
            _play_level(parameters, work, start, end)
        _compute_policies(parameters, work, 1, work.level_start[levels])
    blank_next = False  # whether the next trial is blank
    for trial in range(num_trials):
        pair = blank if blank_next else trials[trial]
        blank_next = False
        for step in range(trial_length):
            time, node = trial * trial_length + step, task.node[pair, step]
            if task.carry_state:
                row = time + 1
                work.shown[row] = task.node_shown[node]
                _play_level(parameters, work, row, row + 1)
                _compute_policies(parameters, work, row, row + 1)
            else:
                row = work.row_of_node[node]
            action = _sample(work, row, noise[trial, step])
            if task.timeout and pair != blank and step < trial_length - 1 and action != Action.HOLD:
                blank_next = True
            work.row[time] = row
            work.action[time] = action
            work.reward[time] = task.rewards[pair, step, action]
    return levels


@compiled
def _sample(work: Work, row: int, noise: np.float32) -> int:
    """Samples an action by inverting the distribution function, as `pwm.core.rollout` does."""
    threshold = noise * work.cumulative[NUM_ACTIONS - 1, row]  # this sum is 1 up to rounding
    chosen = 0
    for action in range(NUM_ACTIONS - 1):
        chosen += int(threshold >= work.cumulative[action, row])
    return chosen


@compiled
def _assign_rows(task: TaskTables, trials: Integers, work: Work) -> int:
    """Assigns a row to each node of an episode's trials; returns the number of levels.

    With timeouts, also to those of the blank trial. Fills `row_of_node`, `level_start`, `parent`
    and `shown` of `work`.
    """
    row_of_node = work.row_of_node
    row_of_node[:] = 0
    # Marks these nodes with 1, then replaces each 1 by the node's row.
    for pair in trials:
        for node in task.node[pair]:
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
    """Computes a level's LSTM states, rows `start` to `end` - 1, from the states of the parents."""
    for trunk in range(len(parameters.recurrent)):
        gates, hidden = work.gates[trunk, start:end], work.hidden[trunk]
        for row in range(start, end):
            copy_wide(work.gates[trunk, row], work.projected[trunk, work.shown[row]])
        if start > 1:  # the parent of the first level's rows is the zero state
            for row in range(start, end):
                copy(work.previous[trunk, row], hidden[work.parent[row]])
            add_product_wide(gates, work.previous[trunk, start:end], parameters.recurrent[trunk])
        _compute_states(
            work.parent[start:end],
            gates,
            work.cell[trunk],
            work.cell[trunk, start:end],
            work.cell_tanh[trunk, start:end],
            hidden[start:end],
        )


@compiled_apart
def _compute_states(
    parents: Places,  # (m,)
    gates: Floats,  # (m, G): before the nonlinearity; overwritten with those after it
    cells: Floats,  # (M, H): of all rows
    cell: Floats,  # (m, H), output
    cell_tanh: Floats,  # (m, H), output
    hidden: Floats,  # (m, H), output
) -> None:
    """Computes the LSTM's states in a level's m rows from the inputs to their gates."""
    # Three loops over the rows rather than one: a wide load of numbers that narrow stores have just
    # written would wait until the cache has them.
    units = cell.shape[1]
    # The cell gate (candidate) is tanh(x) = 2 sigmoid(2 x) - 1, so one function serves all gates.
    for row in range(len(parents)):
        for unit in range(Gate.CELL * units, (Gate.CELL + 1) * units, LANES):
            store(gates[row], unit, TWO * load(gates[row], unit))
    for row in range(len(parents)):
        for gate in range(0, gates.shape[1], WIDE):
            store(gates[row], gate, sigmoid(load_wide(gates[row], gate)))
    for row in range(len(parents)):
        row_gates, parent_cell = gates[row], cells[parents[row]]
        for unit in range(0, units, LANES):
            input_gate = load(row_gates, Gate.INPUT * units + unit)
            forget_gate = load(row_gates, Gate.FORGET * units + unit)
            candidate = TWO * load(row_gates, Gate.CELL * units + unit) - ONE
            output_gate = load(row_gates, Gate.OUTPUT * units + unit)
            state = input_gate * candidate + forget_gate * load(parent_cell, unit)
            state_tanh = tanh(state)
            store(row_gates, Gate.CELL * units + unit, candidate)
            store(cell[row], unit, state)
            store(cell_tanh[row], unit, state_tanh)
            store(hidden[row], unit, output_gate * state_tanh)


@compiled
def _compute_policies(parameters: Parameters, work: Work, start: int, end: int) -> None:
    """Computes the heads' outputs and the policies in rows `start` to `end` - 1.

    As in the torch engine, a policy is the exponential of a log-softmax of the logits.
    """
    for trunk in range(len(work.heads)):
        heads = work.heads[trunk]
        for row in range(start, end):
            for column in range(NUM_OUTPUTS):
                heads[row, column] = parameters.head_bias[trunk, column]
        add_product_transposed(
            heads[start:end], work.hidden[trunk, start:end], work.head_transposed[trunk]
        )
    # The four outputs of `LANES` rows are loaded and transposed, so each vector has one output of
    # all these rows. The results of rows from `end` on are never read.
    logits = work.heads[0].reshape(-1)  # of the first trunk, which has the policy
    for row in range(start, end, LANES):
        hold, left, right, _value = columns(logits, NUM_OUTPUTS * row)
        largest = larger(larger(hold, left), right)
        store(work.log_policy[Action.HOLD], row, hold - largest)
        store(work.log_policy[Action.LEFT], row, left - largest)
        store(work.log_policy[Action.RIGHT], row, right - largest)
        total = broadcast(ZERO)
        for action in range(NUM_ACTIONS):
            total += exp(load(work.log_policy[action], row))
        log_total = log(total)
        entropy = cumulative = broadcast(ZERO)
        for action in range(NUM_ACTIONS):
            log_policy = load(work.log_policy[action], row) - log_total
            policy = exp(log_policy)
            entropy = entropy - policy * log_policy
            cumulative += policy
            store(work.log_policy[action], row, log_policy)
            store(work.policy[action], row, policy)
            store(work.cumulative[action], row, cumulative)
        store(work.entropy, row, entropy)
