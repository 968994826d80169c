"""Trains published runs again, in parallel processes.

Runs that differ only in critic weight, learning rate and seed are trained together.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from itertools import takewhile

from tqdm import tqdm

from pwm.analysis.published import Record
from pwm.io.cli import fail
from pwm.io.inherited import Forgiving, note, stop_signals
from pwm.runs.engines import require_numba
from pwm.runs.progress import cost_of
from pwm.runs.scheduler import processes
from pwm.runs.shards import Member, Shard
from pwm.runs.worker import train_alone
from pwm.training.config import TrainConfig

TOGETHER = 16  # most runs per population; larger ones would leave processes idle at the end


def retrain(sample: Sequence[TrainConfig], workers: int) -> tuple[dict[TrainConfig, Record], int]:
    """Trains runs, with a progress bar, until all are trained or a signal interrupts training.

    Args:
        sample: the runs, in random order.
        workers: number of processes.
    Returns:
        The record of each run, and the number of the signal that interrupted training, 0 if none
        did. After an interruption, only the runs before the first untrained one are returned:
        among all trained runs, short ones would be overrepresented; among these, less so.
    Raises:
        InputError: Numba cannot compile here (`require_numba`), or memory is exhausted.
        SystemExit: a worker process died or was told to stop.
    """
    require_numba()
    records = dict[TrainConfig, Record]()
    stopped_by = 0
    try:
        with stop_signals(interrupt=True):
            for run, record in _records(populations(sample), workers):
                records[run] = record
    except KeyboardInterrupt as interrupt:
        (stopped_by,) = interrupt.args
        note("Interrupted.")
    except BrokenExecutor as error:
        fail(str(error))
    beginning = takewhile(lambda run: run in records, sample)
    return {run: records[run] for run in beginning}, stopped_by


def populations(runs: Iterable[TrainConfig]) -> list[Shard]:
    """Groups runs that can be trained together into populations of at most `TOGETHER` runs."""
    members_by_setting = dict[TrainConfig, list[Member]]()
    for run in runs:
        member = Member(run.critic_weight, run.learning_rate, run.seed)
        members_by_setting.setdefault(run.shared, []).append(member)
    return [
        Shard(setting, tuple(members[first : first + TOGETHER]))
        for setting, members in members_by_setting.items()
        for first in range(0, len(members), TOGETHER)
    ]


def _records(shards: Sequence[Shard], workers: int) -> Iterator[tuple[TrainConfig, Record]]:
    """Trains populations in up to `workers` processes; yields runs and their records as done."""
    num_runs = sum(len(shard.members) for shard in shards)
    with (
        tqdm(
            file=Forgiving(sys.stderr),
            total=sum(map(cost_of, shards)),
            bar_format="{percentage:3.0f}%|{bar}| {desc} [{elapsed}, {remaining} left]",
            dynamic_ncols=True,
        ) as bar,
        processes(min(workers, len(shards))) as executor,
    ):
        bar.set_description_str(f"0 of {num_runs} runs")
        futures = {executor.submit(train_alone, shard): shard for shard in shards}
        done = 0
        for future in as_completed(futures):
            shard, history = futures[future], future.result()
            if history is None:
                raise BrokenExecutor("a worker process was told to stop")
            done += len(shard.members)
            bar.set_description_str(f"{done} of {num_runs} runs", refresh=False)
            bar.update(cost_of(shard))
            for replica, run in enumerate(shard.runs):
                yield run, Record.of(history.select([replica]), run.task)
