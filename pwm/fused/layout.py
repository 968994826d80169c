"""Constants of `pwm.core` and `pwm.training`, repeated for compiled code, and array types.

The cache of compiled code checks only this package's sources, so compiled code must not import
constants from elsewhere. `pwm.fused.engine.check_constants` compares these with the originals.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Places = NDArray[np.uint64]  # indices; unsigned, so compiled code need not handle negative ones


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
    """Columns of a replica's running statistics (`pwm.training.tracking.Tracked`)."""

    EPISODES = 0
    RETURN_MEAN, RETURN_VARIANCE = 1, 2
    REWARD_MEAN, REWARD_VARIANCE = 3, 4
    LOG_VARIANCE, LOG_VARIANCE_MEAN_SQUARE = 5, 6


class Balance(IntEnum):
    """The rules that balance the critic against the policy (`pwm.training.balance`)."""

    FIXED, STOP_TRUNK, PER_LOSS, EQUAL, PCGRAD, UNCERTAINTY, POPART, RETURN_SCALE = range(8)


class Optimizer(IntEnum):
    """The optimisers (`pwm.training.optimiser`)."""

    RMSPROP, ADAM, SGD = range(3)


NUM_ACTIONS, NUM_GATES = len(Action), len(Gate)
VALUE = NUM_ACTIONS  # column of the value in the heads' outputs, after the policy's logits
NUM_OUTPUTS = VALUE + 1
