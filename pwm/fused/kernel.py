"""The compiled code of the fused engine: plays, differentiates and updates replicas.

Its bits are the same on every machine. It uses only IEEE additions, multiplications, divisions,
square roots and bit operations, in a fixed order: no libm, no BLAS, no fused multiply-add, no
reassociation. It is fast nevertheless, because the innermost loops run over independent lanes,
which the compiler can vectorise at any width.

Compiled code is cached on disk, by the sources of this package alone. What it needs from other
modules it gets as arguments, or from constants that `pwm.fused.engine` checks against theirs.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.backward import backpropagate, differentiate_heads, differentiate_losses, rmsprop
from pwm.fused.buffers import (
    NUM_GATES,
    NUM_OUTPUTS,
    VALUE,
    Episodes,
    Floats,
    Integers,
    Parameters,
    Population,
    ProbedEpisode,
    TaskTables,
    UpdateRule,
    Work,
)
from pwm.fused.compilation import cached, compiled
from pwm.fused.forward import play, prepare
from pwm.fused.products import copy
from pwm.fused.scalar import ZERO


@cached
def train(
    task: TaskTables, rule: UpdateRule, population: Population, episodes: Episodes, work: Work
) -> None:
    """Trains each replica on its episodes, one replica after the other."""
    trunks, stimuli, gates = work.projected.shape
    gradient = parameters_of(work.gradient, trunks, stimuli - 1, gates)
    for replica in range(len(population.parameters)):
        parameters = parameters_of(population.parameters[replica], trunks, stimuli - 1, gates)
        for episode in range(len(episodes.trials)):
            play_and_differentiate(
                task,
                rule,
                parameters,
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
                rule,
            )


@cached
def differentiate(
    task: TaskTables, rule: UpdateRule, population: Population, out: ProbedEpisode, work: Work
) -> None:
    """Plays and differentiates one episode of each replica, without updating it."""
    trunks, stimuli, gates = work.projected.shape
    gradient = parameters_of(work.gradient, trunks, stimuli - 1, gates)
    steps = len(work.row)
    for replica in range(len(population.parameters)):
        play_and_differentiate(
            task,
            rule,
            parameters_of(population.parameters[replica], trunks, stimuli - 1, gates),
            population.critic_weights[replica],
            out.trials[replica],
            out.noise[replica],
            out.metrics[replica],
            gradient,
            work,
        )
        copy(out.gradients[replica], work.gradient)
        return_ = ZERO
        for time in range(steps - 1, -1, -1):
            row = work.row[time]
            return_ = work.reward[time] + rule.discount * return_
            out.returns[replica, time] = return_
            out.values[replica, time] = work.heads[-1, row, VALUE]
            out.log_probs[replica, time] = work.log_policy[row, work.action[time]]


@compiled
def play_and_differentiate(
    task: TaskTables,
    rule: UpdateRule,
    parameters: Parameters,
    critic_weight: np.float32,
    trials: Integers,
    noise: Floats,
    metrics: Floats,
    gradient: Parameters,
    work: Work,
) -> None:
    """Plays an episode of one replica; writes its metrics and the gradient of its total loss."""
    prepare(parameters, work)
    levels = play(task, parameters, trials, noise, work)
    differentiate_losses(rule, critic_weight, noise.shape[1], work, metrics)
    differentiate_heads(rule, work.level_start[levels], work)
    backpropagate(parameters, work, gradient, levels)


@compiled
def parameters_of(flat: Floats, trunks: int, stimuli: int, gates: int) -> Parameters:
    """Views of one replica's row of parameters (P,)."""
    units = gates // NUM_GATES
    recurrent = trunks * stimuli * gates
    input_bias = recurrent + trunks * units * gates
    recurrent_bias = input_bias + trunks * gates
    head = recurrent_bias + trunks * gates
    head_bias = head + trunks * units * NUM_OUTPUTS
    return Parameters(
        flat[:recurrent].reshape((trunks, stimuli, gates)),
        flat[recurrent:input_bias].reshape((trunks, units, gates)),
        flat[input_bias:recurrent_bias].reshape((trunks, gates)),
        flat[recurrent_bias:head].reshape((trunks, gates)),
        flat[head:head_bias].reshape((trunks, units, NUM_OUTPUTS)),
        flat[head_bias : head_bias + trunks * NUM_OUTPUTS].reshape((trunks, NUM_OUTPUTS)),
    )
