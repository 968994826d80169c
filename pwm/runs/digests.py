"""Digests of runs: 64-bit hashes, by which histories are compared bit for bit."""

from __future__ import annotations

import hashlib
from math import ceil

import numpy as np
from numpy.typing import NDArray

from pwm.core.history import History

PARTS = 64, 32, 16, 8, 4, 2
"""A trail covers the first window, the first 1/64 of the windows, 1/32, ..., and one half."""


def digests_of(history: History) -> NDArray[np.uint64]:
    """Digest of each run: the first 64 bits of a SHA-256 of its history, [R]."""
    of_axes = hashlib.sha256()  # the same for all runs
    for axis in history.axes.values():
        of_axes.update(axis.astype("<i8").tobytes())
    # The bits of a NaN depend on the machine, so that each is replaced by the same one.
    curves = [
        np.ascontiguousarray(np.where(np.isnan(curve), np.float32(np.nan), curve), "<f4")
        for curve in history.curves.values()
    ]
    digests = []
    for replica in range(len(history.reward)):
        of_run = of_axes.copy()
        for curve in curves:
            of_run.update(curve[replica])
        digests.append(int.from_bytes(of_run.digest()[:8], "big"))
    return np.array(digests, np.uint64)


def trails_of(history: History) -> NDArray[np.uint8]:
    """Trail of each run: [R, 1 + len(PARTS)].

    A trail holds one byte for each of the `trail_ends`: the first byte of the digest of the history
    until then. The first byte in which two trails differ tells roughly where the histories part.
    """
    ends = trail_ends(len(history.episode))
    digests = [digests_of(_beginning(history, end)) for end in ends]
    first_bytes = np.stack(digests, axis=1) >> np.uint64(56)
    return first_bytes.astype(np.uint8)


def trail_ends(num_windows: int) -> list[int]:
    """Numbers of windows after which a trail takes the digest of a history."""
    return [1, *(ceil(num_windows / part) for part in PARTS)]


def _beginning(history: History, num_windows: int) -> History:
    """The first windows of a history, and the probes made until the last of them ends."""
    last_episode = history.episode[num_windows - 1]
    num_probes = int(np.searchsorted(history.probed, last_episode, side="right"))
    curves = {}
    for name, curve in history.curves.items():
        length = num_probes if name in history.diagnostics else num_windows
        curves[name] = curve[:, :length]
    probe_episode = history.probe_episode
    if probe_episode is not None:
        probe_episode = probe_episode[:num_probes]
    return History.of_curves(history.episode[:num_windows], curves, probe_episode)
