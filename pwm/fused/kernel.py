"""The fused engine's compiled code: it plays, backpropagates and updates replicas.

Its bits are the same on every machine. It is made of IEEE additions, multiplications, divisions,
square roots and bit operations in a written order: no libm, no BLAS, no fused multiply-add, no
reassociation. It is fast all the same because the innermost loops run along lanes that do not
depend on each other, which the compiler may take as many at a time as it likes.

What other modules know, constants too, reaches it as arguments: compiled code that is kept on
disk outlives a change of theirs.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.backward import backpropagate, differentiate_heads, differentiate_losses, rmsprop
from pwm.fused.buffers import (
    Differentiated,
    Episodes,
    Floats,
    Integers,
    Population,
    Task,
    Update,
    Weights,
    Work,
)
from pwm.fused.compilation import cached, compiled
from pwm.fused.forward import play, prepare
from pwm.fused.products import copy
from pwm.fused.scalar import ZERO


@cached
def train(
    task: Task, update: Update, population: Population, episodes: Episodes, work: Work
) -> None:
    """Trains replicas, one after the other, for some episodes each."""
    trunks, stimuli, gates = work.projected.shape
    gradient = weights_of(work.gradient, trunks, stimuli - 1, gates)
    for replica in range(len(population.parameters)):
        weights = weights_of(population.parameters[replica], trunks, stimuli - 1, gates)
        for episode in range(len(episodes.trials)):
            play_and_differentiate(
                task,
                update,
                weights,
                population.critic_weights[replica],
                episodes.trials[episode, replica],
                episodes.noise[episode, replica],
                episodes.metrics[episode, replica],
                gradient,
                work,
            )
            rmsprop(
                population.parameters[replica],
                population.square_average[replica],
                work.gradient,
                population.learning_rates[replica],
                update,
            )


@cached
def differentiate(
    task: Task, update: Update, population: Population, out: Differentiated, work: Work
) -> None:
    """The gradient of one episode of each replica, none of which is updated."""
    trunks, stimuli, gates = work.projected.shape
    gradient = weights_of(work.gradient, trunks, stimuli - 1, gates)
    steps = len(work.row)
    for replica in range(len(population.parameters)):
        play_and_differentiate(
            task,
            update,
            weights_of(population.parameters[replica], trunks, stimuli - 1, gates),
            population.critic_weights[replica],
            out.trials[replica],
            out.noise[replica],
            out.metrics[replica],
            gradient,
            work,
        )
        copy(out.gradients[replica], work.gradient)
        value = ZERO
        for time in range(steps - 1, -1, -1):
            row = work.row[time]
            value = work.reward[time] + update.discount * value
            out.returns[replica, time] = value
            out.values[replica, time] = work.heads[-1, row, 3]
            out.log_probs[replica, time] = work.log_policy[row, work.action[time]]


@compiled
def play_and_differentiate(
    task: Task,
    update: Update,
    weights: Weights,
    critic_weight: np.float32,
    trials: Integers,
    noise: Floats,
    metrics: Floats,
    gradient: Weights,
    work: Work,
) -> None:
    """Plays an episode of one replica, and writes its metrics and the gradient of its loss."""
    prepare(weights, work)
    levels = play(task, weights, trials, noise, work)
    differentiate_losses(update, critic_weight, noise.shape[1], work, metrics)
    differentiate_heads(update, work.level_start[levels], work)
    backpropagate(weights, work, gradient, levels)


@compiled
def weights_of(flat: Floats, trunks: int, stimuli: int, gates: int) -> Weights:
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
