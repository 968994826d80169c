"""Random numbers: one stream per replica and purpose, the same on every machine.

A stream is NumPy's counter-based Philox generator, whose integers are fixed by its specification;
conversions are exact integer arithmetic. A stream depends only on the replica's seed and on its
own name, so two replicas with the same seed see the same trials and action noise, regardless of
critic weight, of the other replicas and of training order.
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
        """The next `count` integers of each stream, uniform on [0, 2**64): [R, count]."""
        return np.stack([generator.random_raw(count) for generator in self._generators])

    def skip(self, count: int) -> None:
        """Skips the next `count` integers of each stream; only before the first draw."""
        for generator in self._generators:
            generator.advance(count // 4)  # in blocks of four integers
            generator.random_raw(count % 4)


def to_uniform(integers: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Uniform numbers on [0, 1), multiples of 2**-24, from the integers' top 24 bits."""
    return (integers >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


def to_index(integers: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
    """Indices in [0, size), from the integers' top 32 bits.

    They are exactly uniform for powers of two, otherwise up to a relative error of size / 2**32.
    """
    top = integers >> np.uint64(32)
    return ((top * np.uint64(size)) >> np.uint64(32)).astype(np.int64)
