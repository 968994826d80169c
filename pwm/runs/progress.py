"""Progress bar of a sweep, whose shards (groups of runs) any number of processes train."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from tqdm import tqdm

from pwm.io.inherited import Forgiving
from pwm.runs.locks import LOCK, reported
from pwm.runs.shards import Shard
from pwm.runs.storage import STORED, Store


class Done(NamedTuple):
    """Training done so far, summed over shards."""

    cost: int = 0
    """Estimated time of this training on one core, in microseconds."""
    runs: int = 0
    """Number of runs in stored shards."""
    episodes: int = 0
    """Number of episodes trained, summed over runs."""


class Progress:
    """Progress bar that advances with the estimated cost, so that it can estimate the time left."""

    def __init__(self, shards: Sequence[Shard], store: Store) -> None:
        self._left = list(shards)  # not stored yet
        self._finished = Done()  # of the stored shards
        self._store = store
        self._runs = sum(len(shard.members) for shard in shards)
        # These shards are to be trained, so a history that one of them has now is damaged, or its
        # provenance is. It counts once it is written again.
        damaged = store.names() & {shard.key + STORED for shard in shards}
        self._damaged = {name: self._modified(name) for name in damaged}
        self._started = time.monotonic()
        before = self._count()
        self._episodes_before = before.episodes
        self._bar = tqdm(
            file=Forgiving(sys.stderr),
            total=sum(map(cost_of, shards)),
            initial=before.cost,
            bar_format="{percentage:3.0f}%|{bar}| {desc} [{elapsed}, {remaining} left]",
            smoothing=0.05,  # averages the speed over many updates to estimate the time left
            dynamic_ncols=True,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        self.update()
        self._bar.close()

    def update(self) -> int:
        """Updates the bar; returns `Done.cost`, which rises with any progress."""
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
        """Training done: stored shards, and what the lock files of other shards report."""
        still_damaged = {name for name, at in self._damaged.items() if self._modified(name) == at}
        names = self._store.names()  # read after the times, as files may be removed in between
        undamaged = names - still_damaged
        stored = [shard for shard in self._left if shard.key + STORED in undamaged]
        self._left = [shard for shard in self._left if shard.key + STORED not in undamaged]
        cost, runs, episodes = self._finished
        for shard in stored:
            cost += cost_of(shard)
            runs += len(shard.members)
            episodes += shard.replica_episodes
        self._finished = Done(cost, runs, episodes)
        for shard in self._left:
            if shard.key + LOCK in names:
                fraction = min(reported(self._store, shard) / shard.setting.num_episodes, 1.0)
                cost += int(fraction * cost_of(shard))
                episodes += int(fraction * shard.replica_episodes)
        return Done(cost, runs, episodes)

    def _modified(self, name: str) -> int | None:
        """Time at which a stored file was last written, in nanoseconds; None if it is gone."""
        with suppress(OSError):
            return (self._store.folder / name).stat().st_mtime_ns
        return None


def cost_of(shard: Shard) -> int:
    """Estimated training time of a shard on one core in microseconds, plus 1 so it is never 0."""
    return round(1e6 * shard.seconds) + 1
