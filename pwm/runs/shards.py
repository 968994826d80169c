"""Shards: runs of an experiment that are trained together and stored together.

The division into shards depends on the experiment alone. Changing it renames shards, so that
everything would be trained again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil, sqrt
from typing import Any, NamedTuple

from pwm.core.config import SEMANTICS, TrainConfig
from pwm.core.history import AGENT_DIAGNOSTICS, DIAGNOSTICS, METRICS
from pwm.engines import EngineName
from pwm.runs.experiment import MEMBER_AXES, Experiment
from pwm.runs.fields import identity, restored

SHARD_SECONDS = {"fused": 2.5, "torch": 5.0}  # aimed at per shard, if its size is within bounds
SMALLEST, LARGEST = 8, 96  # bounds on the replicas per shard
BYTES_PER_NUMBER = 3  # of a stored curve, compressed


class Member(NamedTuple):
    """The values in which a run may differ from the others of its population."""

    critic_weight: float
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class Shard:
    """Runs of one population that are trained and stored together."""

    setting: TrainConfig
    """Configuration that the runs share."""
    members: tuple[Member, ...]
    """For each run, the values in which it may differ from the others."""
    engine: EngineName = "fused"
    """Engine that trains the runs."""
    experiment: str = field(default="", compare=False)
    """Name of the experiment, which is not part of the content."""

    @property
    def runs(self) -> tuple[TrainConfig, ...]:
        """The configuration of each run."""
        return tuple(replace(self.setting, **member._asdict()) for member in self.members)

    @cached_property
    def content(self) -> str:
        """Everything that determines the shard's history, as JSON."""
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
        """Hash of the content, which names the shard's files."""
        return key_of(self.content)

    @property
    def num_episodes(self) -> int:
        """Episodes to train, summed over runs."""
        return len(self.members) * self.setting.num_episodes

    @property
    def seconds(self) -> float:
        """Estimated training time on one core."""
        per_population, per_replica = _seconds_per_episode(self.setting, self.engine)
        episodes, setting = self.setting.num_episodes, self.setting
        probes = len(setting.probe_at) or episodes // setting.log_every
        # A probed episode takes as long as 20: three gradients, summed in double precision.
        episodes += 20 * setting.probe_episodes * probes
        return episodes * (per_population + len(self.members) * per_replica)

    @property
    def bytes(self) -> int:
        """Estimated size of the stored history."""
        windows = ceil(self.setting.num_episodes / self.setting.log_every)
        logged = len(METRICS) * windows
        if self.setting.probe_at:
            logged += len(DIAGNOSTICS + AGENT_DIAGNOSTICS) * len(self.setting.probe_at)
        elif self.setting.probe_episodes:
            logged += len(DIAGNOSTICS) * windows
        return len(self.members) * logged * BYTES_PER_NUMBER


def key_of(content: str) -> str:
    """The key of a shard with that content."""
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def trained_by(engine: EngineName) -> str:
    """The engine and the version of the training code, in words."""
    return f"engine {engine}, semantics {SEMANTICS}"


def shard_of(content: Mapping[str, Any]) -> Shard:
    """Rebuilds a shard from its content.

    Args:
        content: `Shard.content`, parsed.
    Raises:
        ValueError: the shard was trained by another version of the code (`SEMANTICS`).
    """
    if content["semantics"] != SEMANTICS:
        raise ValueError("of other semantics")
    # `shared` sets the fields in which members differ to fixed values, so that shards compare.
    setting = restored(TrainConfig(), content["setting"]).shared
    rows = zip(*(content["members"][name] for name in Member._fields), strict=True)
    return Shard(setting, tuple(Member(*row) for row in rows), content["engine"])


def plan(experiment: Experiment) -> Iterator[Shard]:
    """Yields shards of similar cost that together hold an experiment's runs, in order.

    As they are made one by one, a million runs take no more memory than one shard.
    """
    for setting in experiment.settings():
        defaults = {name: getattr(setting, name) for name in MEMBER_AXES}
        combinations = experiment.combinations(of_members=True)
        members = (_member(defaults | combination) for combination in combinations)
        for size in _sizes(setting, experiment.engine, experiment.population_size):
            part = tuple(itertools.islice(members, size))
            yield Shard(setting.shared, part, experiment.engine, experiment.name)


def _member(values: Mapping[str, Any]) -> Member:
    """A member with those values; a weight of 2 names the same shard as one of 2.0."""
    weight, rate = float(values["critic_weight"]), float(values["learning_rate"])
    return Member(weight, rate, values["seed"])


def planned(experiments: Iterable[Experiment]) -> list[Shard]:
    """The shards of some experiments, in order, without duplicates."""
    every = itertools.chain.from_iterable(map(plan, experiments))
    return list({shard.key: shard for shard in every}.values())


def _sizes(setting: TrainConfig, engine: EngineName, num_runs: int) -> Iterator[int]:
    """Yields the number of runs in each shard of a population, as equal as possible."""
    _, per_replica = _seconds_per_episode(setting, engine)
    target = int(SHARD_SECONDS[engine] / (setting.num_episodes * per_replica))
    count = ceil(num_runs / min(max(target, SMALLEST), LARGEST))
    size, remainder = divmod(num_runs, count)
    return (size + 1 if place < remainder else size for place in range(count))


def _seconds_per_episode(setting: TrainConfig, engine: EngineName) -> tuple[float, float]:
    """Estimated seconds per episode on one core: a fixed part, and a part per replica.

    Fitted to a few settings on a server of 2024; right to within a factor of two.
    """
    task, agent = setting.task, setting.agent
    steps, size = task.num_steps, agent.hidden_size / 24
    if engine == "fused":
        # steps computed: one per distinct beginning of a trial, or all
        rows = min(task.num_stimuli * (task.trial_length - 1) + task.num_pairs, steps)
        computed = 0.8 * steps if agent.carry_state else 0.33 * rows
        # size**1.75, by roots: a power may round differently on another machine
        products = agent.num_trunks * computed * size * sqrt(size) * sqrt(sqrt(size))
        return 0.0, (4 + 0.02 * steps + products) * 0.5e-6
    calls = steps if agent.carry_state or task.timeout else task.trial_length
    per_replica = (11 + 0.65 * steps) * agent.num_trunks * size * sqrt(size)
    return (0.3 + 0.15 * calls) * 1e-3, per_replica * 1e-6
