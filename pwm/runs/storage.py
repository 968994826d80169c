"""Results on disk: one history a shard, named by everything that decides its content.

A shard that is done is two files: `KEY.npz`, its history and what it is the history of, and
`KEY.json`, its provenance. While it is trained there are also `KEY.unfinished.npz`, where
training was a few seconds ago, and `KEY.lock`, which the one who trains it holds locked and
writes its progress to. The system drops the lock of a process that dies, however it dies.

`python -m pwm.store` lists and verifies what is stored, and says why a shard is not found.
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

from pwm.core.errors import InputError, require, require_file
from pwm.io.files import (
    DAMAGE,
    HISTORY,
    as_history,
    read_arrays,
    read_signed,
    write_arrays,
    write_signed,
)
from pwm.core.history import History
from pwm.runs.shards import Shard, shard_of
from pwm.core.diagnostics import DIAGNOSTICS
from pwm.core.config import SEMANTICS
from pwm.core.trainer import STATE

CONTENT = "content"
SESSIONS = "sessions"
UNFINISHED = ".unfinished.npz"
LOCK = ".lock"
Session = Mapping[str, Any]
"""Provenance of some consecutive episodes of a shard."""


class Kept(NamedTuple):
    """Where training was."""

    state: dict[str, NDArray[Any]]
    sessions: list[Session]


@dataclass(frozen=True)
class Claim:
    """The right to train a shard, which one process at a time has."""

    path: Path

    def report(self, episodes_done: int) -> None:
        """Tells who asks how far training is; see `Store.reported`."""
        self.path.write_text(f"{episodes_done}\n")


@dataclass(frozen=True)
class Store:
    """A folder of results."""

    folder: Path

    def path(self, shard: Shard) -> Path:
        """Where the shard's history is, or would be."""
        return self._file(shard, ".npz")

    def get(self, shard: Shard) -> History | None:
        """The shard's history; None if there is none, or (said in one line) it is damaged."""
        if not self.path(shard).exists():
            return None
        try:
            return self._read(shard)
        except InputError as error:
            _say_damaged(error)
            return None

    def shards(self) -> Iterator[Shard]:
        """Every shard whose history is stored, from what its file says; not yet verified.

        Raises:
            InputError: there is no such folder.
        """
        require(self.folder.is_dir(), "results", self.folder, "a folder of stored runs")
        for name in sorted(self.names()):
            key = name.removesuffix(".npz")
            if key != name and "." not in key:
                with suppress(*DAMAGE), np.load(self.folder / name, allow_pickle=False) as stored:
                    yield shard_of(json.loads(stored[CONTENT].item()))

    def provenance(self, shard: Shard) -> list[Session]:
        """Where the shard's history came from, session by session.

        Raises:
            InputError: it is not there, or damaged.
        """
        path = self._file(shard, ".json")
        content = read_signed(path)
        require_file(content.get("key") == shard.key, path, f"that of {shard.key}")
        sessions: list[Session] = content[SESSIONS]
        return sessions

    def put(self, shard: Shard, history: History, sessions: Sequence[Session]) -> None:
        """Stores the shard's history, and drops what was kept while it was trained."""
        # The history comes last: once it is there, all is.
        write_signed(self._file(shard, ".json"), {"key": shard.key, SESSIONS: list(sessions)})
        write_arrays(self.path(shard), {**history.arrays(), CONTENT: np.array(shard.content)})
        self._file(shard, UNFINISHED).unlink(missing_ok=True)

    def checkpoint(
        self, shard: Shard, state: Mapping[str, NDArray[Any]], sessions: Sequence[Session]
    ) -> None:
        """Keeps the state of a shard in training, in place of an earlier one."""
        texts = {CONTENT: np.array(shard.content), SESSIONS: np.array(json.dumps(sessions))}
        write_arrays(self._file(shard, UNFINISHED), {**state, **texts}, compressed=False)

    def resume(self, shard: Shard) -> Kept | None:
        """What was kept; None if there is nothing, or (said in one line) it is damaged."""
        path = self._file(shard, UNFINISHED)
        if not path.exists():
            return None
        try:
            arrays = read_arrays(path, [*STATE, CONTENT, SESSIONS])
            _require_of(shard, arrays, path)
        except InputError as error:
            _say_damaged(error)
            return None
        return Kept({name: arrays[name] for name in STATE}, json.loads(arrays[SESSIONS].item()))

    @contextmanager
    def claim(self, shard: Shard) -> Iterator[Claim | None]:
        """The right to train a shard while the block lasts; None if someone alive has it."""
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
            if self.path(shard).exists():  # else the next to claim it needs the same file
                path.unlink(missing_ok=True)
            lock.release()

    def claimed(self, shard: Shard) -> bool:
        """Whether someone alive has the right to train a shard."""
        path = self._file(shard, LOCK)
        if not path.exists():
            return False
        try:
            with FileLock(path, blocking=False):
                return False
        except Timeout:
            return True

    def tidy(self, shards: Iterable[Shard]) -> None:
        """Drops what is left of the training of shards that are stored."""
        names = self.names()
        for shard in shards:
            if names & {shard.key + LOCK, shard.key + UNFINISHED}:
                with self.claim(shard):  # drops it
                    pass

    def names(self) -> set[str]:
        """Names of all files that are there now."""
        try:
            return set(os.listdir(self.folder))  # noqa: PTH208, twenty times as fast
        except FileNotFoundError:
            return set()

    def reported(self, shard: Shard) -> int:
        """Episodes done when the one who trains a shard last said so; 0 if nobody did."""
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
                raise InputError(
                    "results",
                    self.folder,
                    "a folder that holds all runs; `python -m pwm.sweep` makes them, "
                    f"`python -m pwm.store why {shard.key[:8]}` says what is missing",
                )
            histories.append(history)
        curves = [history.curves for history in histories]
        return History.of_curves(
            histories[0].episode,
            {name: np.concatenate([each[name] for each in curves]) for name in curves[0]},
        )

    def _read(self, shard: Shard) -> History:
        path = self.path(shard)
        arrays = read_arrays(path, [*HISTORY, CONTENT], DIAGNOSTICS)
        _require_of(shard, arrays, path)
        self.provenance(shard)
        return as_history(path, arrays)

    def trained_with(self, shards: Iterable[Shard]) -> str:
        """The part of the provenance that decides histories, as one line.

        The fused engine's histories are the same wherever they are made; those of PyTorch
        depend on its version and on the processor.
        """
        made_by = set()
        for shard in shards:
            said = f"engine {shard.engine}, semantics {SEMANTICS}"
            for session in self.provenance(shard):
                if shard.engine == "torch":
                    said += (
                        f", torch {session['versions']['torch']} on {session['instruction_set']}"
                    )
                made_by.add(said)
        return " and ".join(sorted(made_by))

    def _tidy(self, shard: Shard) -> None:
        """Drops what one who died left behind, and a history that is damaged."""
        for aside in self.folder.glob(f".{shard.key}.*"):
            aside.unlink()
        try:
            self._read(shard)
        except InputError as error:
            if not isinstance(error.__cause__, OSError):  # it could be read, and is no good
                self.path(shard).unlink(missing_ok=True)
        else:
            self._file(shard, UNFINISHED).unlink(missing_ok=True)

    def _file(self, shard: Shard, ending: str) -> Path:
        return self.folder / (shard.key + ending)


def _require_of(shard: Shard, arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Refuses the file of another shard."""
    require_file(arrays[CONTENT].item() == shard.content, path, f"that of {shard.key}")


def _say_damaged(error: InputError) -> None:
    print(f"damaged, to be computed again: {error.value}", file=sys.stderr)

