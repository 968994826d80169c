"""`python -m pwm.train`: trains one critic weight on some seeds, and keeps what it saw."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Annotated

import tyro
from tqdm import tqdm

from pwm.analysis.learning import final_mean, learned
from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.errors import InputError, require
from pwm.core.losses import LossConfig
from pwm.core.task import TaskConfig, reward_levels
from pwm.core.trainer import Trainer
from pwm.engines import EngineName, make_trainer
from pwm.io.cli import INTERRUPTED, errors_in_one_line, parse
from pwm.io.files import make_folder, write_history, write_json
from pwm.io.provenance import provenance

FILES = ("config.json", "history.npz", "curves.png", "provenance.json")
EPISODES_A_TICK = 50
SAVE_EVERY = 10.0  # seconds
SHOW_EVERY = 0.2  # seconds


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.train`; without any, the notes' setting."""

    critic_weight: float = TrainConfig.critic_weight
    """Weight of the value loss (mean over steps) beside the policy loss (sum over steps)."""
    learning_rate: float = TrainConfig.learning_rate
    """Learning rate of RMSprop."""
    num_episodes: int = TrainConfig.num_episodes
    """Episodes, each followed by one update."""
    seeds: tuple[int, ...] = (0,)
    """One replica a seed; a seed decides initial parameters, trials and action noise."""
    task: TaskConfig = field(default_factory=TaskConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    log_every: int = TrainConfig.log_every
    """Episodes a window of the history."""
    probe_episodes: int = TrainConfig.probe_episodes
    """Episodes played at the end of each window to diagnose the gradients, none of which trains:
    0 for no diagnosis, or 2 and more."""
    engine: EngineName = "fused"
    """What trains: fused, compiled, with the same results on every machine; or torch."""
    device: str = "cpu"
    """Where to train: cpu, or, with the torch engine, cuda where there is one."""
    out: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="FOLDER",
            help_behavior_hint="(default: one under runs/, named after the setting)",
        ),
    ] = None
    """Folder for the results, one that holds no run yet."""

    def runs(self) -> tuple[TrainConfig, ...]:
        """One run for each seed."""
        distinct = len(set(self.seeds)) == len(self.seeds) > 0
        require(
            distinct and min(self.seeds) >= 0,
            "seeds",
            " ".join(map(str, self.seeds)),
            "one or more different integers, 0 or above",
        )
        return tuple(
            TrainConfig(
                task=self.task,
                agent=self.agent,
                loss=self.loss,
                critic_weight=self.critic_weight,
                learning_rate=self.learning_rate,
                num_episodes=self.num_episodes,
                log_every=self.log_every,
                probe_episodes=self.probe_episodes,
                seed=seed,
            )
            for seed in self.seeds
        )


def train_command(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(
        Arguments,
        "python -m pwm.train",
        "Trains the LSTM actor-critic with one critic weight. Without flags: the setting of the "
        "notes, weight 5 at 60 steps an episode.",
        argv,
    )
    with errors_in_one_line():
        sys.exit(_train(arguments))


def _train(arguments: Arguments) -> int:
    runs = arguments.runs()
    trainer = make_trainer(runs, arguments.engine, arguments.device)
    out = arguments.out or Path("runs") / _name(runs, arguments.engine)
    started = time.monotonic()
    try:
        _claim(out)
        write_json(out / "config.json", [asdict(run) for run in runs])
        interrupted = _advance(trainer, out)
        if not trainer.episodes_done:
            (out / "config.json").unlink()
            print("Interrupted before anything was trained.", file=sys.stderr)
            return INTERRUPTED
        history = trainer.history()
        write_history(out / "history.npz", history)
        origin = provenance(time.monotonic() - started)
        write_json(out / "provenance.json", {"engine": arguments.engine, **origin})
        _draw(trainer, out)
    except OSError as error:
        accepted = f"a folder that can be written ({error.strerror or error})"
        raise InputError("out", out, accepted) from error
    if interrupted:
        print(f"Interrupted. Kept the {trainer.episodes_done} episodes so far.", file=sys.stderr)
    print(f"{_verdict(trainer)} Results in {out}.")
    return INTERRUPTED if interrupted else 0


def _name(runs: tuple[TrainConfig, ...], engine: EngineName) -> str:
    """A folder name that tells settings apart."""
    run = runs[0]
    settings = json.dumps([engine, *map(asdict, runs)], sort_keys=True)
    digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return (
        f"{run.task.stimulus_set}-eplen{run.task.episode_length}-w{run.critic_weight:g}"
        f"-lr{run.learning_rate:g}-{digest}"
    )


def _claim(out: Path) -> None:
    held = [name for name in FILES if (out / name).exists()]
    accepted = "a folder that holds no run yet"
    require(not held, "out", out, accepted + (f" (there is {held[0]})" if held else ""))
    make_folder("out", out)


def _advance(trainer: Trainer, out: Path) -> bool:
    """Trains to the end or to Ctrl-C, saving on the way; whether it was interrupted."""
    interrupted = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, previous)  # a second Ctrl-C ends the program at once

    previous = signal.signal(signal.SIGINT, stop)
    saved = shown = time.monotonic()
    try:
        with tqdm(total=trainer.num_episodes, unit=" episodes", dynamic_ncols=True) as bar:
            while trainer.episodes_done < trainer.num_episodes and not interrupted:
                trainer.advance(EPISODES_A_TICK)
                now = time.monotonic()
                if now - shown < SHOW_EVERY and trainer.episodes_done < trainer.num_episodes:
                    continue
                shown = now
                history = trainer.history()
                bar.set_postfix_str(f"reward {history.reward[:, -1].mean():.2f}", refresh=False)
                bar.update(trainer.episodes_done - bar.n)
                if now - saved > SAVE_EVERY:
                    write_history(out / "history.npz", history)
                    saved = time.monotonic()
    finally:
        signal.signal(signal.SIGINT, previous)
    return interrupted


def _draw(trainer: Trainer, out: Path) -> None:
    from pwm.figures.training import training_curves  # noqa: PLC0415, matplotlib is slow to import

    training_curves(trainer.runs, trainer.history(), out / "curves.png")


def _verdict(trainer: Trainer) -> str:
    """What was learned, against the task's reward levels."""
    history, task = trainer.history(), trainer.runs[0].task
    success = learned(history, task)
    rewards = ", ".join(
        f"seed {run.seed}: {reward:.3f}"
        for run, reward in zip(trainer.runs, final_mean(history, history.reward), strict=True)
    )
    levels = reward_levels(task.stimulus_set)
    known = ", ".join(
        f"{name.replace('_', '-')} {level:.3g}" for name, level in levels._asdict().items()
    )
    return f"Learned: {success.sum()} of {len(success)} (final reward of {rewards}; {known})."


if __name__ == "__main__":
    train_command()
