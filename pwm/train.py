"""`python -m pwm.train`: trains the agent at one or more critic weights, and saves the run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pwm.analysis.summary import summary
from pwm.core.agent import AgentConfig
from pwm.core.errors import require
from pwm.core.task import TaskConfig
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.inherited import say, stop_signals
from pwm.runs.engines import EngineName, make_trainer
from pwm.runs.fields import flat
from pwm.runs.folders import folder_name
from pwm.runs.memory import memory_errors, require_memory
from pwm.runs.training import Plan, episodes_per_chunk, extension, train_run
from pwm.training.config import OptimizerName, TrainConfig
from pwm.training.loss_config import LossConfig
from pwm.training.trainer import Trainer

NOT_SETTINGS = ("num_episodes", "engine", "device", "extend", "out")  # accepted with --extend


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of `python -m pwm.train`. The defaults are the notes' setting."""

    critic_weight: tuple[float, ...] = (TrainConfig.critic_weight,)
    """Weights of the value loss (a mean over steps) relative to the policy loss; each is trained
    on all seeds."""
    learning_rate: float = TrainConfig.learning_rate
    """Learning rate of the optimiser."""
    trunk_rate: float = TrainConfig.trunk_rate
    """Learning rate of the trunk (the LSTM), relative to that of the heads."""
    optimizer: OptimizerName = TrainConfig.optimizer
    """Optimiser, as in PyTorch; sgd is without momentum."""
    square_decay: float = TrainConfig.square_decay
    """Decay per update of the gradient's mean square: RMSprop's smoothing, Adam's beta2."""
    momentum_decay: float = TrainConfig.momentum_decay
    """Decay per update of Adam's mean gradient: beta1."""
    epsilon: float = TrainConfig.epsilon
    """Number added to the root of the mean square, in RMSprop and Adam."""
    num_episodes: Annotated[
        int | None,
        tyro.conf.arg(
            metavar="INT",
            help_behavior_hint=f"(default: {TrainConfig.num_episodes}; with --extend, that run's)",
        ),
    ] = None
    """Episodes to train for, a multiple of those per update."""
    episodes_per_update: int = TrainConfig.episodes_per_update
    """Episodes played before each update, which averages their losses."""
    seeds: tuple[int, ...] = (0,)
    """Seeds, which determine the initial parameters, the trials and the action noise."""
    task: TaskConfig = field(default_factory=TaskConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    log_every: int = TrainConfig.log_every
    """Episodes per window of the history, which holds averages over windows."""
    probe_episodes: int = TrainConfig.probe_episodes
    """Episodes played at each probe to diagnose the gradients, without training on
    them: 0 for no diagnostics, or at least 2."""
    probe_at: tuple[int, ...] = TrainConfig.probe_at
    """Episodes of training after which to diagnose, in place of the ends of windows, for instance
    0 1 10 100, where 0 is before training. Diagnoses the hidden states too."""
    critic_start: float | Literal["mean", "fixed-point"] = TrainConfig.critic_start
    """Number added to the value head's initial bias; or mean, the mean return of guessing left or
    right (0 unless returns are raw); or fixed-point, mean plus the bias of an attached critic."""
    engine: EngineName = "fused"
    """Engine: fused (compiled; the same results on every machine) or torch."""
    device: str = "cpu"
    """Device: cpu; with the torch engine also cuda, if there is one."""
    extend: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None
    """Folder of an earlier run, to train longer, to --num-episodes in all, or to finish if it was
    interrupted; its settings are kept."""
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
        """One configuration per weight and seed, in the order given; the seed varies fastest.

        Raises:
            InputError: a value is not accepted.
        """
        # Checked here, as `TrainConfig` would blame --seed, which is no flag.
        for name, values in (("critic_weight", self.critic_weight), ("seeds", self.seeds)):
            are_different = len(values) > 0 and len(set(values)) == len(values)
            accepted = "one or more different numbers, 0 or above"
            require(are_different and min(values) >= 0, name, _typed(values), accepted)
        names = {item.name for item in fields(TrainConfig)} - {"critic_weight", "seed"}
        settings = {name: getattr(self, name) for name in names}
        if self.num_episodes is None:
            del settings["num_episodes"]
        common = TrainConfig(**settings)
        return tuple(
            replace(common, critic_weight=weight, seed=seed)
            for weight in self.critic_weight
            for seed in self.seeds
        )


def train_command(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with 0 once trained, 128 + signal if stopped, 2 for bad input."""
    arguments = parse(
        Arguments,
        "python -m pwm.train",
        "Trains the LSTM actor-critic. The defaults are the notes' setting: critic weight 5, 60 "
        "steps per episode. The same command continues a run that was stopped.",
        argv,
    )
    with errors_in_one_line(), memory_errors(), stop_signals() as caught:
        plan = _plan(arguments)
        plan.earlier()  # refuses an unsuitable folder before anything is compiled
        require_memory(plan.runs, episodes_per_chunk(plan.runs))
        trainer = make_trainer(plan.runs, plan.engine, arguments.device)
        finished = train_run(plan, trainer, caught, _draw)
        if trainer.episodes_done:
            say(f"{summary(trainer.runs, trainer.history())}\nResults in {plan.folder}.")
    sys.exit(0 if finished else 128 + caught[0])


def _plan(arguments: Arguments) -> Plan:
    """Makes the training plan from the flags.

    Raises:
        InputError: a value is not accepted; or, with `--extend`, a setting differs from its
            default, or the folder's run cannot be extended.
    """
    engine, out, earlier = arguments.engine, arguments.out, arguments.extend
    if earlier is None:
        runs = arguments.runs()
        folder = out or Path("runs") / folder_name(runs, engine)
        return Plan(runs=runs, engine=engine, folder=folder, folder_flag="out")
    default = flat(Arguments())
    for name, value in flat(arguments).items():
        accepted = f"no other setting next to --extend, which takes them from {earlier}"
        require(name in NOT_SETTINGS or value == default[name], name, _typed(value), accepted)
    return extension(earlier, arguments.num_episodes, engine, out)


def _typed(value: object) -> str:
    """A flag's value in an error message; several numbers as one types them."""
    if isinstance(value, tuple):
        return " ".join(str(number).removesuffix(".0") for number in value)
    return str(value)


def _draw(trainer: Trainer, path: Path) -> None:
    """Plots the training curves of a trainer's runs into a file."""
    from pwm.figures.training import training_curves  # noqa: PLC0415, matplotlib is slow to import

    training_curves(trainer.runs, trainer.history(), path)


if __name__ == "__main__":
    train_command()
