"""Floating-point operations: how many training needs, and how many a core does per second.

A matrix product needs a multiplication and an addition for each weight and each row. The
backward pass needs as many again for the gradient with respect to each of the two factors.
"""

from __future__ import annotations

from statistics import mean
from timeit import timeit

import numpy as np
import torch

from pwm.core.agent import NUM_GATES, NUM_OUTPUTS
from pwm.core.config import TrainConfig
from pwm.core.rollout import DrawSource

PRODUCT_SIZE = 256  # rows and columns of the matrices whose product measures a core's speed
PRODUCTS = 300  # products per measurement


def product_rate() -> float:
    """Measures floating-point operations per second in single-precision matrix products."""
    matrix = torch.rand(PRODUCT_SIZE, PRODUCT_SIZE)
    seconds = timeit(lambda: torch.mm(matrix, matrix), number=PRODUCTS)
    return PRODUCTS * 2 * PRODUCT_SIZE**3 / seconds


def operations(run: TrainConfig, episodes: int = 200) -> float:
    """Mean floating-point operations per episode in the fused engine's matrix products.

    The LSTM's state must be reset at each trial. The engine then computes a step once for all
    trials that have shown the same stimuli so far. The mean is over `episodes` episodes.
    """
    task, hidden = run.task, run.agent.hidden_size
    trials = DrawSource(task, (run.seed,)).next(episodes).trials[:, 0].numpy()  # pairs, [E, N]
    # A trial's last step depends on the pair of stimuli, all earlier ones only on the first.
    distinct_firsts = mean(len(np.unique(task.pairs[pairs, 0])) for pairs in trials)
    distinct_pairs = mean(len(np.unique(pairs)) for pairs in trials)
    after_first_step = distinct_firsts * (task.trial_length - 2) + distinct_pairs
    recurrent = after_first_step * NUM_GATES * hidden  # at its first step, the state is zero
    heads = (distinct_firsts + after_first_step) * NUM_OUTPUTS
    return 3 * 2 * (recurrent + heads) * hidden  # once forward, and twice backward


def plain_operations(run: TrainConfig) -> float:
    """Floating-point operations per episode in the plain loop's matrix products.

    The loop computes every step of every trial, but no gradient with respect to the observations.
    """
    task, hidden = run.task, run.agent.hidden_size
    gates = NUM_GATES * hidden
    recurrent_and_heads = 3 * hidden * (gates + NUM_OUTPUTS)
    inputs = 2 * task.num_stimuli * gates  # forward, and backward to the weights
    return 2 * task.num_trials * task.trial_length * (recurrent_and_heads + inputs)
