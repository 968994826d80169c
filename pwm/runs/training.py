"""Trains the runs of `python -m pwm.train`, and saves them in a folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pwm.core.errors import require
from pwm.io.files import folder_errors
from pwm.io.inherited import Forgiving, counted, note
from pwm.io.provenance import current_provenance
from pwm.runs.engines import EngineName
from pwm.runs.folders import CONFIG, CURVES, STATE_FILE, files_in, reserved, save, save_configs
from pwm.runs.saved import SavedRun, load_run, unfinished_run
from pwm.training.config import TrainConfig
from pwm.training.trainer import Trainer

EPISODES_PER_CHUNK = 50  # at most
PRODUCTS_PER_CHUNK = 10**8  # hidden size² × steps × replicas; up to about a second in PyTorch
SAVE_EVERY = 10.0  # seconds
SHOW_EVERY = 0.2  # seconds


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Runs to train or to continue as one population, and the folder to save them in."""

    runs: tuple[TrainConfig, ...]
    engine: EngineName
    folder: Path
    folder_flag: str
    """Name of the flag that gave the folder, for messages."""
    extends: Path | None = None
    """Folder of the run to extend; None to extend no run."""

    def earlier(self) -> SavedRun | None:
        """Loads the saved run to continue: from `folder`, else from `extends`; None for a new run.

        Raises:
            InputError: a folder holds a damaged run, or `folder` holds another or a finished one.
        """
        if self.extends is not None and self.extends.resolve() == self.folder.resolve():
            # Not `unfinished_run`, which refuses a run with fewer episodes than planned.
            return _run_to_extend(self.extends, self.runs[0].num_episodes)[0]
        unfinished = unfinished_run(self.folder_flag, self.folder, self.runs, self.engine)
        if unfinished is None and self.extends is not None:
            return load_run(self.extends)
        return unfinished


def extension(
    earlier: Path, num_episodes: int | None, engine: EngineName, out: Path | None
) -> Plan:
    """Plan for extending the run in the folder `earlier` to `num_episodes` episodes in all.

    If `num_episodes` is None, an interrupted run is finished, and a finished one is refused. The
    results go into the folder `out`, or into the earlier run's folder if `out` is None.

    Raises:
        InputError: the folder holds no usable run, its run has finished `num_episodes` already or
            was trained by another engine, or `num_episodes` does not fit its updates and probes.
    """
    accepted = f"a folder that holds a run, with {CONFIG} and {STATE_FILE}"
    require(files_in(earlier) >= {CONFIG, STATE_FILE}, "extend", earlier, accepted)
    run, goal = _run_to_extend(earlier, num_episodes)
    accepted = f"{run.engine}, the engine that trained {earlier}"
    require(engine == run.engine, "engine", engine, accepted)
    return Plan(
        runs=tuple(replace(each, num_episodes=goal) for each in run.configs),
        engine=engine,
        folder=out or earlier,
        folder_flag="extend" if out is None else "out",
        extends=earlier,
    )


def _run_to_extend(folder: Path, num_episodes: int | None) -> tuple[SavedRun, int]:
    """Loads a run; returns it and its new number of episodes, by default that of its configuration.

    Raises:
        InputError: the run is damaged, or has finished this number already.
    """
    run = load_run(folder)
    goal = run.configs[0].num_episodes if num_episodes is None else num_episodes
    accepted = f"more than the {run.episodes_done} episodes trained so far"
    require(run.continues_to(goal), "num_episodes", goal, accepted)
    return run, goal


def train_run(
    plan: Plan, trainer: Trainer, caught: Sequence[int], draw: Callable[[Trainer, Path], None]
) -> bool:
    """Trains to the end or until a signal is caught; saves the run and its curves.

    It first restores the run that the plan continues (`Plan.earlier`), if there is one. If a signal
    comes before the first episode, nothing is saved, and a note says so.

    Args:
        plan: the runs, and the folder to save them in.
        trainer: new trainer of the plan's runs.
        caught: signals caught so far; training stops once this list is no longer empty.
        draw: function that plots a trainer's curves and saves them to a file.
    Returns:
        Whether training reached the last episode.
    Raises:
        InputError: the folder cannot be used, or holds a run that the plan does not continue.
    """
    flag, folder, started = plan.folder_flag, plan.folder, time.monotonic()
    current_provenance(0.0)  # reads the commit now, before the code can change
    with reserved(flag, folder) as require_reserved, folder_errors(flag, folder):
        earlier = plan.earlier()  # under the lock, so no other process can train it
        if earlier is not None:
            trainer.restore(earlier.state)
        origin = _origin(plan.engine, earlier)

        def save_now() -> None:
            require_reserved()
            save(folder, trainer, origin | current_provenance(time.monotonic() - started))

        (folder / CURVES).unlink(missing_ok=True)  # drawn last; a run without them is unfinished
        save_configs(folder, trainer.runs)
        train_until(trainer, save_now, caught)
        if not trainer.episodes_done:
            (folder / CONFIG).unlink(missing_ok=True)
            note("Interrupted before anything was trained.")
            return False
        save_now()
        draw(trainer, folder / CURVES)
    finished = trainer.episodes_done == trainer.num_episodes  # whether or not a signal came later
    if not finished:
        done = counted(trainer.episodes_done, "episode")
        note(f"Interrupted. Kept the {done} so far; the same command continues.")
    return finished


def _origin(engine: EngineName, earlier: SavedRun | None) -> dict[str, Any]:
    """Provenance known before training: the engine and, for a continued run, earlier sessions."""
    if earlier is None:
        return {"engine": engine}
    last = dict(earlier.provenance)
    sessions = [*last.pop("earlier_sessions", []), last]  # `last` lists those before it
    return {
        "engine": engine,
        "first_episode": earlier.episodes_done + 1,
        "earlier_sessions": sessions,
    }


def episodes_per_chunk(runs: Sequence[TrainConfig]) -> int:
    """Episodes to ask of `Trainer.advance` between checks for signals: up to a second's, or 1."""
    products_per_episode = runs[0].task.episode_length * runs[0].agent.hidden_size ** 2 * len(runs)
    return min(EPISODES_PER_CHUNK, max(1, PRODUCTS_PER_CHUNK // products_per_episode))


def train_until(trainer: Trainer, save_now: Callable[[], None], caught: Sequence[int]) -> None:
    """Trains with a progress bar to the end or a signal; until then, saves every `SAVE_EVERY` s."""
    saved = shown = time.monotonic()
    chunk = episodes_per_chunk(trainer.runs)
    with tqdm(
        total=trainer.num_episodes,
        initial=trainer.episodes_done,
        unit=" episodes",
        dynamic_ncols=True,
        file=Forgiving(sys.stderr),
    ) as bar:
        while trainer.episodes_done < trainer.num_episodes and not caught:
            trainer.advance(chunk)
            now = time.monotonic()
            if now - shown < SHOW_EVERY and trainer.episodes_done < trainer.num_episodes:
                continue
            shown = now
            reward = trainer.history().reward[:, -1].mean()
            bar.set_postfix_str(f"reward {reward:.2f}", refresh=False)
            bar.update(trainer.episodes_done - bar.n)
            if now - saved > SAVE_EVERY:
                save_now()
                saved = time.monotonic()
