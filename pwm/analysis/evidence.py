"""The paper's experiments, with a record of the runs that a claim or a figure reads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.outcomes import Outcomes, Source
from pwm.experiments import chosen
from pwm.runs.engines import EngineName
from pwm.runs.experiment import Experiment, Size
from pwm.runs.shards import plan, trained_by
from pwm.runs.storage import Store


class Evidence:
    """Outcomes of the paper's experiments, of one size and trained by one engine.

    Claims and figures get their runs from here. The record of the runs that are read shows which
    runs each of them rests on. `source` is a store of runs, or another `Source`, such as the
    published outcomes.
    """

    def __init__(
        self, source: Store | Source, size: Size = "paper", engine: EngineName = "fused"
    ) -> None:
        self.source = source
        self._size, self._engine = size, engine
        self._outcomes: dict[str, Outcomes] = {}  # by experiment, for those passed to `of`
        self.read: dict[str, NDArray[np.bool_]] = {}
        """Whether each run has been read, [runs], for each experiment passed to `of`. A caller may
        set this to {} to begin a new record; cached histories and results do not enter it."""

    def of(self, name: str) -> Outcomes:
        """Outcomes of the experiment `name`; `read` records it now, its runs once they are read."""
        if name not in self._outcomes:
            note = partial(self._record, name)
            self._outcomes[name] = Outcomes.of(self.experiment(name), self.source, note)
        self._record(name, np.arange(0))  # no run yet, only the name
        return self._outcomes[name]

    def _record(self, name: str, indices: NDArray[np.intp]) -> None:
        """Records that the runs with these indices in the experiment `name` are read."""
        if name not in self.read:
            self.read[name] = np.zeros(self.experiment(name).num_runs, bool)
        self.read[name][indices] = True

    def experiment(self, name: str) -> Experiment:
        """The experiment `name`, in this evidence's size and for its engine."""
        (experiment,) = chosen((name,), self._size, self._engine)
        return experiment

    def trained_with(self, names: Iterable[str]) -> str:
        """Engines and versions of the code that trained the experiments, as text for a figure."""
        if not isinstance(self.source, Store):  # published outcomes, all of this version
            return trained_by(self._engine)
        shards = (shard for name in names for shard in plan(self.experiment(name)))
        return self.source.trained_with(shards)
