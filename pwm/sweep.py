"""`python -m pwm.sweep`: trains every run of some experiments that is not stored yet.

A shard is a group of runs that are trained and stored together (`pwm.runs.shards`).
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence, Set
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pwm.core.errors import require, require_integer
from pwm.experiments import EXPERIMENTS, chosen
from pwm.io.cli import ExperimentNames, OptionalPath, errors_in_one_line, fail, parse
from pwm.io.files import folder_errors
from pwm.io.inherited import counted, note, say, stop_signals
from pwm.io.provenance import typed_command
from pwm.runs.engines import EngineName
from pwm.runs.experiment import Experiment, Size
from pwm.runs.gridfile import experiments_in
from pwm.runs.scheduler import CORES, Pool, processes, run
from pwm.runs.shards import Shard, plan, planned
from pwm.runs.slurm import JobError, max_tasks, require_slurm, slurm_jobs
from pwm.runs.storage import Store
from pwm.runs.worker import Sweep

JOBS = 256  # SLURM jobs at a time by default


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.sweep`."""

    names: ExperimentNames = ()
    """Experiments to train; all if none is named."""
    grid: OptionalPath = None
    """Python file that defines experiments of your own, to train instead of the paper's."""
    size: Size = "paper"
    """Full budget, or a few episodes and seeds to try it out."""
    results: Path = Path("results")
    """Folder of stored runs."""
    engine: Annotated[
        EngineName | None,
        tyro.conf.arg(
            metavar="{fused,torch}",
            help_behavior_hint="(default: the experiment's own; fused in the paper)",
        ),
    ] = None
    """Engine that trains; torch is the slow definition, whose last bits depend on the machine."""
    executor: Literal["process", "slurm"] = "process"
    """Train in processes of this machine or in jobs of a SLURM cluster."""
    workers: Annotated[
        int | None,
        tyro.conf.arg(metavar="INT", help_behavior_hint="(default: one per core, or 256 jobs)"),
    ] = None
    """Processes or jobs at a time, each with one thread."""
    slurm: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE ...", help_behavior_hint="")
    ] = ()
    """Options of sbatch, as in `--slurm partition=short account=abc time=60` (minutes)."""
    shard: str = "1/1"
    """Train only part i of n of the shards, to divide them by hand; i from 1 to n, or from 0."""
    dry_run: bool = False
    """Only print how many runs there are, and about how long they take."""
    keys: bool = False
    """With --dry-run, also print each shard's key."""

    def part(self, shards: list[Shard]) -> list[Shard]:
        """Every n-th shard, starting with the i-th, for `--shard i/n`."""
        typed = re.fullmatch(r"(\d+)/(\d+)", self.shard)
        i, n = (int(typed[1]), int(typed[2])) if typed else (0, 0)  # n = 0 is refused below
        require(n > 0 and i <= n, "shard", self.shard, "i/n with i from 1 to n, such as 2/3")
        return shards[(i - 1) % n :: n]  # for those who count from 0, part 0 is part n

    @property
    def at_a_time(self) -> int:
        """Largest number of processes or jobs that train at the same time."""
        return self.workers or (CORES if self.executor == "process" else JOBS)

    def sbatch_options(self) -> dict[str, str]:
        """Checks `--slurm KEY=VALUE ...`; returns sbatch's options by name, `time` in minutes."""
        typed = " ".join(self.slurm)
        allowed = self.executor == "slurm" or not self.slurm
        require(allowed, "slurm", typed, "--executor slurm with it")
        options = {}
        for item in self.slurm:
            name, _, value = item.partition("=")
            require(bool(name and value), "slurm", typed, "KEY=VALUE ...")
            require(name != "time" or value.isdecimal(), "slurm", item, "time in minutes")
            options[name] = value
        return options

    def pool(self) -> tuple[Pool, int | None]:
        """Returns a function that makes an executor, and the most tasks to give it (None: any)."""
        if self.executor == "process":
            return (lambda tasks: processes(min(self.at_a_time, tasks))), None
        require_slurm()
        folder = self.results.absolute() / f"slurm-{os.getuid()}"  # users may share a store
        options = self.sbatch_options()
        return (lambda _: slurm_jobs(folder, self.at_a_time, options)), max_tasks()


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command: trains what is not stored or, in a dry run, prints what it would train."""
    arguments = parse(Arguments, "python -m pwm.sweep", _description(), argv)
    with errors_in_one_line():
        if arguments.workers is not None:
            require_integer("workers", arguments.workers, 1)
        require(arguments.dry_run or not arguments.keys, "keys", "alone", "--dry-run with it")
        arguments.sbatch_options()  # refuses bad options, even in a dry run
        known = EXPERIMENTS if arguments.grid is None else experiments_in(arguments.grid)
        experiments = chosen(arguments.names, arguments.size, arguments.engine, known)
        shards = arguments.part(planned(experiments))
        store = Store(arguments.results.absolute())
        if arguments.dry_run:
            with folder_errors("results", arguments.results, "read"):
                stored = set(store.all_keys())  # unverified; training also replaces damaged ones
            if arguments.keys:
                _print_keys(shards, stored)
            _print_summary(experiments, shards, stored, arguments.at_a_time)
        else:
            _train(arguments, shards, store)


def _train(arguments: Arguments, shards: Sequence[Shard], store: Store) -> None:
    """Trains shards; exits with an error if interrupted, or if workers or jobs fail."""
    pool, most_tasks = arguments.pool()
    try:
        with folder_errors("results", arguments.results), stop_signals(interrupt=True):
            run(shards, Sweep(store, typed_command()), pool, most_tasks)
    except KeyboardInterrupt as interrupt:
        note("Interrupted. Run the same command again to continue.")
        # `stop_signals` passes the signal's number; Python's own exception has none.
        caught = interrupt.args[0] if interrupt.args else signal.SIGINT
        sys.exit(128 + caught)
    except (BrokenExecutor, JobError) as error:
        fail(str(error))


def _description() -> str:
    """Summary of the command for its help, followed by a list of the experiments."""
    width = max(map(len, EXPERIMENTS))
    first = "Trains every run of some experiments that is not stored yet. The paper's experiments:"
    listed = [f"  {item.name:{width}}  {item.about}" for item in EXPERIMENTS.values()]
    return "\n".join([first, *listed])


def _print_keys(shards: Sequence[Shard], stored: Set[str]) -> None:
    """Prints a line per shard: key, runs, estimated seconds and size, and whether it is stored."""
    for shard in shards:
        say(
            f"{shard.key}  {len(shard.members):>4} runs  {shard.seconds:>7.0f} s  "
            f"{shard.bytes / 1e6:>7.2f} MB  {'stored' if shard.key in stored else 'to train'}"
        )


def _print_summary(
    experiments: Sequence[Experiment], shards: Sequence[Shard], stored: Set[str], workers: int
) -> None:
    """Prints a line per experiment, then a total that counts shards shared by experiments once."""
    keys = {shard.key for shard in shards}
    width = max(len("experiment"), *(len(item.name) for item in experiments))
    say(f"{'experiment':{width}}  shards    runs  to train  minutes       MB")
    for experiment in experiments:
        own = [shard for shard in plan(experiment) if shard.key in keys]  # those of `--shard`
        to_train = [shard for shard in own if shard.key not in stored]
        num_runs = sum(len(shard.members) for shard in own)
        seconds, megabytes = _costs(to_train)
        say(
            f"{experiment.name:{width}}  {len(own):>6}  {num_runs:>6}  {len(to_train):>8}  "
            f"{seconds / 60 / workers:>7.1f}  {megabytes:>7.1f}"
        )
    to_train = [shard for shard in shards if shard.key not in stored]
    num_runs = sum(len(shard.members) for shard in shards)
    seconds, megabytes = _costs(to_train)
    say(
        f"{counted(len(shards), 'shard')}, {counted(num_runs, 'run')}; "
        f"{counted(len(to_train), 'shard')} to train: about "
        f"{timedelta(seconds=round(seconds / workers))} on {counted(workers, 'core')}, "
        f"{megabytes:.1f} MB."
    )


def _costs(shards: Sequence[Shard]) -> tuple[float, float]:
    """Seconds to train some shards on one core, and megabytes to store them, both estimated."""
    seconds = sum(shard.seconds for shard in shards)
    return seconds, sum(shard.bytes for shard in shards) / 1e6


if __name__ == "__main__":
    main()
