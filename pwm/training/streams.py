"""Random numbers: one stream per replica and purpose, the same on every machine.

A stream is NumPy's counter-based Philox generator, whose integers are fixed by its specification.
They are converted by exact arithmetic. A stream depends only on the replica's seed and on the
stream's name. Two replicas with the same seed therefore get the same draws of trials and action
noise, whatever their critic weights, the other replicas and the order of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

StreamName = Literal["initialisation", "trials", "actions", "probe trials", "probe actions"]


class Streams:
    """Streams of random integers, one for each of R non-negative seeds."""

    def __init__(self, seeds: Sequence[int], name: StreamName) -> None:
        key = tuple(name.encode())
        sequences = [np.random.SeedSequence(seed, spawn_key=key) for seed in seeds]
        self._generators = [np.random.Philox(sequence) for sequence in sequences]

    def draw(self, count: int) -> NDArray[np.uint64]:
        """Draws the next `count` integers of each stream, uniform on [0, 2**64): [R, count]."""
        return np.stack([generator.random_raw(count) for generator in self._generators])

    def skip(self, count: int) -> None:
        """Skips the next `count` integers of each stream."""
        for generator in self._generators:
            generator.random_raw(count, output=False)


def to_uniform(integers: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Numbers uniform on the multiples of 2**-24 in [0, 1), from the integers' top 24 bits."""
    return (integers >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


def to_index(integers: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
    """Indices from 0 to `size` - 1, computed as floor(size u / 2**32) from the top 32 bits u.

    They are exactly uniform if `size` is a power of two. Otherwise the probability of an index is
    1 / size up to a relative error of size / 2**32.
    """
    top = integers >> np.uint64(32)
    return ((top * np.uint64(size)) >> np.uint64(32)).astype(np.int64)
