"""`python -m pwm.train`: trains the agent at one or more critic weights, and saves the run."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from pwm.analysis.verdict import verdict
from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.errors import InputError, require
from pwm.core.fields import flat
from pwm.core.losses import LossConfig
from pwm.core.task import TaskConfig
from pwm.core.trainer import Trainer
from pwm.engines import EngineName, make_trainer
from pwm.io.cli import INTERRUPTED, errors_in_one_line, parse
from pwm.io.files import folder_errors
from pwm.io.provenance import current_provenance
from pwm.runs.folders import (
    CONFIG,
    CURVES,
    STATE_FILE,
    files_in,
    folder_name,
    reserved,
    save,
    save_configs,
)
from pwm.runs.saved import load_run

EPISODES_PER_STEP = 50
SAVE_EVERY = 10.0  # seconds
SHOW_EVERY = 0.2  # seconds
NOT_SETTINGS = ("num_episodes", "engine", "device", "extend", "out")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of `python -m pwm.train`. The defaults are the notes' setting."""

    critic_weight: tuple[float, ...] = (TrainConfig.critic_weight,)
    """Weights of the value loss (a mean over steps) relative to the policy loss; each is trained
    on all seeds."""
    learning_rate: float = TrainConfig.learning_rate
    """Learning rate of RMSprop."""
    num_episodes: int = TrainConfig.num_episodes
    """Episodes to train for; each is followed by one update."""
    seeds: tuple[int, ...] = (0,)
    """Seeds, which determine the initial parameters, the trials and the action noise."""
    task: TaskConfig = field(default_factory=TaskConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    log_every: int = TrainConfig.log_every
    """Episodes per window of the history, which holds averages over windows."""
    probe_episodes: int = TrainConfig.probe_episodes
    """Episodes played at the end of each window to diagnose the gradients, without training on
    them: 0 for no diagnostics, or at least 2."""
    engine: EngineName = "fused"
    """Engine: fused (compiled; the same results on every machine) or torch."""
    device: str = "cpu"
    """Device: cpu; with the torch engine also cuda, if there is one."""
    extend: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None
    """Folder of an earlier run to train longer, to --num-episodes in all; its settings are kept."""
    out: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="FOLDER",
            help_behavior_hint="(default: with --extend, the same folder; otherwise one under "
            "runs/, named after the settings)",
        ),
    ] = None
    """Folder for the results; it must not hold a run yet."""

    def runs(self) -> tuple[TrainConfig, ...]:
        """One configuration per weight and seed, ordered by weight, then seed.

        Raises:
            InputError: a value is not accepted.
        """
        for name, values in (("critic_weight", self.critic_weight), ("seeds", self.seeds)):
            different = len(set(values)) == len(values) > 0
            accepted = "one or more different numbers, 0 or above"
            require(different and min(values) >= 0, name, _typed(values), accepted)
        first = TrainConfig(
            task=self.task,
            agent=self.agent,
            loss=self.loss,
            learning_rate=self.learning_rate,
            num_episodes=self.num_episodes,
            log_every=self.log_every,
            probe_episodes=self.probe_episodes,
        )
        return tuple(
            replace(first, critic_weight=weight, seed=seed)
            for weight in self.critic_weight
            for seed in self.seeds
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A trainer, and where its run is saved."""

    trainer: Trainer
    folder: Path
    folder_from: str
    """Name of the flag that gave the folder."""
    extends: bool = False
    """Whether the folder holds the run that is extended."""
    origin: dict[str, Any]
    """Provenance that is known before training."""


def train_command(argv: Sequence[str] | None = None) -> None:
    """Runs the command and exits."""
    arguments = parse(
        Arguments,
        "python -m pwm.train",
        "Trains the LSTM actor-critic. The defaults are the notes' setting: critic weight 5, 60 "
        "steps per episode.",
        argv,
    )
    with errors_in_one_line():
        sys.exit(_train(_plan(arguments)))


def _plan(arguments: Arguments) -> Plan:
    """The training that the flags ask for."""
    out = arguments.out and _expanded("out", arguments.out)
    if arguments.extend is not None:
        return _extension(arguments, _expanded("extend", arguments.extend), out)
    runs = arguments.runs()
    return Plan(
        trainer=make_trainer(runs, arguments.engine, arguments.device),
        folder=out or Path("runs") / folder_name(runs, arguments.engine),
        folder_from="out",
        origin={"engine": arguments.engine},
    )


def _extension(arguments: Arguments, folder: Path, out: Path | None) -> Plan:
    """The plan to train an earlier run for longer."""
    default = flat(Arguments())
    for name, value in flat(arguments).items():
        accepted = f"no other setting next to --extend, which takes them from {folder}"
        require(name in NOT_SETTINGS or value == default[name], name, _typed(value), accepted)
    complete = files_in(folder) >= {CONFIG, STATE_FILE}
    require(
        complete, "extend", folder, f"a folder that holds a run, with {CONFIG} and {STATE_FILE}"
    )
    run = load_run(folder)
    accepted = f"{run.engine}, the engine that trained {folder}"
    require(arguments.engine == run.engine, "engine", arguments.engine, accepted)
    in_place = out is None or out.resolve() == folder.resolve()
    return Plan(
        trainer=run.trainer(arguments.num_episodes, arguments.device),
        folder=out or folder,
        folder_from="extend" if out is None else "out",
        extends=in_place,
        origin={
            "engine": run.engine,
            "first_episode": run.episodes_done + 1,
            "extends": dict(run.provenance),
        },
    )


def _expanded(name: str, folder: Path) -> Path:
    """The folder with `~` replaced by the home folder."""
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise InputError(name, folder, "a folder of a user that exists") from error


def _typed(value: object) -> str:
    """A flag's value as it is typed."""
    return " ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else str(value)


def _train(plan: Plan) -> int:
    """Trains to the end or to Ctrl-C, saves the run, and returns the exit status."""
    trainer, folder = plan.trainer, plan.folder
    started = time.monotonic()

    def save_now() -> None:
        save(folder, trainer, {**plan.origin, **current_provenance(time.monotonic() - started)})

    with (
        reserved(plan.folder_from, folder, extends=plan.extends),
        folder_errors(plan.folder_from, folder),
    ):
        save_configs(folder, trainer.runs)
        interrupted = _advance(trainer, save_now)
        if not trainer.episodes_done:
            (folder / CONFIG).unlink()
            print("Interrupted before anything was trained.", file=sys.stderr)
            return INTERRUPTED
        save_now()
        _draw(trainer, folder / CURVES)
    if interrupted:
        print(f"Interrupted. Kept the {trainer.episodes_done} episodes so far.", file=sys.stderr)
    print(verdict(trainer.runs, trainer.history()))
    print(f"Results in {folder}.")
    return INTERRUPTED if interrupted else 0


def _advance(trainer: Trainer, save_now: Callable[[], None]) -> bool:
    """Trains to the end or to Ctrl-C, saving on the way; returns whether it was interrupted."""
    interrupted = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, previous)  # a second Ctrl-C ends the program at once

    previous = signal.signal(signal.SIGINT, stop)
    saved = shown = time.monotonic()
    first = trainer.episodes_done
    try:
        with tqdm(
            total=trainer.num_episodes, initial=first, unit=" episodes", dynamic_ncols=True
        ) as bar:
            while trainer.episodes_done < trainer.num_episodes and not interrupted:
                trainer.advance(EPISODES_PER_STEP)
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
    finally:
        signal.signal(signal.SIGINT, previous)
    return interrupted


def _draw(trainer: Trainer, path: Path) -> None:
    from pwm.figures.training import training_curves  # noqa: PLC0415, matplotlib is slow to import

    training_curves(trainer.runs, trainer.history(), path)


if __name__ == "__main__":
    train_command()
