"""`python -m pwm.sweep`: trains every run of some experiments, once."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pwm.core.errors import InputError, require, require_integer
from pwm.engines import EngineName
from pwm.experiments import chosen
from pwm.io.cli import INTERRUPTED, errors_in_one_line, fail, parse
from pwm.io.files import folder_errors
from pwm.io.provenance import typed_command
from pwm.runs.experiment import Size
from pwm.runs.scheduler import Pool, processes, run
from pwm.runs.shards import Shard, planned
from pwm.runs.slurm import Cluster, JobError, most_tasks, slurm
from pwm.runs.storage import Store
from pwm.runs.worker import Job

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
JOBS = 256


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
    engine: EngineName = "fused"
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
