"""Compares runs with the published ones, bit for bit.

A `Record` has each run's outcomes, some curves, its digest (a hash of its history) and its trail (a
byte of a hash of each of seven prefixes of its history).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.published import Published, Record
from pwm.runs.digests import trail_ends
from pwm.runs.experiment import Experiment
from pwm.runs.fields import flat
from pwm.training.config import TrainConfig


class Place(NamedTuple):
    """An experiment in which a run is published, and the run's number in it, from 0."""

    experiment: Experiment
    number: int


Places = Mapping[TrainConfig, Sequence[Place]]
"""Distinct runs, each with those places where it is published that were selected."""


def published_runs(
    selected: Mapping[str, NDArray[np.bool_]], experiments: Mapping[str, Experiment]
) -> Places:
    """The distinct selected runs, each with the places where it is selected.

    `selected` has, by experiment name, whether each run of the experiment is selected, [runs].
    """
    places = dict[TrainConfig, list[Place]]()
    for name, chosen in selected.items():
        experiment = experiments[name]
        runs = experiment.runs()
        for number in np.flatnonzero(chosen).tolist():
            places.setdefault(runs[number], []).append(Place(experiment, number))
    return places


def differences(
    run: TrainConfig, record: Record, places: Sequence[Place], published: Published
) -> list[str]:
    """Compares the record of a single run, trained again, with those published, one per place.

    Returns a line of text for each place whose record differs.
    """
    lines = []
    for experiment, number in places:
        theirs = published.record(experiment).select([number])
        columns = [name for name, differs in record.differences(theirs).items() if differs.any()]
        if columns:
            lines.append(
                f"{experiment.name}, run {number} differs in {', '.join(columns)}; "
                f"{_divergence(run, record, theirs)}. To train it: {command_of(run)}"
            )
    return lines


def _divergence(run: TrainConfig, ours: Record, theirs: Record) -> str:
    """Describes where two histories of a run diverge, as closely as their trails show it."""
    num_windows = ceil(run.num_episodes / run.log_every)
    ends = [run.log_every * end for end in trail_ends(num_windows)]  # last episodes of the prefixes
    differs = ours.trail[0] != theirs.trail[0]  # [prefixes]; misses 1 difference in 256
    if differs.any():
        last = ends[np.argmax(differs)]  # of the first prefix that differs
        equal_until = max((end for end in ends if end < last), default=0)
        return f"the histories part in episodes {equal_until + 1} to {last}"
    if ours.digest[0] != theirs.digest[0]:
        return f"the histories part after episode {ends[-1]}, or the published digest is wrong"
    return "the histories are the same"


def command_of(run: TrainConfig) -> str:
    """Command that trains a run, with a flag for each field whose value is not the default."""
    words = ["python -m pwm.train"]
    default = flat(TrainConfig())
    for name, value in flat(run).items():
        if value == default[name]:
            continue
        flag = "seeds" if name == "seed" else name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{flag}", *map(str, values)]
    return " ".join(words)
