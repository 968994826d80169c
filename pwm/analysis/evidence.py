"""The paper's experiments, with a record of the runs that a claim or a figure reads."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.outcomes import Outcomes, Source
from pwm.engines import EngineName
from pwm.experiments import chosen
from pwm.runs.experiment import Experiment, Size
from pwm.runs.shards import plan, trained_by
from pwm.runs.storage import Store


class Evidence:
    """The outcomes of the paper's experiments, and a record of the runs that are read.

    A claim or a figure gets its runs from here, so that the record tells on which runs it rests.

    Args:
        source: a store that holds all runs, or for instance the published outcomes.
        size: size of the experiments.
        engine: the engine that trained them.
    """

    def __init__(
        self, source: Store | Source, size: Size = "paper", engine: EngineName = "fused"
    ) -> None:
        self.source = source
        self._size, self._engine = size, engine
        self._kept: dict[str, Outcomes] = {}
        self.read: dict[str, NDArray[np.bool_]] = {}
        """Whether each run has been read, [runs], by the names passed to `of`. A caller that wants
        to know what is read from now on sets it to {}."""

    def of(self, name: str) -> Outcomes:
        """The outcomes of the experiment of that name."""
        if name not in self._kept:
            note = partial(self._record, name)
            self._kept[name] = Outcomes.of(self.experiment(name), self.source, note)
        self._record(name, np.arange(0))  # no run yet, only the name
        return self._kept[name]

    def _record(self, name: str, numbers: NDArray[np.intp]) -> None:
        """Records in `read` that some runs of an experiment are read."""
        if name not in self.read:
            self.read[name] = np.zeros(self.experiment(name).num_runs, bool)
        self.read[name][numbers] = True

    def experiment(self, name: str) -> Experiment:
        """The experiment of that name."""
        (experiment,) = chosen((name,), self._size, self._engine)
        return experiment

    def trained_with(self, names: Iterable[str]) -> str:
        """The versions of code and engine that trained some experiments, in words."""
        if not isinstance(self.source, Store):
            return trained_by(self._engine)
        shards = itertools.chain.from_iterable(plan(self.experiment(name)) for name in names)
        return self.source.trained_with(shards)
