"""The published outcomes of every run: all that claims, tables and figures are computed from.

`paper/outcomes.npz` holds the experiments' runs one after another, N in all. `numpy.load` reads it:

- `version` of this layout;
- of each experiment, its name, `experiment`, its number of `runs`, a hash that identifies them,
  `plan`, and the lengths of its published curves, `windows` and `probes`, one or both of them 0;
- `digest` [N] and `trail` [N, 7] of each run (see `pwm.runs.digests`);
- an array [N] for each field of `pwm.analysis.stored.OUTCOME`;
- `curve.NAME` for each curve in `CURVES`: those of all diagnosed runs, one after another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.stored import OUTCOME, outcomes_of
from pwm.core.config import TrainConfig
from pwm.core.errors import FileError, InputError, require_file
from pwm.core.history import AGENT_DIAGNOSTICS, History
from pwm.core.task import TaskConfig
from pwm.io.files import read_arrays, write_arrays
from pwm.io.repository import published
from pwm.runs.digests import digests_of, trails_of
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan

VERSION = 1
FILE = "outcomes.npz"  # in `paper/`
CURVES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "windows": (
            *("reward", "value_loss", "policy_loss", "critic_bias"),
            *("policy_norm", "critic_norm", "total_norm", "signal_to_noise"),
            *("return_variance", "covariance"),
        ),
        "probes": AGENT_DIAGNOSTICS,
    }
)
"""Published curves of runs with diagnostics, those that claims and figures read: of runs diagnosed
at the end of each window, and of runs with `probe_at`."""
CURVE = "curve."  # prefix of their names in the file
OF_EXPERIMENTS = ("experiment", "plan", "runs", *CURVES)
DIGESTS = ("digest", "trail")
OF_RUNS = (*DIGESTS, *(OUTCOME.names or ()))


@dataclass(frozen=True)
class Record:
    """Published data of R runs: arrays [R, ...]."""

    digest: NDArray[np.uint64]
    trail: NDArray[np.uint8]
    outcome: NDArray[Any]
    """[R], of type `OUTCOME`."""
    curves: Mapping[str, NDArray[np.float32]]
    """Published curves by name, [R, K] or [R, J]."""

    @classmethod
    def of(cls, history: History, task: TaskConfig) -> Record:
        """The record of the runs in a history."""
        kind = "windows" if history.probe_episode is None else "probes"
        names = CURVES[kind] if history.diagnostics else ()
        curves = {name: history.curves[name] for name in names}
        outcome = outcomes_of(history, task)
        return cls(digests_of(history), trails_of(history), outcome, curves)

    @classmethod
    def joined(cls, parts: Sequence[Record]) -> Record:
        """One record of the runs of several.

        Raises:
            ValueError: they differ in the names or the lengths of their curves.
        """
        curves = {name: np.concatenate([part.curves[name] for part in parts])
                  for name in set().union(*(part.curves for part in parts))}  # fmt: skip
        digest, trail, outcome = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("digest", "trail", "outcome")
        )
        return cls(digest, trail, outcome, curves)

    def select(self, runs: slice | Sequence[int]) -> Record:
        """The record of some of the runs."""
        curves = {name: curve[runs] for name, curve in self.curves.items()}
        return Record(self.digest[runs], self.trail[runs], self.outcome[runs], curves)

    def differences(self, other: Record) -> dict[str, NDArray[np.bool_]]:
        """Whether each run differs from the same run of another record: [R], by array."""
        outcomes = {name: (self.outcome[name], other.outcome[name]) for name in OUTCOME.names or ()}
        curves = {name: (curve, other.curves[name]) for name, curve in self.curves.items()}
        digests = {name: (getattr(self, name), getattr(other, name)) for name in DIGESTS}
        pairs = {**digests, **outcomes, **curves}
        return {name: _differs(one, two) for name, (one, two) in pairs.items()}

    def length(self, kind: str) -> int:
        """Number of points in the curves of a kind, a key of `CURVES`; 0 if there are none."""
        return next((self.curves[name].shape[1] for name in CURVES[kind] if name in self.curves), 0)


def _differs(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether two arrays [R, ...] differ, by row: [R]; nan equals nan."""
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    return np.asarray(~same.reshape(len(one), -1).all(axis=1))


class PublishedRuns:
    """The published runs of an experiment, numbered as in the experiment.

    Args:
        experiment: the experiment.
        record: the published data of its runs.
    """

    def __init__(self, experiment: Experiment, record: Record) -> None:
        self._experiment, self._record = experiment, record

    @cached_property
    def configs(self) -> Sequence[TrainConfig]:
        """The configuration of each run."""
        return [run for shard in plan(self._experiment) for run in shard.runs]

    def outcomes(self, numbers: NDArray[np.intp]) -> NDArray[Any]:
        """Outcomes of some runs, an array of `OUTCOME` in the shape of their numbers."""
        return np.asarray(self._record.outcome[numbers])

    def course(self, name: str, numbers: NDArray[np.intp]) -> NDArray[np.float32]:
        """A published curve of some runs, by name: [R, K], or [R, J] with `probe_at`.

        Raises:
            InputError: it is not published.
        """
        if name not in self._record.curves:
            raise self._not_published()
        return self._record.curves[name][numbers]

    def history(self, _numbers: NDArray[np.intp]) -> History:
        """Raises `InputError`, as whole histories are not published."""
        raise self._not_published()

    def _not_published(self) -> InputError:
        """The error of reading curves that only a store has."""
        name = self._experiment.name
        accepted = (
            f"a folder that holds the runs of {name}, whose curves are not published; "
            f"`python -m pwm.sweep {name}` trains them into results"
        )
        return InputError("results", "(none)", accepted)


@dataclass(frozen=True)
class Published:
    """The published outcomes of some experiments."""

    path: Path
    """File that holds them, for messages."""
    records: Mapping[str, Record]
    """By experiment."""
    plans: Mapping[str, str]
    """Hash that identifies the runs, by experiment; see `plan_of`."""

    @classmethod
    def read(cls, path: Path | None = None) -> Published:
        """Reads what `write` wrote, by default `paper/outcomes.npz`, and verifies it.

        Raises:
            FileError: the file is missing, damaged or of another version.
        """
        path = path or published(FILE)
        names = ["version", *OF_EXPERIMENTS, *OF_RUNS, *(CURVE + name for name in _all_curves())]
        try:
            arrays = read_arrays(path, names)
        except FileError as error:
            accepted = "the published outcomes, undamaged; `git restore` brings them back"
            raise FileError(path, accepted) from error
        require_file(arrays["version"] == VERSION, path, f"published outcomes, version {VERSION}")
        experiments = arrays["experiment"].tolist()
        records = dict(zip(experiments, _records(arrays), strict=True))
        plans = dict(zip(experiments, arrays["plan"].tolist(), strict=True))
        return cls(path, records, plans)

    def write(self, path: Path) -> None:
        """Writes the outcomes with a checksum, atomically."""
        records = self.records.values()
        arrays: dict[str, NDArray[Any]] = {
            "version": np.array(VERSION),
            "experiment": np.array(list(self.records)),
            "plan": np.array(list(self.plans.values())),
            "runs": np.array([len(record.digest) for record in records]),
            **{kind: np.array([record.length(kind) for record in records]) for kind in CURVES},
            "digest": np.concatenate([record.digest for record in records]),
            "trail": np.concatenate([record.trail for record in records]),
        }
        for name in OUTCOME.names or ():
            arrays[name] = np.concatenate([record.outcome[name] for record in records])
        nothing = np.zeros(0, np.float32)
        for name in _all_curves():
            parts = (record.curves.get(name, nothing).ravel() for record in records)
            arrays[CURVE + name] = np.concatenate(list(parts))
        write_arrays(path, arrays)

    def record(self, experiment: Experiment) -> Record:
        """The published data of an experiment's runs.

        Raises:
            FileError: they are not published, or the experiment has changed since.
        """
        name = experiment.name
        accepted = f"the outcomes of {name} as it is now; `python -m pwm.digests --write {name}`"
        require_file(self.plans.get(name) == plan_of(experiment), self.path, accepted)
        return self.records[name]

    def runs(self, experiment: Experiment) -> PublishedRuns:
        """The published runs of an experiment."""
        return PublishedRuns(experiment, self.record(experiment))


def _records(arrays: Mapping[str, NDArray[Any]]) -> Iterator[Record]:
    """Yields the record of each experiment from the arrays of the file."""
    num_runs = arrays["runs"]
    columns = {name: np.split(arrays[name], np.cumsum(num_runs)[:-1]) for name in OF_RUNS}
    curves = {
        name: np.split(arrays[CURVE + name], np.cumsum(num_runs * arrays[kind])[:-1])
        for kind, members in CURVES.items()
        for name in members
    }
    for place, runs in enumerate(num_runs.tolist()):
        outcome = np.zeros(runs, OUTCOME)
        for name in OUTCOME.names or ():
            outcome[name] = columns[name][place]
        own = {name: parts[place].reshape(runs, -1) for name, parts in curves.items()
               if parts[place].size}  # fmt: skip
        yield Record(columns["digest"][place], columns["trail"][place], outcome, own)


def plan_of(experiment: Experiment) -> str:
    """Hash that identifies the runs of an experiment, computed from the keys of its shards."""
    keys = "".join(shard.key for shard in plan(experiment))
    return hashlib.sha256(keys.encode()).hexdigest()[:16]


def _all_curves() -> tuple[str, ...]:
    """Names of all published curves."""
    return tuple(name for names in CURVES.values() for name in names)
