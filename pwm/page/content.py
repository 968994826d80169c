"""The published runs as the page reads them: fields and conditions as JSON, outcomes as columns.

The page has each distinct run once. A condition is a set of runs that differ only in critic weight
and seed. Its runs are ordered by weight, then seed, and each weight has seeds 0, 1, 2, and so on. A
column holds one number per run, in this order, condition by condition. Nothing is compressed: the
bytes would depend on the compressor's version, and web servers compress anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, fields, is_dataclass, replace
from itertools import chain
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.learning import STANDARD_ERRORS
from pwm.analysis.levels import reward_levels
from pwm.analysis.predictions import fitted_law
from pwm.analysis.published import Published
from pwm.analysis.stored import OUTCOME
from pwm.core.task import STIMULUS_SETS, Action
from pwm.experiments import EXPERIMENTS
from pwm.runs.fields import ORIGINAL, flat
from pwm.training.config import TrainConfig

OWN = ("critic_weight", "seed")  # fields in which the runs of a condition differ
COLUMNS = {
    "digest": 8,
    "time": 2,
    "collapse": 2,
    "flags": 1,
    "reward": 2,
    "entropy": 2,
    "value_loss": 3,
    "critic_bias": 3,
}
"""Bytes per run of each column, little-endian except the digest; `Outcomes` defines the outcomes.

digest                   first 64 bits of the SHA-256 of the run's history
time                     windows of `log_every` episodes until it first met the criterion; 0: never
collapse                 windows until its entropy was first below 0.001 nats; 0: never
flags                    1 if it learned, by its last episodes; 2 if not, and its entropy collapsed
reward, entropy          as a fraction of 1 or of log(actions), in units of 1/65534; 65535 for nan
value_loss, critic_bias  the upper three bytes of a float32
"""
FULL, MISSING = 65534, 65535  # for a fraction of 1, and for nan


@dataclass(frozen=True)
class Runs:
    """The distinct published runs, in the page's order except in `experiments`."""

    configs: Sequence[TrainConfig]
    digests: NDArray[np.uint64]
    outcomes: NDArray[Any]
    """Structured array with the dtype `OUTCOME`."""
    experiments: Mapping[TrainConfig, Sequence[str]]
    """Names of the experiments that contain each run."""
    conditions: Mapping[TrainConfig, Sequence[TrainConfig]]
    """Runs of each condition; its key is their configuration, with critic weight 1 and seed 0."""


def different_runs(source: Published) -> Runs:
    """The distinct published runs, by condition (in order of first appearance), weight and seed."""
    experiments = dict[TrainConfig, list[str]]()  # names
    published = dict[TrainConfig, tuple[np.uint64, Any]]()  # digest and outcome
    for name in source.records:
        record = source.record(EXPERIMENTS[name])
        runs = EXPERIMENTS[name].runs()
        for run, digest, outcome in zip(runs, record.digest, record.outcome, strict=True):
            experiments.setdefault(run, []).append(name)
            published.setdefault(run, (digest, outcome))  # the same in every experiment
    conditions = dict[TrainConfig, list[TrainConfig]]()
    for run in experiments:
        conditions.setdefault(replace(run, critic_weight=1.0, seed=0), []).append(run)
    for of_condition in conditions.values():
        of_condition.sort(key=lambda run: (run.critic_weight, run.seed))
    ordered = list(chain.from_iterable(conditions.values()))
    return Runs(
        configs=ordered,
        digests=np.array([published[run][0] for run in ordered], np.uint64),
        outcomes=np.array([published[run][1] for run in ordered], OUTCOME),
        experiments=experiments,
        conditions=conditions,
    )


def index(runs: Runs) -> dict[str, Any]:
    """Returns all that the page reads apart from the columns and the engine; it becomes JSON.

    A condition is a list: the index of each field's value in that field's `values`; the weights;
    the number of seeds of each weight; the indices of the experiments that have its runs.

    Raises:
        ValueError: the seeds of a weight are not 0, 1, 2, and so on.
    """
    names = (name for run in runs.configs for name in runs.experiments[run])
    experiments = list(dict.fromkeys(names))
    described = _fields(list(runs.conditions))
    conditions = []
    for condition, of_condition in runs.conditions.items():
        num_seeds = Counter(run.critic_weight for run in of_condition)
        weights, seed_counts = list(num_seeds), list(num_seeds.values())
        seeds = chain.from_iterable(map(range, seed_counts))  # expected, in the order of the runs
        for run, seed in zip(of_condition, seeds, strict=True):
            if run.seed != seed:
                raise ValueError(f"seed {run.seed} of {condition}: expected {seed}")
        values = flat(condition)
        value_indices = [field["values"].index(values[field["name"]]) for field in described]
        names = (name for run in of_condition for name in runs.experiments[run])
        experiment_indices = [experiments.index(name) for name in dict.fromkeys(names)]
        conditions.append([value_indices, weights, seed_counts, experiment_indices])
    return {
        "runs": len(runs.configs),
        "fields": described,
        "conditions": conditions,
        "experiments": experiments,
        "columns": COLUMNS,
        "actions": len(Action),
        "noise_constant": fitted_law().noise_constant,  # of the law of the slowdown
        "standard_errors": STANDARD_ERRORS,  # in the criterion for having learned
        "levels": {name: reward_levels(name)._asdict() for name in STIMULUS_SETS},
        "pairs": dict(STIMULUS_SETS),
    }


def columns(runs: Runs) -> bytes:
    """Returns the bytes of all columns, one after another, in the order of `COLUMNS`.

    Raises:
        ValueError: a time is not at the end of a window, or too large for its column.
    """
    outcomes = runs.outcomes
    log_every = np.array([run.log_every for run in runs.configs])
    flags = outcomes["learned"] + 2 * outcomes["collapsed"]
    packed = {
        "digest": runs.digests.astype(">u8").tobytes(),
        "time": _windows(outcomes["time"], log_every),
        "collapse": _windows(outcomes["collapse"], log_every),
        "flags": flags.astype(np.uint8).tobytes(),
        "reward": _fractions(outcomes["reward"], 1.0),
        "entropy": _fractions(outcomes["entropy"], log(len(Action))),
        "value_loss": _upper_bytes(outcomes["value_loss"]),
        "critic_bias": _upper_bytes(outcomes["critic_bias"]),
    }
    return b"".join(packed[name] for name in COLUMNS)


def _fields(conditions: Sequence[TrainConfig]) -> list[dict[str, Any]]:
    """Describes each field in which conditions may differ: name, section, default, values found.

    The section is the part of the configuration that has the field. `omitted` is the value with
    which the field is left out of a run's identity (`pwm.runs.fields`), if there is one.
    """
    described = []
    values_by_name = [flat(condition) for condition in conditions]
    for section, field, default in _leaves(TrainConfig()):
        if field.name in OWN:
            continue
        # Python cannot compare numbers with words, so values are sorted by type first.
        distinct = {values[field.name] for values in values_by_name}
        ordered = sorted(distinct, key=lambda value: (str(type(value)), value))
        entry = {"name": field.name, "section": section, "default": default, "values": ordered}
        if field.name not in ORIGINAL:
            entry["omitted"] = field.default
        described.append(entry)
    return described


def _leaves(config: Any, section: str = "") -> Iterator[tuple[str, Field[Any], Any]]:
    """Yields each field that is not itself a configuration: its section, the field, its value."""
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):  # a part of the configuration
            yield from _leaves(value, field.name)
        else:
            yield section, field, value


def _windows(episodes: NDArray[np.float64], log_every: NDArray[np.int64]) -> bytes:
    """Packs times, in episodes, as 16-bit numbers of windows of `log_every` episodes; 0 for inf.

    Raises:
        ValueError: a time is not at the end of a window, or too large for 16 bits.
    """
    windows = np.where(np.isfinite(episodes), episodes, 0) / log_every
    if (windows != np.rint(windows)).any() or windows.max() >= 2**16:
        raise ValueError("expected times at the ends of windows")
    return windows.astype("<u2").tobytes()


def _fractions(values: NDArray[np.float64], whole: float) -> bytes:
    """Packs numbers from 0 to `whole` as 16-bit integers from 0 to `FULL`; `MISSING` for nan."""
    numbers = np.where(np.isnan(values), 0, values)
    scaled = np.rint(np.clip(numbers / whole, 0, 1) * FULL)  # rounding may exceed the whole
    return np.where(np.isnan(values), MISSING, scaled).astype("<u2").tobytes()


def _upper_bytes(values: NDArray[np.float64]) -> bytes:
    """Packs numbers as the upper three bytes of a float32, rounded to 16 significant bits."""
    bits = values.astype("<f4").view("<u4")
    half = np.uint32(0x80)  # half of the last bit that is kept; no number here overflows
    return (bits + half).view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()  # without the lowest byte
