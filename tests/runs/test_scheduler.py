"""Sweeps: every run once, the same files whoever trains them, and no work twice."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

import pwm.figures.__main__
from pwm import sweep
from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.task import TaskConfig
from pwm.engines import EngineName
from pwm.experiments import EXPERIMENTS
from pwm.runs import shards as planning
from pwm.runs.scheduler import processes
from pwm.runs.experiment import Experiment, Size
from pwm.runs.shards import Shard, plan, planned
from pwm.runs.storage import Store
from pwm.runs.worker import Job, train_shards
from pwm.sweep import Arguments
from pwm.runs.scheduler import Pool, run
from tests.support.folders import contents, histories, largest_file, times
from tests.support.histories import made_up, same, session, shard_of
from tests.support.refusals import assert_refused
from tests.support.training import history_of

TINY = Experiment(
    name="tiny",
    about="a grid of the tests",
    base=TrainConfig(
        task=TaskConfig(episode_length=6),
        agent=AgentConfig(hidden_size=3),
        num_episodes=60,
        log_every=20,
    ),
    axes={"critic_weight": (2.0, 3.0), "seed": (0, 1, 2)},
    notes_seeds=1,
)
SMALL = 2  # so that the six runs are three shards


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SMALLEST", SMALL)
    monkeypatch.setattr(planning, "LARGEST", SMALL)


@pytest.fixture
def shards() -> list[Shard]:
    """The three shards."""
    return list(plan(TINY))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def job(store: Store) -> Job:
    return Job(store, "python -m pwm.sweep tiny")


def threads(workers: int) -> Pool:
    """Stands in for the pool of processes, which are slow to start."""
    return lambda _tasks: ThreadPoolExecutor(workers)


def nothing(_tasks: int) -> NoReturn:
    raise AssertionError("something is to be trained")


class Watched(Executor):
    """Does at once what is submitted, and counts it; may die instead."""

    def __init__(self, *, submits: int = 10**9, trains: int = 10**9) -> None:
        self.tasks: list[list[Shard]] = []
        self._submits = submits
        self._trains = trains

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if len(self.tasks) == self._submits:
            raise BrokenExecutor("died before it began")
        assert function is train_shards
        self.tasks.append(list(args[0]))
        future: Future[Any] = Future()
        if len(self.tasks) > self._trains:
            future.set_exception(BrokenExecutor("died"))
        else:
            future.set_result(function(*args, **kwargs))
        return future


class Pools:
    """Makes one executor after the other, the last one again and again."""

    def __init__(self, *executors: Watched) -> None:
        self.asked: list[int] = []
        self._executors = executors

    def __call__(self, tasks: int) -> Watched:
        self.asked.append(tasks)
        assert len(self.asked) < 20, "the sweep gets nowhere"
        return self._executors[min(len(self.asked), len(self._executors)) - 1]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one worker; not to be changed."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "SMALLEST", SMALL)
        patch.setattr(planning, "LARGEST", SMALL)
        run(planned([TINY]), job(Store(folder)), threads(1))
    return folder


@pytest.fixture
def copied(swept: Path, tmp_path: Path) -> Store:
    """The same results in a folder of the test's own."""
    return Store(Path(shutil.copytree(swept, tmp_path / "copied")))


def assert_complete(store: Store, swept: Path) -> None:
    """The histories of one worker, bit for bit, and nothing else but their provenance."""
    assert histories(store.folder) == histories(swept)
    assert store.names() == Store(swept).names()


# Sweeps


def test_a_sweep_stores_what_training_makes_and_nothing_else(
    swept: Path, shards: list[Shard]
) -> None:
    store = Store(swept)
    assert len(shards) == 3
    assert store.names() == {f"{shard.key}{end}" for shard in shards for end in (".npz", ".json")}
    assert same(store.gather(shards), history_of(TINY.runs()))
    for shard in shards:
        (only,) = store.provenance(shard)
        assert only["command"] == "python -m pwm.sweep tiny"


def test_two_processes_make_the_files_of_one_worker(
    swept: Path, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    run(planned([TINY, TINY]), job(store), lambda tasks: processes(min(2, tasks)))
    assert_complete(store, swept)
    err = capfd.readouterr().err
    assert "3 shards, 3 of them to train.\n" in err
    assert "6 of 6 runs" in err


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("most_tasks", [None, 1, 2, 100])
def test_shards_in_any_order_and_any_chunks_make_the_files_of_one_worker(
    most_tasks: int | None, seed: int, swept: Path, store: Store, shards: list[Shard]
) -> None:
    random.Random(seed).shuffle(shards)
    executor = Watched()
    pools = Pools(executor)
    run(shards, job(store), pools, most_tasks)
    assert_complete(store, swept)
    assert pools.asked == [min(3, most_tasks or 3)]
    assert len(executor.tasks) == pools.asked[0]
    assert sorted(shard.key for task in executor.tasks for shard in task) == sorted(
        shard.key for shard in shards
    )


def test_two_threads_make_the_files_of_one_worker(
    swept: Path, store: Store, shards: list[Shard]
) -> None:
    run(shards, job(store), threads(2))
    assert_complete(store, swept)


def test_what_costs_most_comes_first_and_is_dealt_out_evenly() -> None:
    each = [shard_of([replace(TINY.base, num_episodes=n)]) for n in (1, 5, 2, 4, 3)]
    dealt = sweep._chunks(each, 2)
    assert [[shard.num_episodes for shard in chunk] for chunk in dealt] == [[5, 3, 1], [4, 2]]


def test_a_second_sweep_trains_nothing_and_starts_nothing(
    copied: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str]
) -> None:
    before = times(copied.folder)
    run(shards, job(copied), nothing)
    assert times(copied.folder) == before
    assert capsys.readouterr().err == "3 shards, 0 of them to train.\n"


def test_only_what_is_missing_or_damaged_is_trained_again(
    swept: Path, copied: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str]
) -> None:
    missing, damaged, kept = (copied.path(shard) for shard in shards)
    before = times(copied.folder)[kept.name]
    missing.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    run(shards, job(copied), threads(1))
    assert_complete(copied, swept)
    assert times(copied.folder)[kept.name] == before
    err = capsys.readouterr().err
    assert "3 shards, 2 of them to train.\n" in err
    assert err.count(f"damaged, to be computed again: {damaged}\n") == 1
    assert err.count("damaged") == 1


def test_a_sweep_tidies_what_the_dead_left_beside_stored_shards(
    swept: Path, copied: Store, shards: list[Shard]
) -> None:
    for shard, ending in zip(shards, (".lock", ".unfinished.npz", ".lock"), strict=True):
        (copied.folder / f"{shard.key}{ending}").write_bytes(b"")
    (copied.folder / f".{shards[0].key}.unfinished.npz.abc").write_bytes(b"half")
    run(shards, job(copied), nothing)
    assert_complete(copied, swept)


# Workers that die


def test_a_worker_that_died_is_replaced(
    swept: Path, store: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = Watched(trains=1), Watched()
    run(shards, job(store), Pools(first, second))
    assert_complete(store, swept)
    assert [len(first.tasks), len(second.tasks)] == [3, 2]
    err = capsys.readouterr().err
    assert err.count("A worker died; its shard goes on from where it was.") == 1


@pytest.mark.parametrize("submits", [0, 1, 2])
def test_a_pool_that_breaks_while_it_is_filled_is_replaced(
    submits: int, swept: Path, store: Store, shards: list[Shard]
) -> None:
    first, second = Watched(submits=submits), Watched()
    run(shards, job(store), Pools(first, second))
    assert_complete(store, swept)
    assert [len(first.tasks), len(second.tasks)] == [submits, 3 - submits]


@pytest.mark.parametrize("dying", [{"submits": 0}, {"trains": 0}])
def test_workers_that_always_die_are_given_up(
    dying: dict[str, int], store: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str]
) -> None:
    pools = Pools(Watched(**dying))
    with pytest.raises(BrokenExecutor, match="without getting anywhere"):
        run(shards, job(store), pools)
    assert pools.asked == [3, 3, 3]
    assert capsys.readouterr().err.count("A worker died") == 2


def test_workers_that_die_after_getting_somewhere_are_not_given_up(
    swept: Path, store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "DEATHS", 1)
    pools = Pools(*(Watched(trains=1) for _ in shards))
    run(shards, job(store), pools)
    assert_complete(store, swept)
    assert pools.asked == [3, 2, 1]


def test_giving_up_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeping(monkeypatch, Pools(Watched(trains=0)))
    with pytest.raises(SystemExit) as stop:
        sweep.main(["--results", str(tmp_path)])
    assert stop.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "error: workers die without getting anywhere"


# Others at the same store


def waiting(monkeypatch: pytest.MonkeyPatch, events: Sequence[Callable[[], object]]) -> list[float]:
    """Has something happen whenever the sweep waits for others; returns how long it waited."""
    left, waits = list(events), list[float]()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        left.pop(0)()

    monkeypatch.setattr(sweep, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    return waits


def test_what_another_trains_is_waited_for_and_taken_over_when_it_dies(
    swept: Path, store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = Pools(Watched(), Watched())
    with ExitStack() as other:
        claim = other.enter_context(store.claim(shards[1]))
        assert claim is not None
        waits = waiting(monkeypatch, [lambda: claim.report(30), lambda: None, other.close])
        run(shards, job(store), pools)
    assert waits == [sweep.WAIT_FOR_OTHERS] * 3
    assert pools.asked == [2, 1]
    assert_complete(store, swept)


def test_what_another_finishes_is_not_trained_again(
    store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = made_up(2, 3)
    with ExitStack() as other:
        other.enter_context(store.claim(shards[0]))
        put = [session(0, 60)]
        waiting(monkeypatch, [lambda: store.put(shards[0], theirs, put)])
        pools = Pools(Watched())
        run(shards, job(store), pools)
    assert pools.asked == [2]
    got = store.get(shards[0])
    assert got is not None
    assert same(got, theirs)
    assert len(contents(store.folder)) == 6


def test_two_sweeps_at_once_share_the_work(
    swept: Path, store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other one trains a shard between the look at what is free and the work on it.
    class Late(Watched):
        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            if not self.tasks:
                train_shards(shards[:1], Job(store, "the other"))
            return super().submit(function, *args, **kwargs)

    monkeypatch.setattr(sweep, "WAIT_FOR_OTHERS", 0.0)
    run(shards, job(store), Pools(Late()))
    assert_complete(store, swept)
    commands = [store.provenance(shard)[0]["command"] for shard in shards]
    assert commands == ["the other", job(store).command, job(store).command]


# Ctrl-C


def test_ctrl_c_keeps_what_is_done_and_the_rest_goes_on_from_there(
    swept: Path, store: Store, shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object) -> NoReturn:
        raise KeyboardInterrupt

    finished = histories(swept)
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(shards, job(store), lambda _: Watched(trains=1))
    kept = histories(store.folder)
    assert len(kept) == 1
    assert kept.items() <= finished.items()
    run(shards, job(store), threads(1))
    assert_complete(store, swept)


ENDLESS = replace(TINY, base=replace(TINY.base, num_episodes=10**8))
SWEEP_ENDLESSLY = (
    # A job that runs in the background inherits that it ignores Ctrl-C.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from pwm import sweep; from tests.runs.test_scheduler import ENDLESS;"
    "sweep.chosen = lambda names, size, engine: (ENDLESS,);"
    "sweep.main(['--results', 'results', '--workers', '1'])"
)


def test_ctrl_c_in_a_terminal_keeps_where_training_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(sweep.__file__).resolve().parent.parent
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP_ENDLESSLY],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)},
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
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: parent and workers
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Interrupted; what is stored stays. Run it again to go on.\n" in rest
    assert "Traceback" not in shown + rest
    monkeypatch.undo()  # there, the shards were as large as ever
    (shard,) = plan(ENDLESS)
    store = Store(tmp_path / "results")
    kept = store.resume(shard)
    assert kept is not None
    assert kept.state["episodes_done"] > 0
    (only,) = kept.sessions
    assert only["last_episode"] == kept.state["episodes_done"]
    assert not store.claimed(shard)


def test_an_interrupted_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def interrupted(*arguments: object) -> NoReturn:
        asked.extend(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "run", interrupted)
    flags = ["pwm0", "eplen15", "--size", "smoke", "--workers", "3", "--results", str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        sweep.main(flags)
    assert stop.value.code == 130
    assert capsys.readouterr().err == (
        "Interrupted; what is stored stays. Run it again to go on.\n"
    )
    asked_shards, asked_job, _, most_tasks = asked
    assert asked_shards == planned(EXPERIMENTS[name].sized("smoke") for name in ("pwm0", "eplen15"))
    assert asked_job.store == Store(tmp_path)
    assert asked_job.keep_every <= 30
    assert most_tasks is None


# The command


def sweeping(monkeypatch: pytest.MonkeyPatch, pool: Pool) -> None:
    """Has the command sweep the tiny experiment, in a pool of the test's own."""

    def chosen(_names: tuple[str, ...], _size: Size, _engine: EngineName) -> tuple[Experiment, ...]:
        return (TINY,)

    monkeypatch.setattr(sweep, "chosen", chosen)
    monkeypatch.setattr(sweep, "processes", pool)


def test_without_a_name_every_experiment_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(sweep, "run", lambda *arguments: asked.extend(arguments))
    sweep.main([])
    assert asked[0] == planned(EXPERIMENTS.values())
    assert asked[1].store == Store(Path("results").resolve())


def test_the_command_trains_in_as_many_processes_as_it_is_told(
    swept: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = Pools(Watched())
    sweeping(monkeypatch, pools)
    sweep.main(["--results", str(store.folder), "--workers", "2"])
    assert_complete(store, swept)
    (copy,) = (store.path(shard) for shard in planned([TINY])[:1])
    copy.unlink()
    sweep.main(["--results", str(store.folder), "--workers", "2"])
    assert_complete(store, swept)
    assert pools.asked == [2, 1]  # no more of them than there are shards


def test_parts_in_separate_invocations_make_the_files_of_one(
    swept: Path, store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeping(monkeypatch, threads(1))
    for part in ("2/3", "1/3", "3/3"):
        sweep.main(["--results", str(store.folder), "--shard", part])
        assert "1 shards, 1 of them to train.\n" in capsys.readouterr().err
    assert_complete(store, swept)
    sweeping(monkeypatch, nothing)
    sweep.main(["--results", str(store.folder)])


def test_parts_may_be_counted_from_0() -> None:
    every = planned(EXPERIMENTS.values())

    def part(text: str) -> list[Shard]:
        return sweep.Arguments(shard=text).part(every)

    assert part("0/3") == part("3/3")
    assert [*part("0/2"), *part("1/2")] == [*part("2/2"), *part("1/2")]


def test_a_reader_that_has_had_enough_is_no_error(tmp_path: Path) -> None:
    flags = f"--dry-run --results {tmp_path / 'none'}"
    command = f"{sys.executable} -m pwm.sweep {flags} | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_parts_have_every_shard_once_and_are_as_large_as_each_other(count: int) -> None:
    every = planned(EXPERIMENTS.values())
    parts = [Arguments(shard=f"{place + 1}/{count}").part(every) for place in range(count)]
    assert sorted(shard.key for part in parts for shard in part) == sorted(
        shard.key for shard in every
    )
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_a_dry_run_prints_every_shard_and_writes_nothing(
    copied: Store,
    shards: list[Shard],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweeping(monkeypatch, nothing)
    copied.path(shards[1]).unlink()
    before = times(copied.folder)
    flags = ["--results", str(copied.folder), "--workers", "2", "--dry-run"]
    sweep.main(flags)
    assert times(copied.folder) == before
    out, err = capsys.readouterr()
    assert err == ""
    *lines, total = out.splitlines()
    assert [line.split()[0] for line in lines] == [shard.key for shard in shards]
    assert [line.split("MB")[1].strip() for line in lines] == ["stored", "to train", "stored"]
    assert all(line.split()[1:3] == ["2", "runs"] for line in lines)
    assert total.startswith("3 shards, 6 runs; 1 shards to train: about 0:00:00 on 2 cores, ")
    sweep.main([*flags, "--shard", "2/3"])
    assert capsys.readouterr().out.splitlines()[0] == lines[1]


def test_a_dry_run_estimates_time_and_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "none"
    sweep.main(["eplen60", "--results", str(folder), "--workers", "4", "--dry-run"])
    assert not folder.exists()
    total = capsys.readouterr().out.splitlines()[-1]
    shards = planned([EXPERIMENTS["eplen60"]])
    seconds = sum(shard.seconds for shard in shards) / 4
    megabytes = sum(shard.bytes for shard in shards) / 1e6
    assert total == (
        f"{len(shards)} shards, 384 runs; {len(shards)} shards to train: about "
        f"{timedelta(seconds=round(seconds))} on 4 cores, {megabytes:.1f} MB."
    )


# Progress


def test_the_bar_shows_runs_rate_and_time_left(
    store: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str]
) -> None:
    run(shards, job(store), threads(1))
    err = capsys.readouterr().err
    last = re.split(r"[\r\n]", err.strip())[-1]
    assert re.fullmatch(
        r"100%\|.*\| 6 of 6 runs, [1-9][\d,]* replica-episodes/s \[00:\d\d, 00:00 left\]", last
    )


def test_progress_counts_what_is_stored_and_what_is_reported_by_whomever(
    store: Store,
    shards: list[Shard],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    monkeypatch.setattr(sweep, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    damaged, trained, begun = shards
    store.put(damaged, made_up(2, 3), [session(0, 60)])
    store.path(damaged).write_bytes(b"damaged")
    (store.folder / f"{begun.key}.lock").write_text("30\n")  # before the sweep began
    each = sweep._cost(shards[0])
    with sweep._Progress(shards, store) as progress:
        clock[0] += 2
        assert progress.look() == pytest.approx(each / 2, abs=1)
        (store.folder / f"{trained.key}.lock").write_text("45\n")
        assert progress.look() == pytest.approx(each / 2 + each * 45 / 60, abs=2)
        (store.folder / f"{trained.key}.lock").unlink()
        store.put(trained, made_up(2, 3), [session(0, 60)])
        assert progress.look() == pytest.approx(each * 3 / 2, abs=1)
        (store.folder / f"{begun.key}.lock").write_text("10\n")  # it went on from an earlier state
        assert progress.look() == pytest.approx(each * 7 / 6, abs=1)
        (store.folder / f"{begun.key}.lock").write_text("50\n")
        store.path(damaged).unlink()
        assert progress.look() == pytest.approx(each * 11 / 6, abs=1)
        store.put(damaged, made_up(2, 3), [session(0, 60)])
        clock[0] += 2
    # Two shards of 120 replica-episodes, and the third from 60 to 100, in four seconds.
    assert "| 4 of 6 runs, 70 replica-episodes/s [" in capsys.readouterr().err


# Bad input


@pytest.mark.parametrize(
    ("flags", "mentioned"),
    [
        ("nonsense", ["nonsense", "expected some of eplen60"]),
        ("pwm0 nonsense", ["nonsense", "expected some of eplen60"]),
        ("--size big", ["--size", "big", "paper"]),
        ("--colour red", ["--colour"]),
        ("--results", ["--results"]),
    ],
)
@pytest.mark.parametrize("main", [sweep.main, pwm.figures.__main__.main], ids=["sweep", "figures"])
def test_bad_flags_are_one_line(
    main: Any, flags: str, mentioned: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(main, flags.split(), capsys, *mentioned)


@pytest.mark.parametrize("workers", ["0", "-1", "two", "1.5"])
def test_a_number_of_workers_that_is_none_is_one_line(
    workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--workers", workers, "--results", str(tmp_path / "new")]
    assert_refused(sweep.main, flags, capsys, "--workers", workers)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "part", ["x", "", "1", "0/0", "3/2", "-1/3", "1/-3", "1/2/3", "1.0/2", " 1/2", "1/0"]
)
@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_a_part_that_is_none_is_one_line(
    part: str, dry_run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [f"--shard={part}", "--results", str(tmp_path / "new"), *dry_run]
    mentioned = f"--shard {part}: expected i/n with i from 1 to n, such as 2/3"
    assert_refused(sweep.main, flags, capsys, mentioned)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["/proc/nobody/results", "a file", "a file/below", "a" * 300])
@pytest.mark.parametrize("dry_run", [False, True])
def test_results_that_cannot_be_written_are_refused_before_anything_is_trained(
    place: str,
    dry_run: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "a file").write_bytes(b"a file")
    monkeypatch.chdir(tmp_path)
    sweeping(monkeypatch, nothing)
    flags = ["--results", place, *(["--dry-run"] if dry_run else [])]
    if dry_run and place.startswith("/proc"):  # nothing is there, and nothing need be
        sweep.main(flags)
    else:
        use = "read" if dry_run else "written"
        with pytest.raises(SystemExit) as stop:
            sweep.main(flags)
        captured = capsys.readouterr()
        assert stop.value.code == 2
        assert captured.out == ""
        *first, error = captured.err.splitlines()
        assert first in ([], ["3 shards, 3 of them to train."])
        said = rf"error: --results (\S*/)?{place}: expected a folder that can be {use} \("
        assert re.match(said, error)
    assert contents(tmp_path) == {"a file": b"a file"}


def test_a_full_disk_is_one_line_and_what_is_stored_stays_good(
    swept: Path,
    copied: Store,
    shards: list[Shard],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweeping(monkeypatch, threads(1))
    copied.path(shards[1]).unlink()
    with largest_file(500), pytest.raises(SystemExit) as stop:
        sweep.main(["--results", str(copied.folder)])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert err.count("error") == 1
    assert err.splitlines()[-1] == (
        f"error: --results {copied.folder}: expected a folder that can be written (File too large)"
    )
    kept = histories(copied.folder)
    assert len(kept) == 2
    assert kept.items() <= histories(swept).items()
    sweep.main(["--results", str(copied.folder)])
    assert_complete(copied, swept)


def test_figures_of_runs_that_are_not_there_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["pwm0", "--results", str(tmp_path / "none"), "--out", str(tmp_path / "figures")]
    mentioned = f"--results {tmp_path / 'none'}: expected"
    assert_refused(
        pwm.figures.__main__.main, flags, capsys, mentioned, "pwm.sweep", "pwm.store why "
    )
    assert not any(tmp_path.iterdir())
