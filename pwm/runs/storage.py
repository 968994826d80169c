"""Stores histories of shards in files named by a hash of their runs, engine and `SEMANTICS`.

A shard is a group of runs that are trained together (`pwm.runs.shards`). If stored, it has two
files: `KEY.npz`, its history and content, and `KEY.json`, its provenance. If begun but not stored,
it has `KEY.lock` (`pwm.runs.locks`) and, after a while, its last checkpoint, `KEY.unfinished.npz`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.core.errors import InputError
from pwm.io.errors import FileError, require_file
from pwm.io.files import (
    DAMAGE,
    read_arrays,
    read_signed,
    write_arrays,
    write_signed,
)
from pwm.io.inherited import note
from pwm.runs.shards import Shard, key_of, shard_of, trained_by
from pwm.training.history import ARRAYS, FURTHER_ARRAYS, History
from pwm.training.trainer import OPTIONAL, STATE

CONTENT, SESSIONS = "content", "sessions"  # names of arrays and fields in the files
STORED, UNFINISHED, PROVENANCE = ".npz", ".unfinished.npz", ".json"  # endings of file names
Session = Mapping[str, Any]
"""Provenance of those episodes of a shard that one process trained (`pwm.runs.worker._train`)."""


class Stored(NamedTuple):
    """Verified content of a stored shard's files."""

    history: History
    content: dict[str, Any]  # `Shard.content`, parsed
    sessions: list[Session]


class Checkpoint(NamedTuple):
    """Verified checkpoint of a shard in training."""

    state: dict[str, NDArray[Any]]  # `Trainer.state`
    content: dict[str, Any]  # `Shard.content`, parsed
    sessions: list[Session]


@dataclass(frozen=True)
class Store:
    """A folder of stored runs."""

    folder: Path

    def path(self, shard: Shard, ending: str = STORED) -> Path:
        """Path of a shard's file, by default of its history; the file need not exist.

        Methods that know only a key join it with an ending in the same way.
        """
        return self.folder / (shard.key + ending)

    def get(self, shard: Shard) -> History | None:
        """Reads a shard's history; None if a file is missing or damaged. Prints any damage."""
        if self.path(shard).exists():
            with _damage_printed():
                return self.read(shard.key).history
        return None

    def read(self, key: str) -> Stored:
        """Reads and verifies the files of a stored shard.

        Raises:
            FileError: a file is missing, damaged, or belongs to another shard.
        """
        path = self.folder / (key + STORED)
        arrays = read_arrays(path, [*ARRAYS, CONTENT], *FURTHER_ARRAYS)
        content = _content(arrays, key, path)
        return Stored(_as_history(path, arrays), content, self.provenance(key))

    def read_checkpoint(self, key: str) -> Checkpoint:
        """Reads and verifies the checkpoint of a shard; raises `FileError` as `read` does."""
        path = self.folder / (key + UNFINISHED)
        arrays = read_arrays(path, [*STATE, CONTENT, SESSIONS], *OPTIONAL)
        content = _content(arrays, key, path)
        del arrays[CONTENT]
        sessions = json.loads(arrays.pop(SESSIONS).item())
        return Checkpoint(arrays, content, sessions)

    def all_keys(self, ending: str = STORED) -> list[str]:
        """Keys of the shards that have a file with this ending, sorted."""
        keys = [name.removesuffix(ending) for name in self.names() if name.endswith(ending)]
        # KEY.unfinished.npz ends with .npz too, but KEY.unfinished is no key.
        return sorted(key for key in keys if "." not in key)

    def shards(self) -> Iterator[Shard]:
        """Yields the stored shards of the current `SEMANTICS`, unverified; skips unreadable ones.

        Raises:
            FileError: the folder does not exist.
        """
        require_file(self.folder.is_dir(), self.folder, "a folder of stored runs")
        for key in self.all_keys():
            path = self.folder / (key + STORED)
            # `DAMAGE` includes the `ValueError` of `shard_of` for other `SEMANTICS`.
            with suppress(*DAMAGE), np.load(path, allow_pickle=False) as stored:
                yield shard_of(json.loads(stored[CONTENT].item()))

    def provenance(self, key: str) -> list[Session]:
        """Reads a stored shard's provenance, by session; raises `FileError` as `read` does."""
        path = self.folder / (key + PROVENANCE)
        content = read_signed(path)
        require_file(content.get("key") == key, path, f"the provenance of {key}")
        sessions: list[Session] = content[SESSIONS]
        return sessions

    def put(self, shard: Shard, history: History, sessions: Sequence[Session]) -> None:
        """Stores the shard's provenance and history, then removes its checkpoint."""
        # The history comes last: once it exists, the shard is complete.
        write_signed(self.path(shard, PROVENANCE), {"key": shard.key, SESSIONS: sessions})
        write_arrays(self.path(shard), {**history.arrays(), CONTENT: np.array(shard.content)})
        self.path(shard, UNFINISHED).unlink(missing_ok=True)

    def checkpoint(
        self, shard: Shard, state: Mapping[str, NDArray[Any]], sessions: Sequence[Session]
    ) -> None:
        """Saves the state of a shard in training, replacing the previous one."""
        texts = {CONTENT: np.array(shard.content), SESSIONS: np.array(json.dumps(sessions))}
        write_arrays(self.path(shard, UNFINISHED), {**state, **texts}, compressed=False)

    def resume(self, shard: Shard) -> Checkpoint | None:
        """Reads a shard's checkpoint; None if it is missing or damaged. Prints any damage."""
        if self.path(shard, UNFINISHED).exists():
            with _damage_printed():
                return self.read_checkpoint(shard.key)
        return None

    def clean(self, shard: Shard) -> None:
        """Removes a locked shard's stale files, such as those left by killed processes.

        These are temporary files, which without the lock could be another process's; a history if
        it or its provenance is damaged or another shard's; and the checkpoint of a stored shard.
        """
        for temporary in self.folder.glob(f".{shard.key}.*"):
            temporary.unlink()
        try:
            self.read(shard.key)
        except FileError as error:
            # After an `OSError`, the file is missing, or cannot be read but may be undamaged.
            if not isinstance(error.__cause__, OSError):
                self.path(shard).unlink(missing_ok=True)
        else:  # stored and undamaged: the checkpoint is no longer needed
            self.path(shard, UNFINISHED).unlink(missing_ok=True)

    def names(self) -> set[str]:
        """Names of all files in the folder; empty if the folder does not exist."""
        try:
            return set(os.listdir(self.folder))  # noqa: PTH208, 20 times as fast as pathlib
        except FileNotFoundError:
            return set()

    def gather(self, shards: Iterable[Shard]) -> History:
        """Reads the histories of some shards and joins them into one history of all runs, in order.

        Raises:
            InputError: a shard is missing or damaged.
            ValueError: the shards' histories differ in their number of windows.
        """
        histories = []
        for shard in shards:
            history = self.get(shard)
            if history is None:
                # Without a name, the command trains everything; `why` accepts the start of a key.
                command = f"python -m pwm.sweep {shard.experiment}".rstrip()
                accepted = f"a folder that holds all runs; `{command}` trains them, "
                accepted += f"`python -m pwm.store why {shard.key[:8]}` explains what is missing"
                raise InputError("results", self.folder, accepted)
            histories.append(history)
        return History.joined(histories)

    def trained_with(self, shards: Iterable[Shard]) -> str:
        """Describes what determines some shards' histories apart from their configurations.

        The fused engine's histories are the same on every machine; those of the torch engine
        depend on PyTorch's version and on the processor.
        """
        descriptions = set()
        for shard in shards:
            if shard.engine == "fused":
                descriptions.add(trained_by("fused"))
                continue
            for session in self.provenance(shard.key):
                version, processor = session["versions"]["torch"], session["instruction_set"]
                descriptions.add(f"{trained_by('torch')}, torch {version} on {processor}")
        return " and ".join(sorted(descriptions))


def _as_history(path: Path, arrays: dict[str, Any]) -> History:
    """Makes a history from arrays, by name, that were read from the file `path`.

    Raises:
        FileError: the shapes or types of the arrays are not those of a history.
    """
    try:
        return History.of_curves(arrays["episode"], arrays, arrays.get("probe_episode"))
    except ValueError as error:
        raise FileError(path, str(error)) from error


def _content(arrays: Mapping[str, NDArray[Any]], key: str, path: Path) -> dict[str, Any]:
    """Parses the `CONTENT` of a file's arrays; raises `FileError` if its hash is not the key."""
    text = arrays[CONTENT].item()
    require_file(key_of(text) == key, path, f"a file of shard {key}")
    content: dict[str, Any] = json.loads(text)
    return content


@contextmanager
def _damage_printed() -> Iterator[None]:
    """Suppresses a `FileError` of the block, and prints the file's path to standard error."""
    try:
        yield
    except FileError as error:
        note(f"damaged, to be computed again: {error.value}")
