"""Hashes that show whether two histories are equal (digests), and where they diverge (trails)."""

from __future__ import annotations

import hashlib
from math import ceil

import numpy as np
from numpy.typing import NDArray

from pwm.training.history import History

PARTS = 64, 32, 16, 8, 4, 2
"""A trail hashes the first window of a history, then its first 1/64, 1/32, ..., 1/2."""


def digests_of(history: History) -> NDArray[np.uint64]:
    """Digest of each run: the first 64 bits of the SHA-256 hash of its history, [R].

    Digests are published, and `engine.js` computes them too: their definition must not change.
    """
    axes = [axis.astype("<i8").tobytes() for axis in history.axes.values()]  # shared by all runs
    # The bits of a NaN depend on the machine, so every NaN is replaced by one with fixed bits.
    curves = [
        np.where(np.isnan(curve), np.float32(np.nan), curve).astype("<f4")
        for curve in history.curves.values()
    ]
    digests = []
    for replica in range(len(history.reward)):
        content = b"".join([*axes, *(curve[replica].tobytes() for curve in curves)])
        digests.append(int.from_bytes(hashlib.sha256(content).digest()[:8], "big"))
    return np.array(digests, np.uint64)


def trails_of(history: History) -> NDArray[np.uint8]:
    """Trail of each run, [R, 7]: a one-byte hash of each of seven prefixes of its history.

    `trail_ends` gives the lengths of the prefixes. The first byte at which two trails differ shows
    when the histories diverge, roughly: bytes of different prefixes agree once in 256 times.
    """
    ends = trail_ends(len(history.episode))
    digests = [digests_of(_beginning(history, end)) for end in ends]
    first_bytes = np.stack(digests, axis=1) >> np.uint64(56)  # the highest of 8 bytes: (R, 7)
    return first_bytes.astype(np.uint8)


def trail_ends(num_windows: int) -> list[int]:
    """Lengths, in windows, of the prefixes that a trail hashes; up to half of the history."""
    return [1, *(ceil(num_windows / part) for part in PARTS)]


def _beginning(history: History, num_windows: int) -> History:
    """The first `num_windows` windows of a history, and the probes until the last of them ends."""
    last_episode = history.episode[num_windows - 1]
    num_probes = int(np.searchsorted(history.probed, last_episode, side="right"))
    curves = {}
    for name, curve in history.curves.items():
        length = num_probes if name in history.diagnostics else num_windows
        curves[name] = curve[:, :length]
    probes = None if history.probe_episode is None else history.probe_episode[:num_probes]
    return History.of_curves(history.episode[:num_windows], curves, probes)
