"""Results on disk: one file a shard, named by everything that decides its content."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.errors import InputError
from pwm.files import read_arrays, read_history, write_arrays, write_history
from pwm.train import METRICS, SEMANTICS, STATE, History, TrainConfig


@dataclass(frozen=True)
class Shard:
    """Runs that are trained together as one population, and stored together."""

    runs: tuple[TrainConfig, ...]

    @property
    def key(self) -> str:
        """Hash of the runs and of the version of what they mean."""
        content = {"semantics": SEMANTICS, "runs": [asdict(run) for run in self.runs]}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def num_episodes(self) -> int:
        """Replica-episodes, the work of the shard."""
        return sum(run.num_episodes for run in self.runs)


@dataclass(frozen=True)
class Store:
    """A folder of results."""

    folder: Path

    def path(self, shard: Shard) -> Path:
        """Where the shard's history is, or would be."""
        return self.folder / f"{shard.key}.npz"

    def get(self, shard: Shard) -> History | None:
        """The shard's history; None if there is none, or (said in one line) it is damaged."""
        path = self.path(shard)
        if not path.exists():
            return None
        try:
            history = read_history(path)
        except InputError:
            history = None
        if history is None or len(history.reward) != len(shard.runs):
            _damaged(path)
            return None
        return history

    def put(self, shard: Shard, history: History) -> None:
        """Stores the shard's history, and drops what was kept while it was trained."""
        write_history(self.path(shard), history)
        self._checkpoint_path(shard).unlink(missing_ok=True)

    def checkpoint(self, shard: Shard, state: Mapping[str, NDArray[Any]]) -> None:
        """Keeps the state of a shard in training, in place of an earlier one."""
        write_arrays(self._checkpoint_path(shard), state)

    def resume(self, shard: Shard) -> dict[str, NDArray[Any]] | None:
        """The state that was kept; None if there is none, or it is damaged."""
        path = self._checkpoint_path(shard)
        if not path.exists():
            return None
        try:
            return read_arrays(path, STATE)
        except InputError:
            _damaged(path)
            return None

    def gather(self, shards: Sequence[Shard]) -> History:
        """The history of all runs of some shards, in order.

        Raises:
            InputError: a shard is missing.
        """
        histories = []
        for shard in shards:
            history = self.get(shard)
            if history is None:
                accepted = "a folder that holds all runs; `python -m pwm.sweep` makes them"
                raise InputError("results", self.folder, accepted)
            histories.append(history)
        return History(
            histories[0].episode,
            *(np.concatenate([getattr(item, name) for item in histories]) for name in METRICS),
        )

    def _checkpoint_path(self, shard: Shard) -> Path:
        return self.folder / f"{shard.key}.unfinished.npz"


def _damaged(path: Path) -> None:
    print(f"damaged, to be computed again: {path}", file=sys.stderr)
