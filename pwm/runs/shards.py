"""Shards: runs of an experiment that are trained together and stored together.

The runs of a shard differ in the fields of `Member` only: they belong to one population. The
division into shards depends on the experiment alone. Changing it renames shards, so all runs would
be trained again.
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

from pwm.runs.engines import EngineName
from pwm.runs.experiment import INNER_AXES, Experiment
from pwm.runs.fields import identity, restored
from pwm.training.config import SEMANTICS, TrainConfig
from pwm.training.history import AGENT_DIAGNOSTICS, DIAGNOSTICS, METRICS

SHARD_SECONDS = {"fused": 2.5, "torch": 5.0}  # training time per shard to aim at, without probes
FEWEST_RUNS, MOST_RUNS = 8, 96  # bounds on a shard's runs; an even split may give fewer
PROBE_COST = 20  # trained episodes per probe episode: it sums three gradients in double precision
BYTES_PER_NUMBER = 3  # of a stored curve, compressed


class Member(NamedTuple):
    """The values in which a run may differ from the other runs of its population."""

    critic_weight: float
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class Shard:
    """Runs of one population that are trained and stored together."""

    setting: TrainConfig
    """Configuration that the runs share, with constants in the fields of `Member`."""
    members: tuple[Member, ...]
    engine: EngineName = "fused"
    experiment: str = field(default="", compare=False)
    """Name of the experiment; not part of `content`, so that experiments can share a shard."""

    @property
    def runs(self) -> tuple[TrainConfig, ...]:
        """The configuration of each run."""
        return tuple(replace(self.setting, **member._asdict()) for member in self.members)

    @cached_property
    def content(self) -> str:
        """Everything that determines the shard's history, as JSON.

        The torch engine's also depends on PyTorch's version and the processor. The text is stored
        in the shard's files, and `shard_of` rebuilds the shard from it. Any change to it changes
        the key, and with it the names of all stored files.
        """
        setting = identity(self.setting)
        members = {}
        for name in Member._fields:
            del setting[name]
            members[name] = [getattr(member, name) for member in self.members]
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
    def replica_episodes(self) -> int:
        """Number of episodes to train, summed over runs."""
        return len(self.members) * self.setting.num_episodes

    @property
    def seconds(self) -> float:
        """Estimated training time on one core, in seconds."""
        setting = self.setting
        num_probes = len(setting.probe_at) or setting.num_episodes // setting.log_every
        episodes = setting.num_episodes + PROBE_COST * setting.probe_episodes * num_probes
        per_population, per_replica = _seconds_per_episode(setting, self.engine)
        return episodes * (per_population + len(self.members) * per_replica)

    @property
    def bytes(self) -> int:
        """Estimated size of the stored history, in bytes."""
        num_windows = ceil(self.setting.num_episodes / self.setting.log_every)
        numbers = len(METRICS) * num_windows  # per run
        if self.setting.probe_at:
            numbers += len(DIAGNOSTICS + AGENT_DIAGNOSTICS) * len(self.setting.probe_at)
        elif self.setting.probe_episodes:
            numbers += len(DIAGNOSTICS) * num_windows
        return len(self.members) * numbers * BYTES_PER_NUMBER


def key_of(content: str) -> str:
    """Key of a shard: the first 32 hexadecimal digits of the SHA-256 hash of its content."""
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def trained_by(engine: EngineName) -> str:
    """Describes the engine and the version of the training code, to be recorded with a figure."""
    return f"engine {engine}, semantics {SEMANTICS}"


def shard_of(content: Mapping[str, Any]) -> Shard:
    """Rebuilds a shard from its parsed `content`; raises `ValueError` if `SEMANTICS` differ."""
    if content["semantics"] != SEMANTICS:
        raise ValueError("of other semantics")
    # `shared` sets the fields in which members differ to fixed values, as `plan` does.
    setting = restored(TrainConfig(), content["setting"]).shared
    columns = [content["members"][name] for name in Member._fields]  # each holds a value per run
    members = tuple(Member(*values) for values in zip(*columns, strict=True))
    return Shard(setting, members, content["engine"])


def plan(experiment: Experiment) -> Iterator[Shard]:
    """Yields the shards of an experiment, which hold its runs in order.

    Shards are made one by one, so a million runs take no more memory than one shard.
    """
    for setting in experiment.settings():
        defaults = {name: getattr(setting, name) for name in INNER_AXES}
        combinations = experiment.combinations(inner=True)
        members = (_member(defaults | combination) for combination in combinations)
        for size in _sizes(setting, experiment.engine, experiment.population_size):
            next_members = tuple(itertools.islice(members, size))  # continues where it stopped
            yield Shard(setting.shared, next_members, experiment.engine, experiment.name)


def _member(values: Mapping[str, Any]) -> Member:
    """Makes a member from values by field; weight and rate become floats, so 2 and 2.0 agree."""
    weight, rate = float(values["critic_weight"]), float(values["learning_rate"])
    return Member(weight, rate, values["seed"])


def planned(experiments: Iterable[Experiment]) -> list[Shard]:
    """The shards of experiments, in order; a shared one appears once, as the last experiment's."""
    by_key = {shard.key: shard for experiment in experiments for shard in plan(experiment)}
    return list(by_key.values())


def _sizes(setting: TrainConfig, engine: EngineName, num_runs: int) -> list[int]:
    """Number of runs in each shard of a population; the numbers differ by at most 1."""
    _, per_replica = _seconds_per_episode(setting, engine)
    # The fixed term does not count: each shard has it, so smaller shards would take longer in all.
    runs_that_fit = int(SHARD_SECONDS[engine] / (setting.num_episodes * per_replica))
    num_shards = ceil(num_runs / min(max(runs_that_fit, FEWEST_RUNS), MOST_RUNS))
    size, remainder = divmod(num_runs, num_shards)
    return [size + 1] * remainder + [size] * (num_shards - remainder)


def _seconds_per_episode(setting: TrainConfig, engine: EngineName) -> tuple[float, float]:
    """Estimated seconds per episode on one core: a fixed term, and a term per replica.

    The formulas were fitted to a few settings on a 2024 server and are accurate to within a factor
    of two. Shard sizes depend on the second term, so a change of it can rename stored files.
    """
    task, agent = setting.task, setting.agent
    steps, width = task.num_steps, agent.hidden_size / 24  # width relative to the notes'
    if engine == "fused":
        # Trials with the same stimuli so far share their steps, unless states are carried.
        distinct_steps = task.num_stimuli * (task.trial_length - 1) + task.num_pairs
        weighted_steps = 0.8 * steps if agent.carry_state else 0.33 * min(distinct_steps, steps)
        # Matrix products: width**1.75, by roots; a power may round differently on other machines.
        products = agent.num_trunks * weighted_steps * width * sqrt(width) * sqrt(sqrt(width))
        return 0.0, (4 + 0.02 * steps + products) * 0.5e-6
    # All trials of an episode are played at once, unless each depends on the trial before.
    calls = steps if agent.carry_state or task.timeout else task.trial_length
    per_replica = (11 + 0.65 * steps) * agent.num_trunks * width * sqrt(width)
    return (0.3 + 0.15 * calls) * 1e-3, per_replica * 1e-6
