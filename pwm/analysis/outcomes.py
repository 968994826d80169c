"""The one road out of the store: stored runs by their fields, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.learning import final_mean, learned, times_to_learn
from pwm.core.config import TrainConfig
from pwm.core.errors import InputError
from pwm.core.fields import flat
from pwm.core.history import History
from pwm.engines import EngineName
from pwm.experiments import chosen
from pwm.runs.experiment import Experiment, Size
from pwm.runs.shards import Shard, plan
from pwm.runs.storage import Store

COLLAPSED = 1e-3  # nats, mean over steps: a policy that no longer explores
KEPT_HISTORIES = 64  # shards


class Source(NamedTuple):
    """Where a run is stored."""

    run: TrainConfig
    shard: Shard
    place: int
    """Its replica in the shard."""


class _Reader:
    """Reads runs from a store, each shard's outcomes once."""

    def __init__(self, store: Store, sources: Sequence[Source]) -> None:
        self.sources = sources
        self._store = store
        self._outcomes: dict[str, dict[str, NDArray[Any]]] = {}
        self.read = lru_cache(maxsize=KEPT_HISTORIES)(self._read)

    @cached_property
    def fields(self) -> list[dict[str, Any]]:
        """The fields of every run."""
        return [flat(source.run) for source in self.sources]

    def outcomes(self, name: str, rows: NDArray[np.intp]) -> NDArray[Any]:
        """One outcome of some runs, in the shape of their rows."""
        found = [self._outcomes_of(self.sources[row].shard)[name] for row in rows.flat]
        values = [
            values[self.sources[row].place] for values, row in zip(found, rows.flat, strict=True)
        ]
        return np.array(values).reshape(rows.shape)

    def _outcomes_of(self, shard: Shard) -> dict[str, NDArray[Any]]:
        if shard.key not in self._outcomes:
            self._outcomes[shard.key] = _outcomes(self.read(shard), shard)
        return self._outcomes[shard.key]

    def _read(self, shard: Shard) -> History:
        return self._store.gather([shard])


class Outcomes:
    """Stored runs, and what became of each: arrays with the runs' axes, here [...].

    Args:
        reader: reads the runs.
        axes: values by field, the slowest first; or the single axis "run".
        rows: of the reader's runs, in the shape of the axes.
    """

    def __init__(
        self, reader: _Reader, axes: Mapping[str, tuple[Any, ...]], rows: NDArray[np.intp]
    ) -> None:
        self.axes = MappingProxyType(dict(axes))
        self._reader = reader
        self._rows = rows

    @classmethod
    def of(cls, experiment: Experiment, store: Store) -> Outcomes:
        """The runs of an experiment, with the axes of its grid."""
        sources = _sources(plan(experiment))
        shape = tuple(len(values) for values in experiment.axes.values())
        return cls(_Reader(store, sources), experiment.axes, np.arange(len(sources)).reshape(shape))

    @classmethod
    def stored(cls, folder: Path | str = "results") -> Outcomes:
        """Every run that is stored in a folder, each once, on the axis "run".

        Raises:
            InputError: there is no such folder.
        """
        store = Store(Path(folder))
        sources = {source.run: source for source in _sources(store.shards())}
        reader = _Reader(store, list(sources.values()))
        return cls(reader, {"run": tuple(range(len(sources)))}, np.arange(len(sources)))

    def at(self, **values: Any) -> Outcomes:
        """The runs with some fields at a value, such as `critic_weight=5, baseline="detached"`.

        Raises:
            InputError: there is no such field, or no run with that value.
        """
        axes, rows = dict(self.axes), self._rows
        for name, value in values.items():
            if name in axes:
                if value not in axes[name]:
                    listed = ", ".join(map(str, axes[name]))
                    raise InputError(name, value, f"a value that was run: {listed}")
                axis = list(axes).index(name)
                rows = rows.take(axes.pop(name).index(value), axis=axis)
                continue
            found = [self._reader.fields[row].get(name) for row in rows.flat]
            match = np.array([each == value for each in found], bool)
            if not match.any():
                listed = ", ".join(map(str, dict.fromkeys(found)))
                raise InputError(name, value, f"a value that was run: {listed}")
            if not match.all():  # only where runs are a list
                rows = rows.ravel()[match]
                axes = {"run": tuple(range(len(rows)))}
        return Outcomes(self._reader, axes, rows)

    @property
    def configs(self) -> tuple[TrainConfig, ...]:
        """The configuration of each run, in order."""
        return tuple(self._reader.sources[row].run for row in self._rows.flat)

    @property
    def base(self) -> TrainConfig:
        """The configuration of the first run, which stands for what the axes leave fixed."""
        return self._reader.sources[self._rows.flat[0]].run

    @property
    def weights(self) -> tuple[float, ...]:
        """Critic weights."""
        return self.axes["critic_weight"]

    @cached_property
    def history(self) -> History:
        """What the runs logged, in order: curves [runs, windows].

        Raises:
            InputError: the runs have windows of different lengths, or different budgets.
        """
        if len({(run.num_episodes, run.log_every) for run in self.configs}) != 1:
            accepted = "runs of one num_episodes and one log_every"
            raise InputError("runs", f"of {len(self.configs)} configurations", accepted)
        sources = [self._reader.sources[row] for row in self._rows.flat]
        histories = [self._reader.read(source.shard) for source in sources]
        curves = {
            name: np.stack(
                [
                    history.curves[name][source.place]
                    for history, source in zip(histories, sources, strict=True)
                ]
            )
            for name in histories[0].curves
        }
        return History.of_curves(histories[0].episode, curves)

    def course(self, name: str) -> NDArray[np.float32]:
        """A logged curve by name, with a last axis of windows: [..., K]."""
        curve = self.history.curves[name]
        return curve.reshape(*self._rows.shape, curve.shape[1])

    @property
    def learned(self) -> NDArray[np.bool_]:
        """Whether each run learned: [...]."""
        return self._reader.outcomes("learned", self._rows)

    @property
    def reward(self) -> NDArray[np.float64]:
        """Fraction of trials rewarded in the last 500 episodes: [...]."""
        return self._reader.outcomes("reward", self._rows)

    @property
    def value_loss(self) -> NDArray[np.float64]:
        """Value loss of the last 500 episodes, in reward²: [...]."""
        return self._reader.outcomes("value_loss", self._rows)

    @property
    def entropy(self) -> NDArray[np.float64]:
        """Entropy of the policy in the last 500 episodes, in nats: [...]."""
        return self._reader.outcomes("entropy", self._rows)

    @property
    def critic_bias(self) -> NDArray[np.float64]:
        """Value minus return in the last 500 episodes: [...]."""
        return self._reader.outcomes("critic_bias", self._rows)

    @property
    def collapsed(self) -> NDArray[np.bool_]:
        """Whether the policy ends deterministic without having learned: [...]."""
        return self._reader.outcomes("collapsed", self._rows)

    @property
    def collapse(self) -> NDArray[np.float64]:
        """Episode by which the policy was first deterministic; inf if never: [...]."""
        return self._reader.outcomes("collapse", self._rows)

    @property
    def time(self) -> NDArray[np.float64]:
        """Episodes until the last 500 first met the criterion; inf if they never did: [...]."""
        return self._reader.outcomes("time", self._rows)

    def rate(self) -> NDArray[np.float64]:
        """Fraction of seeds, the last axis, that learned."""
        return np.asarray(self.learned.mean(axis=-1))


class Evidence:
    """The outcomes of the paper's experiments, each read once.

    Args:
        store: holds all runs.
        size: of the experiments.
        engine: the one that trained them.
    """

    def __init__(self, store: Store, size: Size = "paper", engine: EngineName = "fused") -> None:
        self.store = store
        self._size, self._engine = size, engine
        self._kept: dict[str, Outcomes] = {}

    def of(self, name: str) -> Outcomes:
        """Outcomes of the experiment of that name."""
        if name not in self._kept:
            (experiment,) = chosen((name,), self._size, self._engine)
            self._kept[name] = Outcomes.of(experiment, self.store)
        return self._kept[name]


def _sources(shards: Any) -> list[Source]:
    return [Source(run, shard, place) for shard in shards for place, run in enumerate(shard.runs)]


def _outcomes(history: History, shard: Shard) -> dict[str, NDArray[Any]]:
    """What became of each run of a shard."""
    task = shard.setting.task
    success = learned(history, task)
    entropy = final_mean(history, history.entropy)
    deterministic = history.entropy < COLLAPSED
    collapse = np.where(
        deterministic.any(axis=1), history.episode[deterministic.argmax(axis=1)], np.inf
    )
    with np.errstate(over="ignore"):
        return {
            "learned": success,
            "reward": final_mean(history, history.reward),
            "value_loss": final_mean(history, history.value_loss),
            "entropy": entropy,
            "critic_bias": final_mean(history, history.critic_bias),
            "collapsed": (entropy < COLLAPSED) & ~success,
            "collapse": collapse,
            "time": times_to_learn(history, task),
        }
