"""The published outcomes of every run, from which claims, tables and figures are computed.

`paper/outcomes.npz` holds the experiments' runs one after another, N in all. `numpy.load` reads it:

- `version` of this layout;
- arrays with one entry per experiment: `experiment`, its name; `runs`, the number of its runs;
  `plan`, a hash that identifies these runs; `windows` and `probes`, the lengths of its published
  curves, 0 if it has none;
- `digest` [N], a hash of each run's history, and `trail` [N, 7], the first bytes of the hashes of
  seven prefixes of this history (see `pwm.runs.digests`);
- an array [N] for each of `pwm.analysis.stored.FIELDS`;
- `curve.NAME` for each curve in `CURVES`: those of all runs that have it, one after another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.stored import FIELDS, OUTCOME, outcomes_of
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.io.errors import FileError, require_file
from pwm.io.files import read_arrays, write_arrays
from pwm.io.repository import published
from pwm.runs.digests import digests_of, trails_of
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.training.config import TrainConfig
from pwm.training.history import AGENT_DIAGNOSTICS, History

VERSION = 1
FILE = "outcomes.npz"  # in `paper/`
CURVES: Mapping[str, Sequence[str]] = {
    "windows": (
        "reward", "value_loss", "policy_loss", "critic_bias", "policy_norm", "critic_norm",
        "total_norm", "signal_to_noise", "return_variance", "covariance",
    ),
    "probes": AGENT_DIAGNOSTICS,
}  # fmt: skip
"""Names of published curves: "windows" for runs with diagnostics at the end of each window,
"probes" for runs with diagnostics at chosen episodes. Other runs have none."""
CURVE = "curve."  # prefix of the names of curves in the file
ALL_CURVES = tuple(CURVE + name for names in CURVES.values() for name in names)
OF_RUNS = ("digest", "trail", *FIELDS)  # arrays with an entry per run


@dataclass(frozen=True)
class Record:
    """Published data of R runs: arrays [R, ...]."""

    digest: NDArray[np.uint64]  # hash of each run's history, [R]
    trail: NDArray[np.uint8]  # first bytes of the hashes of seven prefixes of it, [R, 7]
    outcome: NDArray[Any]  # outcomes of each run, an array of `OUTCOME`, [R]
    curves: Mapping[str, NDArray[np.float32]]  # by name in `CURVES`: [R, windows] or [R, probes]

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
        """Joins records that have the same curves into one record of all their runs.

        Raises:
            ValueError: curves of the same name differ in length.
        """
        digest = np.concatenate([part.digest for part in parts])
        trail = np.concatenate([part.trail for part in parts])
        outcome = np.concatenate([part.outcome for part in parts])
        curves = {
            name: np.concatenate([part.curves[name] for part in parts]) for name in parts[0].curves
        }
        return cls(digest, trail, outcome, curves)

    def select(self, runs: list[int]) -> Record:
        """The record of the runs with these indices."""
        curves = {name: curve[runs] for name, curve in self.curves.items()}
        return Record(self.digest[runs], self.trail[runs], self.outcome[runs], curves)

    def differences(self, other: Record) -> dict[str, NDArray[np.bool_]]:
        """Whether runs differ from those in `other`, which has the same columns: [R] by column."""
        differs = {}
        for name, ours in self.columns.items():
            theirs = other.columns[name]
            same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
            differs[name] = ~same.reshape(len(ours), -1).all(axis=1)
        return differs

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """Digests, trails, outcomes and curves: arrays [R, ...] by their names in the file."""
        outcomes = {name: self.outcome[name] for name in FIELDS}
        curves = {CURVE + name: curve for name, curve in self.curves.items()}
        return {"digest": self.digest, "trail": self.trail, **outcomes, **curves}


class PublishedRuns:
    """The published runs of an experiment, in order; implements `pwm.analysis.outcomes.Runs`."""

    def __init__(self, experiment: Experiment, record: Record) -> None:
        self._experiment, self._record = experiment, record

    @cached_property
    def configs(self) -> Sequence[TrainConfig]:
        """The configuration of each run."""
        return self._experiment.runs()

    def outcomes(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        """Outcomes of the runs with these indices; implements `Runs.outcomes`."""
        return np.asarray(self._record.outcome[indices])

    def curve(self, name: str, indices: NDArray[np.intp]) -> NDArray[np.float32]:
        """The curve `name` of the runs with these indices; implements `Runs.curve`."""
        if name not in self._record.curves:
            raise self._not_published()
        return self._record.curves[name][indices]

    def history(self, _indices: NDArray[np.intp]) -> History:
        """Raises `InputError`, as whole histories are not published."""
        raise self._not_published()

    def _not_published(self) -> InputError:
        """Error for curves and histories that are not published; it says how to train the runs."""
        name = self._experiment.name
        accepted = (
            f"a folder that holds the runs of {name}, whose curves are not all published; "
            f"`python -m pwm.sweep {name}` trains them into results"
        )
        return InputError("results", "(none)", accepted)


@dataclass(frozen=True)
class Published:
    """The published outcomes of some experiments; a `pwm.analysis.outcomes.Source`."""

    path: Path  # their file, which error messages name
    records: Mapping[str, Record]  # published data of the runs, by experiment name
    plans: Mapping[str, str]  # hash that identifies the runs (`plan_of`), by experiment name

    @classmethod
    def read(cls, path: Path | None = None) -> Published:
        """Reads and verifies published outcomes, by default `paper/outcomes.npz`.

        Raises:
            FileError: the file is missing, damaged or of another version.
        """
        path = path or published(FILE)
        of_experiments = ("experiment", "plan", "runs", *CURVES)
        try:
            arrays = read_arrays(path, ["version", *of_experiments, *OF_RUNS, *ALL_CURVES])
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
        columns = [record.columns for record in self.records.values()]
        arrays: dict[str, NDArray[Any]] = {
            "version": np.array(VERSION),
            "experiment": np.array(list(self.records)),
            "plan": np.array([self.plans[name] for name in self.records]),
            "runs": np.array([len(each["digest"]) for each in columns]),
        }
        no_curve = np.zeros((0, 0), np.float32)  # for an experiment that does not publish a curve
        for kind, names in CURVES.items():  # a record has all curves of a kind, or none
            lengths = [each.get(CURVE + names[0], no_curve).shape[1] for each in columns]
            arrays[kind] = np.array(lengths)
        for name in OF_RUNS:
            arrays[name] = np.concatenate([each[name] for each in columns])
        for name in ALL_CURVES:
            arrays[name] = np.concatenate([each.get(name, no_curve).ravel() for each in columns])
        write_arrays(path, arrays)

    def record(self, experiment: Experiment) -> Record:
        """The published data of an experiment's runs.

        Raises:
            FileError: the runs are not published, or belong to another version of the experiment.
        """
        name = experiment.name
        command = f"python -m pwm.digests --write {name}"
        accepted = f"the outcomes of {name} as it is now; `{command}` publishes them"
        require_file(self.plans.get(name) == plan_of(experiment), self.path, accepted)
        return self.records[name]

    def runs(self, experiment: Experiment) -> PublishedRuns:
        """The published runs of an experiment."""
        return PublishedRuns(experiment, self.record(experiment))


def _records(arrays: Mapping[str, NDArray[Any]]) -> Iterator[Record]:
    """Yields the record of each experiment in a file, in order, from the file's arrays by name."""
    num_runs = arrays["runs"]  # of each experiment
    ends = np.cumsum(num_runs)[:-1]  # of each experiment but the last, as `np.split` expects
    columns = {name: np.split(arrays[name], ends) for name in OF_RUNS}
    curves: dict[str, list[NDArray[Any]]] = {}  # by name: each experiment's part, still flat
    for kind, names in CURVES.items():
        curve_ends = np.cumsum(num_runs * arrays[kind])[:-1]
        curves |= {name: np.split(arrays[CURVE + name], curve_ends) for name in names}
    for index, size in enumerate(num_runs.tolist()):
        outcome = np.zeros(size, OUTCOME)
        for name in FIELDS:
            outcome[name] = columns[name][index]
        own_curves = {
            name: parts[index].reshape(size, -1)
            for name, parts in curves.items()
            if parts[index].size  # otherwise the experiment does not publish this curve
        }
        yield Record(columns["digest"][index], columns["trail"][index], outcome, own_curves)


def plan_of(experiment: Experiment) -> str:
    """Hash of the keys of the experiment's shards, in order: it identifies the runs and engine."""
    keys = "".join(shard.key for shard in plan(experiment))
    return hashlib.sha256(keys.encode()).hexdigest()[:16]
