"""The fused engine's compiled code: it plays, backpropagates and updates replicas.

Its bits are the same on every machine. It is made of IEEE additions, multiplications, divisions,
square roots and bit operations in a written order: no libm, no BLAS, no fused multiply-add, no
reassociation. It is fast all the same because the innermost loops run along lanes that do not
depend on each other, which the compiler may take as many at a time as it likes.

What other modules know, constants too, reaches it as arguments: compiled code that is kept on
disk outlives a change of theirs.
"""

from __future__ import annotations

from pwm.backward import backpropagate, differentiate_heads, differentiate_losses, rmsprop
from pwm.compilation import cached, compiled
from pwm.forward import play, prepare
from pwm.layout import Episodes, Floats, Population, Task, Update, Weights, Work


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
            noise = episodes.noise[episode, replica]
            metrics = episodes.metrics[episode, replica]
            prepare(weights, work)
            levels = play(task, weights, episodes.trials[episode, replica], noise, work)
            differentiate_losses(
                update, population.critic_weights[replica], noise.shape[1], work, metrics
            )
            differentiate_heads(update, work.level_start[levels], work)
            backpropagate(weights, work, gradient, levels)
            rmsprop(
                population.parameters[replica],
                population.square_average[replica],
                work.gradient,
                population.learning_rates[replica],
                update,
            )


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
