"""Sweeps: every run once, the same files by any number of workers, and no work twice."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pwm.figures
from pwm import sweep
from pwm.agent import AgentConfig
from pwm.experiments import EXPERIMENTS, Experiment, Size
from pwm.store import Shard, Store
from pwm.sweep import SHARD_SIZE, plan
from pwm.task import TaskConfig
from pwm.train import TrainConfig, train
from tests.histories import same

TINY = Experiment(
    name="tiny",
    notes_figure="none",
    base=TrainConfig(TaskConfig(episode_length=6), AgentConfig(3), num_episodes=60, log_every=20),
    critic_weights=(2.0, 3.0),
    notes_seeds=1,
    seeds=3,
)
SMALL_SHARDS = 2  # so that the six runs are three shards


class InThisProcess(ThreadPoolExecutor):
    """Stands in for the pool of processes, which are slow to start."""

    def __init__(self, max_workers: int, *_rest: object) -> None:
        super().__init__(max_workers)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SHARD_SIZE", SMALL_SHARDS)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one worker; not to be changed."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "SHARD_SIZE", SMALL_SHARDS)
        patch.setattr(sweep, "ProcessPoolExecutor", InThisProcess)
        assert sweep.run([TINY], Store(folder), workers=1)
    return folder


@pytest.fixture
def copied(swept: Path, tmp_path: Path) -> Path:
    """The same results in a folder of the test's own."""
    return Path(shutil.copytree(swept, tmp_path / "copied"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


# Plans


@pytest.mark.parametrize("shard_size", [1, 7, SHARD_SIZE, 1000])
@pytest.mark.parametrize("size", ["paper", "smoke"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_plan_has_every_run_once_and_in_order(
    name: str, size: Size, shard_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "SHARD_SIZE", shard_size)
    experiment = EXPERIMENTS[name].sized(size)
    shards = plan(experiment)
    planned = [run for shard in shards for run in shard.runs]
    assert planned == list(experiment.runs())
    assert set(Counter(planned).values()) == {1}
    assert all(0 < len(shard.runs) <= shard_size for shard in shards)
    assert shards == plan(experiment)
    assert len({shard.key for shard in shards}) == len(shards)


def test_a_shard_is_a_population_that_can_be_trained() -> None:
    for experiment in EXPERIMENTS.values():
        for shard in plan(experiment):
            assert len({run.shape for run in shard.runs}) == 1


# Sweeps


def test_a_sweep_stores_what_training_makes_and_nothing_else(swept: Path) -> None:
    store = Store(swept)
    shards = plan(TINY)
    assert len(shards) == 3
    assert {path.name for path in swept.iterdir()} == {store.path(item).name for item in shards}
    assert same(store.gather(shards), train(TINY.runs()))


def test_two_processes_make_the_files_of_one_worker(
    swept: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The experiment is asked for twice and trained once.
    assert sweep.run([TINY, TINY], Store(tmp_path / "two"), workers=2)
    assert contents(tmp_path / "two") == contents(swept)
    err = capfd.readouterr().err
    assert "3 shards, 3 of them to train.\n" in err
    assert "360/360" in err  # replica-episodes, all reported


def test_a_second_sweep_trains_nothing(
    copied: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = times(copied)
    # No process is even started.
    monkeypatch.delattr(sweep, "ProcessPoolExecutor")
    assert sweep.run([TINY], Store(copied), workers=2)
    assert times(copied) == before
    assert capsys.readouterr().err == "3 shards, 0 of them to train.\n"


def test_only_what_is_missing_or_damaged_is_trained_again(
    swept: Path,
    copied: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep, "ProcessPoolExecutor", InThisProcess)
    store = Store(copied)
    missing, damaged, kept = (store.path(shard) for shard in plan(TINY))
    before = times(copied)[kept.name]
    missing.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert sweep.run([TINY], store, workers=1)
    assert contents(copied) == contents(swept)
    assert times(copied)[kept.name] == before
    err = capfd.readouterr().err
    assert "3 shards, 2 of them to train.\n" in err
    assert f"damaged, to be computed again: {damaged}\n" in err


def test_ctrl_c_keeps_what_is_done_and_the_rest_goes_on_from_there(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(futures: Iterable[Future[None]]) -> Iterator[Future[None]]:
        yield next(as_completed(futures))
        raise KeyboardInterrupt

    store, finished = Store(tmp_path / "results"), contents(swept)
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "ProcessPoolExecutor", InThisProcess)
        patch.setattr(sweep, "as_completed", interrupted)
        assert not sweep.run([TINY], store, workers=1)
    kept = contents(store.folder)
    assert kept.keys() & finished.keys()
    assert all(kept[name] == finished[name] for name in kept.keys() & finished.keys())
    for shard in plan(TINY):
        if store.get(shard) is None:
            train_here(shard, store)
    assert contents(store.folder) == finished


ENDLESS = replace(TINY, base=replace(TINY.base, num_episodes=10**8))
SWEEP_ENDLESSLY = (
    # A job that runs in the background inherits that it ignores Ctrl-C.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from pwm import sweep; from tests.test_sweep import ENDLESS;"
    "sweep.chosen = lambda names, size: (ENDLESS,);"
    "sweep.main(['--results', 'results', '--workers', '1'])"
)


def test_ctrl_c_in_a_terminal_keeps_where_training_was(tmp_path: Path) -> None:
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
        while not re.search(r"[1-9]\d*(\.\d+)?k?/600M", shown):
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
    state = Store(tmp_path / "results").resume(Shard(ENDLESS.runs()))
    assert state is not None
    assert state["episodes_done"] > 0


def test_an_interrupted_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def interrupted(experiments: Sequence[Experiment], store: Store, workers: int) -> bool:
        asked.extend([experiments, store, workers])
        return False

    monkeypatch.setattr(sweep, "run", interrupted)
    flags = ["pwm0", "eplen15", "--size", "smoke", "--workers", "3", "--results", str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        sweep.main(flags)
    assert stop.value.code == 130
    assert capsys.readouterr().err == (
        "Interrupted; what is stored stays. Run it again to go on.\n"
    )
    smoke = tuple(EXPERIMENTS[name].sized("smoke") for name in ("pwm0", "eplen15"))
    assert asked == [smoke, Store(tmp_path), 3]


def test_without_a_name_every_experiment_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def watched(experiments: Sequence[Experiment], store: Store, _workers: int) -> bool:
        asked.extend([experiments, store])
        return True

    monkeypatch.setattr(sweep, "run", watched)
    sweep.main([])
    assert asked == [tuple(EXPERIMENTS.values()), Store(Path("results"))]


# A worker's part, in this process


class Watched:
    """The queue and the event between a worker and its parent; stops it after some ticks."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.ticks: list[int] = []
        self._stop_after = stop_after

    def is_set(self) -> bool:
        return len(self.ticks) >= self._stop_after

    def put(self, tick: int) -> None:
        self.ticks.append(tick)


def train_here(shard: Shard, store: Store, *, stop_after: int = 10**9) -> list[int]:
    """Trains a shard as a worker does; returns what it reported of its progress."""
    watched: Any = Watched(stop_after)
    sweep._train_shard(shard, store, watched, watched)
    return list(watched.ticks)


LONGER = Shard(tuple(replace(run, num_episodes=170) for run in TINY.runs()[:2]))


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of the longer shard, trained in one go."""
    store = Store(tmp_path_factory.mktemp("at_once"))
    assert train_here(LONGER, store) == [100, 100, 100, 40]
    assert same(store.gather([LONGER]), train(LONGER.runs))
    return store.path(LONGER).read_bytes()


@pytest.mark.parametrize("stop_after", [0, 1, 3])
def test_a_worker_that_is_stopped_goes_on_where_it_was(
    stop_after: int, at_once: bytes, tmp_path: Path
) -> None:
    store = Store(tmp_path / "results")
    assert train_here(LONGER, store, stop_after=stop_after) == [100] * stop_after
    assert store.get(LONGER) is None
    ticks = train_here(LONGER, store)
    # What was done before is reported at once.
    assert ticks[0] == max(100 * stop_after, 100) or stop_after == 0
    assert sum(ticks) == 340
    assert contents(store.folder) == {store.path(LONGER).name: at_once}


def test_a_worker_that_is_killed_goes_on_where_it_last_kept_its_state(
    at_once: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killing(Watched):
        def put(self, tick: int) -> None:
            super().put(tick)
            if len(self.ticks) == 3:
                raise RuntimeError("killed")

    monkeypatch.setattr(sweep, "KEEP_EVERY", -1.0)
    store = Store(tmp_path / "results")
    watched: Any = Killing()
    with pytest.raises(RuntimeError, match="killed"):
        sweep._train_shard(LONGER, store, watched, watched)
    assert train_here(LONGER, store)[0] == 200
    assert contents(store.folder) == {store.path(LONGER).name: at_once}


def test_a_worker_whose_state_is_damaged_begins_anew(
    at_once: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "results")
    train_here(LONGER, store, stop_after=2)
    (file,) = store.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-10])
    assert train_here(LONGER, store) == [100, 100, 100, 40]
    assert contents(store.folder) == {store.path(LONGER).name: at_once}
    assert str(file) in capsys.readouterr().err


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
@pytest.mark.parametrize("main", [sweep.main, pwm.figures.main], ids=["sweep", "figures"])
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


@pytest.mark.parametrize("place", ["/proc/nobody/results", "a file"])
def test_results_that_cannot_be_written_are_refused_before_anything_is_trained(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(_names: tuple[str, ...], _size: Size) -> tuple[Experiment, ...]:
        return (TINY,)

    (tmp_path / "a file").write_bytes(b"a file")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "chosen", chosen)
    assert_refused(sweep.main, ["--results", place], capsys, f"--results {place}")
    assert contents(tmp_path) == {"a file": b"a file"}


def test_figures_of_runs_that_are_not_there_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["pwm0", "--results", str(tmp_path / "none"), "--out", str(tmp_path / "figures")]
    mentioned = f"--results {tmp_path / 'none'}: expected"
    assert_refused(pwm.figures.main, flags, capsys, mentioned, "pwm.sweep")
    assert not any(tmp_path.iterdir())


def assert_refused(
    main: Any, flags: list[str], capsys: pytest.CaptureFixture[str], *mentioned: str
) -> None:
    """Status 2, nothing on standard output, and one line that names what was wrong."""
    with pytest.raises(SystemExit) as stop:
        main(flags)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert "\r" not in captured.err
    for text in mentioned:
        assert text in captured.err
