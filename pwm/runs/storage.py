"""The store: one history per shard, in files named by everything that decides its content.

A stored shard has two files: `KEY.npz`, its history and content, and `KEY.json`, its provenance.
A shard in training also has `KEY.unfinished.npz`, a checkpoint a few seconds old, and `KEY.lock`,
which the process that trains it holds locked and writes its progress to. The operating system
releases the lock when that process ends, even if it is killed.

`python -m pwm.store` lists and verifies the store, and explains why a shard is missing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from pwm.core.config import SEMANTICS
from pwm.core.diagnostics import DIAGNOSTICS
from pwm.core.errors import InputError, require, require_file
from pwm.core.history import History
from pwm.core.trainer import STATE
from pwm.io.files import (
    DAMAGE,
    HISTORY,
    as_history,
    read_arrays,
    read_signed,
    write_arrays,
    write_signed,
)
from pwm.runs.shards import Shard, shard_of

CONTENT = "content"
SESSIONS = "sessions"
STORED = ".npz"
UNFINISHED = ".unfinished.npz"
PROVENANCE = ".json"
LOCK = ".lock"
Session = Mapping[str, Any]
"""Provenance of consecutive episodes of a shard."""


class Checkpoint(NamedTuple):
    """A shard in training."""

    state: dict[str, NDArray[Any]]
    sessions: list[Session]


@dataclass(frozen=True)
class Claim:
    """The right to train a shard, held by one process at a time."""

    path: Path

    def report(self, episodes_done: int) -> None:
        """Records progress, for `Store.reported`."""
        self.path.write_text(f"{episodes_done}\n")


@dataclass(frozen=True)
class Store:
    """A folder of stored runs."""

    folder: Path

    def path(self, shard: Shard) -> Path:
        """The file of the shard's history, whether or not it exists."""
        return self._file(shard, STORED)

    def get(self, shard: Shard) -> History | None:
        """The shard's history; None if it is missing or damaged, which is reported."""
        if not self.path(shard).exists():
            return None
        try:
            return self._read(shard)
        except InputError as error:
            _report_damage(error)
            return None

    def all_keys(self, ending: str = STORED) -> list[str]:
        """Keys of the shards that have a file with that ending, sorted."""
        keys = (name.removesuffix(ending) for name in self.names() if name.endswith(ending))
        return sorted(key for key in keys if "." not in key)

    def shards(self) -> Iterator[Shard]:
        """Every stored shard, as its file describes it; the file is not verified.

        Raises:
            InputError: the folder does not exist.
        """
        require(self.folder.is_dir(), "results", self.folder, "a folder of stored runs")
        for key in self.all_keys():
            path = self.folder / (key + STORED)
            with suppress(*DAMAGE), np.load(path, allow_pickle=False) as stored:
                yield shard_of(json.loads(stored[CONTENT].item()))

    def provenance(self, shard: Shard) -> list[Session]:
        """The provenance of the shard's history, session by session.

        Raises:
            FileError: the file is missing or damaged.
        """
        path = self._file(shard, PROVENANCE)
        content = read_signed(path)
        require_file(content.get("key") == shard.key, path, f"the provenance of {shard.key}")
        sessions: list[Session] = content[SESSIONS]
        return sessions

    def put(self, shard: Shard, history: History, sessions: Sequence[Session]) -> None:
        """Stores the shard's history and removes its checkpoint."""
        # The history comes last: once it exists, the shard is complete.
        write_signed(self._file(shard, PROVENANCE), {"key": shard.key, SESSIONS: list(sessions)})
        write_arrays(self.path(shard), {**history.arrays(), CONTENT: np.array(shard.content)})
        self._file(shard, UNFINISHED).unlink(missing_ok=True)

    def checkpoint(
        self, shard: Shard, state: Mapping[str, NDArray[Any]], sessions: Sequence[Session]
    ) -> None:
        """Saves the state of a shard in training, replacing the previous one."""
        texts = {CONTENT: np.array(shard.content), SESSIONS: np.array(json.dumps(sessions))}
        write_arrays(self._file(shard, UNFINISHED), {**state, **texts}, compressed=False)

    def resume(self, shard: Shard) -> Checkpoint | None:
        """The shard's checkpoint; None if it is missing or damaged, which is reported."""
        path = self._file(shard, UNFINISHED)
        if not path.exists():
            return None
        try:
            arrays = read_arrays(path, [*STATE, CONTENT, SESSIONS])
            _require_of(shard, arrays, path)
        except InputError as error:
            _report_damage(error)
            return None
        state = {name: arrays[name] for name in STATE}
        return Checkpoint(state, json.loads(arrays[SESSIONS].item()))

    @contextmanager
    def claim(self, shard: Shard) -> Iterator[Claim | None]:
        """Claims a shard for the block; yields None if another process holds the claim."""
        path = self._file(shard, LOCK)
        lock = FileLock(path, blocking=False)
        try:
            lock.acquire()
        except Timeout:
            yield None
            return
        try:
            self._tidy(shard)
            yield Claim(path)
        finally:
            if self.path(shard).exists():  # otherwise the next process needs the same file
                path.unlink(missing_ok=True)
            lock.release()

    def claimed(self, shard: Shard) -> bool:
        """Whether a running process has claimed the shard."""
        path = self._file(shard, LOCK)
        if not path.exists():
            return False
        try:
            with FileLock(path, blocking=False):
                return False
        except Timeout:
            return True

    def tidy(self, shards: Iterable[Shard]) -> None:
        """Removes the locks and checkpoints of shards that are stored."""
        names = self.names()
        for shard in shards:
            if names & {shard.key + LOCK, shard.key + UNFINISHED}:
                with self.claim(shard):  # removes them
                    pass

    def names(self) -> set[str]:
        """Names of all files in the folder."""
        try:
            return set(os.listdir(self.folder))  # noqa: PTH208, twenty times as fast
        except FileNotFoundError:
            return set()

    def reported(self, shard: Shard) -> int:
        """Number of episodes done when a process last reported it; 0 if none has."""
        with suppress(OSError, ValueError):
            return int(self._file(shard, LOCK).read_text())
        return 0

    def gather(self, shards: Iterable[Shard]) -> History:
        """The history of all runs of some shards, in order.

        Raises:
            InputError: a shard is missing.
        """
        histories = []
        for shard in shards:
            history = self.get(shard)
            if history is None:
                accepted = (
                    "a folder that holds all runs; `python -m pwm.sweep` trains them, "
                    f"`python -m pwm.store why {shard.key[:8]}` explains what is missing"
                )
                raise InputError("results", self.folder, accepted)
            histories.append(history)
        curves = [history.curves for history in histories]
        return History.of_curves(
            histories[0].episode,
            {name: np.concatenate([each[name] for each in curves]) for name in curves[0]},
        )

    def trained_with(self, shards: Iterable[Shard]) -> str:
        """The part of the provenance that decides histories, as one line.

        The fused engine's histories are the same on every machine; those of PyTorch depend on its
        version and on the processor.
        """
        found = set()
        for shard in shards:
            line = f"engine {shard.engine}, semantics {SEMANTICS}"
            for session in self.provenance(shard):
                if shard.engine == "torch":
                    line += (
                        f", torch {session['versions']['torch']} on {session['instruction_set']}"
                    )
                found.add(line)
        return " and ".join(sorted(found))

    def _read(self, shard: Shard) -> History:
        path = self.path(shard)
        arrays = read_arrays(path, [*HISTORY, CONTENT], DIAGNOSTICS)
        _require_of(shard, arrays, path)
        self.provenance(shard)
        return as_history(path, arrays)

    def _tidy(self, shard: Shard) -> None:
        """Removes a killed process's temporary files, and a damaged history."""
        for temporary in self.folder.glob(f".{shard.key}.*"):
            temporary.unlink()
        try:
            self._read(shard)
        except InputError as error:
            if not isinstance(error.__cause__, OSError):  # readable, and damaged
                self.path(shard).unlink(missing_ok=True)
        else:
            self._file(shard, UNFINISHED).unlink(missing_ok=True)

    def _file(self, shard: Shard, ending: str) -> Path:
        return self.folder / (shard.key + ending)


def _require_of(shard: Shard, arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Refuses the file of another shard."""
    require_file(arrays[CONTENT].item() == shard.content, path, f"a file of shard {shard.key}")


def _report_damage(error: InputError) -> None:
    print(f"damaged, to be computed again: {error.value}", file=sys.stderr)
