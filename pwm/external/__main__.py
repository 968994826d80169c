"""`python -m pwm.external`: other people's agents, unmodified, over their weight of the critic.

Every finished run is a row of the file; a run that has one is not repeated.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from pwm.analysis.external import ExternalRun, as_text, read_outcomes
from pwm.core.errors import require_integer
from pwm.external.agents import GRID, SETTINGS, train
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import write_atomically
from pwm.io.repository import published

LIBRARIES = ("stable_baselines3", "sb3_contrib", "gymnasium")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of the command."""

    size: Literal["paper", "smoke"] = "paper"
    """The whole grid, or one short run of each part of it."""
    workers: int = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    """Processes."""
    out: Path | None = None
    """File of the outcomes; paper/external.csv if none is given."""

    def __post_init__(self) -> None:
        require_integer("workers", self.workers, 1)

    def runs(self) -> dict[ExternalRun, int]:
        """The runs, and the episodes that each trains for."""
        if self.size == "paper":
            return {run: SETTINGS[run.agent, run.episode_length].num_episodes for run in GRID}
        return {replace(run, vf_coef=0.5, seed=0): 32 for run in GRID}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    about = "Trains A2C and RecurrentPPO of Stable-Baselines3 over vf_coef; goes on where it was."
    arguments = parse(Arguments, "python -m pwm.external", about, argv)
    with errors_in_one_line():
        path = arguments.out or published("external.csv")
        versions = "# " + ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        outcomes = read_outcomes(path, versions)
        known = {outcome.run for outcome in outcomes}
        missing = {run: count for run, count in arguments.runs().items() if run not in known}
        pool = ProcessPoolExecutor(arguments.workers, multiprocessing.get_context("spawn"))
        bar = tqdm(total=len(known) + len(missing), initial=len(known), unit=" runs")
        try:
            for future in as_completed([pool.submit(train, *each) for each in missing.items()]):
                outcomes.append(future.result())
                write_atomically(path, as_text(outcomes, versions).encode())
                bar.update()
        finally:
            bar.close()
            pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    main()
