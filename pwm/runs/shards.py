"""Cuts experiments into shards: runs that are trained together, and stored together.

A plan depends on the experiment alone, not on who carries it out. How it is cut decides the
names of the shards, so that a change to it has everything trained again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import sqrt
from typing import Any, NamedTuple

from pwm.engines import EngineName
from pwm.runs.experiment import MEMBER_AXES, Experiment
from pwm.core.history import METRICS
from pwm.core.diagnostics import DIAGNOSTICS
from pwm.core.config import SEMANTICS, TrainConfig
from pwm.core.fields import identity, restored

SHARD_SECONDS = 5  # what a shard is to cost, as far as the bounds on its size allow
SMALLEST, LARGEST = 8, 96  # replicas
BYTES_A_NUMBER = 3  # of a stored curve, compressed


class Member(NamedTuple):
    """What tells a run from the others of its population."""

    critic_weight: float
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class Shard:
    """Some runs of one population."""

    setting: TrainConfig
    """What they share."""
    members: tuple[Member, ...]
    """What each has of its own."""
    engine: EngineName = "fused"
    """What trains them."""
    experiment: str = field(default="", compare=False)
    """Name of an experiment that they are of, which is not part of their content."""

    @property
    def runs(self) -> tuple[TrainConfig, ...]:
        """The runs in full."""
        return tuple(replace(self.setting, **member._asdict()) for member in self.members)

    @cached_property
    def content(self) -> str:
        """Everything that decides the shard's history, as JSON."""
        setting = {
            name: value
            for name, value in identity(self.setting).items()
            if name not in Member._fields
        }
        members = dict(zip(Member._fields, zip(*self.members, strict=True), strict=False))
        content = {
            "semantics": SEMANTICS,
            "engine": self.engine,
            "setting": setting,
            "members": members,
        }
        return json.dumps(content, sort_keys=True)

    @cached_property
    def key(self) -> str:
        """Hash of the content: the shard's name."""
        return hashlib.sha256(self.content.encode()).hexdigest()[:32]

    @property
    def num_episodes(self) -> int:
        """Replica-episodes, the work of the shard."""
        return len(self.members) * self.setting.num_episodes

    @property
    def seconds(self) -> float:
        """About how long one core takes."""
        overhead, each = _seconds_an_episode(self.setting, self.engine)
        episodes = self.setting.num_episodes
        if probed := self.setting.probe_episodes:  # three parts of a gradient, and their sums
            episodes += 20 * probed * (episodes // self.setting.log_every)
        return episodes * (overhead + len(self.members) * each)

    @property
    def bytes(self) -> int:
        """About how much disk its history takes."""
        windows = -(-self.setting.num_episodes // self.setting.log_every)
        logged = len(METRICS) + (len(DIAGNOSTICS) if self.setting.probe_episodes else 0)
        return len(self.members) * windows * logged * BYTES_A_NUMBER


def shard_of(content: Mapping[str, Any]) -> Shard:
    """The shard of that content.

    Raises:
        ValueError: another version of the code trained it.
    """
    if content["semantics"] != SEMANTICS:
        raise ValueError("of other semantics")
    setting = restored(TrainConfig(), content["setting"]).shared
    rows = zip(*(content["members"][name] for name in Member._fields), strict=True)
    return Shard(setting, tuple(Member(*row) for row in rows), content["engine"])


def plan(experiment: Experiment) -> Iterator[Shard]:
    """The experiment's runs in order, cut into shards of similar cost.

    It is lazy, and takes no more memory for a million runs than for one shard.
    """
    for setting in experiment.settings():
        own = {name: getattr(setting, name) for name in MEMBER_AXES}
        combinations = experiment.combinations(of_members=True)
        members = (_member(own | combination) for combination in combinations)
        for size in _sizes(setting, experiment.engine, experiment.population_size):
            part = tuple(itertools.islice(members, size))
            yield Shard(setting.shared, part, experiment.engine, experiment.name)


def _member(values: Mapping[str, Any]) -> Member:
    """A member of those values; a weight of 2 is the same as one of 2.0."""
    weight, rate = float(values["critic_weight"]), float(values["learning_rate"])
    return Member(weight, rate, values["seed"])


def planned(experiments: Iterable[Experiment]) -> list[Shard]:
    """The shards of some experiments, each once."""
    every = itertools.chain.from_iterable(map(plan, experiments))
    return list({shard.key: shard for shard in every}.values())


def _sizes(setting: TrainConfig, engine: EngineName, num_runs: int) -> Iterator[int]:
    """Runs of each shard of a population: as equal as can be."""
    _, each = _seconds_an_episode(setting, engine)
    target = int(SHARD_SECONDS / (setting.num_episodes * each))
    count = -(-num_runs // min(max(target, SMALLEST), LARGEST))
    return (num_runs // count + (place < num_runs % count) for place in range(count))


def _seconds_an_episode(setting: TrainConfig, engine: EngineName) -> tuple[float, float]:
    """About how long an episode takes: for the population, and for each replica of it.

    Fitted to a few settings on one core of a server of 2024; good to a factor of two.
    """
    task, agent = setting.task, setting.agent
    steps, size = task.num_trials * task.trial_length, agent.hidden_size / 24
    if engine == "fused":
        # what is played: each different beginning of a trial, or every step
        rows = min(task.num_stimuli * (task.trial_length - 1) + task.num_pairs, steps)
        played = 0.8 * steps if agent.carry_state else 0.33 * rows
        products = agent.num_trunks * played * size * sqrt(size) * sqrt(sqrt(size))
        return 0.0, (4 + 0.02 * steps + products) * 1e-6
    calls = steps if agent.carry_state or task.timeout else task.trial_length
    each = (11 + 0.65 * steps) * agent.num_trunks * size * sqrt(size)
    return (0.3 + 0.15 * calls) * 1e-3, each * 1e-6


def flattened(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
