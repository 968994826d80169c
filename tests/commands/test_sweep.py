"""`python -m pwm.sweep`: experiments and grids of one's own, parts, dry runs, bad input."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pwm import store as store_module
from pwm import sweep
from pwm.experiments import EXPERIMENTS
from pwm.io.repository import REPOSITORY
from pwm.runs import shards as planning
from pwm.runs.scheduler import Pool, run
from pwm.runs.shards import Shard, plan, planned
from pwm.runs.storage import Store
from pwm.runs.worker import Sweep
from tests.support.folders import contents, histories, largest_file, times
from tests.support.refusals import assert_refused
from tests.support.sweeps import TINY, Pools, Watched, no_pool, threads

Sweeping = Callable[[Pool], None]


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divides the six runs of the tiny experiment into three shards."""
    monkeypatch.setattr(planning, "FEWEST_RUNS", 2)
    monkeypatch.setattr(planning, "MOST_RUNS", 2)


@pytest.fixture
def shards(small_shards: None) -> list[Shard]:  # noqa: ARG001
    return list(plan(TINY))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def sweeping(small_shards: None, monkeypatch: pytest.MonkeyPatch) -> Sweeping:  # noqa: ARG001
    """Makes the tiny experiment the only one; returns a function that sets the pool to train it."""
    monkeypatch.setattr(sweep, "EXPERIMENTS", {"tiny": TINY})
    return lambda pool: monkeypatch.setattr(sweep, "processes", pool)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The arguments that the command passes to the scheduler; nothing is trained."""
    arguments: list[Any] = []
    monkeypatch.setattr(sweep, "run", lambda *asked: arguments.extend(asked))
    return arguments


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny experiment's results, which tests must not change."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "FEWEST_RUNS", 2)
        patch.setattr(planning, "MOST_RUNS", 2)
        run(planned([TINY]), Sweep(Store(folder), "test"), threads(1))
    return folder


@pytest.fixture
def copied(swept: Path, tmp_path: Path) -> Store:
    """A copy of these results, which the test may change."""
    return Store(Path(shutil.copytree(swept, tmp_path / "copied")))


# Training


def test_without_a_name_every_experiment_is_swept(asked: list[Any]) -> None:
    sweep.main([])
    assert asked[0] == planned(EXPERIMENTS.values())
    assert asked[1].store == Store(Path("results").resolve())


def test_names_size_and_engine_choose_the_runs(asked: list[Any], tmp_path: Path) -> None:
    flags = ["pwm0", "eplen15", "--size", "smoke", "--engine", "torch", "--results", str(tmp_path)]
    sweep.main(flags)
    shards, job, _, max_tasks = asked
    smoke = planned(EXPERIMENTS[name].sized("smoke") for name in ("pwm0", "eplen15"))
    assert [shard.runs for shard in shards] == [shard.runs for shard in smoke]
    assert {shard.engine for shard in shards} == {"torch"}
    assert job.store == Store(tmp_path)
    assert job.checkpoint_every <= 30
    assert max_tasks is None


def test_the_command_uses_as_many_processes_as_asked_for(
    swept: Path, store: Store, sweeping: Sweeping
) -> None:
    pools = Pools(Watched())
    sweeping(pools)
    sweep.main(["--results", str(store.folder), "--workers", "2"])
    assert histories(store.folder) == histories(swept)
    store.path(planned([TINY])[0]).unlink()
    sweep.main(["--results", str(store.folder), "--workers", "2"])
    assert histories(store.folder) == histories(swept)
    assert pools.asked == [2, 1]  # no more than there are shards


def test_an_interrupted_command_says_how_to_continue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "run", interrupted)
    with pytest.raises(SystemExit) as stop:
        sweep.main(["pwm0", "--results", str(tmp_path)])
    assert stop.value.code == 130
    assert capsys.readouterr().err == "Interrupted. Run the same command again to continue.\n"


def test_a_signal_that_is_ignored_as_under_nohup_does_not_stop_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def signalled(*_arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(sweep, "run", signalled)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    of_term = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as stop:
            sweep.main(["pwm0", "--results", str(tmp_path)])
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGTERM) == of_term
    assert stop.value.code == 143
    assert capsys.readouterr().err == "Interrupted. Run the same command again to continue.\n"


HOSTILE = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONPATH": "/nowhere",
    "LC_ALL": "tr_TR.ISO8859-9",
    "PYTHONIOENCODING": "ascii",
    "TZ": "Asia/Kathmandu",
    "PYTHONWARNINGS": "error",
    "COLUMNS": "7",
    "NO_COLOR": "1",
    "OMP_NUM_THREADS": "3",
}
# Two commands in one process, as importing takes longer than running them.
SWEEP_AND_LIST = """
import sys
from pwm.store import main as store
from pwm.sweep import main as sweep

grid, results = sys.argv[1:]
sweep(["--grid", grid, "--results", results])
store(["ls", "--results", results])
"""


def test_no_environment_stops_a_sweep_or_changes_a_byte(tmp_path: Path) -> None:
    calm, hostile, mine = tmp_path / "calm", tmp_path / "höstile", tmp_path / "mine.py"
    mine.write_text("from tests.support.sweeps import TINY\n")
    run(planned([TINY]), Sweep(Store(calm), "test"), threads(1))
    done = subprocess.run(
        [sys.executable, "-c", SWEEP_AND_LIST, str(mine), str(hostile)],
        cwd=REPOSITORY, env=os.environ | HOSTILE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert " stored " in done.stdout
    assert histories(hostile) == histories(calm)


def test_giving_up_on_dying_workers_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sweeping: Sweeping
) -> None:
    sweeping(Pools(Watched(trains=0)))
    with pytest.raises(SystemExit) as stop:
        sweep.main(["--results", str(tmp_path)])
    assert stop.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "error: workers die again and again without progress"


# Parts


def test_parts_in_separate_commands_give_the_files_of_one(
    swept: Path, store: Store, capsys: pytest.CaptureFixture[str], sweeping: Sweeping
) -> None:
    sweeping(threads(1))
    for part in ("2/3", "1/3", "3/3"):
        sweep.main(["--results", str(store.folder), "--shard", part])
        assert "1 shard, 1 to train.\n" in capsys.readouterr().err
    assert histories(store.folder) == histories(swept)
    sweeping(no_pool)
    sweep.main(["--results", str(store.folder)])


def part_of_all(text: str) -> list[Shard]:
    return sweep.Arguments(shard=text).part(planned(EXPERIMENTS.values()))


def test_parts_may_be_counted_from_0() -> None:
    assert part_of_all("0/3") == part_of_all("3/3")
    assert [*part_of_all("0/2"), *part_of_all("1/2")] == [*part_of_all("2/2"), *part_of_all("1/2")]


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_parts_have_every_shard_once_and_are_equally_large(count: int) -> None:
    every = planned(EXPERIMENTS.values())
    parts = [sweep.Arguments(shard=f"{i + 1}/{count}").part(every) for i in range(count)]
    keys = [shard.key for part in parts for shard in part]
    assert sorted(keys) == sorted(shard.key for shard in every)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


# Dry runs


def test_a_dry_run_sums_up_by_experiment_and_writes_nothing(
    copied: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str], sweeping: Sweeping
) -> None:
    sweeping(no_pool)
    copied.path(shards[1]).unlink()
    before = times(copied.folder)
    flags = ["--results", str(copied.folder), "--workers", "2", "--dry-run"]
    sweep.main(flags)
    assert times(copied.folder) == before
    out, err = capsys.readouterr()
    assert err == ""
    header, line, total = out.splitlines()
    assert header.split() == ["experiment", "shards", "runs", "to", "train", "minutes", "MB"]
    assert line.split() == ["tiny", "3", "6", "1", "0.0", "0.0"]
    assert total.startswith("3 shards, 6 runs; 1 shard to train: about 0:00:00 on 2 cores, ")
    sweep.main([*flags, "--shard", "1/3"])
    _, line, total = capsys.readouterr().out.splitlines()
    assert line.split()[:4] == ["tiny", "1", "2", "0"]
    assert total.startswith("1 shard, 2 runs; 0 shards to train: ")


def test_keys_are_printed_on_request(
    copied: Store, shards: list[Shard], capsys: pytest.CaptureFixture[str], sweeping: Sweeping
) -> None:
    sweeping(no_pool)
    copied.path(shards[1]).unlink()
    flags = ["--results", str(copied.folder), "--dry-run", "--keys"]
    sweep.main(flags)
    lines = capsys.readouterr().out.splitlines()[:3]
    assert [line.split()[0] for line in lines] == [shard.key for shard in shards]
    assert [line.split("MB")[1].strip() for line in lines] == ["stored", "to train", "stored"]
    assert all(line.split()[1:3] == ["2", "runs"] for line in lines)
    sweep.main([*flags, "--shard", "2/3"])
    assert capsys.readouterr().out.splitlines()[0] == lines[1]


def test_a_dry_run_estimates_time_and_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "none"
    names = ["eplen60", "variants", "lost"]  # the last two share shards
    sweep.main([*names, "--results", str(folder), "--workers", "4", "--dry-run"])
    assert not folder.exists()
    _, *lines, total = capsys.readouterr().out.splitlines()
    for name, line in zip(names, lines, strict=True):
        experiment = EXPERIMENTS[name]
        own = list(plan(experiment))
        minutes = sum(shard.seconds for shard in own) / 240
        megabytes = sum(shard.bytes for shard in own) / 1e6
        assert line.split() == [
            *(name, str(len(own)), str(experiment.num_runs), str(len(own))),
            *(f"{minutes:.1f}", f"{megabytes:.1f}"),
        ]
    every = planned(EXPERIMENTS[name] for name in names)
    assert len(every) < sum(int(line.split()[1]) for line in lines)
    seconds = round(sum(shard.seconds for shard in every) / 4)
    megabytes = sum(shard.bytes for shard in every) / 1e6
    runs = sum(len(shard.members) for shard in every)
    assert total == (
        f"{len(every)} shards, {runs} runs; {len(every)} shards to train: about "
        f"{timedelta(seconds=seconds)} on 4 cores, {megabytes:.1f} MB."
    )


def test_a_dry_run_counts_on_the_jobs_of_a_cluster(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["eplen60", "--dry-run", "--results", str(store.folder), "--executor", "slurm"]
    for workers, cores in (([], 256), (["--workers", "1"], 1)):
        sweep.main([*flags, *workers])
        seconds = round(sum(shard.seconds for shard in plan(EXPERIMENTS["eplen60"])) / cores)
        said = f"about {timedelta(seconds=seconds)} on {cores} core{'s' * (cores > 1)}, "
        assert said in capsys.readouterr().out


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    flags = f"--dry-run --keys --results {tmp_path / 'none'}"
    command = f"{sys.executable} -m pwm.sweep {flags} | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_help_lists_the_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        sweep.main(["--help"])
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    for experiment in EXPERIMENTS.values():
        assert [line.split() for line in lines].count(
            [experiment.name, *experiment.about.split()]
        ) == 1
        assert experiment.about
    assert "(default: )" not in "\n".join(lines)


# Grids of one's own

MINE = """
from pwm.core.agent import AgentConfig
from pwm.training.config import TrainConfig
from pwm.core.task import TaskConfig
from pwm.runs.experiment import Experiment

base = TrainConfig(
    task=TaskConfig(episode_length=6), agent=AgentConfig(hidden_size=3),
    num_episodes=60, log_every=20,
)
eplen15 = Experiment(name="eplen15", base=base, axes={"baseline": ["detached"], "seed": range(4)})
other = Experiment(name="other", base=base, axes={"episode_length": (6, 9), "seed": range(2)})
"""


@pytest.fixture
def mine(small_shards: None, tmp_path: Path) -> Path:  # noqa: ARG001
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def test_a_grid_of_ones_own_is_swept_into_the_same_store_and_named_by_ls(
    mine: Path, store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "processes", threads(1))
    flags = ["--grid", str(mine), "--results", str(store.folder)]
    sweep.main(["other", *flags])
    assert "2 shards, 2 to train." in capsys.readouterr().err
    sweep.main(flags)
    assert "4 shards, 2 to train." in capsys.readouterr().err
    monkeypatch.setattr(sweep, "processes", no_pool)
    sweep.main(flags)
    assert "4 shards, 0 to train." in capsys.readouterr().err
    store_module.main(["ls", "--results", str(store.folder)])
    named = [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert sorted(named) == ["eplen15, 2 runs"] * 2 + ["other, 2 runs"] * 2
    sweep.main([*flags, "--dry-run"])
    _, *lines, _ = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["eplen15", "2", "4", "0"],
        ["other", "2", "4", "0"],
    ]


def test_workers_of_a_grid_of_ones_own_are_processes_and_need_no_reader(
    mine: Path, store: Store
) -> None:
    # They cannot import the grid's file.
    command = f"{sys.executable} -m pwm.sweep --grid {mine} --workers 1 --results {store.folder}"
    script = f"{command} 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    named = [
        session["experiment"]
        for key in store.all_keys()
        for session in json.loads((store.folder / f"{key}.json").read_text())["sessions"]
    ]
    assert sorted(named) == ["eplen15", "other", "other"]


def test_the_engine_of_an_experiment_holds_unless_another_is_asked_for(
    tmp_path: Path, asked: list[Any]
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE.replace('name="other"', 'name="other", engine="torch"'))
    for flags, engines in (([], {"fused", "torch"}), (["--engine", "fused"], {"fused"})):
        asked.clear()
        sweep.main(["--grid", str(path), *flags])
        assert {shard.engine for shard in asked[0]} == engines


def test_a_name_that_the_grid_lacks_is_one_line(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mentioned = "error: EXPERIMENT pwm0: expected some of eplen15, other\n"
    assert_refused(sweep.main, ["pwm0", "--grid", str(mine)], capsys, mentioned)


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_a_grid_that_is_missing_is_one_line(
    dry_run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.py"
    mentioned = f"error: --grid {path}: expected a Python file that defines experiments\n"
    assert_refused(sweep.main, ["--grid", str(path), *dry_run], capsys, mentioned)


# Bad input


@pytest.mark.parametrize(
    ("flags", "mentioned"),
    [
        ("nonsense", ["EXPERIMENT nonsense: expected some of eplen60"]),
        ("pwm0 nonsense", ["EXPERIMENT nonsense: expected some of eplen60"]),
        ("--size big", ["--size big: expected paper or smoke"]),
        ("--workers two", ["--workers two: expected an integer"]),
        ("--slurm partition=x --dry-run", ["--slurm partition=x: expected --executor slurm"]),
        ("--executor slurm --slurm time=x --dry-run", ["--slurm time=x: expected time in min"]),
        ("--engine slow", ["--engine slow: expected fused or torch\n"]),
        ("--colour red", ["--colour"]),
        ("--results", ["--results"]),
        ("--keys", ["--keys", "--dry-run"]),
    ],
)
def test_bad_flags_are_one_line(
    flags: str, mentioned: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(sweep.main, flags.split(), capsys, *mentioned)


@pytest.mark.parametrize("workers", ["0", "-1", "two", "1.5"])
def test_a_bad_number_of_workers_is_one_line(
    workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--workers", workers, "--results", str(tmp_path / "new")]
    assert_refused(sweep.main, flags, capsys, "--workers", workers)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "part", ["x", "1", "0/0", "3/2", "-1/3", "1/-3", "1/2/3", "1.0/2", " 1/2", "1/0"]
)
@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_a_bad_part_is_one_line(
    part: str,
    dry_run: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    sweeping: Sweeping,
) -> None:
    sweeping(no_pool)
    flags = [f"--shard={part}", "--results", str(tmp_path / "new"), *dry_run]
    mentioned = f"--shard {part}: expected i/n with i from 1 to n, such as 2/3"
    assert_refused(sweep.main, flags, capsys, mentioned)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["/proc/nobody/results", "a file", "a file/below", "a" * 300])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_results_folder_that_cannot_be_written_is_refused_before_training(
    place: str,
    dry_run: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sweeping: Sweeping,
) -> None:
    (tmp_path / "a file").write_bytes(b"a file")
    monkeypatch.chdir(tmp_path)
    sweeping(no_pool)
    flags = ["--results", place, *(["--dry-run"] if dry_run else [])]
    if dry_run and place.startswith("/proc"):  # it does not exist, and need not
        sweep.main(flags)
    else:
        use = "read" if dry_run else "written"
        with pytest.raises(SystemExit) as stop:
            sweep.main(flags)
        captured = capsys.readouterr()
        assert stop.value.code == 2
        assert captured.out == ""
        *first, error = captured.err.splitlines()
        assert first in ([], ["3 shards, 3 to train."])
        message = rf"error: --results (\S*/)?{place}: expected a folder that can be {use} \("
        assert re.match(message, error)
    assert contents(tmp_path) == {"a file": b"a file"}


def test_a_full_disk_is_one_line_and_stored_files_stay_good(
    swept: Path,
    copied: Store,
    shards: list[Shard],
    capsys: pytest.CaptureFixture[str],
    sweeping: Sweeping,
) -> None:
    sweeping(threads(1))
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
    assert histories(copied.folder) == histories(swept)
