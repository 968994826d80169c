"""The fused engine's compiled code: it plays, backpropagates and updates one replica.

Its bits are the same on every machine. It is made of IEEE additions, multiplications, divisions,
square roots and bit operations in a written order: no libm, no BLAS, no fused multiply-add, no
reassociation. It is fast all the same because the innermost loops run along lanes that do not
depend on each other, which the compiler may take as many at a time as it likes.

A step of the network is a row: a state that it comes from (`parent`) and a stimulus (`shown`).
Row 0 is the zero state. Where the state is carried, the rows of an episode are a chain, a row a
step. Where it is reset, what the network does in a trial depends on the trial's pair alone, so
the rows are the distinct beginnings of the pairs, a forest: however many trials an episode has,
a row is played once, and its gradient is the sum over the steps that met it. Rows of one depth
are a level, and a level is computed together.

What other modules know, constants too, reaches it as arguments: compiled code outlives a change
of theirs.

Shapes: K trunks, M rows, H units (padded), G = 4H gates, S stimuli, N trials, L steps a trial,
T = N L.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.compilation import cached, compiled
from pwm.elementary import ONE, TWO, ZERO, exp, log, sigmoid, tanh
from pwm.lanes import LANES, add_product, add_product_transposed, load, spread, store

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


class Task(NamedTuple):
    """What is played, as tables."""

    shown: Integers  # (pairs + 1, L): the stimulus; S for none
    node: Integers  # (pairs + 1, L): which beginning of a trial this is
    level_end: Integers  # (L,): nodes up to each step; they are numbered step by step
    node_parent: Integers  # (nodes,): the beginning one step shorter; -1 at the first
    node_shown: Integers  # (nodes,)
    rewards: Floats  # (pairs + 1, L, actions)
    carry_state: bool
    timeout: bool
    hold: int


class Update(NamedTuple):
    """What is minimised, and how."""

    attached: bool
    policy_share: np.float32  # weight of a step in the policy loss: 1 or 1 / T
    discount: np.float32
    entropy_weight: np.float32
    smoothing: np.float32
    epsilon: np.float32


class Population(NamedTuple):
    """Who is trained: R replicas."""

    critic_weights: Floats  # (R,)
    learning_rates: Floats  # (R,)
    parameters: Floats  # (R, P), updated in place
    square_average: Floats  # (R, P), updated in place


class Episodes(NamedTuple):
    """The chance of E episodes, and what they left for the log."""

    trials: Integers  # (E, R, N): pairs
    noise: Floats  # (E, R, N, L): uniform on [0, 1)
    metrics: Floats  # (E, R, metrics), written


class Weights(NamedTuple):
    """Parameters of a replica, or their gradient, laid out as `Agent` does."""

    input: Floats  # (K, S, G)
    recurrent: Floats  # (K, H, G)
    input_bias: Floats  # (K, G)
    recurrent_bias: Floats  # (K, G)
    head: Floats  # (K, H, 4)
    head_bias: Floats  # (K, 4)


class Work(NamedTuple):
    """Working memory; nothing in it outlives an episode."""

    scale: Floats  # (G,): 1; of the cell's gates 2, as tanh(x) = 2 sigmoid(2 x) - 1
    projected: Floats  # (K, S + 1, G): what each stimulus adds to the gates; last, none
    head_transposed: Floats  # (K, 4, H)
    parent: Integers  # (M,)
    shown: Integers  # (M,)
    row_of_node: Integers  # (nodes,)
    level_start: Integers  # (levels + 1,)
    previous: Floats  # (K, M, H): hidden state of the parent
    gates: Floats  # (K, M, G): after their nonlinearity; then the gradient before it
    cell: Floats  # (K, M, H)
    cell_tanh: Floats  # (K, M, H)
    hidden: Floats  # (K, M, H)
    heads: Floats  # (K, M, 4)
    log_policy: Floats  # (M, actions)
    policy: Floats  # (M, actions)
    entropy: Floats  # (M,)
    by_cell: Floats  # (K, M, H): gradients, from here on
    by_hidden: Floats  # (K, M, H)
    by_previous: Floats  # (K, M, H)
    by_heads: Floats  # (K, M, 4)
    by_log_policy: Floats  # (M, actions)
    by_value: Floats  # (M,)
    by_projected: Floats  # (S + 1, G)
    by_head_transposed: Floats  # (4, H)
    gradient: Floats  # (P,)
    visits: Floats  # (M,): steps of the episode that met the row
    row: Integers  # (T,): of each step
    action: Integers  # (T,)
    reward: Floats  # (T,)


@compiled
def _copy(out: Floats, values: Floats) -> None:
    for column in range(0, len(out), LANES):
        store(out, column, load(values, column))


@compiled
def _add(out: Floats, values: Floats) -> None:
    for column in range(0, len(out), LANES):
        store(out, column, load(out, column) + load(values, column))


@compiled
def _clear(matrix: Floats) -> None:
    for row in range(len(matrix)):
        for column in range(0, matrix.shape[1], LANES):
            store(matrix[row], column, spread(ZERO))


@compiled
def _transpose(out: Floats, matrix: Floats) -> None:
    for row in range(len(out)):
        for column in range(len(matrix)):
            out[row, column] = matrix[column, row]


@compiled
def _weights(flat: Floats, trunks: int, stimuli: int, gates: int) -> Weights:
    """Views of a replica's parameters (P,)."""
    units = gates // 4
    recurrent = trunks * stimuli * gates
    input_bias = recurrent + trunks * units * gates
    recurrent_bias = input_bias + trunks * gates
    head = recurrent_bias + trunks * gates
    head_bias = head + trunks * units * 4
    return Weights(
        flat[:recurrent].reshape((trunks, stimuli, gates)),
        flat[recurrent:input_bias].reshape((trunks, units, gates)),
        flat[input_bias:recurrent_bias].reshape((trunks, gates)),
        flat[recurrent_bias:head].reshape((trunks, gates)),
        flat[head:head_bias].reshape((trunks, units, 4)),
        flat[head_bias : head_bias + trunks * 4].reshape((trunks, 4)),
    )


@compiled
def _prepare(weights: Weights, work: Work) -> None:
    """What is computed once an episode: tables of stimuli, and transposed weights."""
    trunks, stimuli, gates = weights.input.shape
    for trunk in range(trunks):
        for gate in range(gates):
            bias = weights.input_bias[trunk, gate] + weights.recurrent_bias[trunk, gate]
            for stimulus in range(stimuli):
                work.projected[trunk, stimulus, gate] = bias + weights.input[trunk, stimulus, gate]
            work.projected[trunk, stimuli, gate] = bias
        _transpose(work.head_transposed[trunk], weights.head[trunk])


@compiled
def _play_level(weights: Weights, work: Work, start: int, end: int) -> None:
    """Plays rows whose parents have been played; those from row 1 on start from zero."""
    trunks, units, gates = weights.recurrent.shape
    for trunk in range(trunks):
        level, hidden = work.gates[trunk, start:end], work.hidden[trunk]
        for row in range(start, end):
            _copy(work.gates[trunk, row], work.projected[trunk, work.shown[row]])
        if start > 1:
            for row in range(start, end):
                _copy(work.previous[trunk, row], hidden[work.parent[row]])
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
def _play(task: Task, weights: Weights, trials: Integers, noise: Floats, work: Work) -> int:
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
def _differentiate_losses(
    update: Update, critic_weight: np.float32, length: int, work: Work, metrics: Floats
) -> None:
    """Gradients of the total loss by each row's log-policy and value, and the episode's metrics.

    See `pwm.losses` for the definition.
    """
    steps, value_heads = len(work.row), work.heads[-1, :, 3]
    work.by_log_policy[:] = ZERO
    work.by_value[:] = ZERO
    work.visits[:] = ZERO
    by_advantage = TWO * critic_weight / np.float32(steps)
    reward = squares = gain = entropy = bias = 0.0
    value = ZERO
    for time in range(steps - 1, -1, -1):
        row, action = work.row[time], work.action[time]
        value = work.reward[time] + update.discount * value
        advantage = value - value_heads[row]
        log_prob = work.log_policy[row, action]
        work.by_log_policy[row, action] -= update.policy_share * advantage
        work.by_value[row] -= by_advantage * advantage
        if update.attached:
            work.by_value[row] += update.policy_share * log_prob
        work.visits[row] += ONE
        if time % length == length - 1:
            reward += work.reward[time]
        squares += np.float64(advantage) * advantage
        gain += np.float64(advantage) * log_prob
        entropy += work.entropy[row]
        bias -= advantage
    metrics[0] = reward / (steps // length)
    metrics[1] = squares / steps
    metrics[2] = -gain * update.policy_share
    metrics[3] = entropy / steps
    metrics[4] = bias / steps


@compiled
def _differentiate_heads(update: Update, rows: int, work: Work) -> None:
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
def _backpropagate(weights: Weights, work: Work, gradient: Weights, levels: int) -> None:
    """The gradient by all parameters, from that by the heads."""
    trunks, stimuli, _ = gradient.input.shape
    first, rows = work.level_start[1], work.level_start[levels]
    for trunk in range(trunks):
        _clear(work.by_cell[trunk, :rows])
        _clear(work.by_hidden[trunk, :rows])
        add_product(
            work.by_hidden[trunk, 1:rows], work.by_heads[trunk, 1:rows], work.head_transposed[trunk]
        )
        for level in range(levels - 1, -1, -1):
            start, end = work.level_start[level], work.level_start[level + 1]
            for row in range(start, end):
                _backpropagate_row(work, trunk, row)
            if level:
                by_previous = work.by_previous[trunk, start:end]
                _clear(by_previous)
                add_product_transposed(
                    by_previous, work.gates[trunk, start:end], weights.recurrent[trunk]
                )
                for row in range(start, end):
                    _add(work.by_hidden[trunk, work.parent[row]], by_previous[row - start])

        _clear(gradient.recurrent[trunk])
        add_product(
            gradient.recurrent[trunk],
            work.previous[trunk, first:rows].T,
            work.gates[trunk, first:rows],
        )
        _clear(work.by_projected)
        for row in range(1, rows):
            _add(work.by_projected[work.shown[row]], work.gates[trunk, row])
        _clear(gradient.input_bias[trunk : trunk + 1])
        for stimulus in range(stimuli + 1):
            _add(gradient.input_bias[trunk], work.by_projected[stimulus])
        _copy(gradient.recurrent_bias[trunk], gradient.input_bias[trunk])
        for stimulus in range(stimuli):
            _copy(gradient.input[trunk, stimulus], work.by_projected[stimulus])

        by_head = work.by_head_transposed
        _clear(by_head)
        add_product(by_head, work.by_heads[trunk, 1:rows].T, work.hidden[trunk, 1:rows])
        _transpose(gradient.head[trunk], by_head)
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
def _rmsprop(
    parameters: Floats,
    square_average: Floats,
    gradient: Floats,
    learning_rate: np.float32,
    update: Update,
) -> None:
    """The update of `pwm.optim.RMSprop`."""
    fresh = ONE - update.smoothing
    for index in range(len(parameters)):
        slope = gradient[index]
        square = square_average[index] * update.smoothing + fresh * slope * slope
        square_average[index] = square
        parameters[index] -= slope * learning_rate / (np.sqrt(square) + update.epsilon)


@cached
def train(
    task: Task, update: Update, population: Population, episodes: Episodes, work: Work
) -> None:
    """Trains replicas, one after the other, for some episodes each."""
    trunks, stimuli, gates = work.projected.shape
    gradient = _weights(work.gradient, trunks, stimuli - 1, gates)
    for replica in range(len(population.parameters)):
        weights = _weights(population.parameters[replica], trunks, stimuli - 1, gates)
        for episode in range(len(episodes.trials)):
            noise = episodes.noise[episode, replica]
            metrics = episodes.metrics[episode, replica]
            _prepare(weights, work)
            levels = _play(task, weights, episodes.trials[episode, replica], noise, work)
            _differentiate_losses(
                update, population.critic_weights[replica], noise.shape[1], work, metrics
            )
            _differentiate_heads(update, work.level_start[levels], work)
            _backpropagate(weights, work, gradient, levels)
            _rmsprop(
                population.parameters[replica],
                population.square_average[replica],
                work.gradient,
                population.learning_rates[replica],
                update,
            )
