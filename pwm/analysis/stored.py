"""Runs in a store: their configurations, histories and outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.learning import final_mean, learned, times_to_learn
from pwm.core.task import TaskConfig
from pwm.runs.shards import Shard
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig
from pwm.training.history import History

COLLAPSED = 1e-3  # entropy, in nats, below which a policy no longer explores
CACHED_HISTORIES = 64  # shards whose histories are kept in memory once their curves are read
FIELDS: Mapping[str, type] = {
    "learned": bool,
    "time": float,
    "reward": float,
    "value_loss": float,
    "entropy": float,
    "critic_bias": float,
    "collapsed": bool,
    "collapse": float,
    "peak_value_loss": np.float32,
}
"""Types of a run's outcomes, by name; `pwm.analysis.outcomes.Outcomes` describes each."""
OUTCOME = np.dtype(list(FIELDS.items()))


class StoredRuns:
    """The runs of some shards of a store, in order; implements `pwm.analysis.outcomes.Runs`.

    A shard, a group of runs trained and stored together, is read when one of its runs is needed.
    """

    def __init__(self, store: Store, shards: Iterable[Shard]) -> None:
        self._store, self._shards = store, list(shards)
        self.configs: Sequence[TrainConfig] = [run for shard in self._shards for run in shard.runs]
        sizes = [len(shard.members) for shard in self._shards]  # a member is a run
        self._shard_of_run = np.repeat(np.arange(len(sizes)), sizes)
        self._first_run = np.cumsum([0, *sizes])  # index of each shard's first run, then the total
        self._outcomes = np.zeros(len(self.configs), OUTCOME)
        self._is_computed = np.zeros(len(sizes), bool)  # by shard: whether `_outcomes` has its runs
        self._cached_history = lru_cache(CACHED_HISTORIES)(self._read)

    def outcomes(self, indices: NDArray[np.intp]) -> NDArray[Any]:
        """Outcomes of the runs with these indices; implements `Runs.outcomes`."""
        for shard in np.unique(self._shard_of_run[indices]):
            if not self._is_computed[shard]:
                runs = slice(self._first_run[shard], self._first_run[shard + 1])
                task = self._shards[shard].setting.task
                self._outcomes[runs] = outcomes_of(self._read(shard), task)
                self._is_computed[shard] = True
        return np.asarray(self._outcomes[indices])

    def curve(self, name: str, indices: NDArray[np.intp]) -> NDArray[np.float32]:
        """The curve `name` of the runs with these indices; implements `Runs.curve`."""
        return self.history(indices).curves[name]

    def history(self, indices: NDArray[np.intp]) -> History:
        """The history of the runs with these indices; implements `Runs.history`.

        Diagnostics are included only if all runs measured the same ones at the same episodes.
        """
        shards = self._shard_of_run[indices]  # index of each run's shard
        replicas = indices - self._first_run[shards]  # index of each run in its shard
        histories = [
            self._cached_history(shard).select([replica])
            for shard, replica in zip(shards, replicas, strict=True)
        ]
        return History.joined(histories)

    def _read(self, shard: int) -> History:
        """Reads the history of the shard with this index."""
        return self._store.gather([self._shards[shard]])


def outcomes_of(history: History, task: TaskConfig) -> NDArray[Any]:
    """Outcomes of a history's replicas: an array of `OUTCOME`, [R]."""
    outcomes = np.zeros(len(history.reward), OUTCOME)
    outcomes["learned"] = learned(history, task)
    outcomes["time"] = times_to_learn(history, task)
    for name in ("reward", "value_loss", "entropy", "critic_bias"):
        outcomes[name] = final_mean(history, history.curves[name])
    outcomes["collapsed"] = (outcomes["entropy"] < COLLAPSED) & ~outcomes["learned"]
    is_deterministic = history.entropy < COLLAPSED  # (R, windows)
    first = history.episode[is_deterministic.argmax(axis=1)]  # end of the first such window, if any
    outcomes["collapse"] = np.where(is_deterministic.any(axis=1), first, np.inf)
    outcomes["peak_value_loss"] = history.value_loss.max(axis=1)
    return outcomes
