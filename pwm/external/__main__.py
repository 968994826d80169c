"""`python -m pwm.external`: trains other people's code at many critic weights.

It trains unmodified agents of Stable-Baselines3 and sb3-contrib on the task and, on CartPole,
reimplemented public training loops whose policy loss also trains the critic, as they are and
detached. Two files keep the outcomes of all runs.
"""

from __future__ import annotations

import multiprocessing
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
    Outcome,
    as_text,
    read_outcomes,
)
from pwm.core.errors import require_integer
from pwm.external.agents import ENVIRONMENTS, GRID, NUM_EPISODES, train
from pwm.external.loops import LONGEST, LOOPS, runs_of
from pwm.external.replicas import train_loop
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import folder_errors, make_folder, write_atomically
from pwm.io.repository import published
from pwm.runs.scheduler import CORES

# First lines of the two files, of smoke runs with `SMOKE` at the end; others are refused.
AGENT_VERSIONS = "# " + ", ".join(
    f"{name} {version(name)}" for name in ("stable_baselines3", "sb3_contrib", "gymnasium")
)
LOOP_VERSIONS = "# loops on CartPole; the version of PyTorch is a column"
SMOKE = "; smoke"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of the command."""

    size: Literal["paper", "smoke"] = "paper"
    """All runs, or a few short ones."""
    workers: int = CORES
    """Number of processes."""
    out: Path | None = None
    """Folder of the two files; paper/ if none is given, or build/smoke/external/ for smoke."""

    def __post_init__(self) -> None:
        require_integer("workers", self.workers, 1)

    @property
    def folder(self) -> Path:
        """Folder of the two files, which hold runs of one size."""
        smoke = Path("build/smoke/external")
        return self.out or (smoke if self.size == "smoke" else published(AGENT_FILE).parent)

    def agent_runs(self) -> dict[ExternalRun, int]:
        """Runs of the agents, with the maximum number of episodes to train each for."""
        if self.size == "paper":
            return {run: NUM_EPISODES[run.agent] for run in GRID}
        # One update each. With one weight and one seed, many runs become equal and share a key.
        return {replace(run, vf_coef=0.5, seed=0): ENVIRONMENTS for run in GRID}

    def loop_runs(self) -> list[tuple[list[LoopRun], int]]:
        """Runs of each loop, with the maximum number of updates to train them for."""
        if self.size == "paper":
            return [(runs_of(loop), LOOPS[loop].num_updates) for loop in LOOPS]
        # Enough updates for two episodes of the maximum length
        return [(runs_of(loop, [0]), 2 * LONGEST // LOOPS[loop].segment) for loop in LOOPS]


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    about = "Trains other people's agents and loops at many critic weights; continues if stopped."
    arguments = parse(Arguments, "python -m pwm.external", about, argv)
    with errors_in_one_line():
        agent_file, loop_file = arguments.folder / AGENT_FILE, arguments.folder / LOOP_FILE
        mark = SMOKE if arguments.size == "smoke" else ""
        agent_head, loop_head = AGENT_VERSIONS + mark, LOOP_VERSIONS + mark
        stored_agents = _stored(agent_file, ExternalOutcome, agent_head)
        stored_loops = _stored(loop_file, LoopOutcome, loop_head)
        # Outcomes by run; the outcome of a run that is trained again is replaced.
        agents_done = {outcome.run: outcome for outcome in stored_agents}
        loops_done = {outcome.run: outcome for outcome in stored_loops}
        agents, loops = arguments.agent_runs(), arguments.loop_runs()
        missing_agents = [(run, limit) for run, limit in agents.items() if run not in agents_done]
        # The runs of a loop train together; if one is missing, all train again.
        missing_loops = [(runs, limit) for runs, limit in loops if set(runs) - loops_done.keys()]
        total = len(agents) + sum(len(runs) for runs, _ in loops)
        missing = len(missing_agents) + sum(len(runs) for runs, _ in missing_loops)
        if missing:
            make_folder("out", arguments.folder)  # an unusable folder is refused before training
        pool = ProcessPoolExecutor(arguments.workers, multiprocessing.get_context("spawn"))
        bar = tqdm(total=total, initial=total - missing, unit=" runs")
        try:
            futures: list[Future[Any]] = [
                *(pool.submit(train_loop, runs, updates) for runs, updates in missing_loops),
                *(pool.submit(train, run, episodes) for run, episodes in missing_agents),
            ]
            for future in as_completed(futures):
                result: ExternalOutcome | list[LoopOutcome] = future.result()
                if isinstance(result, ExternalOutcome):
                    agents_done[result.run] = result
                    file, text = agent_file, as_text(list(agents_done.values()), agent_head)
                    num_trained = 1
                else:
                    loops_done |= {outcome.run: outcome for outcome in result}
                    file, text = loop_file, as_text(list(loops_done.values()), loop_head)
                    num_trained = len(result)
                with folder_errors("out", arguments.folder):
                    write_atomically(file, text.encode())
                bar.update(num_trained)
        finally:
            bar.close()
            pool.shutdown(cancel_futures=True)


def _stored(path: Path, kind: type[Outcome], first_line: str) -> list[Outcome]:
    """Reads the outcomes in a file with this first line; an empty list if there is no file yet."""
    return read_outcomes(path, kind, first_line) if path.exists() else []


if __name__ == "__main__":
    main()
