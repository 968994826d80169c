"""Every experiment as data: its grid and its budget, in two sizes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType
from typing import Any, Literal

from pwm.engines import Engine
from pwm.errors import InputError
from pwm.task import TaskConfig
from pwm.train import TrainConfig

Size = Literal["paper", "smoke"]
MEMBER_AXES = ("critic_weight", "learning_rate", "seed")  # what may differ within a population
SMOKE_EPISODES = 200
SMOKE_SEEDS = 3


@dataclass(frozen=True)
class Experiment:
    """A grid around one setting: every combination of what its axes hold."""

    name: str
    about: str
    """Name of the notes' figure that it regenerates, or why it stands beside those."""
    base: TrainConfig
    """The setting, and the budget of a run."""
    axes: Mapping[str, tuple[Any, ...]]
    """Values by field of `TrainConfig` ("critic_weight", "task.episode_length"), the slowest
    first; those that may differ within a population come last."""
    notes_seeds: int
    """Seeds of the notes' figure, which are the first ones of the experiment."""
    engine: Engine = "fused"
    """What trains it."""

    def __post_init__(self) -> None:
        kinds = [name in MEMBER_AXES for name in self.axes]
        if kinds != sorted(kinds):
            raise ValueError("axes that may differ within a population come last")
        for name, values in self.axes.items():
            if len(set(values)) != len(values) or not values:
                raise ValueError(f"{name}: an axis has one value or more, all different")
        first, *_ = self.settings()  # each can be made
        for name in MEMBER_AXES:  # one by one: a grid may have millions of runs
            for value in self.axes.get(name, ()):
                _with(first, {name: value})

    @property
    def num_runs(self) -> int:
        """Runs of the whole grid."""
        return prod(len(values) for values in self.axes.values())

    @property
    def population_size(self) -> int:
        """Runs of each population."""
        return prod(len(values) for name, values in self.axes.items() if name in MEMBER_AXES)

    def combinations(self, *, of_members: bool) -> Iterator[dict[str, Any]]:
        """Every combination of the axes that may differ within a population, or of the rest."""
        names = [name for name in self.axes if (name in MEMBER_AXES) == of_members]
        for values in itertools.product(*(self.axes[name] for name in names)):
            yield dict(zip(names, values, strict=True))

    def settings(self) -> Iterator[TrainConfig]:
        """The setting of each population, in order."""
        for combination in self.combinations(of_members=False):
            yield _with(self.base, combination)

    def runs(self) -> tuple[TrainConfig, ...]:
        """All runs in order, the last axis running fastest."""
        return tuple(
            _with(setting, combination)
            for setting in self.settings()
            for combination in self.combinations(of_members=True)
        )

    def sized(self, size: Size) -> Experiment:
        """The experiment in a size: as published, or tiny but otherwise the same."""
        if size == "paper":
            return self
        axes = dict(self.axes)
        if "seed" in axes:
            axes["seed"] = axes["seed"][:SMOKE_SEEDS]
        base = replace(self.base, num_episodes=SMOKE_EPISODES)
        return replace(self, base=base, axes=MappingProxyType(axes))


def _with(config: Any, values: Mapping[str, Any]) -> Any:
    """A configuration with some fields, named by dotted paths, set to other values."""
    own = {name: value for name, value in values.items() if "." not in name}
    for part in {name.partition(".")[0] for name in values if "." in name}:
        inner = {
            name.partition(".")[2]: value
            for name, value in values.items()
            if name.startswith(f"{part}.")
        }
        own[part] = _with(getattr(config, part), inner)
    return replace(config, **own)


def _grid(*critic_weights: float) -> Mapping[str, tuple[Any, ...]]:
    """Critic weights by 96 seeds, which tell a rate of 0.1 from one of 0.3."""
    return MappingProxyType({"critic_weight": critic_weights, "seed": tuple(range(96))})


def _notes(episode_length: int, num_episodes: int, learning_rate: float = 0.005) -> TrainConfig:
    return TrainConfig(
        task=TaskConfig("pwm5", trial_length=3, episode_length=episode_length),
        learning_rate=learning_rate,
        num_episodes=num_episodes,
        log_every=10,
    )


_AUXILIARY = _grid(0.05, 3.0, 10.0, 20.0)
_ALL = (
    Experiment(
        name="eplen60",
        about="pwm5-eplen60-vweight_loss-REINFORCE-lrate_0.0050-1seed",
        base=_notes(60, 30_000),
        axes=_grid(2.0, 3.0, 4.0, 5.0),
        notes_seeds=1,
    ),
    Experiment(
        name="eplen15",
        about="pwm5-eplen15-vweight_loss-REINFORCE-lrate_0.0050-3seed",
        base=_notes(15, 10_000),
        axes=_grid(2.0, 3.0, 4.0, 5.0),
        notes_seeds=3,
    ),
    Experiment(
        name="eplen15-edge",
        about="lower weights than the notes tried at 15 steps, where success sets in",
        base=_notes(15, 10_000),
        axes=_grid(0.25, 0.5, 1.0, 1.5),
        notes_seeds=3,
    ),
    Experiment(
        name="lrate0.001",
        about="pwm5-vweight_loss-REINFORCE-lrate_0.0010-1seed",
        base=_notes(60, 10_000, 0.001),
        axes=_AUXILIARY,
        notes_seeds=1,
    ),
    Experiment(
        name="lrate0.005",
        about="the learning rate between the two of the notes' auxiliary grid",
        base=_notes(60, 10_000),
        axes=_AUXILIARY,
        notes_seeds=1,
    ),
    Experiment(
        name="lrate0.01",
        about="pwm5-vweight_loss-REINFORCE-lrate_0.0100-1seed",
        base=_notes(60, 10_000, 0.01),
        axes=_AUXILIARY,
        notes_seeds=1,
    ),
    Experiment(
        name="pwm0",
        about="the same for the trivial task, which needs no memory",
        base=replace(_notes(60, 10_000), task=TaskConfig("pwm0", 3, 60)),
        axes=_grid(0.05, 3.0, 10.0, 15.0, 20.0),
        notes_seeds=1,
    ),
)
EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType({item.name: item for item in _ALL})


def chosen(
    names: tuple[str, ...], size: Size, engine: Engine = "fused", also: tuple[str, ...] = ()
) -> tuple[Experiment, ...]:
    """The experiments of those names, or all of them if there is none, in a size.

    Args:
        names: of experiments.
        size: of each.
        engine: what trains them.
        also: names that are right too, but name no experiment.
    Raises:
        InputError: there is no experiment of that name.
    """
    for name in names:
        if name not in EXPERIMENTS and name not in also:
            raise InputError("names", name, "some of " + ", ".join([*EXPERIMENTS, *also]))
    return tuple(
        replace(EXPERIMENTS[name].sized(size), engine=engine)
        for name in names or EXPERIMENTS
        if name in EXPERIMENTS
    )
