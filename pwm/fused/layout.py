"""Constants of the core, and its layout of parameters, repeated for compiled code.

Compiled code is cached by the sources of this package alone, so it cannot import them from the
core; `pwm.fused.engine.check_constants` compares the two.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.fused.compilation import compiled

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Places = NDArray[np.uint64]  # indices; unsigned, so that compiled code tests for no negative ones


class Action(IntEnum):
    """The agent's actions."""

    HOLD, LEFT, RIGHT = range(3)


class Gate(IntEnum):
    """The LSTM's gates."""

    INPUT, FORGET, CELL, OUTPUT = range(4)


class Metric(IntEnum):
    """The metrics of an episode."""

    REWARD, VALUE_LOSS, POLICY_LOSS, ENTROPY, CRITIC_BIAS = range(5)


class Tracked(IntEnum):
    """Columns of a replica's running statistics."""

    EPISODES = 0
    RETURN_MEAN, RETURN_VARIANCE = 1, 2
    REWARD_MEAN, REWARD_VARIANCE = 3, 4
    LOG_VARIANCE, LOG_VARIANCE_MEAN_SQUARE = 5, 6


class Balance(IntEnum):
    """The rules that balance the critic against the policy."""

    FIXED, STOP_TRUNK, PER_LOSS, EQUAL, PCGRAD, UNCERTAINTY, POPART, RETURN_SCALE = range(8)


class Optimizer(IntEnum):
    """The optimisers."""

    RMSPROP, ADAM, SGD = range(3)


NUM_ACTIONS, NUM_GATES = len(Action), len(Gate)
VALUE = NUM_ACTIONS  # column of the value in a head, after the policy's logits
NUM_OUTPUTS = VALUE + 1


class Parameters(NamedTuple):
    """Parameters of one replica, or their gradient; `pwm.fused.buffers` explains the shapes."""

    input: Floats  # (K, S, G)
    recurrent: Floats  # (K, H, G)
    input_bias: Floats  # (K, G)
    recurrent_bias: Floats  # (K, G)
    head: Floats  # (K, H, outputs)
    head_bias: Floats  # (K, outputs)


@compiled
def parameters_of(row: Floats, trunks: int, stimuli: int, gates: int) -> Parameters:
    """Splits a row of parameters, (P,), into named views; K, S and G are given."""
    units = gates // NUM_GATES
    recurrent = trunks * stimuli * gates
    input_bias = recurrent + trunks * units * gates
    recurrent_bias = input_bias + trunks * gates
    head = recurrent_bias + trunks * gates
    head_bias = head + trunks * units * NUM_OUTPUTS
    return Parameters(
        row[:recurrent].reshape((trunks, stimuli, gates)),
        row[recurrent:input_bias].reshape((trunks, units, gates)),
        row[input_bias:recurrent_bias].reshape((trunks, gates)),
        row[recurrent_bias:head].reshape((trunks, gates)),
        row[head:head_bias].reshape((trunks, units, NUM_OUTPUTS)),
        row[head_bias : head_bias + trunks * NUM_OUTPUTS].reshape((trunks, NUM_OUTPUTS)),
    )
