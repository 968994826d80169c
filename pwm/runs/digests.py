"""Digests of runs, by which stored runs are compared with published ones bit for bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pwm.core.errors import FileError
from pwm.core.history import History
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store

LENGTH = 16  # hexadecimal digits: 64 bits


class Comparison(NamedTuple):
    """Numbers of runs of an experiment."""

    stored: int
    identical: int
    """Stored runs that are bit-identical to the published ones."""


def digests_of(history: History) -> list[str]:
    """A digest of each run: the beginning of a SHA-256 of its history, [R]."""
    shared = hashlib.sha256(history.episode.astype("<i8").tobytes())
    found = []
    for replica in range(len(history.reward)):
        content = shared.copy()
        for curves in history.curves.values():
            curve = curves[replica]
            # the bits of a NaN depend on the machine
            content.update(np.where(np.isnan(curve), np.nan, curve).astype("<f4").tobytes())
        found.append(content.hexdigest()[:LENGTH])
    return found


def stored_digests(experiment: Experiment, store: Store) -> list[str | None]:
    """Digests of an experiment's runs, in order; None for each that is not stored."""
    found: list[str | None] = []
    for shard in plan(experiment):
        history = store.get(shard)
        found += [None] * len(shard.members) if history is None else digests_of(history)
    return found


def compared(found: Sequence[str | None], published: Sequence[str]) -> Comparison:
    """Compares digests of stored runs with published ones.

    Args:
        found: from `stored_digests`.
        published: of the same runs, in order.
    """
    identical = sum(ours == theirs for ours, theirs in zip(found, published, strict=False))
    return Comparison(sum(ours is not None for ours in found), identical)


def read_digests(path: Path) -> dict[str, list[str]]:
    """Published digests by experiment.

    Raises:
        FileError: the file is missing or damaged.
    """
    try:
        content: dict[str, list[str]] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FileError(path, "a file of digests") from error
    return content
