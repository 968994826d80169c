"""The parts of the JAX contestant (`pwm.bench.peer`) that do not need JAX."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pwm.core.task import TaskConfig

EPISODES_PER_CALL = 64  # episodes that one compiled call of `JaxPopulation` trains


def state_rows(task: TaskConfig) -> NDArray[np.int64]:
    """Index of the state at each of the L steps of each pair's trial: [pairs, L].

    States are numbered step by step. Before a trial's last step, they depend only on
    the first stimulus: one row per stimulus. At the last step, there is one row per pair.
    """
    first_stimulus = task.pairs[:, :1]  # (pairs, 1)
    start = task.num_stimuli * np.arange(task.trial_length)  # first row of each step, (L,)
    before_last = start[:-1] + first_stimulus  # (pairs, L - 1)
    last = start[-1] + np.arange(task.num_pairs)
    return np.column_stack([before_last, last])
