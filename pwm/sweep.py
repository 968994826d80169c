"""`python -m pwm.sweep`: trains every run of some experiments, once."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from pwm.cli import INTERRUPTED, errors_in_one_line, fail, parse
from pwm.engines import Engine
from pwm.errors import InputError, require, require_integer
from pwm.executors import processes
from pwm.experiments import chosen
from pwm.files import folder_errors, make_folder
from pwm.grid import Size
from pwm.plan import Shard, planned
from pwm.provenance import typed_command
from pwm.slurm import Cluster, JobError, most_tasks, slurm
from pwm.store import LOCK, Store
from pwm.worker import Job, train_shards

LOOK_EVERY = 0.5  # seconds between two looks at the progress
WAIT_FOR_OTHERS = 5.0  # seconds, where all that is left is being trained by someone else
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
JOBS = 256
DEATHS = 3  # of workers in a row without any progress, before giving up
Pool = Callable[[int], AbstractContextManager[Executor]]
"""Makes an executor for so many tasks."""


def run(shards: Sequence[Shard], job: Job, pool: Pool, most_tasks: int | None = None) -> None:
    """Trains what the store does not hold yet, showing progress.

    What others train at the same time is left to them, and taken over if they die. Workers that
    die are replaced.

    Args:
        shards: what to train.
        job: how, and where histories are kept.
        pool: makes the executor that trains.
        most_tasks: how many tasks the executor takes; each of its tasks is some shards. No limit
            if not given.
    Raises:
        InputError: the store cannot be written.
        BrokenExecutor: workers die again and again without getting anywhere.
        KeyboardInterrupt: what is stored stays, and training stopped at checkpoints.
    """
    missing = _missing(shards, job.store)
    print(f"{len(shards)} shards, {len(missing)} of them to train.", file=sys.stderr)
    if missing:
        make_folder("results", job.store.folder)
        with _Progress(missing, job.store) as progress:
            _train(missing, job, pool, most_tasks, progress)
    job.store.tidy(shards)


def _train(
    missing: list[Shard], job: Job, pool: Pool, most_tasks: int | None, progress: _Progress
) -> None:
    """Trains shards, round after round, until all are stored."""
    deaths = 0
    while missing:
        free = [shard for shard in missing if not job.store.claimed(shard)]
        before, died = progress.look(), False
        if free:
            died = _round(_chunks(free, most_tasks), job, pool, progress)
        else:
            time.sleep(WAIT_FOR_OTHERS)
        deaths = deaths + 1 if died and progress.look() <= before else 0
        if deaths == DEATHS:
            raise BrokenExecutor("workers die without getting anywhere")
        if died:
            tqdm.write("A worker died; its shard goes on from where it was.", sys.stderr)
        missing = _missing(missing, job.store)


def _missing(shards: Sequence[Shard], store: Store) -> list[Shard]:
    return [shard for shard in shards if store.get(shard) is None]


def _chunks(shards: Sequence[Shard], most_tasks: int | None) -> list[list[Shard]]:
    """Shards dealt to so many tasks, the costliest first."""
    ordered = sorted(shards, key=lambda shard: -shard.seconds)
    count = min(len(shards), most_tasks or len(shards))
    return [ordered[first::count] for first in range(count)]


def _round(chunks: Sequence[Sequence[Shard]], job: Job, pool: Pool, progress: _Progress) -> bool:
    """Trains each chunk, or leaves it to others; whether a worker died."""
    died = False
    with pool(len(chunks)) as executor:
        pending: set[Future[None]] = set()
        try:
            pending |= {executor.submit(train_shards, chunk, job) for chunk in chunks}
        except BrokenExecutor:
            return True
        while pending:
            done, pending = wait(pending, LOOK_EVERY)
            progress.look()
            for future in done:
                try:
                    future.result()
                except BrokenExecutor:
                    died = True
    return died


class _Progress:
    """What is done of some shards, by whomever, on a bar with the time left.

    Shards are weighed by what they cost, in milliseconds of one core.
    """

    def __init__(self, shards: Sequence[Shard], store: Store) -> None:
        self._left = list(shards)
        self._store = store
        self._runs = sum(len(shard.members) for shard in shards)
        # what is damaged does not count, until it is gone
        self._damaged = store.names() & {store.path(shard).name for shard in shards}
        self._finished = (0, 0, 0)  # cost, runs and replica-episodes of shards that are done
        self._begun = time.monotonic()
        cost, _, self._episodes_before = self._count()
        self._bar = tqdm(
            total=sum(map(_cost, shards)),
            initial=cost,
            bar_format="{percentage:3.0f}%|{bar}| {desc} [{elapsed}, {remaining} left]",
            smoothing=0.05,
            dynamic_ncols=True,
        )

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        self.look()
        self._bar.close()

    def look(self) -> int:
        """Shows what is done; returns its cost."""
        cost, runs, episodes = self._count()
        rate = (episodes - self._episodes_before) / (time.monotonic() - self._begun)
        said = f"{runs} of {self._runs} runs, {rate:,.0f} replica-episodes/s"
        self._bar.set_description_str(said, refresh=False)
        self._bar.update(cost - self._bar.n)
        return cost

    def _count(self) -> tuple[int, int, int]:
        names, left = self._store.names(), []
        self._damaged &= names
        cost, runs, episodes = self._finished
        for shard in self._left:
            name = self._store.path(shard).name
            if name in names and name not in self._damaged:
                cost += _cost(shard)
                runs += len(shard.members)
                episodes += shard.num_episodes
            else:
                left.append(shard)
        self._left, self._finished = left, (cost, runs, episodes)
        for shard in left:
            if shard.key + LOCK in names:
                part = min(self._store.reported(shard) / shard.setting.num_episodes, 1.0)
                cost += int(part * _cost(shard))
                episodes += int(part * shard.num_episodes)
        return cost, runs, episodes


def _cost(shard: Shard) -> int:
    return round(1000 * shard.seconds) + 1


def describe(shards: Sequence[Shard], store: Store, workers: int) -> None:
    """Prints what there is to train, and about what it takes."""
    names = store.names()
    seconds = size = runs = stored = 0.0
    for shard in shards:
        there = store.path(shard).name in names
        stored += there
        seconds += 0 if there else shard.seconds
        size += 0 if there else shard.bytes
        runs += len(shard.members)
        print(
            f"{shard.key}  {len(shard.members):>4} runs  {shard.seconds:>7.0f} s  "
            f"{shard.bytes / 1e6:>7.2f} MB  {'stored' if there else 'to train'}"
        )
    print(
        f"{len(shards)} shards, {runs:.0f} runs; {len(shards) - stored:.0f} shards to train: about "
        f"{timedelta(seconds=round(seconds / workers))} on {workers} cores, {size / 1e6:.1f} MB."
    )


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.sweep`."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Experiments; all of them if none is named."""
    size: Size = "paper"
    """The published budget, or a tiny one."""
    results: Path = Path("results")
    """Folder that histories are kept in."""
    engine: Engine = "fused"
    """What trains; torch is the slow definition, whose last bits depend on the machine."""
    executor: Literal["process", "slurm"] = "process"
    """Where to train: in processes of this machine, or in jobs of a SLURM cluster."""
    workers: Annotated[
        int | None,
        tyro.conf.arg(help_behavior_hint="(default: as many as cores, or 256 jobs)"),
    ] = None
    """Processes or jobs at a time, each with one thread."""
    slurm: tuple[str, ...] = ()
    """Options of sbatch, as in `--slurm partition=short account=abc time=60` (minutes)."""
    shard: str = "1/1"
    """Part i/n of the shards alone, to share them out by hand; i from 1 to n, or from 0."""
    dry_run: bool = False
    """Print the shards, and about how long they take."""

    def part(self, shards: list[Shard]) -> list[Shard]:
        """The shards that were asked for."""
        parts = re.fullmatch(r"(\d+)/(\d+)", self.shard)
        accepted = "i/n with i from 1 to n, such as 2/3"
        if parts is None or not int(parts[1]) <= int(parts[2]) > 0:
            raise InputError("shard", self.shard, accepted)
        # Those who count from 0 mean 0 to n - 1: part 0 is part n.
        return shards[(int(parts[1]) - 1) % int(parts[2]) :: int(parts[2])]

    def pool(self) -> tuple[Pool, int | None]:
        """What trains, and how many tasks it takes."""
        if self.executor == "process":
            require(not self.slurm, "slurm", " ".join(self.slurm), "--executor slurm with it")
            workers = self.workers or CORES
            return lambda tasks: processes(min(workers, tasks)), None
        options = dict(item.partition("=")[::2] for item in self.slurm)
        complete = all(name and value for name, value in options.items())
        require(complete, "slurm", " ".join(self.slurm), "KEY=VALUE ...")
        cluster = Cluster(self.results.resolve() / "slurm", self.workers or JOBS, options)
        return lambda _: slurm(cluster), most_tasks()


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(
        Arguments,
        "python -m pwm.sweep",
        "Trains every run of some experiments that is not stored yet.",
        argv,
    )
    with errors_in_one_line():
        if arguments.workers is not None:
            require_integer("workers", arguments.workers, 1)
        store = Store(arguments.results.resolve())
        shards = arguments.part(planned(chosen(arguments.names, arguments.size, arguments.engine)))
        if arguments.dry_run:
            with folder_errors("results", arguments.results, "read"):
                describe(shards, store, arguments.workers or CORES)
            return
        pool, most = arguments.pool()
        try:
            with folder_errors("results", arguments.results):
                run(shards, Job(store, typed_command()), pool, most)
        except KeyboardInterrupt:
            print("Interrupted; what is stored stays. Run it again to go on.", file=sys.stderr)
            sys.exit(INTERRUPTED)
        except (BrokenExecutor, JobError) as error:
            fail(str(error))


if __name__ == "__main__":
    main()
