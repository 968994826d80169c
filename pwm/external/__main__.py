"""`python -m pwm.external`: trains other people's code at many critic weights.

It trains agents of Stable-Baselines3, unmodified, on the task, and public loops with a leak on
CartPole. Each finished run is a row of one of two files, and is not trained again.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, Literal

from tqdm import tqdm

from pwm.analysis.external import (
    AGENT_FILE,
    LOOP_FILE,
    ExternalOutcome,
    ExternalRun,
    LoopOutcome,
    LoopRun,
    Outcome,
    as_text,
    read_outcomes,
)
from pwm.core.errors import require_integer
from pwm.external.agents import GRID, SETTINGS, train
from pwm.external.loops import LONGEST, LOOPS, SEEDS, runs_of
from pwm.external.replicas import train_loop
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import write_atomically
from pwm.io.repository import published

# First lines of the two files; a file made with other versions is refused.
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
    """Number of processes."""
    out: Path | None = None
    """Folder of the two files; paper/ if none is given, or build/smoke/external/ for smoke."""

    def __post_init__(self) -> None:
        require_integer("workers", self.workers, 1)

    @property
    def folder(self) -> Path:
        """Folder of the two files."""
        default = SMOKE if self.size == "smoke" else published(AGENT_FILE).parent
        return self.out or default

    def agent_runs(self) -> dict[ExternalRun, int]:
        """Runs of the agents, each with the largest number of episodes to train it for."""
        if self.size == "paper":
            return {run: SETTINGS[run.agent, run.episode_length].num_episodes for run in GRID}
        # With one weight and one seed, many runs become equal, and so one key.
        return {replace(run, vf_coef=0.5, seed=0): 32 for run in GRID}

    def loop_runs(self) -> list[tuple[list[LoopRun], int]]:
        """Runs of each loop, with the largest number of updates to train them for."""
        if self.size == "paper":
            return [(runs_of(loop, range(SEEDS)), LOOPS[loop].num_updates) for loop in LOOPS]
        # Enough updates for two episodes of the greatest length
        return [(runs_of(loop, [0]), 2 * LONGEST // LOOPS[loop].segment) for loop in LOOPS]


class Results(Generic[Outcome]):
    """Outcomes of finished runs, kept in a file.

    Args:
        path: the file; it may not exist yet.
        kind: class of the outcomes.
        versions: first line of the file.
    """

    def __init__(self, path: Path, kind: type[Outcome], versions: str) -> None:
        self._path, self._versions = path, versions
        self._outcomes = read_outcomes(path, kind, versions)

    @property
    def runs(self) -> set[ExternalRun | LoopRun]:
        """The finished runs."""
        return {outcome.run for outcome in self._outcomes}

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Adds outcomes, replaces earlier outcomes of the same runs, and writes the file."""
        runs = {outcome.run for outcome in outcomes}
        others = [outcome for outcome in self._outcomes if outcome.run not in runs]
        self._outcomes = [*others, *outcomes]
        write_atomically(self._path, as_text(self._outcomes, self._versions).encode())


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    about = "Trains other people's agents and loops over their weight; goes on where it was."
    arguments = parse(Arguments, "python -m pwm.external", about, argv)
    with errors_in_one_line():
        folder = arguments.folder
        agent_results = Results(folder / AGENT_FILE, ExternalOutcome, AGENT_VERSIONS)
        loop_results = Results(folder / LOOP_FILE, LoopOutcome, LOOP_VERSIONS)
        finished = agent_results.runs | loop_results.runs
        all_agents, all_loops = arguments.agent_runs(), arguments.loop_runs()
        agents = [(run, episodes) for run, episodes in all_agents.items() if run not in finished]
        # The runs of a loop train together: all of them again if one is missing.
        loops = [(runs, updates) for runs, updates in all_loops if not finished.issuperset(runs)]
        total = len(all_agents) + sum(len(runs) for runs, _ in all_loops)
        missing = len(agents) + sum(len(runs) for runs, _ in loops)
        pool = ProcessPoolExecutor(arguments.workers, multiprocessing.get_context("spawn"))
        bar = tqdm(total=total, initial=total - missing, unit=" runs")
        try:
            futures: list[Future[Any]] = [
                *(pool.submit(train_loop, runs, updates) for runs, updates in loops),
                *(pool.submit(train, run, episodes) for run, episodes in agents),
            ]
            for future in as_completed(futures):
                result: ExternalOutcome | list[LoopOutcome] = future.result()
                if isinstance(result, ExternalOutcome):
                    agent_results.add([result])
                    bar.update()
                else:
                    loop_results.add(result)
                    bar.update(len(result))
        finally:
            bar.close()
            pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    main()
