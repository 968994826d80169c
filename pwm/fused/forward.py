"""Playing an episode, compiled: the network's steps, its policies, and the actions drawn.

Shapes are those of `pwm.fused.buffers`.
"""

from __future__ import annotations

from pwm.fused.buffers import Floats, Integers, Task, Weights, Work
from pwm.fused.compilation import compiled
from pwm.fused.products import add_product, add_product_transposed, copy, transpose
from pwm.fused.scalar import ONE, ZERO, exp, log, sigmoid, tanh
from pwm.fused.vectors import LANES, load, store


@compiled
def prepare(weights: Weights, work: Work) -> None:
    """What is computed once an episode: tables of stimuli, and transposed weights."""
    trunks, stimuli, gates = weights.input.shape
    for trunk in range(trunks):
        for gate in range(gates):
            bias = weights.input_bias[trunk, gate] + weights.recurrent_bias[trunk, gate]
            for stimulus in range(stimuli):
                work.projected[trunk, stimulus, gate] = bias + weights.input[trunk, stimulus, gate]
            work.projected[trunk, stimuli, gate] = bias
        transpose(work.head_transposed[trunk], weights.head[trunk])


@compiled
def play(task: Task, weights: Weights, trials: Integers, noise: Floats, work: Work) -> int:
    """Plays an episode and returns the number of its levels."""
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
            _play_level(weights, work, start, end)
    violated = False
    for trial in range(num_trials):
        pair = blank if violated else trials[trial]
        violated = False
        for step in range(length):
            time = trial * length + step
            if task.carry_state:
                row = time + 1
                work.shown[row] = task.shown[pair, step]
                _play_level(weights, work, row, row + 1)
            else:
                row = work.row_of_node[task.node[pair, step]]
            policy = work.policy[row]
            # As `Rollout` samples: noise scaled to the last cumulative probability.
            upto0 = policy[0]
            upto1 = upto0 + policy[1]
            threshold = noise[trial, step] * (upto1 + policy[2])
            action = int(threshold >= upto0) + int(threshold >= upto1)
            if task.timeout and pair != blank and step < length - 1 and action != task.hold:
                violated = True
            work.row[time] = row
            work.action[time] = action
            work.reward[time] = task.rewards[pair, step, action]
    return levels


@compiled
def _plan(task: Task, trials: Integers, work: Work) -> int:
    """Makes rows of the beginnings that the episode's trials have, and returns the levels."""
    nodes = work.row_of_node
    nodes[:] = 0
    for trial in range(len(trials)):
        for node in task.node[trials[trial]]:
            nodes[node] = 1
    if task.timeout:
        for node in task.node[-1]:
            nodes[node] = 1
    levels = len(task.level_end)
    row, node = 1, 0
    for level in range(levels):
        work.level_start[level] = row
        while node < task.level_end[level]:
            if nodes[node]:
                nodes[node] = row
                work.shown[row] = task.node_shown[node]
                work.parent[row] = nodes[task.node_parent[node]] if level else 0
                row += 1
            node += 1
    work.level_start[levels] = row
    return levels


@compiled
def _play_level(weights: Weights, work: Work, start: int, end: int) -> None:
    """Plays rows whose parents have been played; those from row 1 on start from zero."""
    trunks, units, gates = weights.recurrent.shape
    for trunk in range(trunks):
        level, hidden = work.gates[trunk, start:end], work.hidden[trunk]
        for row in range(start, end):
            copy(work.gates[trunk, row], work.projected[trunk, work.shown[row]])
        if start > 1:
            for row in range(start, end):
                copy(work.previous[trunk, row], hidden[work.parent[row]])
            add_product(level, work.previous[trunk, start:end], weights.recurrent[trunk])
        for row in range(start, end):
            values = work.gates[trunk, row]
            for gate in range(gates):
                scale = work.scale[gate]
                values[gate] = scale * sigmoid(scale * values[gate]) - (scale - ONE)
            before, cell = work.cell[trunk, work.parent[row]], work.cell[trunk, row]
            for unit in range(0, units, LANES):
                enter, forget = load(values, unit), load(values, units + unit)
                candidate = load(values, 2 * units + unit)
                store(cell, unit, enter * candidate + forget * load(before, unit))
            cell_tanh = work.cell_tanh[trunk, row]
            for unit in range(units):
                cell_tanh[unit] = tanh(cell[unit])
            for unit in range(0, units, LANES):
                store(hidden[row], unit, load(values, 3 * units + unit) * load(cell_tanh, unit))
            for column in range(weights.head_bias.shape[1]):
                work.heads[trunk, row, column] = weights.head_bias[trunk, column]
        add_product_transposed(
            work.heads[trunk, start:end], hidden[start:end], work.head_transposed[trunk]
        )
    _decide(work, start, end)


@compiled
def _decide(work: Work, start: int, end: int) -> None:
    """The policies of some rows, as PyTorch has them: log-softmax, and its exponential."""
    logits, actions = work.heads[0], work.policy.shape[1]
    for row in range(start, end):
        largest = logits[row, 0]
        for action in range(1, actions):
            largest = logits[row, action] if logits[row, action] > largest else largest
        for action in range(actions):
            work.log_policy[row, action] = logits[row, action] - largest
    log_policy, policy = work.log_policy[start:end].reshape(-1), work.policy[start:end].reshape(-1)
    for index in range(len(policy)):
        policy[index] = exp(log_policy[index])
    for row in range(start, end):
        total = ZERO
        for action in range(actions):
            total += work.policy[row, action]
        log_total = log(total)
        for action in range(actions):
            work.log_policy[row, action] -= log_total
    for index in range(len(policy)):
        policy[index] = exp(log_policy[index])
    for row in range(start, end):
        entropy = ZERO
        for action in range(actions):
            entropy -= work.policy[row, action] * work.log_policy[row, action]
        work.entropy[row] = entropy
