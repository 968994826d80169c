"""Runs in a store: the curves and the outcome of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.learning import final_mean, learned, times_to_learn
from pwm.core.config import TrainConfig
from pwm.core.history import History
from pwm.core.task import TaskConfig
from pwm.runs.shards import Shard
from pwm.runs.storage import Store

COLLAPSED = 1e-3  # nats, mean over steps: a policy that no longer explores
KEPT_HISTORIES = 64  # shards whose histories are kept in memory
OUTCOME = np.dtype(
    [
        *(("learned", bool), ("time", float), ("reward", float), ("value_loss", float)),
        *(("entropy", float), ("critic_bias", float), ("collapsed", bool), ("collapse", float)),
        ("peak_value_loss", np.float32),
    ]
)
"""The outcome of one run; `pwm.analysis.outcomes.Outcomes` describes each field."""


class StoredRuns:
    """The runs of some shards, numbered from 0; a shard is read when one of its runs is needed.

    Args:
        store: the store that holds the shards.
        shards: the shards, in the order of the numbers.
    """

    def __init__(self, store: Store, shards: Iterable[Shard]) -> None:
        self._store, self._shards = store, list(shards)
        self.configs: Sequence[TrainConfig] = [run for shard in self._shards for run in shard.runs]
        sizes = [len(shard.members) for shard in self._shards]
        self._shard = np.repeat(np.arange(len(sizes)), sizes)  # place of each run's shard
        self._first = np.cumsum([0, *sizes])  # number of each shard's first run
        self._outcomes = np.zeros(len(self.configs), OUTCOME)
        self._known = np.zeros(len(sizes), bool)
        self._kept = lru_cache(KEPT_HISTORIES)(self._read)

    def outcomes(self, numbers: NDArray[np.intp]) -> NDArray[Any]:
        """Outcomes of some runs, an array of `OUTCOME` in the shape of their numbers.

        Raises:
            InputError: a run is not in the store.
        """
        for place in np.unique(self._shard[numbers]):
            if not self._known[place]:
                part = slice(self._first[place], self._first[place + 1])
                task = self._shards[place].setting.task
                self._outcomes[part] = outcomes_of(self._read(place), task)
                self._known[place] = True
        return np.asarray(self._outcomes[numbers])

    def course(self, name: str, numbers: NDArray[np.intp]) -> NDArray[np.float32]:
        """A curve of some runs, by name: [R, K], or [R, J] for diagnostics with `probe_at`.

        Raises:
            InputError: a run is not in the store.
        """
        return self.history(numbers).curves[name]

    def history(self, numbers: NDArray[np.intp]) -> History:
        """The history of the runs with these numbers, [R], in this order.

        Diagnostics are included only if all runs measured the same ones at the same episodes.

        Raises:
            InputError: a run is not in the store.
        """
        places = self._shard[numbers]
        replicas = numbers - self._first[places]  # numbered within their shards
        logged = [
            self._kept(place).select([replica])
            for place, replica in zip(places, replicas, strict=True)
        ]
        return History.joined(logged)

    def _read(self, place: int) -> History:
        """The history of a shard, by its place among the shards."""
        return self._store.gather([self._shards[place]])


def outcomes_of(history: History, task: TaskConfig) -> NDArray[Any]:
    """The outcome of each replica, an array [R] of `OUTCOME`."""
    success, entropy = learned(history, task), final_mean(history, history.entropy)
    deterministic = history.entropy < COLLAPSED  # (R, K)
    first = history.episode[deterministic.argmax(axis=1)]
    found = np.zeros(len(success), OUTCOME)
    found["learned"] = success
    found["time"] = times_to_learn(history, task)
    found["reward"] = final_mean(history, history.reward)
    found["value_loss"] = final_mean(history, history.value_loss)
    found["entropy"] = entropy
    found["critic_bias"] = final_mean(history, history.critic_bias)
    found["collapsed"] = (entropy < COLLAPSED) & ~success
    found["collapse"] = np.where(deterministic.any(axis=1), first, np.inf)
    found["peak_value_loss"] = history.value_loss.max(axis=1)
    return found
