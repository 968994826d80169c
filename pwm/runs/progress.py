"""The progress bar of a sweep."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from tqdm import tqdm

from pwm.io.inherited import Forgiving
from pwm.runs.locks import LOCK, reported
from pwm.runs.shards import Shard
from pwm.runs.storage import Store


class Done(NamedTuple):
    """Progress over a set of shards."""

    cost: int = 0  # estimated, in microseconds of one core
    runs: int = 0  # of finished shards
    episodes: int = 0  # summed over runs


class Progress:
    """A progress bar of shards that any number of processes train into a store.

    It advances in proportion to estimated cost, so that it can estimate the time left.

    Args:
        shards: shards to train.
        store: store that they are trained into.
    """

    def __init__(self, shards: Sequence[Shard], store: Store) -> None:
        self._left = list(shards)
        self._store = store
        self._runs = sum(len(shard.members) for shard in shards)
        # what is stored now is damaged, and does not count until it is replaced
        self._damaged = store.names() & {store.path(shard).name for shard in shards}
        self._finished = Done()
        self._started = time.monotonic()
        before = self._count()
        self._episodes_before = before.episodes
        self._bar = tqdm(
            file=Forgiving(sys.stderr),
            total=sum(map(cost_of, shards)),
            initial=before.cost,
            bar_format="{percentage:3.0f}%|{bar}| {desc} [{elapsed}, {remaining} left]",
            smoothing=0.05,
            dynamic_ncols=True,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        self.update()
        self._bar.close()

    def update(self) -> int:
        """Updates the bar; returns the cost of what is done."""
        done = self._count()
        rate = (done.episodes - self._episodes_before) / (time.monotonic() - self._started)
        text = f"{done.runs} of {self._runs} runs, {rate:,.0f} replica-episodes/s"
        self._bar.set_description_str(text, refresh=False)
        self._bar.update(done.cost - self._bar.n)
        return done.cost

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._bar.write(text, self._bar.fp)

    def _count(self) -> Done:
        """Adds up the finished shards, and the reported progress of those in training."""
        names, left = self._store.names(), []
        self._damaged &= names
        cost, runs, episodes = self._finished
        for shard in self._left:
            name = self._store.path(shard).name
            if name in names and name not in self._damaged:
                cost += cost_of(shard)
                runs += len(shard.members)
                episodes += shard.num_episodes
            else:
                left.append(shard)
        self._left, self._finished = left, Done(cost, runs, episodes)
        for shard in left:
            if shard.key + LOCK in names:
                part = min(reported(self._store, shard) / shard.setting.num_episodes, 1.0)
                cost += int(part * cost_of(shard))
                episodes += int(part * shard.num_episodes)
        return Done(cost, runs, episodes)


def cost_of(shard: Shard) -> int:
    """Estimated training time of a shard, in microseconds of one core; at least 1."""
    return round(1e6 * shard.seconds) + 1
