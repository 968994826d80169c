"""Optimiser steps for one replica, compiled, as in `pwm.training.optimiser`."""

from __future__ import annotations

import numpy as np

from pwm.fused.buffers import Population, UpdateRule
from pwm.fused.compilation import compiled, compiled_apart
from pwm.fused.elementary import ONE
from pwm.fused.layout import Floats, Optimizer


@compiled
def advance_powers(rule: UpdateRule, population: Population, replica: int) -> None:
    """Updates the powers of Adam's decays to β₁ᵗ and β₂ᵗ, before update t, if Adam is used.

    They are running products, which avoid libm's power function, in double precision; the decays
    are rounded to single precision, as in Adam's averages.
    """
    if rule.optimizer == Optimizer.ADAM:
        powers = population.decay_powers[replica]
        powers[0] *= np.float64(rule.momentum_decay)
        powers[1] *= np.float64(rule.square_decay)


@compiled
def step(
    rule: UpdateRule, population: Population, replica: int, state: int, gradient: Floats
) -> None:
    """Takes one step against a gradient, (P,), with the replica's optimiser state of index `state`.

    `advance_powers` must have been called once for this update.
    """
    rate = population.learning_rates[replica]
    trunk_size = rule.trunk_size if rule.trunk_rate != ONE else 0  # 0: one loop, which is faster
    parameters = population.parameters[replica]
    square_average = population.square_average[replica, state]
    trunk, rest = slice(0, trunk_size), slice(trunk_size, len(parameters))
    for part, part_rate in ((trunk, rate * rule.trunk_rate), (rest, rate)):
        if rule.optimizer == Optimizer.RMSPROP:
            _rmsprop(rule, part_rate, parameters[part], square_average[part], gradient[part])
        elif rule.optimizer == Optimizer.ADAM:
            powers, average = population.decay_powers[replica], population.average[replica, state]
            _adam(
                rule,
                np.float32(np.float64(part_rate) / (1.0 - powers[0])),
                np.float32(np.sqrt(1.0 - powers[1])),
                parameters[part],
                average[part],
                square_average[part],
                gradient[part],
            )
        else:
            _sgd(part_rate, parameters[part], gradient[part])


@compiled_apart
def _rmsprop(
    rule: UpdateRule,
    learning_rate: np.float32,
    parameters: Floats,
    square_average: Floats,
    gradient: Floats,
) -> None:
    """Takes an RMSprop step; all arrays have the same parameters on their one axis."""
    fresh = ONE - rule.square_decay  # weight of the new term in the running mean square
    for index in range(len(parameters)):
        slope = gradient[index]
        square = square_average[index] * rule.square_decay + fresh * slope * slope
        square_average[index] = square
        parameters[index] -= slope * learning_rate / (np.sqrt(square) + rule.epsilon)


@compiled_apart
def _adam(
    rule: UpdateRule,
    learning_rate: np.float32,
    correction: np.float32,
    parameters: Floats,
    average: Floats,
    square_average: Floats,
    gradient: Floats,
) -> None:
    """Takes an Adam step.

    `learning_rate` is already divided by 1 - β₁ᵗ, which corrects the bias of `average`;
    `correction`, √(1 - β₂ᵗ), corrects that of the root of `square_average`.
    """
    fresh, fresh_square = ONE - rule.momentum_decay, ONE - rule.square_decay
    for index in range(len(parameters)):
        slope = gradient[index]
        mean = average[index] * rule.momentum_decay + fresh * slope
        square = square_average[index] * rule.square_decay + fresh_square * slope * slope
        average[index], square_average[index] = mean, square
        root = np.sqrt(square) / correction + rule.epsilon
        parameters[index] -= mean * learning_rate / root


@compiled_apart
def _sgd(learning_rate: np.float32, parameters: Floats, gradient: Floats) -> None:
    """Takes a gradient descent step."""
    for index in range(len(parameters)):
        parameters[index] -= gradient[index] * learning_rate
