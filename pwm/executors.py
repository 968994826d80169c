"""Where shards are trained: anything that implements `concurrent.futures.Executor`."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from pwm.worker import serve


class Processes(ProcessPoolExecutor):
    """A pool of processes that Ctrl-C in the terminal does not reach."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As any executor's; it may start a process."""
        with _interrupts_held_back():
            return super().submit(function, *args, **kwargs)


@contextmanager
def processes(workers: int) -> Iterator[Processes]:
    """Processes of this machine, which stop at a checkpoint if the block ends by an error.

    Args:
        workers: how many, each with one thread.
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
def _interrupts_held_back() -> Iterator[None]:
    """Blocks Ctrl-C, for good in the processes that are started here.

    Ctrl-C reaches every process of a terminal, and only the parent is to act on it.
    """
    resource_tracker.ensure_running()  # its start, at the first process, would unblock them
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
