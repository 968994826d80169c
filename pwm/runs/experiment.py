"""An experiment as data: a grid around a setting, in two sizes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType
from typing import Any, Literal

from pwm.engines import EngineName
from pwm.core.config import TrainConfig
from pwm.core.fields import replaced

Size = Literal["paper", "smoke"]
MEMBER_AXES = ("critic_weight", "learning_rate", "seed")  # what may differ within a population
SMOKE_EPISODES = 200
SMOKE_SEEDS = 3


@dataclass(frozen=True)
class Experiment:
    """A grid around one setting: every combination of what its axes hold."""

    name: str
    about: str
    """Name of the notes' figure that it regenerates, or what it asks."""
    base: TrainConfig
    """The setting, and the budget of a run."""
    axes: Mapping[str, tuple[Any, ...]]
    """Values by field, such as "critic_weight" or "episode_length", the slowest
    first; those that may differ within a population come last."""
    notes_seeds: int = 0
    """Seeds of the notes' figure, which are the first ones of the experiment; 0 if the notes have
    no such figure."""
    engine: EngineName = "fused"
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
                replaced(first, {name: value})

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
            yield replaced(self.base, combination)

    def runs(self) -> tuple[TrainConfig, ...]:
        """All runs in order, the last axis running fastest."""
        return tuple(
            replaced(setting, combination)
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
        log_every = min(self.base.log_every, SMOKE_EPISODES)
        base = replace(self.base, num_episodes=SMOKE_EPISODES, log_every=log_every)
        return replace(self, base=base, axes=MappingProxyType(axes))
