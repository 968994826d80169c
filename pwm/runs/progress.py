"""Progress bar of a sweep, whose shards any number of processes train."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from tqdm import tqdm

from pwm.io.inherited import Forgiving
from pwm.runs.locks import LOCK, reported
from pwm.runs.shards import Shard
from pwm.runs.storage import STORED, Store


class Progress:
    """Progress bar of `shards`, which any number of processes train into `store`.

    The bar advances in proportion to estimated cost, so that it can estimate the time left.
    """

    def __init__(self, shards: Sequence[Shard], store: Store) -> None:
        self._store = store
        self._shards = [(shard, cost_of(shard)) for shard in shards]  # costs are slow to estimate
        self._runs = sum(len(shard.members) for shard in shards)
        # A shard is to be trained although its file exists: the file is damaged. The shard counts
        # as stored once the file has been removed and written again.
        self._damaged = store.names() & {shard.key + STORED for shard in shards}
        self._started = time.monotonic()
        cost, _, self._episodes_before = self._count()
        self._bar = tqdm(
            file=Forgiving(sys.stderr),
            total=sum(cost for _, cost in self._shards),
            initial=cost,
            bar_format="{percentage:3.0f}%|{bar}| {desc} [{elapsed}, {remaining} left]",
            smoothing=0.05,
            dynamic_ncols=True,
        )

    def close(self) -> None:
        """Updates the bar for the last time."""
        self.update()
        self._bar.close()

    def update(self) -> int:
        """Updates the bar; returns the cost of the training done, which rises with any progress."""
        cost, runs, episodes = self._count()
        rate = (episodes - self._episodes_before) / (time.monotonic() - self._started)
        text = f"{runs} of {self._runs} runs, {rate:,.0f} replica-episodes/s"
        self._bar.set_description_str(text, refresh=False)
        self._bar.update(cost - self._bar.n)
        return cost

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._bar.write(text, self._bar.fp)

    def _count(self) -> tuple[int, int, int]:
        """Training done: its cost (see `cost_of`), runs in stored shards, episodes of all runs."""
        names = self._store.names()
        self._damaged &= names  # after a removal, the next file is undamaged
        undamaged = names - self._damaged
        cost = runs = episodes = 0
        for shard, shard_cost in self._shards:
            if shard.key + STORED in undamaged:
                fraction = 1.0
                runs += len(shard.members)
            elif shard.key + LOCK in names:
                fraction = min(reported(self._store, shard) / shard.setting.num_episodes, 1.0)
            else:
                continue
            cost += int(fraction * shard_cost)
            episodes += int(fraction * shard.num_episodes)
        return cost, runs, episodes


def cost_of(shard: Shard) -> int:
    """Estimated training time of a shard, in microseconds of one core, plus 1 so as not to be 0."""
    return round(1e6 * shard.seconds) + 1
