"""Kills a sweep at random moments until it is done, and compares it with an undisturbed one.

    python -m tests.tools.kills --kills 25

A worker and the parent are killed in turn (SIGKILL, which cannot be caught). A sweep whose parent
was killed is started again. A stored history must never change. In the end, every history must
equal that of the undisturbed sweep byte for byte; the sessions in each provenance must follow one
another, each from the checkpoint of the previous one; and no other file may be left.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro

from pwm.io.repository import REPOSITORY
from pwm.runs.experiment import Experiment
from pwm.runs.scheduler import processes, run
from pwm.runs.shards import planned
from pwm.runs.storage import Store
from pwm.runs.worker import Sweep, train_shards
from pwm.training.config import TrainConfig
from tests.support.folders import is_history

CHECKPOINT_EVERY = 0.3  # seconds, so that short sweeps have checkpoints
PAUSE = (0.5, 5.0)  # range of the seconds between kills; starting a sweep takes about three


def experiment(num_episodes: int) -> Experiment:
    """An experiment of four shards; each takes about a second at 25,000 episodes."""
    return Experiment(
        name="kills",
        base=TrainConfig(num_episodes=num_episodes),
        axes={"episode_length": (6, 15, 30, 60), "seed": range(4)},
    )


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m tests.tools.kills`."""

    kills: int = 25
    """Number of kills, every other one of a worker."""
    episodes: int = 300_000
    """Episodes of each run."""
    seed: int = 0
    """Seed of the random moments and of the choice of workers."""
    sweep: str = ""
    """Only sweep into this folder (used for the sweep to be killed)."""


@dataclass
class Toll:
    """Numbers of kills that a sweep survived, and of its sessions."""

    parents: int = 0
    """Kills of the parent."""
    workers: int = 0
    """Kills of a worker."""
    sessions: int = 0
    """Number of sessions in which the shards were trained."""


def sweep_into(folder: Path, num_episodes: int) -> None:
    """Sweeps into a folder with two processes."""
    sweep = Sweep(Store(folder), "tests.tools.kills", CHECKPOINT_EVERY)
    run(planned([experiment(num_episodes)]), sweep, lambda tasks: processes(min(2, tasks)))


def train_into(folder: Path, num_episodes: int) -> None:
    """Trains the same shards in this process."""
    folder.mkdir(parents=True, exist_ok=True)
    train_shards(planned([experiment(num_episodes)]), Sweep(Store(folder), "tests.tools.kills"))


def children(pid: int) -> list[int]:
    """Process IDs of the workers that a process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if int(status[1]) == pid and b"spawn_main" in command:
            found.append(int(entry.name))
    return found


def written(folder: Path) -> dict[str, int]:
    """Modification time of each stored history, in nanoseconds, by name."""
    return {
        path.name: path.stat().st_mtime_ns for path in folder.glob("*.npz") if is_history(path.name)
    }


def start(folder: Path, num_episodes: int) -> subprocess.Popen[bytes]:
    """Starts a sweep into a folder, in a new process."""
    command = [sys.executable, "-m", "tests.tools.kills", "--sweep", str(folder)]
    command += ["--episodes", str(num_episodes)]
    return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)


def torture(folder: Path, kills: int, num_episodes: int, seed: int) -> Toll:
    """Kills a worker and the parent of a sweep in turn, `kills` times; then completes the sweep."""
    rng, toll = random.Random(seed), Toll()
    stored: dict[str, int] = {}
    process = start(folder, num_episodes)
    while toll.parents + toll.workers < kills:
        time.sleep(rng.uniform(*PAUSE))
        now = written(folder)
        assert stored.items() <= now.items(), "a stored history was lost, or computed twice"
        stored = now
        status = process.poll()
        if status == 0:
            break  # finished before enough kills
        if status is not None:
            process = start(folder, num_episodes)
        elif toll.workers > toll.parents:
            toll.parents += 1
            process.kill()
            process.wait()
        elif workers := children(process.pid):
            toll.workers += 1
            with suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
    process.wait()
    sweep_into(folder, num_episodes)
    return toll


def check(folder: Path, undisturbed: Path, num_episodes: int) -> int:
    """Compares a sweep with an undisturbed sweep; returns the number of sessions it took.

    Raises:
        AssertionError: a file is missing, differs, or should not exist.
    """
    ours, theirs = Store(folder), Store(undisturbed)
    shards = planned([experiment(num_episodes)])
    sessions_in_all = 0
    for shard in shards:
        assert ours.path(shard).read_bytes() == theirs.path(shard).read_bytes(), shard.key
        sessions = ours.provenance(shard.key)
        ends = [session["last_episode"] for session in sessions]
        assert [session["first_episode"] for session in sessions] == [
            1,
            *(end + 1 for end in ends[:-1]),
        ], sessions
        assert ends[-1] == num_episodes
        sessions_in_all += len(sessions)
    assert ours.names() == {
        f"{shard.key}.{ending}" for shard in shards for ending in ("npz", "json")
    }
    return sessions_in_all


def survive(place: Path, kills: int, num_episodes: int, seed: int) -> Toll:
    """Sweeps without and with kills; raises `AssertionError` unless the results agree."""
    undisturbed, tortured = place / "undisturbed", place / "tortured"
    train_into(undisturbed, num_episodes)
    toll = torture(tortured, kills, num_episodes, seed)
    toll.sessions = check(tortured, undisturbed, num_episodes)
    return toll


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    arguments = tyro.cli(Arguments, args=argv)
    if arguments.sweep:
        sweep_into(Path(arguments.sweep), arguments.episodes)
        return
    with TemporaryDirectory() as place:
        toll = survive(Path(place), arguments.kills, arguments.episodes, arguments.seed)
    if toll.workers + toll.parents == 0:
        sys.exit("error: the sweep was finished before it was killed; try more --episodes")
    print(
        f"Survived {toll.workers} kills of workers and {toll.parents} of the parent; every history "
        f"is bit-identical. The shards were trained in {toll.sessions} sessions, each from the "
        "checkpoint of the previous one."
    )


if __name__ == "__main__":
    main()
