"""Digests of runs: 64-bit hashes, by which histories are compared bit for bit."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from pwm.core.history import History

PARTS = 64, 32, 16, 8, 4, 2
"""A trail covers the first window, the first 1/64 of the windows, 1/32, ..., and one half."""


def digests_of(history: History) -> NDArray[np.uint64]:
    """A digest of each run: the first 64 bits of a SHA-256 of its history, [R]."""
    axes = (axis.astype("<i8").tobytes() for axis in history.axes.values())
    shared = hashlib.sha256(b"".join(axes))
    # One NaN for all: its bits depend on the machine.
    curves = [
        np.ascontiguousarray(np.where(np.isnan(curve), np.float32(np.nan), curve), "<f4")
        for curve in history.curves.values()
    ]
    found = []
    for replica in range(len(history.reward)):
        content = shared.copy()
        for curve in curves:
            content.update(curve[replica])
        found.append(int.from_bytes(content.digest()[:8], "big"))
    return np.array(found, np.uint64)


def trails_of(history: History) -> NDArray[np.uint8]:
    """The trail of each run: [R, 1 + len(PARTS)].

    A trail holds the first byte of the digest of the history up to each of `trail_ends`. The first
    byte in which two trails differ tells roughly where the histories part.
    """
    ends = trail_ends(len(history.episode))
    digests = (digests_of(_beginning(history, end)) for end in ends)
    first_bytes = [digest >> np.uint64(56) for digest in digests]
    return np.stack(first_bytes, axis=1).astype(np.uint8)


def trail_ends(num_windows: int) -> list[int]:
    """The windows, counted from 1, up to which a trail digests a history."""
    return [1, *(-(-num_windows // part) for part in PARTS)]  # rounded up


def _beginning(history: History, num_windows: int) -> History:
    """The first windows of a history, and the probes up to their end."""
    last = history.episode[num_windows - 1]
    probes = int(np.searchsorted(history.probed, last, side="right"))
    curves = {
        name: curve[:, : probes if name in history.diagnostics else num_windows]
        for name, curve in history.curves.items()
    }
    at = None if history.probe_episode is None else history.probe_episode[:probes]
    return History.of_curves(history.episode[:num_windows], curves, at)
