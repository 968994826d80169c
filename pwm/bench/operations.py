"""Floating-point operations: how many training needs, and how many a core does per second.

A matrix product needs a multiplication and an addition for each weight and each input row. The
backward pass needs as many for the gradient of the weights, and again for that of the inputs.
"""

from __future__ import annotations

from statistics import mean
from timeit import timeit

import numpy as np
import torch

from pwm.core.agent import NUM_GATES, NUM_OUTPUTS
from pwm.training.config import TrainConfig
from pwm.training.diagnostics import trial_states
from pwm.training.draws import DrawSource

PRODUCT_SIZE = 256  # rows and columns of the matrices whose product measures a core's speed
PRODUCTS = 300  # products per measurement


def product_rate() -> float:
    """Measures operations per second in float32 matrix products: a core's, within `one_thread`."""
    matrix = torch.rand(PRODUCT_SIZE, PRODUCT_SIZE)
    seconds = timeit(lambda: torch.mm(matrix, matrix), number=PRODUCTS)
    return PRODUCTS * 2 * PRODUCT_SIZE**3 / seconds


def operations(run: TrainConfig, episodes: int = 200) -> float:
    """Mean floating-point operations per episode in the fused engine's matrix products.

    The trunk must be shared, and the LSTM's state reset at each trial, without timeouts. The engine
    then computes a step once for all trials that have shown the same stimuli so far
    (`trial_states`). How many there are depends on the episode's trials, so `episodes` episodes are
    drawn. The input needs no product: it is one-hot, so it selects a row of the weights.
    """
    hidden = run.agent.hidden_size
    trials = DrawSource(run.task, (run.seed,)).next(episodes).trials[:, 0].numpy()  # pairs, [E, N]
    states = trial_states(run.task)  # (pairs + 1, L)
    num_states = mean(len(np.unique(states[pairs])) for pairs in trials)
    num_first_states = mean(len(np.unique(states[pairs, 0])) for pairs in trials)
    # A trial's first states follow the zero state, so they need no recurrent product.
    recurrent = (num_states - num_first_states) * NUM_GATES * hidden
    heads = num_states * NUM_OUTPUTS
    return 3 * 2 * (recurrent + heads) * hidden  # two per weight, once forward and twice backward


def plain_operations(run: TrainConfig) -> float:
    """Floating-point operations per episode in the matrix products of `PlainLoop`.

    All steps count alike, a trial's first too, but no gradient with respect to the observations.
    """
    task, hidden = run.task, run.agent.hidden_size
    gates = NUM_GATES * hidden
    recurrent_and_heads = 3 * hidden * (gates + NUM_OUTPUTS)
    inputs = 2 * task.num_stimuli * gates  # forward, and backward to the weights
    return 2 * task.num_trials * task.trial_length * (recurrent_and_heads + inputs)
