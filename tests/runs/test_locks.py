"""Locks: one process at a time trains a shard, until it ends or is killed."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import pytest
from filelock import FileLock

from pwm.core.errors import InputError
from pwm.io.files import folder_errors
from pwm.runs.locks import is_locked, lock, report, reported, tidy
from pwm.runs.shards import Shard
from pwm.runs.storage import Store
from tests.runs.test_storage import OTHER, RUN, SESSIONS, TWO, json_path, put, state
from tests.support.folders import contents, times
from tests.support.histories import shard_of


def lock_path(store: Store, shard: Shard = TWO) -> Path:
    return store.folder / f"{shard.key}.lock"


def test_a_lock_excludes_others_until_it_is_released(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not is_locked(store, TWO)
    with lock(store, TWO) as held:
        assert held
        assert is_locked(store, TWO)
        with lock(store, TWO) as second, lock(Store(tmp_path), TWO) as third:
            assert not second
            assert not third
        assert is_locked(store, TWO)
        assert not is_locked(store, OTHER)
        with lock(store, OTHER) as other:
            assert other
    assert not is_locked(store, TWO)
    with lock(store, TWO) as again:
        assert again


def test_a_lock_is_released_when_its_block_raises(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt), lock(store, TWO):
        raise KeyboardInterrupt
    assert not is_locked(store, TWO)


def hold(store: Store, ready: Connection) -> None:
    """Locks a shard until the process is killed."""
    with lock(store, TWO) as held:
        assert held
        report(store, TWO, 3)
        ready.send("locked")
        signal.pause()


def test_a_lock_is_released_when_its_process_is_killed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.checkpoint(TWO, state(), SESSIONS)
    context = multiprocessing.get_context("fork")  # quick, as nothing is imported again
    waiting, ready = context.Pipe(duplex=False)
    process = context.Process(target=hold, args=(store, ready))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about threads in the child
        process.start()
    try:
        assert waiting.recv() == "locked"
        assert is_locked(store, TWO)
        with lock(store, TWO) as held:
            assert not held
        assert reported(store, TWO) == 3  # not changed by the attempt to lock
    finally:
        process.kill()
        process.join()
    assert not is_locked(store, TWO)
    with lock(store, TWO) as held:
        assert held
    assert store.resume(TWO) is not None


def test_the_lock_file_is_removed_once_its_shard_is_stored(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with lock(store, TWO):
        pass
    assert lock_path(store).exists()
    with lock(store, TWO):
        put(store)
    assert store.names() == {store.path(TWO).name, json_path(store).name}


def test_reported_progress_can_be_read_and_is_zero_otherwise(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert reported(store, TWO) == 0
    with lock(store, TWO) as held:
        assert held
        assert reported(store, TWO) == 0
        for episodes in (12, 3):
            report(store, TWO, episodes)
            assert is_locked(store, TWO)
            assert reported(store, TWO) == episodes
    lock_path(store).write_text("half a num")
    assert reported(store, TWO) == 0


def test_locking_removes_the_temporary_files_of_that_shard_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, OTHER)
    store.checkpoint(TWO, state(), SESSIONS)
    before = contents(tmp_path)
    halves = [f".{TWO.key}.npz.abc", f".{TWO.key}.json.x_1", f".{TWO.key}.unfinished.npz.k"]
    for name in (*halves, f".{OTHER.key}.npz.abc", "notes"):
        (tmp_path / name).write_bytes(b"half")
    with lock(store, TWO):
        pass
    left = contents(tmp_path)
    assert left.pop(lock_path(store).name) == b""
    assert left.pop(f".{OTHER.key}.npz.abc") == b"half"
    assert left.pop("notes") == b"half"
    assert left == before


@pytest.mark.parametrize("ending", [".npz", ".json"])
def test_locking_removes_a_damaged_history_and_keeps_the_checkpoint(
    ending: str, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    put(store)
    store.checkpoint(TWO, state(), SESSIONS)
    path = tmp_path / (TWO.key + ending)
    path.write_bytes(path.read_bytes()[:-1])
    with lock(store, TWO) as held:
        assert held
        assert not store.path(TWO).exists()
        assert store.resume(TWO) is not None


def test_tidying_removes_leftovers_of_stored_shards_and_respects_locks(tmp_path: Path) -> None:
    store = Store(tmp_path)
    third = shard_of([RUN])
    for shard in (TWO, OTHER, third):
        put(store, shard)
    clean, written = store.names(), times(tmp_path)
    store.checkpoint(TWO, state(), SESSIONS)  # left by a process killed after storing the history
    lock_path(store, OTHER).touch()
    with lock(store, third):
        tidy(store, [TWO, OTHER, third])
        assert store.names() == clean | {lock_path(store, third).name}
    assert times(tmp_path) == written


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_disk_without_locks_is_refused(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_file: object, _operation: int) -> None:
        raise OSError(number, "none")

    monkeypatch.setattr(fcntl, "flock", flock)
    accepted = r"a folder on a disk with locks \(none\)"
    with (
        pytest.raises(InputError, match=f"--results .*: expected {accepted}"),
        folder_errors("results", tmp_path),
    ):
        acquired(Store(tmp_path))


# More than one user

NOBODY = 65534
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")


def acquired(store: Store) -> bool:
    with lock(store, TWO) as held:
        return held


def as_nobody(function: Callable[[Store], object], store: Store) -> str:
    """Calls a function as the user nobody; returns its result or error as text."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about threads in the child
        child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writer, str(function(store)).encode())
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as said:
        return said.read()


@pytest.fixture
def shared() -> Iterator[Store]:
    """A store in a folder that every user may write."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Store(Path(folder))


@pytest.mark.parametrize(("folder", "mode"), [(0o777, 0o666), (0o775, 0o664), (0o700, 0o600)])
def test_whoever_can_write_the_folder_can_write_a_lock(
    folder: int, mode: int, tmp_path: Path
) -> None:
    tmp_path.chmod(folder)
    assert acquired(Store(tmp_path))
    assert lock_path(Store(tmp_path)).stat().st_mode & 0o777 == mode


@needs_root
@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_lock_that_root_left_keeps_nobody_out(mode: int | None, shared: Store) -> None:
    assert acquired(shared)
    if mode is not None:
        lock_path(shared).chmod(mode)
    assert as_nobody(lambda store: is_locked(store, TWO), shared) == "False"
    assert as_nobody(acquired, shared) == "True"


@needs_root
@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_lock_that_root_holds_excludes_other_users(mode: int | None, shared: Store) -> None:
    with lock(shared, TWO):
        if mode is not None:
            lock_path(shared).chmod(mode)
        assert as_nobody(lambda store: is_locked(store, TWO), shared) == "True"
        assert as_nobody(acquired, shared) == "False"
        assert lock_path(shared).exists()
    assert as_nobody(acquired, shared) == "True"


@needs_root
@pytest.mark.parametrize(("mode", "folder"), [(0o600, 0o777), (0o644, 0o1777)])
def test_a_lock_that_cannot_be_replaced_is_one_line(mode: int, folder: int, shared: Store) -> None:
    assert acquired(shared)
    lock_path(shared).chmod(mode)
    shared.folder.chmod(folder)
    accepted = "a lock file that can be written; delete it unless a sweep is running"
    assert as_nobody(acquired, shared) == f"FileError: {lock_path(shared)}: expected {accepted}"


@needs_root
def test_a_lock_file_that_cannot_be_read_is_one_line(shared: Store) -> None:
    assert acquired(shared)
    lock_path(shared).chmod(0o600)
    said = as_nobody(lambda store: is_locked(store, TWO), shared)
    assert said == f"FileError: {lock_path(shared)}: expected a lock file that can be read"


@pytest.mark.skipif(os.getuid() == 0, reason="root can write every file")
def test_an_unheld_lock_that_cannot_be_written_is_replaced(tmp_path: Path) -> None:
    lock_path(Store(tmp_path)).touch(mode=0o444)
    assert acquired(Store(tmp_path))


def test_a_lock_file_that_was_replaced_while_it_was_opened_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    path = lock_path(store)
    path.write_text("old")

    def refused(_self: FileLock) -> None:
        raise PermissionError

    def replaces(file: BinaryIO, _operation: int) -> None:
        assert file.read() == b"old"
        path.unlink()
        path.write_text("another process's")

    monkeypatch.setattr(FileLock, "acquire", refused)
    monkeypatch.setattr(fcntl, "flock", replaces)
    with lock(store, TWO) as held:
        assert not held
    assert path.read_text() == "another process's"
