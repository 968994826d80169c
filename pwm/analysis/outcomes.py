"""Runs selected by the fields of their configurations, and the outcomes of these runs.

All analysis reads runs through `Outcomes`, for instance all runs in a folder:

    runs = Outcomes.stored("results").at(critic_weight=5, baseline="detached")
    runs.configs, runs.time, runs.learned
    runs.at(num_episodes=20_000, log_every=100).history.reward  # curves of equal length

or, without a store, the published runs of one of the paper's experiments:

    Outcomes.published("weight-0.001").at(critic_weight=5).learned
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.published import Published
from pwm.analysis.stored import StoredRuns
from pwm.core.errors import require_choice
from pwm.experiments import chosen
from pwm.runs.engines import ENGINES, EngineName
from pwm.runs.experiment import Experiment
from pwm.runs.fields import flat
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig
from pwm.training.history import History


class Runs(Protocol):
    """Numbered runs: their configurations, outcomes and histories.

    Methods raise an `InputError` if a run is not stored, or if its curves are not published.
    """

    @property
    def configs(self) -> Sequence[TrainConfig]:
        """The configuration of each run."""

    def outcomes(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        """Outcomes of the runs with these indices: an array of `OUTCOME`, shaped like `indices`."""

    def history(self, indices: NDArray[np.intp]) -> History:
        """The history of the runs with these indices, [R], in this order."""

    def curve(self, name: str, indices: NDArray[np.intp]) -> NDArray[np.float32]:
        """The curve `name` of the runs with these indices, [R], in this order.

        It is [R, windows] or, if measured at `probe_at`, [R, probes].
        """


class Source(Protocol):
    """A source of experiments' runs, for instance the published outcomes."""

    def runs(self, experiment: Experiment) -> Runs:
        """The runs of an experiment."""


Note = Callable[[NDArray[np.intp]], None]
"""Function that is called with the indices of the runs whose outcomes or curves are read."""


class Outcomes:
    """Selected runs and their outcomes: arrays [...] with an entry for each run.

    The runs of a grid have one axis per axis of the grid: a field, such as the critic weight or the
    seed. A list of runs, such as those in a folder, has the single axis "run". Outcomes of 500
    episodes are of as many whole windows as hold them, or of all if a run is shorter.

    Args:
        runs: all runs, of which some are selected.
        axes: values on each axis, by name, in the order of the axes of `indices`.
        indices: indices of the selected runs in `runs`, [...].
        note: called with the indices of the runs that are read.
    """

    def __init__(
        self,
        runs: Runs,
        axes: Mapping[str, Sequence[Any]],
        indices: NDArray[np.intp],
        note: Note | None = None,
    ) -> None:
        self.axes = MappingProxyType({name: tuple(values) for name, values in axes.items()})
        """Values on each axis of the outcomes, by name, in the order of the axes."""
        self._runs, self._indices, self._note = runs, indices, note

    @classmethod
    def of(
        cls, experiment: Experiment, source: Store | Source, note: Note | None = None
    ) -> Outcomes:
        """The stored or published runs of an experiment, with the axes of its grid.

        Outcomes are read when they are used: a run that is not stored is an error only then. An
        experiment that is not published is a `FileError` at once.
        """
        if isinstance(source, Store):
            runs: Runs = StoredRuns(source, plan(experiment))
        else:
            runs = source.runs(experiment)
        # Runs are numbered in the order of the grid: the last axis varies fastest.
        shape = [len(values) for values in experiment.axes.values()]
        return cls(runs, experiment.axes, np.arange(experiment.num_runs).reshape(shape), note)

    @classmethod
    def published(cls, name: str) -> Outcomes:
        """The published runs of one of the paper's experiments, with the axes of its grid.

        Raises:
            InputError: there is no experiment of that name.
            FileError: the published outcomes are missing, damaged or of another version, or do not
                belong to the experiment as it is now.
        """
        (experiment,) = chosen((name,))
        return cls.of(experiment, Published.read())

    @classmethod
    def stored(cls, folder: Path | str = "results", engine: EngineName = "fused") -> Outcomes:
        """The runs in a folder that one engine trained, as a list without duplicates.

        Files of another version, or whose configurations cannot be read, are left out without a
        message. Other damage is an `InputError` when outcomes or curves are read.

        Raises:
            InputError: there is no such folder, or no such engine.
        """
        require_choice("engine", engine, ENGINES)
        store = Store(Path(folder))
        runs = StoredRuns(store, (shard for shard in store.shards() if shard.engine == engine))
        # Runs with equal configurations are identical, up to PyTorch's rounding: one is kept.
        index_of = {config: index for index, config in enumerate(runs.configs)}
        indices = np.array(list(index_of.values()), np.intp)
        return cls(runs, {"run": range(len(indices))}, indices)

    def at(self, **values: Any) -> Outcomes:
        """Selects runs by the values of fields.

        Args:
            values: for each field, a value, which removes the field's axis, or a list, tuple or
                range of values, which become its axis, for instance `critic_weight=[2, 3, 5],
                baseline="detached"`. A value that is a tuple goes into a list:
                `probe_at=[(0, 100)]`. If a field has no axis, the result is a list of runs, in
                their present order; if all are selected, the axes are kept.
        Raises:
            ValueError: a field does not exist, or there is a value that no run has.
        """
        selected = self
        for name, value in values.items():
            is_list = isinstance(value, list | tuple | range)
            wanted = value if is_list else [value]
            if name in selected.axes:
                selected = selected._along_axis(name, wanted, keep_axis=is_list)
            else:
                selected = selected._as_list(name, wanted)
        return selected

    def _along_axis(self, name: str, wanted: Sequence[Any], *, keep_axis: bool) -> Outcomes:
        """Selects the wanted values on an axis; without `keep_axis`, drops it (of one value)."""
        values, axis = self.axes[name], list(self.axes).index(name)
        _require_all(name, wanted, values)
        axes = {**self.axes, name: wanted}
        indices = self._indices.take([values.index(value) for value in wanted], axis=axis)
        if not keep_axis:
            del axes[name]
            indices = indices.squeeze(axis)
        return Outcomes(self._runs, axes, indices, self._note)

    def _as_list(self, name: str, wanted: Sequence[Any]) -> Outcomes:
        """Selects runs by a field without an axis, as a list; `self` if all runs are selected."""
        fields = flat(TrainConfig())
        if name not in fields:
            raise ValueError(f"{name}: expected a field of a run, one of {', '.join(fields)}")
        values = [flat(config)[name] for config in self.configs]
        _require_all(name, wanted, values)
        selected = [value in wanted for value in values]
        if all(selected):
            return self
        indices = self._indices.ravel()[selected]
        return Outcomes(self._runs, {"run": range(len(indices))}, indices, self._note)

    def _indices_to_read(self) -> NDArray[np.intp]:
        """Indices of the runs, [...]; calls `note`, as their data are about to be read."""
        if self._note is not None:
            self._note(self._indices)
        return self._indices

    @property
    def configs(self) -> tuple[TrainConfig, ...]:
        """The configuration of each run, in the order of the flattened outcomes."""
        return tuple(self._runs.configs[index] for index in self._indices.ravel().tolist())

    @property
    def base(self) -> TrainConfig:
        """The configuration of the first run, from which to read the fields that do not vary."""
        return self._runs.configs[int(self._indices.flat[0])]

    @property
    def weights(self) -> tuple[float, ...]:
        """Values on the axis `critic_weight`."""
        return self.axes["critic_weight"]

    @cached_property
    def history(self) -> History:
        """The history of the runs, in the order of `configs`: metrics are [runs, windows].

        Diagnostics are kept if all runs have the same ones.

        Raises:
            ValueError: the runs differ in `num_episodes` or in `log_every`.
            InputError: a run is not in the store, or is published without its history.
        """
        return self._runs.history(self._curve_indices())

    def curve(self, name: str) -> NDArray[np.float32]:
        """Metric or diagnostic `name`: [..., windows], or [..., probes] if measured at `probe_at`.

        Raises:
            ValueError: the runs differ in `num_episodes` or in `log_every`.
            InputError: a run is not in the store, or the curve is not published.
            KeyError: the stored runs do not all have this curve.
        """
        curve = self._runs.curve(name, self._curve_indices())
        return curve.reshape(*self._indices.shape, curve.shape[1])

    def _curve_indices(self) -> NDArray[np.intp]:
        """Indices of the runs to read, flattened: [R]; `ValueError` if the runs' windows differ."""
        lengths = {(run.num_episodes, run.log_every) for run in self.configs}
        if len(lengths) > 1:
            listed = ", ".join(f"{total} and {window}" for total, window in sorted(lengths))
            raise ValueError(f"num_episodes, log_every: expected one pair, not {listed}")
        return self._indices_to_read().ravel()

    @property
    def probed(self) -> NDArray[np.int64]:
        """Episodes after which the first run is probed, if it is, as `History.probed`: [probes]."""
        run = self.base
        ends_but_last = range(run.log_every, run.num_episodes, run.log_every)  # of windows
        return np.array(run.probe_at or [*ends_but_last, run.num_episodes], np.int64)

    @property
    def _outcomes(self) -> NDArray[Any]:
        """All outcomes of the runs: an array of `OUTCOME`, [...]. Each access notes the runs."""
        return self._runs.outcomes(self._indices_to_read())

    @property
    def learned(self) -> NDArray[np.bool_]:
        """Whether the last 500 episodes meet the criterion of `pwm.analysis.learning`: [...]."""
        return self._outcomes["learned"]

    @property
    def time(self) -> NDArray[np.float64]:
        """Episodes until the end of the first 500 that met the criterion; inf if none: [...]."""
        return self._outcomes["time"]

    @property
    def reward(self) -> NDArray[np.float64]:
        """Fraction of trials rewarded in the last 500 episodes: [...]."""
        return self._outcomes["reward"]

    @property
    def value_loss(self) -> NDArray[np.float64]:
        """Mean of `History.value_loss` over the last 500 episodes, in reward²: [...]."""
        return self._outcomes["value_loss"]

    @property
    def entropy(self) -> NDArray[np.float64]:
        """Mean entropy of the policy over the last 500 episodes, in nats: [...]."""
        return self._outcomes["entropy"]

    @property
    def critic_bias(self) -> NDArray[np.float64]:
        """Mean of value minus Monte Carlo return over the last 500 episodes, in reward: [...]."""
        return self._outcomes["critic_bias"]

    @property
    def collapsed(self) -> NDArray[np.bool_]:
        """Whether `entropy` is below 0.001 nats and the run has not learned: [...]."""
        return self._outcomes["collapsed"]

    @property
    def collapse(self) -> NDArray[np.float64]:
        """Last episode of the first window with an entropy below 0.001 nats; inf if none: [...]."""
        return self._outcomes["collapse"]

    @property
    def peak_value_loss(self) -> NDArray[np.float32]:
        """Largest `History.value_loss` of any window of `log_every` episodes, in reward²: [...]."""
        return self._outcomes["peak_value_loss"]

    def rate(self) -> NDArray[np.float64]:
        """Fraction of seeds that learned, a mean over the last axis: [...] without that axis."""
        return np.asarray(self.learned.mean(axis=-1))


def _require_all(name: str, wanted: Iterable[Any], available: Sequence[Any]) -> None:
    """Raises `ValueError` if any wanted value is not among those of the runs."""
    for value in wanted:
        if value not in available:
            listed = ", ".join(str(each) for each in dict.fromkeys(available)) or "none"
            raise ValueError(f"{name}={value}: expected one of the values that were run: {listed}")
