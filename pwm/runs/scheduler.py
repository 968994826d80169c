"""Trains the shards (groups of runs) that a store lacks, in processes here or on a cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import resource_tracker
from typing import Any

from pwm.io.errors import FileError
from pwm.io.files import make_folder
from pwm.io.inherited import STOPPING, counted, note, stop_signals
from pwm.runs.engines import require_numba
from pwm.runs.locks import LOCK, is_locked, tidy
from pwm.runs.progress import Progress
from pwm.runs.shards import Shard
from pwm.runs.storage import Store
from pwm.runs.worker import Sweep, serve, train_shards

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
UPDATE_EVERY = 0.5  # seconds between updates of the progress bar
WAIT_FOR_OTHERS = 5.0  # seconds between checks, while other processes train all that is left
MAX_WAITS = 120  # waits in a row without their progress before a sweep gives up: ten minutes
MAX_FAILURES = 3  # rounds in a row without any progress before a sweep gives up
Pool = Callable[[int], AbstractContextManager[Executor]]
"""Function that makes an executor, given the number of tasks that will be submitted."""


def run(shards: Sequence[Shard], sweep: Sweep, pool: Pool, max_tasks: int | None = None) -> None:
    """Trains the shards that are not stored yet, with a progress bar.

    Shards that another process is training are left to it, and taken over if it dies. Workers that
    die are replaced. Each task that an executor of `pool` runs trains one or more shards; an
    executor gets at most `max_tasks` tasks, or one per shard if that is None.

    Raises:
        InputError: the store cannot be written, Numba cannot compile here, memory is exhausted, or
            another process makes no progress with its shards for ten minutes.
        JobError: a SLURM job or the cluster failed.
        BrokenExecutor: workers die, or stored shards get lost, again and again without progress.
        KeyboardInterrupt: after Ctrl-C; processes have stopped at checkpoints, SLURM jobs continue.
    """
    missing = _missing(shards, sweep.store)
    note(f"{counted(len(shards), 'shard')}, {len(missing)} to train.")
    if missing:
        if any(shard.engine == "fused" for shard in missing):
            require_numba()  # here, as a failing worker would leave a lock file
        make_folder("results", sweep.store.folder)
        with Progress(missing, sweep.store) as progress:
            _train_in_rounds(missing, sweep, pool, max_tasks, progress)
    tidy(sweep.store, shards)


def _train_in_rounds(
    missing: list[Shard], sweep: Sweep, pool: Pool, max_tasks: int | None, progress: Progress
) -> None:
    """Trains shards in rounds until all are stored; waits while others train all that are left.

    A further round is needed if workers died, stored shards were lost or damaged, or other
    processes stopped before their shards were stored.
    """
    failures = waits = 0  # numbers of rounds and of waits in a row without any progress
    while missing:
        free = [shard for shard in missing if not is_locked(sweep.store, shard)]
        done_before = progress.update()  # training done so far, by all processes
        if free:
            died = _round(split_into_tasks(free, max_tasks), sweep, pool, progress)
            failures = 0 if progress.update() > done_before else failures + 1
            if failures == MAX_FAILURES:
                cause = "workers die" if died else "stored shards are lost or damaged"
                raise BrokenExecutor(f"{cause} again and again without progress")
            if died:
                progress.say("A worker died; its shard continues from the last checkpoint.")
        else:
            time.sleep(WAIT_FOR_OTHERS)
            waits = 0 if progress.update() > done_before else waits + 1
            if waits == MAX_WAITS:
                lock = sweep.store.path(missing[0], LOCK)
                accepted = "progress by the process that holds it; there was none for ten minutes"
                raise FileError(lock, accepted)
        missing = _missing(missing, sweep.store)


def _missing(shards: Sequence[Shard], store: Store) -> list[Shard]:
    """The shards that are not stored, or whose files are damaged."""
    return [shard for shard in shards if store.get(shard) is None]


def split_into_tasks(shards: Sequence[Shard], max_tasks: int | None) -> list[list[Shard]]:
    """Deals shards to at most `max_tasks` tasks (None: one per shard), the most expensive first."""
    ordered = sorted(shards, key=lambda shard: shard.seconds, reverse=True)
    num_tasks = min(len(shards), max_tasks or len(shards))
    return [ordered[task::num_tasks] for task in range(num_tasks)]


def _round(tasks: Sequence[Sequence[Shard]], sweep: Sweep, pool: Pool, progress: Progress) -> bool:
    """Trains the shards of each task in a new executor; returns whether a worker died."""
    died = False
    with pool(len(tasks)) as executor:
        try:
            pending = {executor.submit(train_shards, shards, sweep) for shards in tasks}
        except BrokenExecutor:  # a worker died before all tasks were submitted
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
    """A pool of processes that Ctrl-C and the closing of the terminal do not reach."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submits a call as `Executor.submit` does; this may start a process."""
        with _interrupts_blocked():
            return super().submit(function, *args, **kwargs)


@contextmanager
def processes(workers: int) -> Iterator[Processes]:
    """Makes a pool of processes; they stop at checkpoints if the block raises or this one ends.

    Raises:
        KeyboardInterrupt: a signal asked to stop while the pool was closing, and it is closed now.
    """
    context = multiprocessing.get_context("spawn")
    # When this process ends, even if killed, the operating system closes its end of the pipe.
    lifeline, own_end = context.Pipe(duplex=False)
    with _interrupts_blocked():
        executor = Processes(workers, context, initializer=serve, initargs=(lifeline,))
    try:
        yield executor
    except BaseException as error:
        own_end.close()  # tells the workers to stop
        if isinstance(error, KeyboardInterrupt):
            executor.shutdown(cancel_futures=True)  # meanwhile, another signal ends this process
        raise
    finally:
        # A signal that raised inside `shutdown` would let the pool wait for its workers forever.
        with stop_signals() as caught:
            executor.shutdown(cancel_futures=True)
        own_end.close()
        lifeline.close()
        if caught:
            raise KeyboardInterrupt(caught[0])


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Blocks SIGINT and SIGHUP in this thread, and for good in processes that it starts.

    A terminal sends them to all of its processes; only the parent should act on them.
    """
    from_terminal = set(STOPPING) - {signal.SIGTERM}
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, from_terminal)
    # The pool would start Python's resource tracker later; its start unblocks some of the signals.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, from_terminal)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
