"""Sweeps on a real SLURM cluster, a full disk and a read-only disk.

Run as root: `tests/with_slurm.sh .venv/bin/python -m pytest -m machine`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pwm.io.repository import REPOSITORY
from pwm.runs import slurm
from pwm.runs.experiment import Experiment
from pwm.runs.scheduler import processes, run
from pwm.runs.shards import Shard, planned
from pwm.runs.slurm import max_tasks, slurm_jobs
from pwm.runs.storage import Store
from pwm.runs.worker import Sweep
from pwm.training.config import TrainConfig
from tests.tools.kills import CHECKPOINT_EVERY

pytestmark = pytest.mark.machine
LONG = Experiment(
    name="long",
    about="two shards, the first of which takes seconds",
    base=TrainConfig(num_episodes=400_000),
    axes={"episode_length": (60, 6), "seed": range(4)},
)
NAMES = ("eplen15", "eplen15-edge", "lrate0.001", "lrate0.005", "lrate0.01", "pwm0")


SWEEP = "from pwm.runs import slurm; from pwm.sweep import main; slurm.POLL_EVERY = 0.3; main()"


def sweep(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Runs `pwm.sweep` on the smallest experiments; it polls jobs often."""
    command = [sys.executable, "-c", SWEEP, *NAMES, "--size", "smoke"]
    command += ["--results", str(folder), *flags]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False
    )


def histories(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.npz")}


@pytest.fixture(scope="module")
def by_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the command with one process."""
    folder = tmp_path_factory.mktemp("processes")
    done = sweep(folder, "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert len(histories(folder)) == 6
    return folder


@pytest.fixture(scope="module")
def shards() -> list[Shard]:
    return planned([LONG])


@pytest.fixture(scope="module")
def undisturbed(shards: list[Shard], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(shards, Sweep(Store(folder), "test"), lambda _: processes(2))
    return folder


# SLURM


def queue() -> list[list[str]]:
    """ID and state of every task of every job."""
    asked = ["squeue", "--noheader", "--array", "--format=%i %t"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


def wait_for(condition: object, *, seconds: float = 90) -> None:
    """Waits until a function returns true."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def empty_queue() -> Iterator[None]:
    yield
    subprocess.run(["scancel", "--user=root"], check=True)
    wait_for(lambda: not queue())


def test_slurm_gives_the_bytes_of_one_process_with_fewer_tasks_than_shards(
    by_processes: Path, tmp_path: Path
) -> None:
    assert max_tasks() == 5  # set by with_slurm.sh; there are six shards
    done = sweep(tmp_path, "--executor", "slurm", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert histories(tmp_path) == histories(by_processes)
    assert re.search(r"75 of 75 runs, [1-9][\d,]* replica-episodes/s", done.stderr)
    assert "Traceback" not in done.stderr
    # Jobs that succeeded leave no logs.
    assert {path.suffix for path in (tmp_path / f"slurm-{os.getuid()}").iterdir()} == {".sh"}


@pytest.fixture
def array_of_one() -> Iterator[None]:
    """Limits the cluster to arrays of one task."""
    path = Path(os.environ["SLURM_CONF"])
    before = path.read_text()
    try:
        path.write_text(before.replace("MaxArraySize=5", "MaxArraySize=1"))
        subprocess.run(["scontrol", "reconfigure"], check=True)
        wait_for(lambda: max_tasks() == 1)
        yield
    finally:
        path.write_text(before)
        subprocess.run(["scontrol", "reconfigure"], check=True)
        wait_for(lambda: max_tasks() == 5)


@pytest.mark.usefixtures("array_of_one")
def test_a_cluster_without_arrays_gives_the_same_bytes(by_processes: Path, tmp_path: Path) -> None:
    done = sweep(tmp_path, "--executor", "slurm")
    assert done.returncode == 0, done.stderr
    assert histories(tmp_path) == histories(by_processes)


def test_parts_by_slurm_and_by_processes_give_one_store(by_processes: Path, tmp_path: Path) -> None:
    for part, executor in (("1/3", "slurm"), ("2/3", "process"), ("3/3", "slurm")):
        done = sweep(tmp_path, "--shard", part, "--executor", executor)
        assert done.returncode == 0, done.stderr
        assert "2 shards, 2 to train." in done.stderr
    assert histories(tmp_path) == histories(by_processes)
    assert "0 to train" in sweep(tmp_path, "--executor", "slurm").stderr


SWEEP_LONG = (
    "import sys; from pathlib import Path; from tests.runs import test_machine as t;"
    "t.sweep_by_slurm(Path(sys.argv[1]))"
)


def sweep_by_slurm(folder: Path) -> None:
    """Sweeps `LONG` on the cluster, one job at a time; polls jobs often."""
    slurm.POLL_EVERY = 0.3
    sweep = Sweep(Store(folder), "test", CHECKPOINT_EVERY)
    run(
        planned([LONG]),
        sweep,
        lambda _: slurm_jobs(folder / "slurm", 1, {"time": "5"}),
        max_tasks(),
    )


def start_long(folder: Path) -> subprocess.Popen[str]:
    """Starts `sweep_by_slurm` in a process; returns once a shard has a checkpoint."""
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP_LONG, str(folder)],
        cwd=REPOSITORY, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: list(folder.glob("*.unfinished.npz")))
    return process


def job_processes(folder: Path) -> list[int]:
    """Process IDs of the jobs whose scripts are in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            if b"submitit.core._submit" in command and str(folder).encode() in command:
                found.append(int(entry.name))
    assert found
    return found


def running() -> list[str]:
    """IDs of the running tasks."""
    return [number for number, state in queue() if state == "R"]


def kill(folder: Path) -> None:
    """Kills the processes of the running jobs, as the system does when memory runs out."""
    for pid in job_processes(folder):
        os.kill(pid, signal.SIGKILL)


def cancel(_folder: Path) -> None:
    """Makes SLURM kill all running jobs."""
    subprocess.run(["scancel", "--signal=KILL", "--full", *running()], check=True)


def preempt(number: str) -> None:
    """Preempts a job by submitting one of higher priority."""
    urgent = ["sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=true"]
    subprocess.run(urgent, check=True, stdout=subprocess.DEVNULL)
    wait_for(lambda: [number, "PD"] in queue())


def lose_the_node(number: str) -> None:
    """Takes the node out of the cluster while a job runs on it, then puts it back."""
    node = ["scontrol", "update", "NodeName=ALL"]
    subprocess.run([*node, "State=DOWN", "Reason=test"], check=True)
    wait_for(lambda: [number, "PD"] in queue())

    def is_back() -> bool:
        """Puts the node back, unless the cluster has done so by itself; returns whether it is."""
        # SLURM refuses this until it has handled the job's end, and also if the node is back.
        if subprocess.run([*node, "State=RESUME"], check=False).returncode == 0:
            return True
        asked = ["sinfo", "--noheader", "--format=%T"]
        state = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        return state in ("idle", "mixed", "allocated")

    wait_for(is_back)


@pytest.mark.parametrize("lose", [preempt, lose_the_node])
def test_a_requeued_job_continues_without_the_sweep_noticing(
    lose: Callable[[str], None], undisturbed: Path, shards: list[Shard], tmp_path: Path
) -> None:
    with start_long(tmp_path) as process:
        (number,) = running()
        lose(number)
        # Otherwise, SLURM would wait two minutes.
        subprocess.run(["scontrol", "update", f"JobId={number}", "StartTime=now"], check=True)
        _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert "A worker died" not in said
    assert histories(tmp_path) == histories(undisturbed)
    sessions = [Store(tmp_path).provenance(shard.key) for shard in shards]
    assert sorted(map(len, sessions)) == [1, 2]


@pytest.mark.parametrize("end", [kill, cancel])
def test_a_dead_job_is_sent_again_and_continues(
    end: Callable[[Path], None], undisturbed: Path, shards: list[Shard], tmp_path: Path
) -> None:
    with start_long(tmp_path) as process:
        end(tmp_path)
        _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert "A worker died; its shard continues from the last checkpoint." in said
    assert histories(tmp_path) == histories(undisturbed)
    sessions = [Store(tmp_path).provenance(shard.key) for shard in shards]
    assert sorted(map(len, sessions)) == [1, 2]


def test_jobs_continue_without_the_sweep_and_are_not_sent_twice(
    undisturbed: Path, shards: list[Shard], tmp_path: Path
) -> None:
    with start_long(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert "The jobs continue without this process; scancel " in said
    assert queue()
    sweep_by_slurm(tmp_path)
    assert histories(tmp_path) == histories(undisturbed)
    for shard in shards:
        assert len(Store(tmp_path).provenance(shard.key)) == 1  # by one job, without interruption


def test_a_failed_job_ends_the_sweep_with_one_line(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "64k") as disk:
        done = sweep(disk, "--executor", "slurm")
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert last.startswith("error: ")
        assert "No space left on device" in last
        assert "Traceback" not in done.stderr
    wait_for(lambda: not queue())


def test_a_cluster_that_cannot_save_its_state_is_one_line(tmp_path: Path) -> None:
    config = Path(os.environ["SLURM_CONF"]).read_text()
    (state,) = re.findall(r"^StateSaveLocation=(.*)$", config, re.MULTILINE)
    with mounted(Path(state), "64k") as disk:
        fill(disk)
        line = one_line(sweep(tmp_path, "--executor", "slurm"))
        assert line.startswith("error: sbatch refused the jobs: ")
        assert "I/O error" in line
    assert not queue()


USERS = (1, 65534)  # daemon, nobody
TINY = """
from pwm import AgentConfig, Experiment, TaskConfig, TrainConfig

task, agent = TaskConfig(episode_length=6), AgentConfig(hidden_size=3)
tiny = Experiment(
    name="tiny",
    base=TrainConfig(task=task, agent=agent, num_episodes=20),
    axes={"episode_length": (6, 9), "seed": range(2)},
)
"""


def as_user(user: int) -> list[str]:
    """Command prefix that runs a command as an ordinary user."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


def test_two_users_share_a_store_and_a_cluster() -> None:
    folders = {*Path(sys.executable).resolve().parents, REPOSITORY, *REPOSITORY.parents}
    if not all(folder.stat().st_mode & 0o001 for folder in folders):
        pytest.skip("ordinary users cannot run this interpreter or read this repository")
    with TemporaryDirectory() as place:
        folder, grid = Path(place) / "results", Path(place) / "grid.py"
        grid.write_text(TINY)
        for path, mode in ((folder, 0o777), (folder.parent, 0o755)):
            path.mkdir(exist_ok=True)
            path.chmod(mode)
        # The fused engine would be compiled in each process of a user who cannot cache its code.
        command = [sys.executable, "-c", SWEEP, "--grid", str(grid), "--results", str(folder)]
        command += ["--engine", "torch", "--executor", "slurm"]
        sweeps = [
            subprocess.Popen(
                [*as_user(user), *command], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True
            )
            for user in USERS
        ]
        for process in sweeps:
            _, said = process.communicate(timeout=200)
            assert process.returncode == 0, said
        assert verified(folder) == "2 stored, 0 unfinished, 0 damaged."
        shards = list(Store(folder).shards())
        assert [len(Store(folder).provenance(shard.key)) for shard in shards] == [1, 1]


# Disks


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """Mounts a RAM disk while the block lasts."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """Fills a disk with a file."""
    filling = disk / "filling"
    subprocess.run(["dd", "if=/dev/zero", f"of={filling}"], check=False, capture_output=True)
    return filling


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The only error line of a command that failed."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in re.split(r"[\r\n]+", done.stderr) if line.startswith("error")]
    (line,) = lines
    return line


def verified(folder: Path) -> str:
    command = [sys.executable, "-m", "pwm.store", "verify", "--results", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[-1]


def test_a_full_disk_is_one_line_and_stored_files_stay_good(
    by_processes: Path, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", "1m") as disk:
        for path in sorted(by_processes.iterdir())[:4]:  # two shards, each with its provenance
            (disk / path.name).write_bytes(path.read_bytes())
        before = histories(disk)
        filling = fill(disk)
        assert filling.stat().st_size > 500_000
        assert f"--results {disk}: expected" in one_line(sweep(disk))
        assert histories(disk).items() >= before.items()
        assert verified(disk) == "2 stored, 0 unfinished, 0 damaged."
        filling.unlink()
        assert sweep(disk).returncode == 0
        assert histories(disk) == histories(by_processes)
        assert {path.suffix for path in disk.iterdir()} == {".npz", ".json"}


def test_a_read_only_disk_can_be_read_and_is_one_line_otherwise(
    by_processes: Path, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", "1m") as disk:
        for path in by_processes.iterdir():
            (disk / path.name).write_bytes(path.read_bytes())
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        whole = sweep(disk)
        assert whole.returncode == 0
        assert "6 shards, 0 to train." in whole.stderr
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        next(disk.glob("*.npz")).unlink()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        line = one_line(sweep(disk))
        assert f"--results {disk}: expected a folder that can be written" in line
        assert verified(disk) == "5 stored, 0 unfinished, 1 damaged."  # a history is missing
