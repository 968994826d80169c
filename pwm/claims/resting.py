"""The runs that a claim rests on: those that it reads, if its value depends on no others."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Runs, Source
from pwm.analysis.stored import FIELDS
from pwm.claims.claim import Claim
from pwm.claims.every import GROUPS, NUMBERS, PREFIX, Group, read_numbers
from pwm.core.config import TrainConfig
from pwm.core.errors import require
from pwm.core.history import History
from pwm.io.inherited import counted
from pwm.io.repository import published
from pwm.runs.experiment import Experiment

Selection = Mapping[str, NDArray[np.bool_]]
"""A selection of runs by experiment: whether each of its runs is selected, [runs]."""


def known_claims(names: Sequence[str]) -> list[str]:
    """The names given, without the prefix "claim.".

    Raises:
        InputError: there is no claim of one of the names.
    """
    known = [name.removeprefix(PREFIX) for name in read_numbers(published(NUMBERS))]
    asked = [name.removeprefix(PREFIX) for name in names]
    for name in asked:
        near = get_close_matches(name, known, 3, 0.5)
        accepted = f"the name of a claim in paper/{NUMBERS}"
        accepted += f", such as {', '.join(near)}" if near else ""
        require(name in known, "CLAIM", name, accepted)
    return asked


def described(experiment: Experiment, selected: NDArray[np.bool_]) -> str:
    """Some runs of an experiment: their number, and the values that they have on each axis.

    Args:
        experiment: the experiment.
        selected: whether each of its runs is selected, [runs].
    """
    shape = tuple(len(values) for values in experiment.axes.values())
    places = np.nonzero(selected.reshape(shape))
    parts = []
    for (name, values), used in zip(experiment.axes.items(), places, strict=True):
        some = [values[place] for place in np.unique(used)]
        parts.append(f"{name} {_listed(some)}")
    return f"{counted(int(selected.sum()), 'run')}, {'; '.join(parts)}"


def _listed(values: Sequence[object]) -> str:
    """The values in words; of more than four, the first and the last."""
    if len(values) <= 4:
        return ", ".join(map(str, values))
    return f"{values[0]} to {values[-1]} ({len(values)} values)"


def runs_behind(name: str, source: Source) -> tuple[Claim, Selection]:
    """Returns a claim and the runs that it rests on.

    First it tries those runs of its experiments that were read since the previous claim, then those
    that its group of claims has read so far, as claims may share what was read once. If the value
    depends on others too, it returns all runs of the claim's experiments.

    Args:
        name: name of the claim.
        source: the outcomes.
    Raises:
        KeyError: there is no such claim.
    """
    for group in GROUPS:
        evidence, before = Evidence(source), dict[str, NDArray[np.bool_]]()
        for claim in group(evidence):
            own = {name: read for name, read in evidence.read.items() if read.any()}
            evidence.read = {}
            for experiment, read in own.items():
                before[experiment] = before.get(experiment, np.zeros_like(read)) | read
            if claim.name == name:
                for some in (own, before):
                    runs = {one: some[one] for one in claim.experiments if one in some}
                    if not _depends_on_others(claim, group, source, runs):
                        return claim, runs
                whole = (evidence.experiment(one) for one in claim.experiments)
                return claim, {each.name: np.ones(each.num_runs, bool) for each in whole}
    raise KeyError(name)


def _depends_on_others(claim: Claim, group: Group, source: Source, runs: Selection) -> bool:
    """Whether a claim's value changes when all runs but those given have other outcomes."""
    for success in (False, True):
        evidence = Evidence(Altered(source, runs, success=success))
        try:
            with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
                again = next(one for one in group(evidence) if one.name == claim.name)
        except (ArithmeticError, LookupError, ValueError, StopIteration):
            return True  # it cannot be computed from the other outcomes
        if not np.array_equal(again.estimate.value, claim.estimate.value, equal_nan=True):
            return True
    return False


class Altered:
    """Outcomes in which all runs but some are replaced by runs that learn at once, or never.

    Args:
        source: the outcomes as they are.
        kept: runs whose outcomes are kept.
        success: whether the other runs learn.
    """

    def __init__(self, source: Source, kept: Selection, *, success: bool) -> None:
        self._source, self._kept, self._success = source, kept, success

    def runs(self, experiment: Experiment) -> Runs:
        """The runs of an experiment."""
        kept = self._kept.get(experiment.name, np.zeros(experiment.num_runs, bool))
        return AlteredRuns(self._source.runs(experiment), kept, success=self._success)


class AlteredRuns:
    """Runs with replaced outcomes and curves, except for some.

    Args:
        runs: the runs as they are.
        kept: whether each keeps its outcomes, [runs].
        success: whether the others learn.
    """

    def __init__(self, runs: Runs, kept: NDArray[np.bool_], *, success: bool) -> None:
        self._runs, self._kept, self._success = runs, kept, success

    @property
    def configs(self) -> Sequence[TrainConfig]:
        """The configuration of each run."""
        return self._runs.configs

    def outcomes(self, numbers: NDArray[np.intp]) -> NDArray[np.void]:
        """Outcomes of some runs, as `Runs.outcomes`."""
        found = self._runs.outcomes(numbers).copy()
        changed = ~self._kept[numbers]
        for name in FIELDS:
            found[name][changed] = self._random(int(changed.sum()))
        found["time"][changed] = 1.0 if self._success else np.inf
        found["learned"][changed] = self._success
        found["collapsed"][changed] = not self._success
        return found

    def curve(self, name: str, numbers: NDArray[np.intp]) -> NDArray[np.float32]:
        """One curve of some runs, as `Runs.curve`."""
        found = self._runs.curve(name, numbers).copy()
        changed = ~self._kept[numbers]
        found[changed] = self._random(found[changed].size).reshape(found[changed].shape)
        return found

    def history(self, numbers: NDArray[np.intp]) -> History:
        """Curves of some runs; none are replaced."""
        return self._runs.history(numbers)

    def _random(self, count: int) -> NDArray[np.float64]:
        """Random numbers, others if the runs learn than if they do not."""
        return np.random.default_rng(int(self._success)).random(count)
