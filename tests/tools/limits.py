"""Lower limits on the times of an episode's parts: their arithmetic at the processor's full speed.

For matrix products, it is multiplications and additions of numbers in registers; for RMSprop,
roots and quotients; for the LSTM's gates and cells, sigmoid and tanh of numbers in the nearest
cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import mean
from typing import NamedTuple

import numpy as np

from pwm.fused.buffers import Episodes
from pwm.fused.elementary import ONE, sigmoid, tanh
from pwm.fused.layout import NUM_GATES, Floats
from pwm.fused.vectors import WIDE, load_wide, store
from pwm.training.config import TrainConfig
from tests.tools.counters import entry


class Limits(NamedTuple):
    """Lower limits on times, in microseconds per episode."""

    product: float
    """Each of the three matrix products: forward, backward, and the recurrent weights' gradient."""
    cells: float
    """Gates and cells of the LSTM, forward."""
    rmsprop: float


@entry
def products_and_sums(numbers: Floats, count: int) -> None:
    """Multiplies and adds six wide vectors, in registers, `count` times."""
    factor, term = load_wide(numbers, 0), load_wide(numbers, WIDE)
    a, b, c = load_wide(numbers, 2 * WIDE), load_wide(numbers, 3 * WIDE), load_wide(numbers, 0)
    d, e, f = load_wide(numbers, 4 * WIDE), load_wide(numbers, 5 * WIDE), load_wide(numbers, WIDE)
    for _ in range(count):
        a, b, c = a * factor + term, b * factor + term, c * factor + term
        d, e, f = d * factor + term, e * factor + term, f * factor + term
    store(numbers, 2 * WIDE, a + b + c + d + e + f)


@entry
def roots_and_quotients(numbers: Floats, count: int) -> None:
    """Replaces each number by the reciprocal of its root, in place, `count` times."""
    for _ in range(count):
        for place in range(len(numbers)):
            numbers[place] = ONE / np.sqrt(numbers[place])


@entry
def squashed(numbers: Floats, count: int) -> None:
    """Applies sigmoid to four fifths of the numbers and tanh to the rest, `count` times."""
    for _ in range(count):
        for place in range(0, len(numbers), 5 * WIDE):
            for k in range(4):
                store(numbers, place + k * WIDE, sigmoid(load_wide(numbers, place + k * WIDE)))
            store(numbers, place + 4 * WIDE, tanh(load_wide(numbers, place + 4 * WIDE)))


def nanoseconds(work: Callable[[Floats, int], None], size: int, count: int) -> float:
    """Processor time of `work` per number and repetition, in nanoseconds; the least of nine."""
    numbers = np.full(size, 0.5, np.float32)
    work(numbers, 1)
    return min(1e9 * seconds(lambda: work(numbers, count)) for _ in range(9)) / (size * count)


def limits(run: TrainConfig, num_parameters: int, episodes: Episodes) -> Limits:
    """Lower limits on the times of an episode's parts.

    Args:
        run: the configuration; the state is reset at every trial.
        num_parameters: number of parameters of a replica.
        episodes: episodes in which rows (distinct LSTM states) are counted.
    """
    units, trials = run.agent.hidden_size, episodes.trials[:, 0]
    # Trials of the same stimuli share their states: one row per first stimulus, then per pair.
    firsts = mean(len(np.unique(run.task.pairs[episode, 0])) for episode in trials)
    pairs = mean(len(np.unique(episode)) for episode in trials)
    rows = firsts * (run.task.trial_length - 2) + pairs
    product = rows * NUM_GATES * units**2 * nanoseconds(products_and_sums, 6 * WIDE, 100_000)
    cells = (firsts + rows) * (NUM_GATES + 1) * units * nanoseconds(squashed, 5 * WIDE, 10_000)
    rmsprop = num_parameters * nanoseconds(roots_and_quotients, num_parameters, 1000)
    return Limits(product / 1000, cells / 1000, rmsprop / 1000)


def seconds(work: Callable[[], object]) -> float:
    """Processor time of a call, in seconds."""
    begin = time.thread_time()
    work()
    return time.thread_time() - begin
