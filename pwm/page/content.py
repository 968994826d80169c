"""The published runs as the page reads them: fields and conditions as JSON, outcomes as columns.

Each different run is there once. Runs that differ only in critic weight and seed are a condition;
they are ordered by weight, then seed, and the seeds of a weight are 0, 1, 2, and so on. A column is
one array over all runs; `COLUMNS` lists them with the bytes of one number. Nothing is compressed,
since compressors differ in their bytes between versions, and a host compresses anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.learning import STANDARD_ERRORS
from pwm.analysis.levels import reward_levels
from pwm.analysis.predictions import fitted_law
from pwm.analysis.published import Published
from pwm.analysis.stored import OUTCOME
from pwm.core.config import TrainConfig
from pwm.core.fields import OMIT_IF_EQUAL
from pwm.core.task import STIMULUS_SETS, Action
from pwm.experiments import EXPERIMENTS
from pwm.runs.fields import flat
from pwm.runs.shards import plan

OWN = ("critic_weight", "seed")  # of a run, within its condition
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
"""Bytes per run of each column, little-endian but for the digest. `time` and `collapse` count
windows of `log_every` episodes, 0 for never; `flags` are 1 for learned, 2 for collapsed; `reward`
is in units of 1/65534, and `entropy` of log(actions)/65534, both 65535 for nan; the last two are
the upper bytes of a float32."""
FULL, MISSING = 65534, 65535


@dataclass(frozen=True)
class Runs:
    """Different published runs and what is published of each, in one order."""

    configs: Sequence[TrainConfig]
    digests: NDArray[np.uint64]
    outcomes: NDArray[Any]
    """Of `OUTCOME`."""
    experiments: Sequence[Sequence[str]]
    """Names of those that each run is part of."""
    conditions: Sequence[TrainConfig]
    """Each run with its own weight and seed set to fixed values."""


def different_runs(source: Published) -> Runs:
    """The different runs of all published experiments, in the order of the page."""
    names = dict[TrainConfig, list[str]]()
    rows = dict[TrainConfig, tuple[np.uint64, Any]]()
    for name in source.records:
        record = source.record(EXPERIMENTS[name])
        configs = (run for shard in plan(EXPERIMENTS[name]) for run in shard.runs)
        for number, config in enumerate(configs):
            names.setdefault(config, []).append(name)
            rows.setdefault(config, (record.digest[number], record.outcome[number]))
    condition = {run: replace(run, critic_weight=1.0, seed=0) for run in names}
    place = {each: number for number, each in enumerate(dict.fromkeys(condition.values()))}
    ordered = sorted(names, key=lambda run: (place[condition[run]], run.critic_weight, run.seed))
    return Runs(
        ordered,
        np.array([rows[run][0] for run in ordered], np.uint64),
        np.array([rows[run][1] for run in ordered], OUTCOME),
        [names[run] for run in ordered],
        [condition[run] for run in ordered],
    )


def index(runs: Runs) -> dict[str, Any]:
    """All that is not a column, for JSON: fields with their values, and conditions.

    A condition is a list: the places of its values among those of each field, its weights, the
    number of seeds of each, and the places of its experiments.
    """
    described = _fields(list(dict.fromkeys(runs.conditions)))
    places = [{value: place for place, value in enumerate(each["values"])} for each in described]
    experiments = list(dict.fromkeys(name for names in runs.experiments for name in names))
    members = dict[TrainConfig, dict[float, list[int]]]()
    parts = dict[TrainConfig, dict[str, None]]()
    rows = zip(runs.configs, runs.experiments, runs.conditions, strict=True)
    for run, names, condition in rows:
        seeds = members.setdefault(condition, {}).setdefault(run.critic_weight, [])
        if run.seed != len(seeds):
            raise ValueError(f"seed {run.seed} of {condition}: expected {len(seeds)}")
        seeds.append(run.seed)
        parts.setdefault(condition, {}).update(dict.fromkeys(names))
    conditions = []
    for condition, weights in members.items():
        values = flat(condition)
        conditions.append(
            [
                [
                    place[values[each["name"]]]
                    for place, each in zip(places, described, strict=True)
                ],
                list(weights),
                [len(seeds) for seeds in weights.values()],
                [experiments.index(name) for name in parts[condition]],
            ]
        )
    return {
        "runs": len(runs.configs),
        "fields": described,
        "conditions": conditions,
        "experiments": experiments,
        "columns": COLUMNS,
        "actions": len(Action),
        "noise_constant": fitted_law().noise_constant,
        "standard_errors": STANDARD_ERRORS,
        "levels": {name: reward_levels(name)._asdict() for name in STIMULUS_SETS},
        "pairs": dict(STIMULUS_SETS),
    }


def columns(runs: Runs) -> bytes:
    """The columns one after another, in the order of `COLUMNS`.

    Raises:
        ValueError: a time is not at the end of a window.
    """
    outcomes = runs.outcomes
    log_every = np.array([run.log_every for run in runs.configs])
    flags = outcomes["learned"] + 2 * outcomes["collapsed"]
    packed = {
        "digest": runs.digests.astype(">u8").tobytes(),
        "time": _windows(outcomes["time"], log_every).tobytes(),
        "collapse": _windows(outcomes["collapse"], log_every).tobytes(),
        "flags": flags.astype(np.uint8).tobytes(),
        "reward": _scaled(outcomes["reward"], 1.0),
        "entropy": _scaled(outcomes["entropy"], log(len(Action))),
        "value_loss": _upper_bytes(outcomes["value_loss"]),
        "critic_bias": _upper_bytes(outcomes["critic_bias"]),
    }
    for name, width in COLUMNS.items():
        if len(packed[name]) != width * len(runs.configs):
            raise ValueError(f"{name}: expected {width} bytes per run")
    return b"".join(packed[name] for name in COLUMNS)


def _fields(conditions: Sequence[TrainConfig]) -> list[dict[str, Any]]:
    """The fields of a condition: name, section, default, whether it may be left out, values."""
    found = []
    known = [flat(condition) for condition in conditions]
    for section, name, metadata, default in _leaves(TrainConfig()):
        if name in OWN:
            continue
        values = sorted({each[name] for each in known}, key=lambda one: (str(type(one)), one))
        field = {"name": name, "section": section, "default": default, "values": values}
        if OMIT_IF_EQUAL in metadata:
            field["omitted"] = metadata[OMIT_IF_EQUAL]
        found.append(field)
    return found


def _leaves(config: Any, section: str = "") -> Sequence[tuple[str, str, Mapping[Any, Any], Any]]:
    """Each field that is not a configuration itself: section, name, metadata, value."""
    found: list[tuple[str, str, Mapping[Any, Any], Any]] = []
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            found += _leaves(value, item.name)
        else:
            found.append((section, item.name, item.metadata, value))
    return found


def _windows(episodes: NDArray[np.float64], log_every: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Episodes as windows, 0 for inf."""
    count = np.where(np.isfinite(episodes), episodes, 0) / log_every
    if (count != np.rint(count)).any() or count.max() > MISSING:
        raise ValueError("expected times at the ends of windows")
    return count.astype("<u2")


def _scaled(values: NDArray[np.float64], whole: float) -> bytes:
    """Numbers from 0 to a whole in two bytes."""
    known = np.where(np.isnan(values), 0, values)
    scaled = np.rint(np.clip(known / whole, 0, 1) * FULL)
    return np.where(np.isnan(values), MISSING, scaled).astype("<u2").tobytes()


def _upper_bytes(values: NDArray[np.float64]) -> bytes:
    """Values as float32, rounded to 16 significant bits: the upper three bytes, little-endian."""
    bits = values.astype("<f4").view("<u4")
    rounded = bits + np.uint32(0x80)  # no finite number is so large that this makes it infinite
    return rounded.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
