"""Atomic writes, and files that are verified when they are read."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pwm.core.errors import InputError
from pwm.io.errors import FileError
from pwm.io.files import (
    COMMENT_SIZE,
    folder_errors,
    make_folder,
    read_arrays,
    read_signed,
    write_arrays,
    write_atomically,
    write_if_changed,
    write_json,
    write_signed,
)
from pwm.training.history import METRICS, History
from tests.support.folders import contents, flipped
from tests.support.histories import made_up, read_history, same

# Writing


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    failing: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*_arguments: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os if failing == "fsync" else Path, failing, fail)
        with pytest.raises(type(error)):
            write_atomically(path, b"new" * 1000)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_content_is_flushed_to_disk_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A power failure between the two must not leave an empty file.
    path, steps = tmp_path / "file", []
    fsync, rename = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        steps.append(("flushed", os.fstat(descriptor).st_size))
        fsync(descriptor)

    def watched_rename(source: Path, target: Path) -> Path:
        steps.append(("named", source.stat().st_size))
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_rename)
    write_atomically(path, b"1234567")
    assert steps == [("flushed", 7), ("named", 7)]


def test_a_write_replaces_a_file_creates_folders_and_lets_others_read(tmp_path: Path) -> None:
    path = tmp_path / "some" / "where" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"other")
    assert path.read_bytes() == b"other"
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_is_written_only_if_its_content_changes(tmp_path: Path) -> None:
    path = tmp_path / "folder/file"
    for content, written in ((b"one", True), (b"one", False), (b"two", True), (b"", True)):
        before = path.stat().st_ino if path.exists() else None
        assert write_if_changed(path, content) == written
        assert path.read_bytes() == content
        assert (path.stat().st_ino != before) == written


def test_a_missing_file_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "history.npz"
    with pytest.raises(FileError) as caught:
        read_history(path)
    assert str(caught.value) == f"{path}: expected a file that exists"


def test_json_can_be_read_back(tmp_path: Path) -> None:
    content = {"weight": 0.05, "seeds": [0, 1], "commit": None}
    write_json(tmp_path / "file.json", content)
    text = (tmp_path / "file.json").read_text()
    assert json.loads(text) == content
    assert text.endswith("}\n")


# Histories

CURVES = arrays(
    np.float32,
    (len(METRICS), 2, 3),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
)


@given(CURVES, arrays(np.int64, 3))
def test_a_history_is_read_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    curves: NDArray[np.float32],
    episode: NDArray[np.int64],
) -> None:
    path = tmp_path_factory.mktemp("store") / "history.npz"
    history = History(episode, *curves)
    write_arrays(path, history.arrays())
    assert same(read_history(path), history)


@pytest.mark.parametrize("probes", [{}, {"diagnosed": True}, {"probe_at": (0, 2, 300)}])
@pytest.mark.parametrize(("replicas", "windows"), [(0, 0), (1, 0), (1, 1), (48, 100)])
def test_a_history_of_any_size_is_read_back(
    replicas: int, windows: int, probes: dict[str, Any], tmp_path: Path
) -> None:
    history = made_up(replicas, windows, **probes)
    write_arrays(tmp_path / "history.npz", history.arrays())
    assert same(read_history(tmp_path / "history.npz"), history)


def test_equal_histories_give_equal_files_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_arrays(tmp_path / "now", made_up(2, 3).arrays())
    later = time.time() + 1e7
    monkeypatch.setattr(time, "time", lambda: later)
    write_arrays(tmp_path / "later", made_up(2, 3).arrays())
    write_arrays(tmp_path / "other", made_up(2, 3, seed=1).arrays())
    assert (tmp_path / "now").read_bytes() == (tmp_path / "later").read_bytes()
    assert (tmp_path / "now").read_bytes() != (tmp_path / "other").read_bytes()


# Damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small history's file."""
    path = tmp_path_factory.mktemp("whole") / "history.npz"
    write_arrays(path, made_up(2, 4).arrays())
    return path.read_bytes()


def assert_damaged(path: Path) -> None:
    with pytest.raises(FileError) as caught:
        read_history(path)
    assert str(caught.value).startswith(f"{path}: expected ")


def test_a_truncated_history_is_refused(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "history.npz"
    for length in [*range(0, len(whole), 29), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert_damaged(path)


def test_a_history_with_a_flipped_bit_is_refused(whole: bytes, tmp_path: Path) -> None:
    # Every bit of the archive's end and checksum; before that, one bit of every fifth byte.
    end = whole.rindex(b"PK\x05\x06")
    bits = [8 * place + place % 8 for place in range(0, end, 5)]
    bits += range(8 * end, 8 * len(whole))
    path = tmp_path / "history.npz"
    for bit in bits:
        path.write_bytes(flipped(whole, bit))
        assert_damaged(path)


def test_other_files_are_refused_as_a_history(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "history.npz"
    assert_damaged(path)  # missing
    for content in (b"", b"PK", b"not a history", b"\0" * 1000, whole[::-1]):
        path.write_bytes(content)
        assert_damaged(path)
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    assert_damaged(folder)


def test_other_arrays_are_refused_as_a_history(tmp_path: Path) -> None:
    path = tmp_path / "history.npz"
    history = made_up(2, 4).arrays()
    write_arrays(path, {"weights": np.ones(3)})
    assert_damaged(path)
    write_arrays(path, {name: history[name] for name in METRICS})
    assert_damaged(path)
    np.savez(path, allow_pickle=False, **history)  # the right arrays, without a checksum
    assert_damaged(path)


def test_objects_are_neither_written_nor_read(tmp_path: Path) -> None:
    path, objects = tmp_path / "history.npz", np.array([{}, {}], dtype=object)
    with pytest.raises(ValueError, match="Object arrays"):
        write_arrays(path, {"reward": objects})
    assert not any(tmp_path.iterdir())
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=True, reward=objects)
    signed = archive.getvalue()[:-2] + COMMENT_SIZE.to_bytes(2, "little")
    path.write_bytes(signed + b"sha256:" + hashlib.sha256(signed).hexdigest().encode())
    with pytest.raises(FileError):
        read_arrays(path, ["reward"])


# Signed JSON


def test_signed_json_is_read_back_and_readable(tmp_path: Path) -> None:
    path, content = tmp_path / "file.json", {"key": "é", "sessions": [{"seconds": 1e-7}, None]}
    write_signed(path, content)
    assert read_signed(path) == content
    assert len(path.read_text().splitlines()) > 5
    assert json.loads(path.read_bytes()).items() > content.items()


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b'{"sha256": 1}', b'{"sha256": "a"}'],
)
def test_unsigned_json_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        read_signed(path)
    assert str(caught.value) == f"{path}: expected an undamaged file"


def test_signed_json_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_signed(path, {"key": "a", "weight": 1e-5})
    whole = path.read_bytes()
    for changed in (
        whole.replace(b'"a"', b'"b"'),
        whole.replace(b"1e-05", b"1E-05"),  # the same number, and a changed byte
        whole[:-1],
        whole + b" ",
        json.dumps(json.loads(whole)).encode(),
    ):
        path.write_bytes(changed)
        with pytest.raises(FileError):
            read_signed(path)


# Folders


def test_a_folder_is_created_and_left_empty(tmp_path: Path) -> None:
    make_folder("results", tmp_path / "some" / "where")
    make_folder("results", tmp_path / "some" / "where")
    assert contents(tmp_path / "some" / "where") == {}


@pytest.mark.parametrize("place", ["/proc/nobody", "file", "file/below", "a" * 300])
def test_a_folder_that_cannot_be_created_is_bad_input(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--results .*: expected a folder that can be written"):
        make_folder("results", tmp_path / place)


def test_a_broken_pipe_is_not_reported_as_a_folder_error(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), folder_errors("results", tmp_path):
        raise BrokenPipeError
    error = pytest.raises(InputError, match=r"can be read \(No such process\)")
    with error, folder_errors("results", tmp_path, "read"):
        raise OSError(errno.ESRCH, "No such process")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_file_has_the_mode_that_the_umask_gives(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "file", b"content")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode
