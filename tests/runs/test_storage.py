"""The store: files are complete or absent, and damage is found."""

from __future__ import annotations

import errno
import itertools
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pwm.core.agent import AgentConfig
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.io.errors import FileError
from pwm.io.files import write_arrays
from pwm.runs.engines import make_trainer
from pwm.runs.shards import Shard
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig
from pwm.training.history import History
from tests.support.folders import contents, flipped, largest_file
from tests.support.histories import made_up, same, session, shard_of
from tests.support.training import history_of

RUN = TrainConfig(
    task=TaskConfig(episode_length=6), agent=AgentConfig(hidden_size=3), num_episodes=4, log_every=2
)
TWO = shard_of((RUN, replace(RUN, seed=1)))
OTHER = shard_of((replace(RUN, seed=1), RUN))
HISTORY = made_up(2, 2, log_every=2)
SESSIONS = [session(1, 1), session(2, 4)]


def put(store: Store, shard: Shard = TWO, seed: int = 0) -> History:
    """Stores a made-up history, and returns it."""
    history = made_up(len(shard.members), 2, log_every=2, seed=seed)
    store.put(shard, history, SESSIONS)
    return history


def json_path(store: Store, shard: Shard = TWO) -> Path:
    return store.folder / f"{shard.key}.json"


def checkpoint_path(store: Store, shard: Shard = TWO) -> Path:
    return store.folder / f"{shard.key}.unfinished.npz"


def state(episodes: int = 3) -> dict[str, NDArray[np.generic]]:
    trainer = make_trainer(TWO.runs)
    trainer.advance(episodes)
    return trainer.state()


def test_a_stored_history_is_read_back_and_others_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "results")
    assert store.get(TWO) is None
    history = put(store)
    got = store.get(TWO)
    assert got is not None
    assert same(got, history)
    assert store.provenance(TWO.key) == SESSIONS
    assert store.get(OTHER) is None
    assert capsys.readouterr().err == ""
    assert store.names() == {store.path(TWO).name, json_path(store).name}
    assert set(contents(store.folder)) == store.names()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("reward", np.zeros((2, 1), np.float32)),  # a window is missing
        ("reward", np.zeros((1, 2), np.float32)),  # a replica is missing
        ("reward", np.zeros(2, np.float32)),
        ("reward", np.array([["a"] * 2] * 2)),
        ("episode", np.zeros((2, 2), np.int64)),
    ],
)
def test_arrays_of_different_shapes_are_refused_as_a_history(
    name: str, array: NDArray[np.generic], tmp_path: Path
) -> None:
    store = Store(tmp_path)
    put(store)
    path = store.path(TWO)
    with np.load(path) as stored:
        arrays = dict(stored)
    write_arrays(path, arrays | {name: array})
    with pytest.raises(FileError, match=f"^{path}: expected a history has episode"):
        store.read(TWO.key)


def test_a_missing_folder_has_no_files(tmp_path: Path) -> None:
    assert Store(tmp_path / "none").names() == set()


def test_equal_histories_give_equal_files_whatever_their_provenance(tmp_path: Path) -> None:
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    one.put(TWO, HISTORY, SESSIONS)
    other.checkpoint(TWO, state(), SESSIONS[:1])
    other.put(shard_of(TWO.runs), HISTORY, [session(1, 4)])
    assert one.path(TWO).read_bytes() == other.path(TWO).read_bytes()
    assert one.names() == other.names()


def test_a_checkpoint_is_kept_until_its_shard_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    assert store.resume(TWO) is None
    trainer = make_trainer(TWO.runs)
    for episodes, sessions in ((1, SESSIONS[:1]), (2, SESSIONS)):  # the second replaces the first
        trainer.advance(episodes)
        store.checkpoint(TWO, trainer.state(), sessions)
    assert store.get(TWO) is None  # a checkpoint is not a result
    assert store.resume(OTHER) is None
    kept = store.resume(TWO)
    assert kept is not None
    assert kept.sessions == SESSIONS
    resumed = make_trainer(TWO.runs)
    resumed.restore(kept.state)
    assert resumed.episodes_done == 3
    resumed.advance(10)
    assert same(resumed.history(), history_of(TWO.runs))
    store.put(TWO, resumed.history(), SESSIONS)
    assert store.names() == {store.path(TWO).name, json_path(store).name}
    assert capsys.readouterr().err == ""


# Damage in the store


@dataclass(frozen=True)
class Victim:
    """A file of a store, to be damaged."""

    path: Path
    whole: bytes
    read: Callable[[], object]
    """Reads the file; returns None if it is damaged."""
    capsys: pytest.CaptureFixture[str]

    def assert_refused(self, content: bytes) -> None:
        """Asserts that the file, with this content, is reported as damaged and not read."""
        self.path.write_bytes(content)
        self.capsys.readouterr()  # the setup may have compiled the engine, which is announced
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


def test_a_flipped_bit_is_reported(victim: Victim) -> None:
    size = 8 * len(victim.whole)
    for bit in [*random.Random(0).sample(range(size), 60), 0, size - 1]:
        victim.assert_refused(flipped(victim.whole, bit))
    victim.path.write_bytes(victim.whole)
    assert victim.read() is not None


def test_a_truncated_file_is_reported(victim: Victim) -> None:
    size = len(victim.whole)
    for length in [*random.Random(1).sample(range(size), 60), 0, 1, size - 2, size - 1]:
        victim.assert_refused(victim.whole[:length])


def test_other_content_is_reported(victim: Victim) -> None:
    for content in (
        b"something else",
        victim.whole * 2,
        victim.whole + b"\0",
        bytes(len(victim.whole)),
        victim.whole[:60] + bytes(20) + victim.whole[80:],
        victim.whole[:-100] + bytes(40) + victim.whole[-60:],
    ):
        victim.assert_refused(content)


def test_a_file_of_another_shard_is_reported(victim: Victim) -> None:
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
    with pytest.raises(FileError):
        store.provenance(TWO.key)


def test_provenance_without_a_history_is_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    put(store)
    store.path(TWO).unlink()
    assert store.get(TWO) is None
    assert capsys.readouterr().err == ""


# Crashes

CRASHES = [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
STEPS = [(os, "fsync"), (Path, "replace"), (Path, "unlink")]


@contextmanager
def crashing(place: object, name: str, at_call: int, error: BaseException) -> Iterator[None]:
    """Makes one call of the function `name` of `place` raise `error`."""
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
def test_a_crash_while_storing_leaves_the_checkpoint_or_the_history(
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
    put(store)  # again, without a crash
    assert store.names() == {f"{shard.key}{end}" for shard in (TWO, OTHER) for end in ENDINGS}


ENDINGS = (".npz", ".json")


@pytest.mark.parametrize("error", CRASHES, ids=["full disk", "interrupt"])
@pytest.mark.parametrize(("place", "name"), STEPS[:2], ids=[name for _, name in STEPS[:2]])
def test_a_crash_while_saving_a_checkpoint_leaves_the_previous_one(
    place: object, name: str, error: BaseException, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    store.checkpoint(TWO, state(2), SESSIONS[:1])
    before = contents(tmp_path)
    with crashing(place, name, 1, error), pytest.raises(type(error)):
        store.checkpoint(TWO, state(3), SESSIONS)
    assert contents(tmp_path) == before


def test_a_full_disk_leaves_stored_files(tmp_path: Path) -> None:
    # A limit on file sizes stands in for a full disk: both fail in the middle of a write.
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


def test_probes_at_chosen_episodes_are_stored_and_resumed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = replace(RUN, probe_episodes=2, probe_at=(0, 1, 4), optimizer="adam")
    shard = shard_of([replace(run, seed=seed) for seed in (0, 1)])
    trainer, resumed = make_trainer(shard.runs), make_trainer(shard.runs)
    trainer.advance(2)
    store.checkpoint(shard, trainer.state(), SESSIONS[:1])
    checkpoint = store.resume(shard)
    assert checkpoint is not None
    resumed.restore(checkpoint.state)
    resumed.advance(4)
    store.put(shard, resumed.history(), SESSIONS)
    history = store.get(shard)
    assert history is not None
    assert same(history, history_of(shard.runs))
    assert history.probed.tolist() == [0, 1, 4]
    other = history_of([replace(RUN, probe_episodes=2, seed=5)])  # probed at the ends of windows
    assert same(store.gather([shard]), history)
    assert History.joined([history, other]).diagnostics == {}
    assert History.joined([history, history]).select([1, 2]).diagnostics.keys() == {
        *history.diagnostics
    }


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


def test_gathering_refuses_a_missing_or_damaged_shard(
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


def test_a_folder_that_does_not_exist_is_named_without_a_flag(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"^{tmp_path}/none: expected a folder of stored runs$"):
        list(Store(tmp_path / "none").shards())
