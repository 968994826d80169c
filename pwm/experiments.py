"""Every experiment as data: its grid and its budget, in two sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from pwm.errors import InputError
from pwm.task import TaskConfig
from pwm.train import TrainConfig

Size = Literal["paper", "smoke"]


@dataclass(frozen=True)
class Experiment:
    """A grid of critic weights by seeds around one setting."""

    name: str
    notes_figure: str
    """Name of the notes' figure that it regenerates, or why it stands beside those."""
    base: TrainConfig
    critic_weights: tuple[float, ...]
    notes_seeds: int
    """Seeds of the notes' figure, which are the first ones of the experiment."""
    seeds: int = 24

    def runs(self) -> tuple[TrainConfig, ...]:
        """All runs, seed by seed within weight by weight."""
        return tuple(
            replace(self.base, critic_weight=weight, seed=seed)
            for weight in self.critic_weights
            for seed in range(self.seeds)
        )

    def sized(self, size: Size) -> Experiment:
        """The experiment in a size: as published, or tiny but otherwise the same."""
        if size == "paper":
            return self
        return replace(self, base=replace(self.base, num_episodes=200), seeds=3)


def _notes(episode_length: int, num_episodes: int, learning_rate: float = 0.005) -> TrainConfig:
    return TrainConfig(
        task=TaskConfig("pwm5", trial_length=3, episode_length=episode_length),
        learning_rate=learning_rate,
        num_episodes=num_episodes,
        log_every=10,
    )


_AUXILIARY_WEIGHTS = (0.05, 3.0, 10.0, 20.0)
_ALL = (
    Experiment(
        name="eplen60",
        notes_figure="pwm5-eplen60-vweight_loss-REINFORCE-lrate_0.0050-1seed",
        base=_notes(60, 30_000),
        critic_weights=(2.0, 3.0, 4.0, 5.0),
        notes_seeds=1,
    ),
    Experiment(
        name="eplen15",
        notes_figure="pwm5-eplen15-vweight_loss-REINFORCE-lrate_0.0050-3seed",
        base=_notes(15, 10_000),
        critic_weights=(2.0, 3.0, 4.0, 5.0),
        notes_seeds=3,
    ),
    Experiment(
        name="eplen15-edge",
        notes_figure="lower weights than the notes tried at 15 steps, where success sets in",
        base=_notes(15, 10_000),
        critic_weights=(0.25, 0.5, 1.0, 1.5),
        notes_seeds=3,
    ),
    Experiment(
        name="lrate0.001",
        notes_figure="pwm5-vweight_loss-REINFORCE-lrate_0.0010-1seed",
        base=_notes(60, 10_000, 0.001),
        critic_weights=_AUXILIARY_WEIGHTS,
        notes_seeds=1,
    ),
    Experiment(
        name="lrate0.005",
        notes_figure="the learning rate between the two of the notes' auxiliary grid",
        base=_notes(60, 10_000),
        critic_weights=_AUXILIARY_WEIGHTS,
        notes_seeds=1,
    ),
    Experiment(
        name="lrate0.01",
        notes_figure="pwm5-vweight_loss-REINFORCE-lrate_0.0100-1seed",
        base=_notes(60, 10_000, 0.01),
        critic_weights=_AUXILIARY_WEIGHTS,
        notes_seeds=1,
    ),
    Experiment(
        name="pwm0",
        notes_figure="the same for the trivial task, which needs no memory",
        base=replace(_notes(60, 10_000), task=TaskConfig("pwm0", 3, 60)),
        critic_weights=(0.05, 3.0, 10.0, 15.0, 20.0),
        notes_seeds=1,
    ),
)
EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType({item.name: item for item in _ALL})


def chosen(
    names: tuple[str, ...], size: Size, also: tuple[str, ...] = ()
) -> tuple[Experiment, ...]:
    """The experiments of those names, or all of them if there is none, in a size.

    Args:
        names: of experiments.
        size: of each.
        also: names that are right too, but name no experiment.
    Raises:
        InputError: there is no experiment of that name.
    """
    for name in names:
        if name not in EXPERIMENTS and name not in also:
            raise InputError("names", name, "some of " + ", ".join([*EXPERIMENTS, *also]))
    return tuple(
        EXPERIMENTS[name].sized(size) for name in names or EXPERIMENTS if name in EXPERIMENTS
    )
