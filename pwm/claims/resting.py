"""The runs that a claim rests on: all that its value is computed from, at times with others."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Runs, Source
from pwm.analysis.stored import FIELDS
from pwm.claims.claim import Claim
from pwm.claims.every import GROUPS, NUMBERS, PREFIX, Group, read_numbers
from pwm.core.errors import require
from pwm.experiments import EXPERIMENTS
from pwm.io.inherited import counted
from pwm.io.repository import published
from pwm.runs.experiment import Experiment
from pwm.training.config import TrainConfig
from pwm.training.history import History

Selection = Mapping[str, NDArray[np.bool_]]
"""Selected runs: for each experiment, by name, whether each of its runs is selected, [runs]."""


def known_claims(names: Sequence[str]) -> list[str]:
    """Returns claim names without their optional prefix "claim.", after a check.

    Raises:
        InputError: one of the names is not that of a claim in `paper/numbers.json`.
        FileError: that file cannot be read, or is not JSON.
    """
    numbers = read_numbers(published(NUMBERS))
    all_names = [name.removeprefix(PREFIX) for name in numbers if name.startswith(PREFIX)]
    short_names = [name.removeprefix(PREFIX) for name in names]
    for name in short_names:
        accepted = f"the name of a claim in paper/{NUMBERS}"
        if similar := get_close_matches(name, all_names, n=3, cutoff=0.5):
            accepted += f", such as {', '.join(similar)}"
        require(name in all_names, "CLAIM", name, accepted)
    return short_names


def described(experiment: Experiment, selected: NDArray[np.bool_]) -> str:
    """Describes selected runs of an experiment: how many, and which values occur on each axis.

    `selected` says whether each run is selected, [runs]. Of more than four values on an axis, only
    the first, the last and the count are shown.
    """
    shape = [len(values) for values in experiment.axes.values()]
    indices = np.nonzero(selected.reshape(shape))  # of the selected runs, on each axis
    parts = []
    for (name, values), on_axis in zip(experiment.axes.items(), indices, strict=True):
        shown = [str(values[index]) for index in np.unique(on_axis)]
        if len(shown) > 4:
            shown = [f"{shown[0]} to {shown[-1]} ({len(shown)} values)"]
        parts.append(f"{name} {', '.join(shown)}")
    return f"{counted(int(selected.sum()), 'run')}, {'; '.join(parts)}"


def runs_behind(name: str, source: Source) -> tuple[Claim, Selection]:
    """Returns a claim and the runs that it rests on.

    These are the smallest of three sets that determines the claim's value: the runs that are read
    while it is computed; the runs that its group has read up to then, since a value may depend on
    runs read for an earlier claim; and all runs. Each set has only runs of the claim's experiments.

    Raises:
        KeyError: there is no such claim.
    """
    claim, group, own, so_far = _computed(name, source)
    for read in (own, so_far):
        runs = {each: read[each] for each in claim.experiments if each in read}
        if not _depends_on_others(claim, group, source, runs):
            return claim, runs
    return claim, {each: np.ones(EXPERIMENTS[each].num_runs, bool) for each in claim.experiments}


def _computed(name: str, source: Source) -> tuple[Claim, Group, Selection, Selection]:
    """Computes claims up to the named one, and records which runs are read.

    Returns:
        The claim; its group; the runs read since the group's start or previous claim; and all runs
        that the group has read so far.
    """
    for group in GROUPS:
        evidence = Evidence(source)  # new, so no result is cached for it yet
        so_far: dict[str, NDArray[np.bool_]] = {}
        for claim in group(evidence):
            own = {each: read for each, read in evidence.read.items() if read.any()}
            for each, read in own.items():
                so_far[each] = read | so_far.get(each, np.zeros_like(read))
            if claim.name == name:
                return claim, group, own, so_far
            evidence.read = {}  # the generator reads the next claim's runs when it is resumed
    raise KeyError(name)


def _depends_on_others(claim: Claim, group: Group, source: Source, runs: Selection) -> bool:
    """Whether a claim's value changes if all runs that are not in `runs` have other outcomes.

    These outcomes are replaced twice: by those of runs that never learn, and by those of runs that
    learn at once, because one replacement alone may happen to give the same value.
    """
    for success in (False, True):
        evidence = Evidence(Altered(source, runs, success))
        try:
            with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
                altered = next(each for each in group(evidence) if each.name == claim.name)
        except (ArithmeticError, LookupError, ValueError, StopIteration):
            return True  # the claim cannot be computed from the replaced outcomes
        if not np.array_equal(altered.estimate.value, claim.estimate.value, equal_nan=True):
            return True
    return False


@dataclass(frozen=True)
class Altered:
    """Source of outcomes in which all runs that are not in `kept` are altered (`AlteredRuns`)."""

    source: Source
    kept: Selection
    success: bool  # whether the runs that are not kept learn

    def runs(self, experiment: Experiment) -> Runs:
        """The runs of an experiment, altered if not in `kept`."""
        kept = self.kept.get(experiment.name, np.zeros(experiment.num_runs, bool))
        return AlteredRuns(self.source.runs(experiment), kept, self.success)


@dataclass(frozen=True)
class AlteredRuns:
    """Runs, altered if not in `kept`, to find out whether a claim depends on the altered ones.

    Altered runs all learn at once or all never. Their other outcomes and their curves are random.
    """

    runs: Runs
    kept: NDArray[np.bool_]
    """Whether each run keeps its outcomes, [runs]."""
    success: bool  # whether the altered runs learn

    @property
    def configs(self) -> Sequence[TrainConfig]:
        """The configuration of each run."""
        return self.runs.configs

    def outcomes(self, indices: NDArray[np.intp]) -> NDArray[np.void]:
        """Outcomes of the runs with these indices, altered if not kept."""
        outcomes = self.runs.outcomes(indices).copy()
        changed = ~self.kept[indices]
        for name in FIELDS:
            outcomes[name][changed] = self._random(outcomes[changed].shape)
        outcomes["time"][changed] = 1.0 if self.success else np.inf
        outcomes["learned"][changed] = self.success
        outcomes["collapsed"][changed] = not self.success
        return outcomes

    def curve(self, name: str, indices: NDArray[np.intp]) -> NDArray[np.float32]:
        """The curve `name` of the runs with these indices, random if not kept."""
        curves = self.runs.curve(name, indices).copy()
        changed = ~self.kept[indices]
        curves[changed] = self._random(curves[changed].shape)
        return curves

    def history(self, indices: NDArray[np.intp]) -> History:
        """The history of the runs with these indices, unaltered: no claim reads it."""
        return self.runs.history(indices)

    def _random(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Random numbers in [0, 1), the same at each call for the same shape and `success`."""
        return np.random.default_rng(int(self.success)).random(shape)
