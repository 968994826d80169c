"""The compiled code of the fused engine: plays, differentiates and updates replicas.

Its bits are the same on every machine. It uses only IEEE additions, multiplications, divisions,
square roots and bit operations, in a fixed order: no libm, no BLAS, no fused multiply-add, no
reassociation. It is fast nevertheless, because the innermost loops run over independent lanes,
which the compiler can vectorise at any width.

Compiled code is cached on disk, by the sources of this package alone. What it needs from other
modules it gets as arguments, or from constants that `pwm.fused.engine` checks against theirs.
"""

from __future__ import annotations

from pwm.fused.backward import backpropagate, differentiate_heads, differentiate_losses, rmsprop
from pwm.fused.buffers import Episodes, Population, ProbedEpisode, TaskTables, UpdateRule, Work
from pwm.fused.compilation import cached, compiled
from pwm.fused.forward import play, prepare
from pwm.fused.layout import VALUE, parameters_of
from pwm.fused.products import copy
from pwm.fused.scalar import ZERO


@cached
def train(
    task: TaskTables, rule: UpdateRule, population: Population, episodes: Episodes, work: Work
) -> None:
    """Trains each replica on its episodes, one replica after the other."""
    for replica in range(len(population.parameters)):
        for episode in range(len(episodes.trials)):
            _play_and_differentiate(task, rule, population, episodes, episode, replica, work)
            rmsprop(rule, population, replica, work.gradient)


@cached
def differentiate(
    task: TaskTables, rule: UpdateRule, population: Population, probed: ProbedEpisode, work: Work
) -> None:
    """Plays and differentiates one episode of each replica, without updating it."""
    for replica in range(len(population.parameters)):
        _play_and_differentiate(task, rule, population, probed.episodes, 0, replica, work)
        copy(probed.gradients[replica], work.gradient)
        return_ = ZERO
        for time in range(len(work.row) - 1, -1, -1):
            row = work.row[time]
            return_ = work.reward[time] + rule.discount * return_
            probed.returns[replica, time] = return_
            probed.values[replica, time] = work.heads[-1, row, VALUE]
            probed.log_probs[replica, time] = work.log_policy[row, work.action[time]]


@compiled
def _play_and_differentiate(
    task: TaskTables,
    rule: UpdateRule,
    population: Population,
    episodes: Episodes,
    episode: int,
    replica: int,
    work: Work,
) -> None:
    """Plays an episode of one replica; writes its metrics and the gradient of its total loss."""
    trunks, stimuli, gates = work.projected.shape
    parameters = parameters_of(population.parameters[replica], trunks, stimuli - 1, gates)
    gradient = parameters_of(work.gradient, trunks, stimuli - 1, gates)
    trials, noise = episodes.trials[episode, replica], episodes.noise[episode, replica]
    weight, metrics = population.critic_weights[replica], episodes.metrics[episode, replica]
    prepare(parameters, work)
    levels = play(task, parameters, trials, noise, work)
    differentiate_losses(rule, weight, noise.shape[1], work, metrics)
    differentiate_heads(rule, work.level_start[levels], work)
    backpropagate(parameters, work, gradient, levels)
