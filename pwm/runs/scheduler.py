"""Trains the shards that a store lacks, in processes of this machine or in jobs of a cluster."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import resource_tracker
from typing import Any

from tqdm import tqdm

from pwm.io.files import make_folder
from pwm.runs.locks import is_locked, tidy
from pwm.runs.progress import Progress
from pwm.runs.shards import Shard
from pwm.runs.storage import Store
from pwm.runs.worker import Job, serve, train_shards

UPDATE_EVERY = 0.5  # seconds between updates of the progress bar
WAIT_FOR_OTHERS = 5.0  # seconds between checks, when others hold the locks of all that is left
MAX_DEATHS = 3  # of workers in a row, without any progress
Pool = Callable[[int], AbstractContextManager[Executor]]
"""Makes an executor for a number of tasks."""


def run(shards: Sequence[Shard], job: Job, pool: Pool, max_tasks: int | None = None) -> None:
    """Trains the shards that are not stored, and shows progress.

    Shards that another sweep is training are left to it, and taken over if it dies. Workers that
    die are replaced.

    Args:
        shards: to train.
        job: the store, and what to record.
        pool: makes the executor.
        max_tasks: largest number of tasks that the executor takes, each of which trains some of
            the shards; no limit if None.
    Raises:
        InputError: the store cannot be written.
        BrokenExecutor: workers die again and again without progress.
        KeyboardInterrupt: training stopped at checkpoints.
    """
    missing = _missing(shards, job.store)
    print(f"{len(shards)} shards, {len(missing)} of them to train.", file=sys.stderr)
    if missing:
        make_folder("results", job.store.folder)
        with Progress(missing, job.store) as progress:
            _train(missing, job, pool, max_tasks, progress)
    tidy(job.store, shards)


def _train(
    missing: list[Shard], job: Job, pool: Pool, max_tasks: int | None, progress: Progress
) -> None:
    """Trains shards, round after round, until all are stored."""
    deaths = 0
    while missing:
        free = [shard for shard in missing if not is_locked(job.store, shard)]
        before, died = progress.update(), False
        if free:
            died = _round(dealt(free, max_tasks), job, pool, progress)
        else:
            time.sleep(WAIT_FOR_OTHERS)
        deaths = deaths + 1 if died and progress.update() <= before else 0
        if deaths == MAX_DEATHS:
            raise BrokenExecutor("workers die again and again without progress")
        if died:
            tqdm.write("A worker died; its shard continues from the last checkpoint.", sys.stderr)
        missing = _missing(missing, job.store)


def _missing(shards: Sequence[Shard], store: Store) -> list[Shard]:
    return [shard for shard in shards if store.get(shard) is None]


def dealt(shards: Sequence[Shard], max_tasks: int | None) -> list[list[Shard]]:
    """Shards dealt out to tasks, the most expensive first."""
    ordered = sorted(shards, key=lambda shard: -shard.seconds)
    count = min(len(shards), max_tasks or len(shards))
    return [ordered[first::count] for first in range(count)]


def _round(tasks: Sequence[Sequence[Shard]], job: Job, pool: Pool, progress: Progress) -> bool:
    """Trains each task's shards, except those that others lock; returns whether a worker died."""
    died = False
    with pool(len(tasks)) as executor:
        pending: set[Future[None]] = set()
        try:
            pending |= {executor.submit(train_shards, shards, job) for shards in tasks}
        except BrokenExecutor:
            return True
        while pending:
            done, pending = wait(pending, UPDATE_EVERY)
            progress.update()
            for future in done:
                try:
                    future.result()
                except BrokenExecutor:
                    died = True
    return died


class Processes(ProcessPoolExecutor):
    """A pool of processes that Ctrl-C in the terminal does not reach."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submits a call, as any executor; this may start a process."""
        with _interrupts_blocked():
            return super().submit(function, *args, **kwargs)


@contextmanager
def processes(workers: int) -> Iterator[Processes]:
    """Makes worker processes, which stop at a checkpoint if the block raises.

    Args:
        workers: number of processes, each with one thread.
    """
    context = multiprocessing.get_context("spawn")
    lifeline, end = context.Pipe(duplex=False)
    executor = Processes(workers, context, serve, (lifeline,))
    try:
        yield executor
    except BaseException:
        end.close()
        raise
    finally:
        executor.shutdown(cancel_futures=True)
        end.close()
        lifeline.close()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Blocks Ctrl-C, permanently in processes that the block starts.

    A terminal sends Ctrl-C to all of its processes, and only the parent should act on it.
    """
    resource_tracker.ensure_running()  # otherwise the first process starts it and unblocks them
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
