"""`python -m pwm.external`: other people's code over its weight of the critic.

Agents of Stable-Baselines3, unmodified, on the task, and public loops that leak on CartPole. Every
finished run is a row of one of two files; a run that has one is not repeated.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from pwm.analysis.external import (
    AGENT_FILE,
    LOOP_FILE,
    ExternalOutcome,
    ExternalRun,
    LoopOutcome,
    LoopRun,
    as_text,
    read_outcomes,
)
from pwm.core.errors import require_integer
from pwm.external.agents import GRID, SETTINGS, train
from pwm.external.loops import LOOPS, SEEDS, runs_of, train_loop
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import write_atomically
from pwm.io.repository import published

AGENT_VERSIONS = "# " + ", ".join(
    f"{name} {version(name)}" for name in ("stable_baselines3", "sb3_contrib", "gymnasium")
)
LOOP_VERSIONS = "# loops on CartPole; the version of PyTorch is a column"
SMOKE = Path("build/smoke/external")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of the command."""

    size: Literal["paper", "smoke"] = "paper"
    """All runs, or one short run of each part of them."""
    workers: int = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    """Processes."""
    out: Path | None = None
    """Folder of the two files; paper/ if none is given, or build/smoke/external/ for smoke."""

    def __post_init__(self) -> None:
        require_integer("workers", self.workers, 1)

    @property
    def folder(self) -> Path:
        """Of the two files."""
        default = SMOKE if self.size == "smoke" else published(AGENT_FILE).parent
        return self.out or default

    def agents(self) -> dict[ExternalRun, int]:
        """The runs of agents, and the episodes that each trains for."""
        if self.size == "paper":
            return {run: SETTINGS[run.agent, run.episode_length].num_episodes for run in GRID}
        return {replace(run, vf_coef=0.5, seed=0): 32 for run in GRID}

    def loops(self) -> list[tuple[list[LoopRun], int]]:
        """The runs of each loop, and the updates that they train for."""
        if self.size == "paper":
            return [(runs_of(loop, range(SEEDS)), LOOPS[loop].num_updates) for loop in LOOPS]
        return [(runs_of(loop, [0]), 2) for loop in LOOPS]


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    about = "Trains other people's agents and loops over their weight; goes on where it was."
    arguments = parse(Arguments, "python -m pwm.external", about, argv)
    with errors_in_one_line():
        folder = arguments.folder
        agents = read_outcomes(folder / AGENT_FILE, ExternalOutcome, AGENT_VERSIONS)
        loops = read_outcomes(folder / LOOP_FILE, LoopOutcome, LOOP_VERSIONS)
        known = {*(each.run for each in agents), *(each.run for each in loops)}
        missing = {run: count for run, count in arguments.agents().items() if run not in known}
        # A loop's runs train together, so that none of them is kept before the last.
        batches = [batch for batch in arguments.loops() if not known.issuperset(batch[0])]
        total = len(arguments.agents()) + sum(len(runs) for runs, _ in arguments.loops())
        left = len(missing) + sum(len(runs) for runs, _ in batches)
        pool = ProcessPoolExecutor(arguments.workers, multiprocessing.get_context("spawn"))
        bar = tqdm(total=total, initial=total - left, unit=" runs")
        try:
            futures: list[Future[Any]] = [
                *(pool.submit(train_loop, *batch) for batch in batches),
                *(pool.submit(train, *each) for each in missing.items()),
            ]
            for future in as_completed(futures):
                found: list[LoopOutcome] | ExternalOutcome = future.result()
                if isinstance(found, ExternalOutcome):
                    agents.append(found)
                    write_atomically(folder / AGENT_FILE, as_text(agents, AGENT_VERSIONS).encode())
                    bar.update()
                else:
                    renewed = {outcome.run for outcome in found}
                    loops = [*(each for each in loops if each.run not in renewed), *found]
                    write_atomically(folder / LOOP_FILE, as_text(loops, LOOP_VERSIONS).encode())
                    bar.update(len(found))
        finally:
            bar.close()
            pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    main()
