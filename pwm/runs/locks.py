"""Locks, so that at most one process at a time trains a shard (runs that are stored together).

The process that trains a shard keeps `KEY.lock` locked and writes its progress to it. The operating
system releases the lock when the process ends, even if it is killed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pwm.io.errors import FileError
from pwm.runs.shards import Shard
from pwm.runs.storage import UNFINISHED, Store

LOCK = ".lock"


def lock_file(path: Path) -> FileLock:
    """Makes a lock on the file `path`, for a shard or a folder; acquiring it creates the file.

    Acquiring raises `Timeout` at once if the lock is held. The folder must exist. Group and others
    may read or write the file if they may read or write the folder, so another user can lock the
    file that a killed process left.
    """
    shared_mode = path.parent.stat().st_mode & 0o066  # read and write, by group and others
    # A soft lock, for file systems without locks, would outlive a killed process.
    return FileLock(path, blocking=False, mode=0o600 | shared_mode, fallback_to_soft=False)


@contextmanager
def lock(store: Store, shard: Shard) -> Iterator[bool]:
    """Locks and cleans (`Store.clean`) a shard; yields False if another process has locked it."""
    path = store.path(shard, LOCK)
    path.parent.mkdir(parents=True, exist_ok=True)
    file_lock = lock_file(path)
    try:
        try:
            file_lock.acquire()
        except PermissionError:  # the file, or the folder, is another user's
            _remove_unheld(path)
            file_lock.acquire()
    except (Timeout, BlockingIOError):
        yield False
        return
    try:
        store.clean(shard)
        yield True
    finally:
        # An unfinished shard keeps its lock file: the progress bar of the next sweep starts with
        # the episodes that it reports.
        if store.path(shard).exists():
            path.unlink(missing_ok=True)
        file_lock.release()


def is_locked(store: Store, shard: Shard) -> bool:
    """Whether a running process holds the lock of a shard.

    Holds the lock for a moment itself; a process that tries to lock the shard then is refused.

    Raises:
        FileError: the lock file is another user's, and cannot be read.
    """
    path = store.path(shard, LOCK)
    try:
        with _locked(path):
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except PermissionError as error:
        raise FileError(path, "a lock file that can be read") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Locks an existing file while the block lasts.

    Unlike `FileLock`, it opens the file for reading only, as the file may be another user's.

    Raises:
        BlockingIOError: a process holds the lock, or has just put another file in its place.
    """
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            raise BlockingIOError
        yield


def _remove_unheld(path: Path) -> None:
    """Removes a lock file that `FileLock` could not open, as another user's, if nobody holds it.

    The caller then tries to lock again.

    Raises:
        BlockingIOError: a running process holds the lock.
        FileError: the file cannot be opened or removed.
    """
    try:
        with _locked(path):
            path.unlink()
    except FileNotFoundError:  # it was not the file: the caller's next attempt shows what is wrong
        return
    except PermissionError as error:
        accepted = "a lock file that can be written; delete it unless a sweep is running"
        raise FileError(path, accepted) from error


def report(store: Store, shard: Shard, episodes_done: int) -> None:
    """Writes the number of episodes done by each run to the lock file, held by this process."""
    # In place: a file renamed to this path, as atomic writing does, would not be locked.
    store.path(shard, LOCK).write_text(f"{episodes_done}\n")


def reported(store: Store, shard: Shard) -> int:
    """Number of episodes last reported by a process that trained the shard; 0 without a report."""
    with suppress(OSError, ValueError):
        return int(store.path(shard, LOCK).read_text())
    return 0


def tidy(store: Store, shards: Iterable[Shard]) -> None:
    """Cleans stored shards (`Store.clean`) of which killed processes left a lock or checkpoint."""
    names = store.names()
    for shard in shards:
        if names & {shard.key + LOCK, shard.key + UNFINISHED}:
            with lock(store, shard):  # removes the checkpoint on entry, the lock file on exit
                pass
