"""Experiments: grids of runs around one configuration, at full budget or as smoke tests."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, lcm, prod
from types import MappingProxyType
from typing import Any, Literal

from pwm.core.errors import require
from pwm.runs.engines import EngineName
from pwm.runs.fields import replaced
from pwm.training.config import TrainConfig

Size = Literal["paper", "smoke"]
INNER_AXES = ("critic_weight", "learning_rate", "seed")
"""Fields in which runs of a population may differ; any of these runs can be trained together."""
SMOKE_EPISODES = 200  # or all of a run's, if fewer; rounded up to whole updates
SMOKE_SEEDS = 3


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A grid of runs: every combination of the values on its axes.

    Raises:
        InputError: an axis is not a field of `TrainConfig` or its parts, is out of order, or has
            no values, repeated values or an invalid value.
    """

    name: str
    """Name on the command line."""
    about: str = ""
    """The question that it answers, or the notes' figure that it reproduces; one line."""
    base: TrainConfig = field(default_factory=TrainConfig)
    """Configuration of every run, except for the fields on the axes."""
    axes: Mapping[str, Sequence[Any]]
    """Values by field, for instance `{"baseline": ("attached", "detached"), "seed": range(24)}`.
    The last axis varies fastest. The `INNER_AXES` come last."""
    notes_seeds: int = 0
    """Number of seeds, from the first on the axis, that are averaged in a figure like the public
    notes' (docs/notes.md); 0 for no such figure."""
    engine: EngineName = "fused"

    def __post_init__(self) -> None:
        for name, values in self.axes.items():
            is_list = isinstance(values, Sequence) and not isinstance(values, str)
            is_hashable = is_list and all(isinstance(value, Hashable) for value in values)
            is_valid = is_hashable and len(values) == len(set(values)) > 0
            accepted = "a tuple, list or range of one or more different values, none of them a list"
            require(is_valid, name, values, accepted)
        axes = {name: tuple(values) for name, values in self.axes.items()}
        object.__setattr__(self, "axes", MappingProxyType(axes))  # as the dataclass is frozen
        are_ordered = list(axes) == sorted(axes, key=lambda name: name in INNER_AXES)
        accepted = f"{', '.join(INNER_AXES)} after all other axes"
        require(are_ordered, "axes", ", ".join(axes), accepted)
        # Making a configuration validates its values. Values of the inner axes are validated one by
        # one, not in all combinations, as a grid may have millions of runs.
        settings = list(self.settings())
        for name in INNER_AXES:
            for value in axes.get(name, ()):
                replaced(settings[0], {name: value})

    @property
    def num_runs(self) -> int:
        """Number of runs in the grid."""
        return prod(len(values) for values in self.axes.values())

    @property
    def population_size(self) -> int:
        """Number of runs in each population: combinations of values on the inner axes."""
        return prod(len(values) for name, values in self.axes.items() if name in INNER_AXES)

    def combinations(self, *, inner: bool) -> Iterator[dict[str, Any]]:
        """Yields each combination of values on the inner axes or, if not `inner`, on all others.

        Without such axes, yields one empty dictionary.
        """
        names = [name for name in self.axes if (name in INNER_AXES) == inner]
        for values in itertools.product(*(self.axes[name] for name in names)):
            yield dict(zip(names, values, strict=True))

    def settings(self) -> Iterator[TrainConfig]:
        """Yields a configuration per population; fields on inner axes have the values of `base`."""
        for combination in self.combinations(inner=False):
            yield replaced(self.base, combination)

    def runs(self) -> tuple[TrainConfig, ...]:
        """The configurations of all runs, in order; the last axis varies fastest."""
        return tuple(
            replace(setting, **combination)
            for setting in self.settings()
            for combination in self.combinations(inner=True)
        )

    def sized(self, size: Size) -> Experiment:
        """The experiment, in full ("paper"), or with few episodes and seeds ("smoke").

        These are `SMOKE_EPISODES` at most, in whole updates, and `SMOKE_SEEDS`. An axis
        `num_episodes` keeps its values: its runs are as long as at full budget.
        """
        if size == "paper":
            return self
        axes = dict(self.axes)
        if "seed" in axes:
            axes["seed"] = axes["seed"][:SMOKE_SEEDS]
        # Every run must train for a whole number of updates.
        multiple = lcm(self.base.episodes_per_update, *axes.get("episodes_per_update", ()))
        most = min(SMOKE_EPISODES, self.base.num_episodes)
        num_episodes = ceil(most / multiple) * multiple
        log_every = min(self.base.log_every, num_episodes)
        if "probe_at" in axes:
            within = [_probes_within(num_episodes, probe_at) for probe_at in axes["probe_at"]]
            axes["probe_at"] = list(dict.fromkeys(within))  # without repeated values
        probes = _probes_within(num_episodes, self.base.probe_at)
        base = replace(self.base, num_episodes=num_episodes, log_every=log_every, probe_at=probes)
        return replace(self, base=base, axes=axes)


def _probes_within(num_episodes: int, probe_at: Sequence[int]) -> tuple[int, ...]:
    """Episodes of `probe_at`, with the run's end for those that it does not reach, each once."""
    return tuple(dict.fromkeys(min(episode, num_episodes) for episode in probe_at))
