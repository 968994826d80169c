"""Kills a sweep at random moments until it is done, and compares it with one left in peace.

    python -m tests.tools.kills --kills 25

The moments are random; it is the turn of a worker and of the parent, one after the other
(SIGKILL, which cannot be caught). A sweep whose parent was killed is started again. What is
stored must stay untouched from then on, and at the end every history must be, byte for byte, the
one of a sweep that nobody killed; every shard's provenance must be of consecutive sessions, each
begun where the one before had last kept its state; and nothing else may be left lying about.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro

from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.task import TaskConfig
from pwm.runs.scheduler import processes
from pwm.runs.experiment import Experiment
from pwm.runs.shards import planned
from pwm.runs.storage import Store
from pwm.runs.worker import Job
from pwm.runs.scheduler import run

ROOT = Path(__file__).resolve().parent.parent
KEEP_EVERY = 0.3  # seconds between checkpoints: a sweep in miniature
CALM = (0.5, 5.0)  # seconds between two kills, from and to; starting up takes about three


def experiment(num_episodes: int) -> Experiment:
    """Four shards, of about a second each at 25,000 episodes."""
    return Experiment(
        name="kills",
        about="a grid to be killed",
        base=TrainConfig(task=TaskConfig(), agent=AgentConfig(), num_episodes=num_episodes),
        axes={
            "task.episode_length": (6, 15, 30, 60),
            "seed": (0, 1, 2, 3),
        },
        notes_seeds=1,
    )


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m tests.tools.kills`."""

    kills: int = 25
    """Kills, every other one of a worker."""
    episodes: int = 300_000
    """Episodes of each run."""
    seed: int = 0
    """Of the moments, and of which worker is killed."""
    sweep: str = ""
    """Only sweep, into that folder (what is started to be killed)."""


@dataclass
class Toll:
    """What was done to a sweep, and what it cost."""

    parents: int = 0
    workers: int = 0
    sessions: int = 0
    """Pieces that the shards were trained in."""


def sweep_into(folder: Path, num_episodes: int) -> None:
    """The sweep itself, by two processes."""
    job = Job(Store(folder), "tests.tools.kills", KEEP_EVERY)
    run(planned([experiment(num_episodes)]), job, lambda tasks: processes(min(2, tasks)))


def children(pid: int) -> list[int]:
    """Processes that train for a process."""
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


def torture(folder: Path, kills: int, num_episodes: int, seed: int) -> Toll:
    """Starts and kills a sweep until it has been killed so often, then lets it end."""
    chance, toll = random.Random(seed), Toll()
    stored: dict[str, int] = {}  # when each history was written
    command = [sys.executable, "-m", "tests.tools.kills", "--sweep", str(folder)]
    command += ["--episodes", str(num_episodes)]
    process: subprocess.Popen[bytes] | None = None
    while toll.parents + toll.workers < kills:
        if process is None or process.poll() is not None:
            if process is not None and process.returncode == 0:
                break  # done before it could be killed so often
            process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(*CALM))
        now = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
        now = {name: when for name, when in now.items() if "." not in name.removesuffix(".npz")}
        assert stored.items() <= now.items(), "a stored history was lost, or computed twice"
        stored = now
        victims = children(process.pid)
        if process.poll() is not None:
            continue
        turn_of_worker = toll.workers <= toll.parents
        if turn_of_worker and not victims:
            continue
        if turn_of_worker:
            victim = chance.choice(victims)
            toll.workers += 1
        else:
            victim = process.pid
            toll.parents += 1
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
        if victim == process.pid:
            process.wait()
    if process is not None:
        process.wait()
    sweep_into(folder, num_episodes)
    return toll


def check(folder: Path, peaceful: Path, num_episodes: int) -> int:
    """Compares a sweep with one that nobody killed; returns the sessions it took.

    Raises:
        AssertionError: something was lost, or differs, or is left lying about.
    """
    ours, theirs = Store(folder), Store(peaceful)
    shards = planned([experiment(num_episodes)])
    sessions_in_all = 0
    for shard in shards:
        assert ours.path(shard).read_bytes() == theirs.path(shard).read_bytes(), shard.key
        sessions = ours.provenance(shard)
        ends = [session["last_episode"] for session in sessions]
        assert [session["first_episode"] for session in sessions] == [0, *ends[:-1]], sessions
        assert ends[-1] == num_episodes
        sessions_in_all += len(sessions)
    expected = itertools.chain.from_iterable((f"{s.key}.npz", f"{s.key}.json") for s in shards)
    assert ours.names() == set(expected)
    return sessions_in_all


def survive(place: Path, kills: int, num_episodes: int, seed: int) -> Toll:
    """The whole trial, in a folder; raises `AssertionError` unless it is survived."""
    peaceful, tortured = place / "peaceful", place / "tortured"
    sweep_into(peaceful, num_episodes)
    toll = torture(tortured, kills, num_episodes, seed)
    toll.sessions = check(tortured, peaceful, num_episodes)
    return toll


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    arguments = tyro.cli(Arguments, args=argv)
    if arguments.sweep:
        sweep_into(Path(arguments.sweep), arguments.episodes)
        return
    with TemporaryDirectory() as place:
        toll = survive(Path(place), arguments.kills, arguments.episodes, arguments.seed)
    print(
        f"Survived {toll.workers} kills of workers and {toll.parents} of the parent; every history "
        f"is bit-identical. The shards were trained in {toll.sessions} sessions, each begun where "
        "the one before had last kept its state."
    )


if __name__ == "__main__":
    main()
