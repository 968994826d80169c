"""A worker trains free shards, resumes from checkpoints, and stops when told to."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from pwm.core.agent import AgentConfig
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.runs import worker
from pwm.runs.locks import is_locked, lock, report, reported
from pwm.runs.shards import Shard
from pwm.runs.storage import Session, Store
from pwm.runs.worker import Sweep, serve, train_shards
from pwm.training.config import TrainConfig
from pwm.training.trainer import Trainer
from tests.support.folders import contents, histories, largest_file, times
from tests.support.histories import made_up, session, shard_of
from tests.support.training import history_of

RUN = TrainConfig(
    task=TaskConfig(episode_length=6),
    agent=AgentConfig(hidden_size=3),
    num_episodes=170,
    log_every=20,
)
SHARD, NEXT = (
    replace(shard_of([replace(RUN, seed=seed) for seed in seeds]), experiment="tiny")
    for seeds in ((0, 1), (2, 3))
)
COMMAND = "python -m pwm.sweep tiny --workers 2"


@pytest.fixture(autouse=True)
def stop(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Event that stops the worker when set; new for each test."""
    event = threading.Event()
    monkeypatch.setattr(worker, "_stop", event)
    return event


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The histories of both shards, each trained without interruption."""
    store = Store(tmp_path_factory.mktemp("at_once"))
    for shard in (SHARD, NEXT):
        store.put(shard, history_of(shard.runs), [session(1, 170)])
    return histories(store.folder)


def watched(monkeypatch: pytest.MonkeyPatch, before: Callable[[Trainer], None]) -> None:
    """Makes trainers advance ten episodes at a time, after a call of `before` each time."""
    advance = Trainer.advance

    def watched_advance(trainer: Trainer, _num_episodes: int) -> None:
        before(trainer)
        advance(trainer, 10)

    monkeypatch.setattr(Trainer, "advance", watched_advance)


def train_until(
    episodes: int, shards: Sequence[Shard], store: Store, stop: threading.Event
) -> None:
    """Trains as a worker that is told to stop after that many episodes."""

    def tell(trainer: Trainer) -> None:
        if trainer.episodes_done >= episodes - 10:
            stop.set()

    with pytest.MonkeyPatch.context() as patch:
        watched(patch, tell)
        if episodes == 0:
            stop.set()
        train_shards(shards, sweep(store))
    stop.clear()


def sweep(store: Store, checkpoint_every: float = 1e9) -> Sweep:
    return Sweep(store, COMMAND, checkpoint_every)


def spans(sessions: Sequence[Session]) -> list[tuple[object, object]]:
    return [(item["first_episode"], item["last_episode"]) for item in sessions]


def number(item: Session, name: str) -> float:
    value = item[name]
    assert isinstance(value, float)
    return value


def checkpoint(store: Store, shard: Shard = SHARD) -> Path:
    return store.folder / f"{shard.key}.unfinished.npz"


def test_shards_are_trained_and_stored_with_their_provenance(
    store: Store, at_once: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    train_shards([SHARD, NEXT], sweep(store))
    assert histories(store.folder) == at_once
    assert len(contents(store.folder)) == 4  # nothing else is left
    for shard in (SHARD, NEXT):
        (only,) = store.provenance(shard.key)
        assert spans([only]) == [(1, 170)]
        assert only["command"] == COMMAND
        assert only["experiment"] == "tiny"
        assert {"commit", "clean", "versions", "cpu", "instruction_set", "threads"} <= only.keys()
        assert 0 < number(only, "training_seconds") <= number(only, "wall_seconds") + 0.06
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("episodes", [0, 10, 130])
def test_a_stopped_worker_resumes_where_it_was(
    episodes: int, store: Store, at_once: dict[str, bytes], stop: threading.Event
) -> None:
    train_until(episodes, [SHARD, NEXT], store, stop)
    kept = store.resume(SHARD)
    assert kept is not None
    assert kept.state["episodes_done"] == episodes
    assert spans(kept.sessions) == [(1, episodes)]
    assert not is_locked(store, SHARD)
    assert store.names() == {
        checkpoint(store).name,
        f"{SHARD.key}.lock",
    }  # the next shard has not started
    train_shards([SHARD, NEXT], sweep(store))
    assert histories(store.folder) == at_once
    assert spans(store.provenance(SHARD.key)) == [(1, episodes), (episodes + 1, 170)]
    assert spans(store.provenance(NEXT.key)) == [(1, 170)]
    assert len(contents(store.folder)) == 4


def test_a_worker_can_be_stopped_again_and_again(
    store: Store, at_once: dict[str, bytes], stop: threading.Event
) -> None:
    ends = [30, 90, 100]
    for end in ends:
        train_until(end, [SHARD], store, stop)
    train_shards([SHARD, NEXT], sweep(store))
    assert histories(store.folder) == at_once
    assert spans(store.provenance(SHARD.key)) == [(1, 30), (31, 90), (91, 100), (101, 170)]


class Killed(BaseException):
    """Stands in for SIGKILL."""


def kill_at(episodes: int, store: Store, checkpoint_every: float) -> None:
    """Trains as a worker that is killed after that many episodes."""

    def kill(trainer: Trainer) -> None:
        if trainer.episodes_done >= episodes:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        watched(patch, kill)
        with pytest.raises(Killed):
            train_shards([SHARD, NEXT], sweep(store, checkpoint_every))


def test_a_killed_worker_resumes_from_its_last_checkpoint(
    store: Store, at_once: dict[str, bytes]
) -> None:
    kill_at(120, store, checkpoint_every=-1.0)
    kept = store.resume(SHARD)
    assert kept is not None
    assert kept.state["episodes_done"] == 120
    kill_at(140, store, checkpoint_every=1e9)  # without another checkpoint
    train_shards([SHARD, NEXT], sweep(store))
    assert spans(store.provenance(SHARD.key)) == [(1, 120), (121, 170)]
    assert histories(store.folder) == at_once


def test_checkpoints_are_as_frequent_as_asked_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    kept: list[tuple[float, int]] = []
    watched(monkeypatch, lambda _: clock.__setitem__(0, clock[0] + 10))
    keep = Store.checkpoint

    def watched_keep(*arguments: Any) -> None:
        kept.append((clock[0], int(arguments[2]["episodes_done"])))
        keep(*arguments)

    monkeypatch.setattr(Store, "checkpoint", watched_keep)
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    train_shards([SHARD], sweep(store, checkpoint_every=25))
    # A chunk takes ten seconds; a checkpoint follows once more than 25 seconds have passed.
    assert kept == [(30, 30), (60, 60), (90, 90), (120, 120), (150, 150)]
    (only,) = store.provenance(SHARD.key)
    assert only["training_seconds"] == 170
    assert only["wall_seconds"] == 170
    assert Sweep(store, COMMAND).checkpoint_every <= 30


def test_progress_is_reported_twice_a_second(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, reports = [0.0], list[tuple[float, int]]()
    advance = Trainer.advance

    def slow(trainer: Trainer, num_episodes: int) -> None:
        left = trainer.num_episodes - trainer.episodes_done
        clock[0] += 0.02 * min(num_episodes, left)  # seconds per episode
        advance(trainer, num_episodes)

    def watched_report(store: Store, shard: Shard, episodes_done: int) -> None:
        reports.append((clock[0], episodes_done))
        report(store, shard, episodes_done)
        assert reported(store, SHARD) == episodes_done

    monkeypatch.setattr(Trainer, "advance", slow)
    monkeypatch.setattr(worker, "report", watched_report)
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    train_shards([SHARD], sweep(store))
    times_of = [seconds for seconds, _ in reports]
    gaps = [later - sooner for sooner, later in itertools.pairwise(times_of)]
    assert max(gaps) <= 0.5 + 1e-9
    assert gaps[-3:-1] == pytest.approx([0.5, 0.5], abs=0.021)  # the last chunk is short
    assert [round(seconds / 0.02) for seconds in times_of] == [done for _, done in reports]


@pytest.mark.parametrize("damage", [b"", b"short"])
def test_a_damaged_checkpoint_is_reported_and_training_starts_over(
    damage: bytes,
    store: Store,
    at_once: dict[str, bytes],
    stop: threading.Event,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_until(50, [SHARD], store, stop)
    path = checkpoint(store)
    path.write_bytes(path.read_bytes()[:-10] if damage else b"")
    train_shards([SHARD, NEXT], sweep(store))
    assert histories(store.folder) == at_once
    assert spans(store.provenance(SHARD.key)) == [(1, 170)]
    assert capsys.readouterr().err == f"damaged, to be computed again: {path}\n"


def test_a_checkpoint_of_another_shard_is_not_resumed(
    store: Store, at_once: dict[str, bytes], stop: threading.Event
) -> None:
    train_until(50, [NEXT], store, stop)
    checkpoint(store, NEXT).rename(checkpoint(store))
    train_shards([SHARD, NEXT], sweep(store))
    assert histories(store.folder) == at_once


@pytest.mark.parametrize("ending", [".npz", ".json"])
def test_a_damaged_history_is_computed_again(
    ending: str, store: Store, at_once: dict[str, bytes]
) -> None:
    train_shards([SHARD, NEXT], sweep(store))
    path = store.folder / (SHARD.key + ending)
    path.write_bytes(b"damaged")
    before = times(store.folder)
    train_shards([SHARD, NEXT], sweep(store))
    assert histories(store.folder) == at_once
    assert store.get(SHARD) is not None
    changed = {name for name, when in times(store.folder).items() if when != before[name]}
    assert changed == {f"{SHARD.key}.npz", f"{SHARD.key}.json"}


def no_trainer(*_arguments: object) -> NoReturn:
    raise AssertionError("a shard is trained")


def test_a_stored_shard_is_not_trained_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(SHARD, made_up(2, 9), [session(1, 170)])
    before = times(store.folder)
    monkeypatch.setattr(worker, "make_trainer", no_trainer)
    train_shards([SHARD], sweep(store))
    assert times(store.folder) == before


def test_a_shard_locked_by_another_process_is_left_to_it(
    store: Store, at_once: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with lock(store, SHARD) as held:
        assert held
        report(store, SHARD, 42)
        train_shards([SHARD, NEXT], sweep(store))
        assert reported(store, SHARD) == 42
        assert list(histories(store.folder)) == [f"{NEXT.key}.npz"]
    train_shards([SHARD, NEXT], sweep(store))
    assert histories(store.folder) == at_once
    monkeypatch.setattr(worker, "make_trainer", no_trainer)
    train_shards([SHARD, NEXT], sweep(store))


def test_a_full_disk_is_bad_input_that_names_the_folder_and_loses_nothing(
    store: Store, at_once: dict[str, bytes], stop: threading.Event
) -> None:
    train_shards([NEXT], sweep(store))
    train_until(50, [SHARD], store, stop)
    before = contents(store.folder)
    message = rf"--results {store.folder}: expected a folder that can be written \(File too large\)"
    with largest_file(1000), pytest.raises(InputError, match=message):
        train_shards([SHARD, NEXT], sweep(store))
    after = contents(store.folder)
    assert {name: after[name] for name in before if not name.endswith(".lock")} == {
        name: content for name, content in before.items() if not name.endswith(".lock")
    }
    train_shards([SHARD, NEXT], sweep(store))
    assert histories(store.folder) == at_once
    assert len(contents(store.folder)) == 4


@pytest.mark.parametrize("function", ["report", "checkpoint", "put", "lock"])
def test_an_operating_system_error_is_bad_input_whatever_is_written(
    function: str, store: Store, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> NoReturn:
        raise OSError(errno.EROFS, "Read-only file system")

    place = worker if function in ("report", "lock") else Store
    monkeypatch.setattr(place, function, fail)
    if function == "checkpoint":
        stop.set()
    with pytest.raises(InputError, match=r"^--results .* \(Read-only file system\)$"):
        train_shards([SHARD], sweep(store))


# The lifeline


def test_a_worker_stops_when_its_lifeline_closes_and_ends_with_its_parent(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    died, ended = threading.Event(), threading.Event()
    parent = SimpleNamespace(join=died.wait)
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: parent)
    monkeypatch.setattr(os, "_exit", lambda status: ended.set() if status == 0 else None)
    lifeline, end = multiprocessing.Pipe(duplex=False)
    serve(lifeline)
    assert not stop.wait(0.05)
    end.close()
    assert stop.wait(10)
    with worker._busy:  # a shard is being trained
        died.set()
        assert not ended.wait(0.05)
    assert ended.wait(10)


def test_memory_that_runs_out_is_blamed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(_trainer: Trainer) -> None:
        raise MemoryError

    watched(monkeypatch, exhausted)
    with pytest.raises(InputError, match=r"^MEMORY exhausted: expected a smaller hidden size"):
        train_shards([SHARD], Sweep(store, COMMAND))
