"""Sweeps: every run is trained once, to the same files whichever workers train it."""

from __future__ import annotations

import os
import random
import re
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest

from pwm.core.errors import InputError
from pwm.io.errors import FileError
from pwm.io.repository import REPOSITORY
from pwm.runs import progress as progressing
from pwm.runs import scheduler
from pwm.runs import shards as planning
from pwm.runs.locks import is_locked, lock, report
from pwm.runs.progress import Progress, cost_of
from pwm.runs.scheduler import processes, run, split_into_tasks
from pwm.runs.shards import Shard, plan, planned
from pwm.runs.storage import Store
from pwm.runs.worker import Sweep, train_shards
from tests.support.folders import contents, histories, times
from tests.support.histories import made_up, same, session, shard_of
from tests.support.sweeps import TINY, Pools, Watched, no_pool, threads
from tests.support.training import history_of

SMALL = 2  # replicas per shard, so that the six runs form three shards


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "FEWEST_RUNS", SMALL)
    monkeypatch.setattr(planning, "MOST_RUNS", SMALL)


@pytest.fixture
def shards() -> list[Shard]:
    """The three shards."""
    return list(plan(TINY))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def sweep(store: Store) -> Sweep:
    return Sweep(store, "python -m pwm.sweep tiny")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a sweep with one worker; read-only."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "FEWEST_RUNS", SMALL)
        patch.setattr(planning, "MOST_RUNS", SMALL)
        run(planned([TINY]), sweep(Store(folder)), threads(1))
    return folder


@pytest.fixture
def copied(swept: Path, tmp_path: Path) -> Store:
    """A copy of the same results, for the test to change."""
    return Store(Path(shutil.copytree(swept, tmp_path / "copied")))


def assert_complete(store: Store, swept: Path) -> None:
    """Asserts that a store has one worker's histories, bit for bit, and no leftover files."""
    assert histories(store.folder) == histories(swept)
    assert store.names() == Store(swept).names()


# Sweeps


def test_a_sweep_stores_the_histories_of_training_and_nothing_else(
    swept: Path, shards: list[Shard]
) -> None:
    store = Store(swept)
    assert len(shards) == 3
    assert store.names() == {f"{shard.key}{end}" for shard in shards for end in (".npz", ".json")}
    assert same(store.gather(shards), history_of(TINY.runs()))
    for shard in shards:
        (only,) = store.provenance(shard.key)
        assert only["command"] == "python -m pwm.sweep tiny"


def test_two_processes_give_the_files_of_one_worker(
    swept: Path, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    run(planned([TINY, TINY]), sweep(store), lambda tasks: processes(min(2, tasks)))
    assert_complete(store, swept)
    err = capfd.readouterr().err
    assert "3 shards, 3 to train.\n" in err
    assert "6 of 6 runs" in err


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("max_tasks", [None, 1, 2, 100])
def test_shards_in_any_order_and_any_tasks_give_the_files_of_one_worker(
    max_tasks: int | None, seed: int, swept: Path, store: Store, shards: list[Shard]
) -> None:
    random.Random(seed).shuffle(shards)
    executor = Watched()
    pools = Pools(executor)
    run(shards, sweep(store), pools, max_tasks)
    assert_complete(store, swept)
    assert pools.asked == [min(3, max_tasks or 3)]
    assert len(executor.tasks) == pools.asked[0]
    assert sorted(shard.key for task in executor.tasks for shard in task) == sorted(
        shard.key for shard in shards
    )


def test_two_threads_give_the_files_of_one_worker(
    swept: Path, store: Store, shards: list[Shard]
) -> None:
    run(shards, sweep(store), threads(2))
    assert_complete(store, swept)


def test_all_cores_are_used_where_the_system_has_no_affinities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert runpy.run_path(scheduler.__file__)["CORES"] == 7


def test_expensive_shards_come_first_and_are_dealt_out_evenly() -> None:
    each = [shard_of([replace(TINY.base, num_episodes=n)]) for n in (1, 5, 2, 4, 3)]
    tasks = split_into_tasks(each, 2)
    assert [[shard.replica_episodes for shard in task] for task in tasks] == [[5, 3, 1], [4, 2]]


def test_a_second_sweep_trains_nothing_and_starts_nothing(
    copied: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str]
) -> None:
    before = times(copied.folder)
    run(shards, sweep(copied), no_pool)
    assert times(copied.folder) == before
    assert capsys.readouterr().err == "3 shards, 0 to train.\n"


def test_only_missing_or_damaged_shards_are_trained_again(
    swept: Path, copied: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str]
) -> None:
    missing, damaged, kept = (copied.path(shard) for shard in shards)
    before = times(copied.folder)[kept.name]
    missing.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    run(shards, sweep(copied), threads(1))
    assert_complete(copied, swept)
    assert times(copied.folder)[kept.name] == before
    err = capsys.readouterr().err
    assert "3 shards, 2 to train.\n" in err
    assert err.count(f"damaged, to be computed again: {damaged}\n") == 1
    assert err.count("to be computed again") == 1


def test_a_sweep_removes_leftovers_of_killed_processes(
    swept: Path, copied: Store, shards: list[Shard]
) -> None:
    for shard, ending in zip(shards, (".lock", ".unfinished.npz", ".lock"), strict=True):
        (copied.folder / f"{shard.key}{ending}").write_bytes(b"")
    (copied.folder / f".{shards[0].key}.unfinished.npz.abc").write_bytes(b"half")
    run(shards, sweep(copied), no_pool)
    assert_complete(copied, swept)


# Workers that die


def test_a_dead_worker_is_replaced(
    swept: Path, store: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = Watched(trains=1), Watched()
    run(shards, sweep(store), Pools(first, second))
    assert_complete(store, swept)
    assert [len(first.tasks), len(second.tasks)] == [3, 2]
    err = capsys.readouterr().err
    assert err.count("A worker died; its shard continues from the last checkpoint.") == 1


@pytest.mark.parametrize("submits", [0, 1, 2])
def test_a_pool_that_breaks_on_submission_is_replaced(
    submits: int, swept: Path, store: Store, shards: list[Shard]
) -> None:
    first, second = Watched(submits=submits), Watched()
    run(shards, sweep(store), Pools(first, second))
    assert_complete(store, swept)
    assert [len(first.tasks), len(second.tasks)] == [submits, 3 - submits]


@pytest.mark.parametrize("dying", [{"submits": 0}, {"trains": 0}])
def test_a_sweep_gives_up_on_workers_that_always_die(
    dying: dict[str, int], store: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str]
) -> None:
    pools = Pools(Watched(**dying))
    with pytest.raises(BrokenExecutor, match="again and again without progress"):
        run(shards, sweep(store), pools)
    assert pools.asked == [3, 3, 3]
    assert capsys.readouterr().err.count("A worker died") == 2


def test_a_sweep_goes_on_while_dying_workers_make_progress(
    swept: Path, store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "MAX_FAILURES", 1)
    pools = Pools(*(Watched(trains=1) for _ in shards))
    run(shards, sweep(store), pools)
    assert_complete(store, swept)
    assert pools.asked == [3, 2, 1]


class Losing(Watched):
    """Executor that finishes each call at once without running it, as if its results were lost."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        del function, kwargs
        self.tasks.append(list(args[0]))
        future: Future[Any] = Future()
        future.set_result(None)
        return future


def test_a_sweep_gives_up_on_shards_that_are_always_lost(store: Store, shards: list[Shard]) -> None:
    pools = Pools(Losing())
    with pytest.raises(BrokenExecutor, match="lost or damaged again and again without progress"):
        run(shards, sweep(store), pools)
    assert pools.asked == [3, 3, 3]


def test_a_shard_that_cannot_be_read_after_it_was_written_ends_the_sweep(
    store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    # NumPy before 2.2 stores an argument that it does not know as an array.
    save = np.savez_compressed
    monkeypatch.setattr(
        np, "savez_compressed", lambda file, **arrays: save(file, **arrays, unknown=np.zeros(1))
    )
    pools = Pools(Watched())
    with pytest.raises(FileError, match=r"just after it was written \(.*the arrays episode, "):
        run(shards, sweep(store), pools)
    assert pools.asked == [3]


# Several sweeps of one store


def waiting(monkeypatch: pytest.MonkeyPatch, events: Sequence[Callable[[], object]]) -> list[float]:
    """Calls the next event whenever the sweep waits; returns a list of the waits, in seconds."""
    left, waits = list(events), list[float]()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        left.pop(0)()

    monkeypatch.setattr(scheduler, "time", SimpleNamespace(sleep=sleep))
    return waits


def test_another_sweeps_shard_is_awaited_and_taken_over_when_it_dies(
    swept: Path, store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = Pools(Watched(), Watched())
    with ExitStack() as other:
        assert other.enter_context(lock(store, shards[1]))
        waits = waiting(
            monkeypatch, [lambda: report(store, shards[1], 30), lambda: None, other.close]
        )
        run(shards, sweep(store), pools)
    assert waits == [scheduler.WAIT_FOR_OTHERS] * 3
    assert pools.asked == [2, 1]
    assert_complete(store, swept)


def test_another_sweep_without_progress_is_not_awaited_for_ever(
    store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "MAX_WAITS", 3)
    with lock(store, shards[1]) as held:
        assert held
        nothing = lambda: None  # noqa: E731
        waits = waiting(
            monkeypatch, [nothing, nothing, lambda: report(store, shards[1], 30), *[nothing] * 3]
        )
        with pytest.raises(FileError, match=r"\.lock: expected progress by the process"):
            run(shards, sweep(store), Pools(Watched()))
    assert len(waits) == 6


def test_a_shard_that_another_sweep_finishes_is_not_trained_again(
    store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = made_up(2, 3)
    with ExitStack() as other:
        other.enter_context(lock(store, shards[0]))
        put = [session(1, 60)]
        waiting(monkeypatch, [lambda: store.put(shards[0], theirs, put)])
        pools = Pools(Watched())
        run(shards, sweep(store), pools)
    assert pools.asked == [2]
    got = store.get(shards[0])
    assert got is not None
    assert same(got, theirs)
    assert len(contents(store.folder)) == 6


def test_two_sweeps_at_once_share_the_work(
    swept: Path, store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other sweep trains a shard after this one has found it free.
    class Late(Watched):
        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            if not self.tasks:
                train_shards(shards[:1], Sweep(store, "the other"))
            return super().submit(function, *args, **kwargs)

    monkeypatch.setattr(scheduler, "WAIT_FOR_OTHERS", 0.0)
    run(shards, sweep(store), Pools(Late()))
    assert_complete(store, swept)
    commands = [store.provenance(shard.key)[0]["command"] for shard in shards]
    assert commands == ["the other", sweep(store).command, sweep(store).command]


# Ctrl-C


def test_ctrl_c_keeps_stored_shards_and_the_next_sweep_continues(
    swept: Path, store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object) -> NoReturn:
        raise KeyboardInterrupt

    finished = histories(swept)
    with monkeypatch.context() as patch:
        patch.setattr(scheduler, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(shards, sweep(store), lambda _: Watched(trains=1))
    kept = histories(store.folder)
    assert len(kept) == 1
    assert kept.items() <= finished.items()
    run(shards, sweep(store), threads(1))
    assert_complete(store, swept)


ENDLESS = replace(TINY, base=replace(TINY.base, num_episodes=10**8))
SWEEP_ENDLESSLY = (
    # A process started in the background may inherit an ignored SIGINT.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from pwm import sweep; from tests.runs.test_scheduler import ENDLESS;"
    "sweep.chosen = lambda *_: (ENDLESS,);"
    "sweep.main(['--results', 'results', '--workers', '1'])"
)


@pytest.mark.parametrize(
    ("number", "send"),
    [
        (signal.SIGINT, os.killpg),  # as a terminal does: parent and workers
        (signal.SIGTERM, os.kill),
        (signal.SIGTERM, os.killpg),  # as SLURM and systemd do
        (signal.SIGHUP, os.killpg),
    ],
)
def test_a_signal_to_stop_saves_a_checkpoint(
    number: signal.Signals,
    send: Callable[[int, int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP_ENDLESSLY],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        shown = ""
        while not re.search(r" 0 of 6 runs, [1-9][\d,]* replica-episodes/s", shown):
            character = process.stderr.read(1)
            assert character, shown
            shown += character
        send(process.pid, number)
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert "Interrupted. Run the same command again to continue.\n" in rest
    assert "Traceback" not in shown + rest
    monkeypatch.undo()  # that process used the usual shard sizes
    (shard,) = plan(ENDLESS)
    store = Store(tmp_path / "results")
    kept = store.resume(shard)
    assert kept is not None
    assert kept.state["episodes_done"] > 0
    (only,) = kept.sessions
    assert only["last_episode"] == kept.state["episodes_done"]
    assert not is_locked(store, shard)


CLOSING = """
import os, signal, threading, time
from pwm.io.inherited import stop_signals
from pwm.runs.scheduler import processes

if __name__ == "__main__":
    try:
        with stop_signals(interrupt=True), processes(1) as executor:
            executor.submit(time.sleep, 0).result()
            future = executor.submit(time.sleep, 2)
            while not future.running():
                time.sleep(0.01)
            threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()
            raise RuntimeError
    except KeyboardInterrupt as interrupt:
        raise SystemExit(128 + interrupt.args[0])
"""


def test_a_signal_to_stop_while_the_pool_closes_is_not_lost(tmp_path: Path) -> None:
    script = tmp_path / "closing.py"
    script.write_text(CLOSING)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run([sys.executable, script], env=environment, timeout=60, check=False)
    assert ended.returncode == 128 + signal.SIGTERM


# Progress


def test_the_bar_shows_runs_rate_and_time_left(
    store: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str]
) -> None:
    run(shards, sweep(store), threads(1))
    err = capsys.readouterr().err
    last = re.split(r"[\r\n]", err.strip())[-1]
    assert re.fullmatch(
        r"100%\|.*\| 6 of 6 runs, [1-9][\d,]* replica-episodes/s \[00:\d\d, 00:00 left\]", last
    )


@pytest.mark.parametrize("damage", ["history", "provenance", "no provenance"])
def test_the_bar_counts_a_damaged_shard_once_it_is_trained_again(
    damage: str, copied: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied.path(shards[0], ".npz" if damage == "history" else ".json")
    path.write_bytes(b"damaged")
    if damage == "no provenance":
        path.unlink()
    run(shards, sweep(copied), threads(1))
    last = re.split(r"[\r\n]", capsys.readouterr().err.strip())[-1]
    assert re.match(r"100%\|.*\| 2 of 2 runs, ", last)


def test_progress_counts_stored_and_reported_episodes_of_any_process(
    store: Store,
    shards: list[Shard],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    monkeypatch.setattr(progressing, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    damaged, trained, begun = shards
    store.put(damaged, made_up(2, 3), [session(1, 60)])
    store.path(damaged).write_bytes(b"damaged")
    (store.folder / f"{begun.key}.lock").write_text("30\n")  # before the sweep began
    each = cost_of(shards[0])
    with Progress(shards, store) as progress:
        clock[0] += 2
        assert progress.update() == pytest.approx(each / 2, abs=1)
        (store.folder / f"{trained.key}.lock").write_text("45\n")
        assert progress.update() == pytest.approx(each / 2 + each * 45 / 60, abs=2)
        (store.folder / f"{trained.key}.lock").unlink()
        store.put(trained, made_up(2, 3), [session(1, 60)])
        assert progress.update() == pytest.approx(each * 3 / 2, abs=1)
        (store.folder / f"{begun.key}.lock").write_text(
            "10\n"
        )  # resumed from an earlier checkpoint
        assert progress.update() == pytest.approx(each * 7 / 6, abs=1)
        (store.folder / f"{begun.key}.lock").write_text("50\n")
        store.path(damaged).unlink()
        assert progress.update() == pytest.approx(each * 11 / 6, abs=1)
        store.put(damaged, made_up(2, 3), [session(1, 60)])
        clock[0] += 2
    # Two shards of 120 replica-episodes, and the third from 60 to 100, in four seconds.
    assert "| 4 of 6 runs, 70 replica-episodes/s [" in capsys.readouterr().err


def test_numba_is_checked_before_anything_is_written(
    shards: list[Shard], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("numba.config.DISABLE_JIT", 1)
    with pytest.raises(InputError, match="NUMBA_DISABLE_JIT 1: expected 0"):
        run(shards, sweep(store), no_pool)
    assert not store.folder.exists()
