"""`python -m pwm.train`: trains the agent at one or more critic weights, and saves the run."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pwm.analysis.verdict import verdict
from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.errors import require
from pwm.core.losses import LossConfig
from pwm.core.task import TaskConfig
from pwm.core.trainer import Trainer
from pwm.engines import EngineName, make_trainer
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import folder_errors
from pwm.io.inherited import counted, note, say, stop_signals
from pwm.io.provenance import current_provenance
from pwm.runs.fields import flat
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
from pwm.runs.loop import episodes_per_step, train_until
from pwm.runs.memory import memory_errors, require_memory
from pwm.runs.saved import SavedRun, load_run, unfinished_run

NOT_SETTINGS = ("num_episodes", "engine", "device", "extend", "out")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of `python -m pwm.train`. The defaults are the notes' setting."""

    critic_weight: tuple[float, ...] = (TrainConfig.critic_weight,)
    """Weights of the value loss (a mean over steps) relative to the policy loss; each is trained
    on all seeds."""
    learning_rate: float = TrainConfig.learning_rate
    """Learning rate of RMSprop."""
    trunk_rate: float = TrainConfig.trunk_rate
    """Learning rate of the trunk, relative to that of the heads."""
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
    probe_at: tuple[int, ...] = TrainConfig.probe_at
    """Episodes of training after which to diagnose, in place of the ends of windows, for instance
    0 1 10 100, where 0 is before training. Diagnoses the hidden states too."""
    critic_start: float | Literal["mean", "fixed-point"] = TrainConfig.critic_start
    """Number added to the value head's initial bias; or mean, the mean return of a policy that
    ignores its input; or fixed-point, which adds the leak's bias to that."""
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
    """Folder for the results; it must not hold another run yet."""

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
            probe_at=self.probe_at,
            trunk_rate=self.trunk_rate,
            critic_start=self.critic_start,
        )
        return tuple(
            replace(first, critic_weight=weight, seed=seed)
            for weight in self.critic_weight
            for seed in self.seeds
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run to train or to continue, and where it is saved."""

    runs: tuple[TrainConfig, ...]
    engine: EngineName
    folder: Path
    folder_from: str
    """Name of the flag that gave the folder."""
    extends: Path | None = None
    """Folder of the run to extend."""

    def earlier(self) -> SavedRun | None:
        """The saved run to continue: the folder's own, or else the one to extend.

        Raises:
            InputError: the folder holds another run, or a finished one.
        """
        if self.extends is not None and self.extends.resolve() == self.folder.resolve():
            return _extended(self.extends, self.runs[0].num_episodes)
        own = unfinished_run(self.folder_from, self.folder, self.runs, self.engine)
        return own or (load_run(self.extends) if self.extends else None)


def train_command(argv: Sequence[str] | None = None) -> None:
    """Runs the command and exits."""
    arguments = parse(
        Arguments,
        "python -m pwm.train",
        "Trains the LSTM actor-critic. The defaults are the notes' setting: critic weight 5, 60 "
        "steps per episode. The same command continues a run that was stopped.",
        argv,
    )
    with errors_in_one_line(), memory_errors(), stop_signals() as caught:
        plan = _plan(arguments)
        plan.earlier()  # refuses a folder before anything is compiled
        require_memory(plan.runs, episodes_per_step(plan.runs))
        trainer = make_trainer(plan.runs, plan.engine, arguments.device)
        finished = _train(plan, trainer, caught)
    sys.exit(0 if finished else 128 + caught[0])


def _plan(arguments: Arguments) -> Plan:
    """The plan that the flags ask for."""
    if arguments.extend is not None:
        return _extension(arguments, arguments.extend)
    runs = arguments.runs()
    return Plan(
        runs=runs,
        engine=arguments.engine,
        folder=arguments.out or Path("runs") / folder_name(runs, arguments.engine),
        folder_from="out",
    )


def _extension(arguments: Arguments, folder: Path) -> Plan:
    """The plan to train an earlier run for longer."""
    default = flat(Arguments())
    for name, value in flat(arguments).items():
        accepted = f"no other setting next to --extend, which takes them from {folder}"
        require(name in NOT_SETTINGS or value == default[name], name, _typed(value), accepted)
    complete = files_in(folder) >= {CONFIG, STATE_FILE}
    require(
        complete, "extend", folder, f"a folder that holds a run, with {CONFIG} and {STATE_FILE}"
    )
    run = _extended(folder, arguments.num_episodes)
    accepted = f"{run.engine}, the engine that trained {folder}"
    require(arguments.engine == run.engine, "engine", arguments.engine, accepted)
    return Plan(
        runs=tuple(replace(each, num_episodes=arguments.num_episodes) for each in run.configs),
        engine=run.engine,
        folder=arguments.out or folder,
        folder_from="extend" if arguments.out is None else "out",
        extends=folder,
    )


def _extended(folder: Path, num_episodes: int) -> SavedRun:
    """A saved run that is to be trained to that many episodes."""
    run = load_run(folder)
    accepted = f"more than the {run.episodes_done} episodes trained so far"
    require(run.continues_to(num_episodes), "num_episodes", num_episodes, accepted)
    return run


def _typed(value: object) -> str:
    """A flag's value as it is typed."""
    return " ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else str(value)


def _train(plan: Plan, trainer: Trainer, caught: Sequence[int]) -> bool:
    """Trains to the end or until a signal is caught, saves the run and prints its verdict.

    Returns:
        Whether it trained to the end.
    """
    folder, started = plan.folder, time.monotonic()
    with reserved(plan.folder_from, folder) as require_reserved:
        earlier = plan.earlier()  # once more: another process may have trained in the folder
        if earlier is not None:
            trainer.restore(earlier.state)
        origin = _origin(plan.engine, earlier)

        def save_now() -> None:
            require_reserved()
            with folder_errors(plan.folder_from, folder):
                save(folder, trainer, origin | current_provenance(time.monotonic() - started))

        with folder_errors(plan.folder_from, folder):
            (folder / CURVES).unlink(missing_ok=True)  # is there when all is done
            save_configs(folder, trainer.runs)
        train_until(trainer, save_now, caught)
        if not trainer.episodes_done:
            (folder / CONFIG).unlink()
            note("Interrupted before anything was trained.")
            return False
        save_now()
        _draw(trainer, plan)
    finished = trainer.episodes_done == trainer.num_episodes  # even if a signal came after
    if not finished:
        kept = counted(trainer.episodes_done, "episode")
        note(f"Interrupted. Kept the {kept} so far; the same command continues.")
    say(f"{verdict(trainer.runs, trainer.history())}\nResults in {folder}.")
    return finished


def _origin(engine: EngineName, earlier: SavedRun | None) -> dict[str, Any]:
    """Provenance that is known before training: the engine, and the sessions before this one."""
    if earlier is None:
        return {"engine": engine}
    last = dict(earlier.provenance)
    sessions = [*last.pop("earlier_sessions", []), last]
    return {
        "engine": engine,
        "first_episode": earlier.episodes_done + 1,
        "earlier_sessions": sessions,
    }


def _draw(trainer: Trainer, plan: Plan) -> None:
    from pwm.figures.training import training_curves  # noqa: PLC0415, matplotlib is slow to import

    with folder_errors(plan.folder_from, plan.folder):
        training_curves(trainer.runs, trainer.history(), plan.folder / CURVES)


if __name__ == "__main__":
    train_command()
