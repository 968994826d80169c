"""Made-up outcomes, for tests of the analysis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.published import Published, Record, plan_of
from pwm.analysis.stored import OUTCOME
from pwm.digests import stored_records
from pwm.experiments import EXPERIMENTS
from pwm.runs.experiment import Experiment
from pwm.runs.shards import planned
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig
from pwm.training.history import AGENT_DIAGNOSTICS, DIAGNOSTICS, METRICS, History
from tests.support.histories import made_up, session

Cell = Callable[[TrainConfig], Mapping[str, ArrayLike]]
"""Maps the configuration of a cell's first run to values by name, for each seed of the cell.

A cell is a set of runs that differ only in their seed.
"""


class MadeUpRuns:
    """A `pwm.analysis.outcomes.Runs` with given outcomes and curves.

    Args:
        configs: the configuration of each run; seeds vary fastest.
        seeds: S, seeds per cell.
        outcome: fields of the outcomes of a cell, [S] each; those not given are 0.
        curves: curves of a cell, [S, K] each, or [S, J] for diagnostics of J scheduled probes;
            those not given are 0.
        windows: K, windows of each curve.
    """

    def __init__(
        self,
        configs: Sequence[TrainConfig],
        seeds: int,
        outcome: Cell,
        curves: Cell | None = None,
        windows: int = 8,
    ) -> None:
        self.configs = configs
        self._seeds, self._curves, self._windows = seeds, curves, windows
        self._outcomes = np.zeros(len(configs), OUTCOME)
        for first in range(0, len(configs), seeds):
            for name, values in outcome(configs[first]).items():
                self._outcomes[name][first : first + seeds] = values

    def outcomes(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        """Outcomes of the runs with these indices."""
        return np.asarray(self._outcomes[indices])

    def curve(self, name: str, indices: NDArray[np.intp]) -> NDArray[np.float32]:
        """One curve of the runs with these indices."""
        return self.history(indices).curves[name]

    def history(self, indices: NDArray[np.intp]) -> History:
        """History of the runs with these indices."""
        assert self._curves is not None
        probes = np.array(self.configs[0].probe_at, np.int64)
        lengths = dict.fromkeys(METRICS + DIAGNOSTICS, self._windows)
        if len(probes):
            lengths |= dict.fromkeys(DIAGNOSTICS + AGENT_DIAGNOSTICS, len(probes))
        found = {name: np.zeros((len(indices), size), np.float32) for name, size in lengths.items()}
        cells, seeds = np.divmod(indices, self._seeds)
        for cell in np.unique(cells):
            rows = np.flatnonzero(cells == cell)
            for name, values in self._curves(self.configs[cell * self._seeds]).items():
                of_cell = np.broadcast_to(values, (self._seeds, lengths[name]))  # [S, K] or [S, J]
                found[name][rows] = of_cell[seeds[rows]]
        episode = self.configs[0].log_every * np.arange(1, self._windows + 1)
        return History.of_curves(episode, found, probes if len(probes) else None)


def made_up_outcomes(experiment: Experiment, outcome: Cell, curves: Cell | None = None) -> Outcomes:
    """Outcomes of an experiment whose last axis is the seed, made up by functions of its cells."""
    shape = tuple(len(values) for values in experiment.axes.values())
    runs = MadeUpRuns(experiment.runs(), shape[-1], outcome, curves)
    return Outcomes(runs, experiment.axes, np.arange(len(runs.configs)).reshape(shape))


def published_from(experiments: Iterable[Experiment], store: Store, path: Path) -> Published:
    """Publishes the outcomes of stored experiments in a file; returns them as read from it."""
    records, plans = dict[str, Record](), dict[str, str]()
    for experiment in experiments:
        _, parts = stored_records(experiment, store)
        records[experiment.name] = Record.joined(parts)
        plans[experiment.name] = plan_of(experiment)
    Published(path, records, plans).write(path)
    return Published.read(path)


def fill(folder: Path, experiments: Iterable[Experiment]) -> Store:
    """Makes a store with a history of random numbers for every run of some experiments."""
    store = Store(folder)
    for number, shard in enumerate(planned(experiments)):
        run = shard.setting
        history = made_up(
            len(shard.runs),
            windows=ceil(run.num_episodes / run.log_every),
            log_every=run.log_every,
            seed=number,
            diagnosed=run.probe_episodes > 0,
        )
        store.put(shard, history, [session(1, run.num_episodes)])
    return store


class MadeUpEvidence(Evidence):
    """The paper's experiments with outcomes made up by a function of their cells."""

    def __init__(self, outcome: Cell) -> None:
        super().__init__(Store(Path("nowhere")))
        self._outcome = outcome
        self._made_up: dict[str, Outcomes] = {}  # by experiment; filled on request

    def of(self, name: str) -> Outcomes:
        """Outcomes of the experiment with this name."""
        if name not in self._made_up:
            self._made_up[name] = made_up_outcomes(EXPERIMENTS[name], self._outcome)
        return self._made_up[name]
