"""Measures the overhead of a sweep, and the gain from a second worker.

    python -m tests.tools.scaling

Sweeps the same shards with one worker and with two, in turn, each time into an empty store. The
overhead is the time not spent on training: claiming, building the population, checkpoints,
storing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import tyro

from pwm.experiments import EXPERIMENTS
from pwm.runs.experiment import Experiment
from pwm.runs.scheduler import processes, run
from pwm.runs.shards import planned
from pwm.runs.storage import Store
from pwm.runs.worker import Sweep


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m tests.tools.scaling`."""

    names: tuple[str, ...] = ("eplen15", "lrate0.005")
    """Experiments to sweep."""
    num_episodes: int = 10_000
    """Episodes of each run."""
    rounds: int = 3
    """Sweeps with each number of workers."""


def measured(experiments: Sequence[Experiment], workers: int) -> tuple[float, float, float]:
    """Runs a sweep; returns the seconds of the sweep, of all sessions, and of their training."""
    with TemporaryDirectory() as place, Path(os.devnull).open("w") as nowhere:
        sweep = Sweep(Store(Path(place)), "tests.tools.scaling")
        shards = planned(experiments)
        started = time.monotonic()
        with redirect_stderr(nowhere):
            run(shards, sweep, lambda _: processes(workers))
        seconds = time.monotonic() - started
        sessions = [session for shard in shards for session in sweep.store.provenance(shard.key)]
        wall, training = (
            sum(float(str(session[name])) for session in sessions)
            for name in ("wall_seconds", "training_seconds")
        )
        return seconds, wall, training


def main() -> None:
    """Runs the command."""
    arguments = tyro.cli(Arguments)
    experiments = []
    for name in arguments.names:
        experiment = EXPERIMENTS[name]
        base = replace(experiment.base, num_episodes=arguments.num_episodes)
        experiments.append(replace(experiment, base=base))
    gains, overheads = [], []
    for _ in range(arguments.rounds):
        alone, wall, training = measured(experiments, 1)
        together, *_ = measured(experiments, 2)
        gains.append(alone / together)
        overheads.append(wall / training - 1)
        print(
            f"one worker {alone:.1f} s, two {together:.1f} s: {gains[-1]:.2f} times; "
            f"overhead {overheads[-1]:.2%}"
        )
    print(f"medians: {median(gains):.2f} times, overhead {median(overheads):.2%}")


if __name__ == "__main__":
    main()
