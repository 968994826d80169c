"""Locks: at most one process at a time trains a shard.

The process that trains a shard holds `KEY.lock` locked, and writes its progress to it. The
operating system releases the lock when the process ends, even if it is killed.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pwm.core.errors import FileError
from pwm.runs.shards import Shard
from pwm.runs.storage import UNFINISHED, Store

LOCK = ".lock"


@dataclass(frozen=True)
class Lock:
    """The right to train a shard."""

    path: Path

    def report(self, episodes_done: int) -> None:
        """Records progress, for `reported`."""
        self.path.write_text(f"{episodes_done}\n")


def lock_file(path: Path) -> FileLock:
    """A lock for all users who can write its folder, even after another user's process was killed.

    It needs a file system with locks: any substitute would outlive a killed process.
    """
    shared_mode = path.parent.stat().st_mode & 0o066  # read and write, by group and others
    return FileLock(path, blocking=False, mode=0o600 | shared_mode, fallback_to_soft=False)


@contextmanager
def lock(store: Store, shard: Shard) -> Iterator[Lock | None]:
    """Locks a shard while the block lasts; yields None if another process holds the lock."""
    path = store.path(shard, LOCK)
    path.parent.mkdir(parents=True, exist_ok=True)
    file_lock = lock_file(path)
    try:
        try:
            file_lock.acquire()
        except PermissionError:
            _remove_unheld(path)
            file_lock.acquire()
    except Timeout:
        yield None
        return
    try:
        store.clean(shard)
        yield Lock(path)
    finally:
        if store.path(shard).exists():  # until then, all processes must lock the same file
            path.unlink(missing_ok=True)
        file_lock.release()


def is_locked(store: Store, shard: Shard) -> bool:
    """Whether a running process holds the lock of a shard."""
    path = store.path(shard, LOCK)
    if not path.exists():
        return False
    try:
        with _held(path):
            return False
    except Timeout:
        return True


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Locks an existing lock file while the block lasts.

    It may be another user's file, which `FileLock` would need to open for writing.

    Raises:
        Timeout: a running process holds it.
        PermissionError: it cannot be read.
    """
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Timeout(str(path)) from None
        yield


def _remove_unheld(path: Path) -> None:
    """Removes a lock file that another user left.

    Raises:
        Timeout: a running process holds the lock.
        FileError: the file cannot be removed.
    """
    if not path.exists():  # the folder cannot be written; locking again says so
        return
    try:
        with _held(path):
            path.unlink()
    except PermissionError as error:
        accepted = "a lock file that can be written; delete it unless a sweep is running"
        raise FileError(path, accepted) from error


def reported(store: Store, shard: Shard) -> int:
    """Episodes done, as last reported by a process that trains the shard; 0 without a report."""
    with suppress(OSError, ValueError):
        return int(store.path(shard, LOCK).read_text())
    return 0


def tidy(store: Store, shards: Iterable[Shard]) -> None:
    """Removes the lock files and checkpoints of stored shards."""
    names = store.names()
    for shard in shards:
        if names & {shard.key + LOCK, shard.key + UNFINISHED}:
            with lock(store, shard):  # removes them
                pass
