"""An experiment as data: a grid of runs around one configuration, in two sizes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, lcm, prod
from types import MappingProxyType
from typing import Any, Literal

from pwm.core.config import TrainConfig
from pwm.core.errors import require
from pwm.engines import EngineName
from pwm.runs.fields import replaced

Size = Literal["paper", "smoke"]
MEMBER_AXES = ("critic_weight", "learning_rate", "seed")  # what may differ within a population
SMOKE_EPISODES = 200
SMOKE_SEEDS = 3


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A grid of runs: every combination of the values on its axes.

    Raises:
        InputError: an axis is no field of `TrainConfig` or of its parts, has an invalid value, or
            is out of order.
    """

    name: str
    """Name on the command line."""
    about: str = ""
    """The question it answers, or the notes' figure that it reproduces; one line."""
    base: TrainConfig = field(default_factory=TrainConfig)
    """Configuration of every run, except for the axes."""
    axes: Mapping[str, Sequence[Any]]
    """Values by field, for instance `{"baseline": ("attached", "detached"), "seed": range(24)}`.
    The last axis varies fastest. Axes that can differ within a population (critic weight,
    learning rate, seed) come last."""
    notes_seeds: int = 0
    """For a figure of the notes, the number of seeds that it averages: the first ones on the
    axis. 0 if the notes have no such figure."""
    engine: EngineName = "fused"
    """Engine that trains it."""

    def __post_init__(self) -> None:
        axes = {name: _values(name, values) for name, values in self.axes.items()}
        object.__setattr__(self, "axes", MappingProxyType(axes))
        of_members = [name in MEMBER_AXES for name in axes]
        in_order = of_members == sorted(of_members)  # False comes before True
        accepted = f"{', '.join(MEMBER_AXES)} after all other axes"
        require(in_order, "axes", ", ".join(axes), accepted)
        first, *_ = self.settings()  # makes, and so validates, each of them
        for name in MEMBER_AXES:  # one axis at a time, as a grid may have millions of runs
            for value in axes.get(name, ()):
                replaced(first, {name: value})

    @property
    def num_runs(self) -> int:
        """Number of runs in the grid."""
        return prod(len(values) for values in self.axes.values())

    @property
    def population_size(self) -> int:
        """Runs per population: those that share all but critic weight, learning rate and seed."""
        return prod(len(values) for name, values in self.axes.items() if name in MEMBER_AXES)

    def combinations(self, *, of_members: bool) -> Iterator[dict[str, Any]]:
        """Yields the combinations of values on the `MEMBER_AXES`, or on the other axes, by field.

        Without such axes, that is one empty combination.
        """
        names = [name for name in self.axes if (name in MEMBER_AXES) == of_members]
        for values in itertools.product(*(self.axes[name] for name in names)):
            yield dict(zip(names, values, strict=True))

    def settings(self) -> Iterator[TrainConfig]:
        """Yields the configuration that the runs of each population share."""
        for combination in self.combinations(of_members=False):
            yield replaced(self.base, combination)

    def runs(self) -> tuple[TrainConfig, ...]:
        """The configurations of all runs, in order; the last axis varies fastest."""
        return tuple(
            replace(setting, **combination)
            for setting in self.settings()
            for combination in self.combinations(of_members=True)
        )

    def sized(self, size: Size) -> Experiment:
        """The experiment at its full budget ("paper"), or with few episodes and seeds ("smoke")."""
        if size == "paper":
            return self
        axes = dict(self.axes)
        if "seed" in axes:
            axes["seed"] = axes["seed"][:SMOKE_SEEDS]
        if "probe_at" in axes:
            axes["probe_at"] = [_probes_within_smoke(at) for at in axes["probe_at"]]
        per_update = axes.get("episodes_per_update", (self.base.episodes_per_update,))
        batch = lcm(self.base.episodes_per_update, *per_update)  # whole updates for all of them
        num_episodes = ceil(SMOKE_EPISODES / batch) * batch
        log_every = min(self.base.log_every, num_episodes)
        probes = _probes_within_smoke(self.base.probe_at)
        base = replace(self.base, num_episodes=num_episodes, log_every=log_every, probe_at=probes)
        return replace(self, base=base, axes=axes)


def _probes_within_smoke(probe_at: Sequence[int]) -> tuple[int, ...]:
    """The probes that training at the smoke size reaches."""
    return tuple(episode for episode in probe_at if episode <= SMOKE_EPISODES)


def _values(name: str, values: Any) -> tuple[Any, ...]:
    """The values on an axis, as a tuple.

    Raises:
        InputError: they are not one or more different values.
    """
    several = isinstance(values, Sequence) and not isinstance(values, str)
    distinct = several and 0 < len(values) == len(set(values))
    require(distinct, name, values, "a tuple, list or range of one or more different values")
    return tuple(values)
