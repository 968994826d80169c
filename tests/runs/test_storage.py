"""Files are whole or not there, what is damaged is never data, and one claims a shard at a time."""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.errors import InputError
from pwm.core.history import METRICS, History
from pwm.core.task import TaskConfig
from pwm.core.trainer import Trainer, train
from pwm.io.files import (
    COMMENT_SIZE,
    folder_errors,
    make_folder,
    read_arrays,
    read_history,
    read_signed,
    write_arrays,
    write_atomically,
    write_history,
    write_json,
    write_signed,
)
from pwm.runs.shards import Shard
from pwm.runs.storage import Store
from tests.support.folders import contents, largest_file, times
from tests.support.histories import made_up, same, session, shard_of


def flipped(content: bytes, bit: int) -> bytes:
    """The content with one bit the other way round."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


# Writing


@pytest.mark.parametrize("failing", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(
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


def test_the_content_is_on_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that loses power between the two must not be left with an empty file.
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


def test_a_written_file_replaces_makes_folders_and_can_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "some" / "where" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"other")
    assert path.read_bytes() == b"other"
    assert path.stat().st_mode & 0o777 == 0o644


def test_json_is_read_back(tmp_path: Path) -> None:
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
def test_a_history_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    curves: NDArray[np.float32],
    episode: NDArray[np.int64],
) -> None:
    path = tmp_path_factory.mktemp("store") / "history.npz"
    history = History(episode, *curves)
    write_history(path, history)
    assert same(read_history(path), history)


@pytest.mark.parametrize("diagnosed", [False, True])
@pytest.mark.parametrize(("replicas", "windows"), [(0, 0), (1, 0), (1, 1), (48, 100)])
def test_a_history_of_any_size_comes_back(
    replicas: int, windows: int, diagnosed: bool, tmp_path: Path
) -> None:
    history = made_up(replicas, windows, diagnosed=diagnosed)
    write_history(tmp_path / "history.npz", history)
    assert same(read_history(tmp_path / "history.npz"), history)


def test_equal_histories_make_equal_files_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_history(tmp_path / "now", made_up(2, 3))
    later = time.time() + 1e7
    monkeypatch.setattr(time, "time", lambda: later)
    write_history(tmp_path / "later", made_up(2, 3))
    write_history(tmp_path / "other", made_up(2, 3, seed=1))
    assert (tmp_path / "now").read_bytes() == (tmp_path / "later").read_bytes()
    assert (tmp_path / "now").read_bytes() != (tmp_path / "other").read_bytes()


# Damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a small history."""
    path = tmp_path_factory.mktemp("whole") / "history.npz"
    write_history(path, made_up(2, 4))
    return path.read_bytes()


def assert_damaged(path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_history(path)
    assert str(path) in str(caught.value)


def test_a_truncated_history_is_never_read(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "history.npz"
    for length in [*range(0, len(whole), 29), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert_damaged(path)


def test_a_flipped_bit_is_never_read(whole: bytes, tmp_path: Path) -> None:
    # Every bit of the archive's end and its checksum, and one of every fifth byte before.
    end = whole.rindex(b"PK\x05\x06")
    bits = [8 * place + place % 8 for place in range(0, end, 5)]
    bits += range(8 * end, 8 * len(whole))
    path = tmp_path / "history.npz"
    for bit in bits:
        path.write_bytes(flipped(whole, bit))
        assert_damaged(path)


def test_what_is_not_a_history_is_never_read(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "history.npz"
    assert_damaged(path)  # not there
    for content in (b"", b"PK", b"not a history", b"\0" * 1000, whole[::-1]):
        path.write_bytes(content)
        assert_damaged(path)
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    assert_damaged(folder)


def test_arrays_of_something_else_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "history.npz"
    history = made_up(2, 4).arrays()
    write_arrays(path, {"weights": np.ones(3)})
    assert_damaged(path)
    write_arrays(path, {name: history[name] for name in METRICS})
    assert_damaged(path)
    np.savez(path, allow_pickle=False, **history)  # right, but not signed
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
    with pytest.raises(InputError):
        read_arrays(path, ["reward"])


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("reward", np.zeros((2, 3), np.float32)),  # a window short
        ("reward", np.zeros((1, 4), np.float32)),  # a replica short
        ("reward", np.zeros(4, np.float32)),
        ("reward", np.array([["a"] * 4] * 2)),
        ("episode", np.zeros((2, 4), np.int64)),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_never_read(
    name: str, array: NDArray[np.generic], tmp_path: Path
) -> None:
    path = tmp_path / "history.npz"
    write_arrays(path, made_up(2, 4).arrays() | {name: array})
    assert_damaged(path)


# Provenance


def test_what_is_signed_is_read_back_and_can_be_read_by_people(tmp_path: Path) -> None:
    path, content = tmp_path / "file.json", {"key": "é", "sessions": [{"seconds": 1e-7}, None]}
    write_signed(path, content)
    assert read_signed(path) == content
    assert len(path.read_text().splitlines()) > 5
    assert json.loads(path.read_bytes()).items() > content.items()


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b'{"sha256": 1}', b'{"sha256": "a"}'],
)
def test_what_is_not_signed_is_never_read(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_signed(path)
    assert str(path) in str(caught.value)


def test_what_was_signed_and_then_changed_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_signed(path, {"key": "a", "weight": 1e-5})
    whole = path.read_bytes()
    for changed in (
        whole.replace(b'"a"', b'"b"'),
        whole.replace(b"1e-05", b"1E-05"),  # means the same, and is a flipped bit all the same
        whole[:-1],
        whole + b" ",
        json.dumps(json.loads(whole)).encode(),
    ):
        path.write_bytes(changed)
        with pytest.raises(InputError):
            read_signed(path)


# Folders


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    make_folder("results", tmp_path / "some" / "where")
    make_folder("results", tmp_path / "some" / "where")
    assert contents(tmp_path / "some" / "where") == {}


@pytest.mark.parametrize("place", ["/proc/nobody", "file", "file/below", "a" * 300])
def test_a_folder_that_cannot_be_made_is_bad_input(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--results .*: expected a folder that can be written"):
        make_folder("results", tmp_path / place)


def test_what_is_wrong_with_a_pipe_is_not_wrong_with_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), folder_errors("results", tmp_path):
        raise BrokenPipeError
    said = pytest.raises(InputError, match=r"can be read \(No such process\)")
    with said, folder_errors("results", tmp_path, "read"):
        raise OSError(errno.ESRCH, "No such process")


# The store

RUN = TrainConfig(
    task=TaskConfig(episode_length=6), agent=AgentConfig(hidden_size=3), num_episodes=4, log_every=2
)
TWO = shard_of((RUN, replace(RUN, seed=1)))
OTHER = shard_of((replace(RUN, seed=1), RUN))
HISTORY = made_up(2, 2, log_every=2)
SESSIONS = [session(0, 1), session(1, 4)]


def put(store: Store, shard: Shard = TWO, seed: int = 0) -> History:
    """Stores a history made up; returns it."""
    history = made_up(len(shard.members), 2, log_every=2, seed=seed)
    store.put(shard, history, SESSIONS)
    return history


def json_path(store: Store, shard: Shard = TWO) -> Path:
    return store.folder / f"{shard.key}.json"


def checkpoint_path(store: Store, shard: Shard = TWO) -> Path:
    return store.folder / f"{shard.key}.unfinished.npz"


def lock_path(store: Store, shard: Shard = TWO) -> Path:
    return store.folder / f"{shard.key}.lock"


def state(episodes: int = 3) -> dict[str, NDArray[np.generic]]:
    trainer = Trainer(TWO.runs)
    trainer.advance(episodes)
    return trainer.state()


def test_what_is_put_is_got_and_the_rest_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "results")
    assert store.get(TWO) is None
    history = train(TWO.runs)
    store.put(TWO, history, SESSIONS)
    got = store.get(TWO)
    assert got is not None
    assert same(got, history)
    assert store.provenance(TWO) == SESSIONS
    assert store.get(OTHER) is None
    assert capsys.readouterr().err == ""
    assert store.names() == {store.path(TWO).name, json_path(store).name}
    assert set(contents(store.folder)) == store.names()


def test_the_names_in_a_store_that_is_not_there_are_none(tmp_path: Path) -> None:
    assert Store(tmp_path / "none").names() == set()


def test_equal_histories_make_equal_files_whatever_their_provenance(tmp_path: Path) -> None:
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    one.put(TWO, HISTORY, SESSIONS)
    other.checkpoint(TWO, state(), SESSIONS[:1])
    other.put(shard_of(TWO.runs), HISTORY, [session(0, 4)])
    assert one.path(TWO).read_bytes() == other.path(TWO).read_bytes()
    assert one.names() == other.names()


def test_a_state_is_kept_until_its_shard_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    assert store.resume(TWO) is None
    trainer = Trainer(TWO.runs)
    for episodes, sessions in ((1, SESSIONS[:1]), (2, SESSIONS)):  # the second replaces the first
        trainer.advance(episodes)
        store.checkpoint(TWO, trainer.state(), sessions)
    assert store.get(TWO) is None  # what is unfinished is not a result
    assert store.resume(OTHER) is None
    kept = store.resume(TWO)
    assert kept is not None
    assert kept.sessions == SESSIONS
    resumed = Trainer(TWO.runs)
    resumed.restore(kept.state)
    assert resumed.episodes_done == 3
    resumed.advance(10)
    assert same(resumed.history(), train(TWO.runs))
    store.put(TWO, resumed.history(), SESSIONS)
    assert store.names() == {store.path(TWO).name, json_path(store).name}
    assert capsys.readouterr().err == ""


# Damage in the store


@dataclass(frozen=True)
class Victim:
    """A file of a store."""

    path: Path
    whole: bytes
    read: Callable[[], object]
    """Reads it; None if it is damaged."""
    capsys: pytest.CaptureFixture[str]

    def assert_refused(self, content: bytes) -> None:
        """Asserts that the file is not read with that content, and is said to be damaged."""
        self.path.write_bytes(content)
        assert self.read() is None
        captured = self.capsys.readouterr()
        assert captured.out == ""
        assert captured.err == f"damaged, to be computed again: {self.path}\n"


@pytest.fixture(params=["history", "provenance", "checkpoint"])
def victim(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Victim:
    store = Store(tmp_path)
    put(store)
    store.checkpoint(TWO, state(), SESSIONS)
    path, read = {
        "history": (store.path(TWO), store.get),
        "provenance": (json_path(store), store.get),
        "checkpoint": (checkpoint_path(store), store.resume),
    }[request.param]
    whole = path.read_bytes()
    assert read(TWO) is not None
    return Victim(path, whole, lambda: read(TWO), capsys)


def test_any_flipped_bit_is_said_and_never_read(victim: Victim) -> None:
    size = 8 * len(victim.whole)
    for bit in [*random.Random(0).sample(range(size), 60), 0, size - 1]:
        victim.assert_refused(flipped(victim.whole, bit))
    victim.path.write_bytes(victim.whole)
    assert victim.read() is not None


def test_any_truncation_is_said_and_never_read(victim: Victim) -> None:
    size = len(victim.whole)
    for length in [*random.Random(1).sample(range(size), 60), 0, 1, size - 2, size - 1]:
        victim.assert_refused(victim.whole[:length])


def test_what_is_something_else_is_said_and_never_read(victim: Victim) -> None:
    for content in (
        b"something else",
        victim.whole * 2,
        victim.whole + b"\0",
        bytes(len(victim.whole)),
        victim.whole[:60] + bytes(20) + victim.whole[80:],
        victim.whole[:-100] + bytes(40) + victim.whole[-60:],
    ):
        victim.assert_refused(content)


def test_a_file_of_another_shard_is_said_and_never_read(victim: Victim) -> None:
    store = Store(victim.path.parent)
    put(store, OTHER)
    store.checkpoint(OTHER, state(), SESSIONS)
    theirs = victim.path.with_name(victim.path.name.replace(TWO.key, OTHER.key))
    victim.assert_refused(theirs.read_bytes())


def test_a_history_without_provenance_does_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    put(store)
    json_path(store).unlink()
    assert store.get(TWO) is None
    assert capsys.readouterr().err == f"damaged, to be computed again: {json_path(store)}\n"
    with pytest.raises(InputError):
        store.provenance(TWO)


def test_provenance_without_a_history_is_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    put(store)
    store.path(TWO).unlink()
    assert store.get(TWO) is None
    assert capsys.readouterr().err == ""


# Crashes

CRASHES = [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
STEPS = [(os, "fsync"), (Path, "chmod"), (Path, "replace"), (Path, "unlink")]


@contextmanager
def crashing(place: object, name: str, at_call: int, error: BaseException) -> Iterator[None]:
    """A function works as it did, but for one call, which raises."""
    works, calls = getattr(place, name), itertools.count(1)

    def crash(*arguments: object, **named: object) -> object:
        if next(calls) == at_call:
            raise error
        return works(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, crash)
        yield


@pytest.mark.parametrize("error", CRASHES, ids=["full disk", "interrupt"])
@pytest.mark.parametrize("at_call", [1, 2])
@pytest.mark.parametrize("step", STEPS, ids=[name for _, name in STEPS])
def test_a_crash_while_a_history_is_stored_leaves_the_checkpoint_or_the_history(
    step: tuple[object, str],
    at_call: int,
    error: BaseException,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = Store(tmp_path)
    put(store, OTHER, seed=5)
    store.checkpoint(TWO, state(), SESSIONS[:1])
    with crashing(*step, at_call, error), suppress(type(error)):
        put(store)
    kept, history, other = store.resume(TWO), store.get(TWO), store.get(OTHER)
    assert capsys.readouterr().err == ""  # nothing is damaged
    assert other is not None
    assert same(other, made_up(2, 2, log_every=2, seed=5))
    if history is None:
        assert kept is not None
        assert kept.sessions == SESSIONS[:1]
        assert kept.state["episodes_done"] == 3
        assert step != (Path, "unlink")
    else:
        assert same(history, HISTORY)
    put(store)  # and once more, with nothing in the way
    assert store.names() == {f"{shard.key}{end}" for shard in (TWO, OTHER) for end in ENDINGS}


ENDINGS = (".npz", ".json")


@pytest.mark.parametrize("error", CRASHES, ids=["full disk", "interrupt"])
@pytest.mark.parametrize(("place", "name"), STEPS[:3], ids=[name for _, name in STEPS[:3]])
def test_a_crash_while_a_state_is_kept_leaves_the_state_before(
    place: object, name: str, error: BaseException, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    store.checkpoint(TWO, state(2), SESSIONS[:1])
    before = contents(tmp_path)
    with crashing(place, name, 1, error), pytest.raises(type(error)):
        store.checkpoint(TWO, state(3), SESSIONS)
    assert contents(tmp_path) == before


def test_a_full_disk_leaves_what_is_stored(tmp_path: Path) -> None:
    # A limit on the size of files stands in for it: both fail in the middle of a write.
    store = Store(tmp_path)
    put(store)
    store.checkpoint(OTHER, state(), SESSIONS)
    before = contents(tmp_path)
    with largest_file(1000):
        for write in (
            lambda: put(store, OTHER),
            lambda: store.checkpoint(OTHER, state(), SESSIONS),
            lambda: put(store),
        ):
            with pytest.raises(OSError, match="File too large"):
                write()
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {json_path(store, OTHER).name}


# Claims


def test_a_claim_excludes_others_until_it_ends(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.claimed(TWO)
    with store.claim(TWO) as claim:
        assert claim is not None
        assert store.claimed(TWO)
        with store.claim(TWO) as second, Store(tmp_path).claim(TWO) as third:
            assert second is None
            assert third is None
        assert store.claimed(TWO)
        assert not store.claimed(OTHER)
        with store.claim(OTHER) as other:
            assert other is not None
    assert not store.claimed(TWO)
    with store.claim(TWO) as again:
        assert again is not None


def test_a_claim_ends_when_what_was_done_under_it_fails(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt), store.claim(TWO):
        raise KeyboardInterrupt
    assert not store.claimed(TWO)


HOLD = """
import sys
from pathlib import Path
from pwm.runs.storage import Store
from tests.runs.test_storage import TWO
with Store(Path(sys.argv[1])).claim(TWO) as claim:
    claim.report(3)
    print("claimed", flush=True)
    sys.stdin.read()
"""


def test_a_claim_of_another_process_ends_when_that_is_killed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.checkpoint(TWO, state(), SESSIONS)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"claimed\n"
            assert store.claimed(TWO)
            with store.claim(TWO) as claim:
                assert claim is None
            assert store.reported(TWO) == 3  # nobody who asked has disturbed it
        finally:
            process.send_signal(signal.SIGKILL)
    assert not store.claimed(TWO)
    with store.claim(TWO) as claim:
        assert claim is not None
    assert store.resume(TWO) is not None


def test_the_lock_goes_when_its_shard_is_stored_and_stays_till_then(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.claim(TWO):
        pass
    assert lock_path(store).exists()
    with store.claim(TWO):
        put(store)
    assert store.names() == {store.path(TWO).name, json_path(store).name}


def test_what_is_reported_can_be_asked_for_and_is_zero_else(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.reported(TWO) == 0
    with store.claim(TWO) as claim:
        assert claim is not None
        assert store.reported(TWO) == 0
        for episodes in (12, 3):
            claim.report(episodes)
            assert store.claimed(TWO)
            assert store.reported(TWO) == episodes
    lock_path(store).write_text("half a num")
    assert store.reported(TWO) == 0


def test_a_claim_drops_what_the_dead_left_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, OTHER)
    store.checkpoint(TWO, state(), SESSIONS)
    before = contents(tmp_path)
    halves = [f".{TWO.key}.npz.abc", f".{TWO.key}.json.x_1", f".{TWO.key}.unfinished.npz.k"]
    for name in (*halves, f".{OTHER.key}.npz.abc", "notes"):
        (tmp_path / name).write_bytes(b"half")
    with store.claim(TWO):
        pass
    left = contents(tmp_path)
    assert left.pop(lock_path(store).name) == b""
    assert left.pop(f".{OTHER.key}.npz.abc") == b"half"
    assert left.pop("notes") == b"half"
    assert left == before


@pytest.mark.parametrize("ending", [".npz", ".json"])
def test_a_claim_drops_a_damaged_history_and_keeps_the_checkpoint(
    ending: str, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    put(store)
    store.checkpoint(TWO, state(), SESSIONS)
    path = tmp_path / (TWO.key + ending)
    path.write_bytes(path.read_bytes()[:-1])
    with store.claim(TWO) as claim:
        assert claim is not None
        assert not store.path(TWO).exists()
        assert store.resume(TWO) is not None


def test_what_is_left_of_stored_shards_is_tidied_and_claims_are_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    third = shard_of([RUN])
    for shard in (TWO, OTHER, third):
        put(store, shard)
    clean, written = store.names(), times(tmp_path)
    store.checkpoint(TWO, state(), SESSIONS)  # as one who died between the history and the end
    lock_path(store, OTHER).touch()
    with store.claim(third):
        store.tidy([TWO, OTHER, third])
        assert store.names() == clean | {lock_path(store, third).name}
    assert times(tmp_path) == written


# Gathering


def test_shards_are_gathered_in_order(tmp_path: Path) -> None:
    store = Store(tmp_path)
    shards = [
        shard_of((replace(RUN, seed=seed), replace(RUN, seed=seed + 1))) for seed in (0, 2, 4)
    ]
    for number, shard in enumerate(shards):
        put(store, shard, seed=number)
    history = store.gather(iter([shards[2], shards[0], shards[1]]))
    for place, number in enumerate((2, 0, 1)):
        part = history.select([2 * place, 2 * place + 1])
        assert same(part, made_up(2, 2, log_every=2, seed=number))


def test_a_missing_or_damaged_shard_is_reported_and_not_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    put(store)
    missing = shard_of([RUN])
    with pytest.raises(InputError) as caught:
        store.gather([TWO, missing])
    assert str(caught.value).startswith(f"--results {tmp_path}: expected ")
    assert "pwm.sweep" in str(caught.value)
    assert f"python -m pwm.store why {missing.key[:8]}" in str(caught.value)
    assert capsys.readouterr().err == ""
    store.path(TWO).write_bytes(b"")
    with pytest.raises(InputError, match=f"why {TWO.key[:8]}"):
        store.gather([TWO])
