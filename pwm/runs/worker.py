"""Trains shards (groups of runs) in the current process, such as a worker or a SLURM job."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from pwm.io.errors import FileError
from pwm.io.files import folder_errors
from pwm.io.provenance import current_provenance
from pwm.runs.engines import make_trainer
from pwm.runs.locks import lock, report
from pwm.runs.memory import memory_errors
from pwm.runs.shards import Shard
from pwm.runs.storage import Session, Store
from pwm.training.history import History
from pwm.training.trainer import Trainer

REPORT_EVERY = 0.5  # seconds

_stop = threading.Event()  # set, as `serve` arranges, when this process must stop
_busy = threading.Lock()  # held while shards are trained; to exit, `_leave` waits for it


@dataclass(frozen=True)
class Sweep:
    """Settings that all shards of a sweep share."""

    store: Store
    command: str
    """Command line as the user typed it, for the provenance."""
    checkpoint_every: float = 15.0
    """Seconds between checkpoints."""


def train_shards(shards: Sequence[Shard], sweep: Sweep) -> None:
    """Trains the shards that are neither stored nor locked by another process, until told to stop.

    Raises:
        InputError: the store cannot be written, or read just afterwards; or memory is exhausted.
    """
    with _busy, memory_errors():
        for shard in shards:
            with folder_errors("results", sweep.store.folder), lock(sweep.store, shard) as locked:
                if locked and sweep.store.get(shard) is None:
                    _train(shard, sweep)
            if _stop.is_set():
                return


def _train(shard: Shard, sweep: Sweep) -> None:
    """Trains a locked shard, from its checkpoint if any; stores it or, if stopped, a checkpoint."""
    started = saved = time.monotonic()
    trainer = make_trainer(shard.runs, shard.engine)
    sessions: list[Session] = []
    if (checkpoint := sweep.store.resume(shard)) is not None:
        trainer.restore(checkpoint.state)
        sessions = checkpoint.sessions
    current_provenance(0.0)  # reads the commit now, before the code can change
    done_before = trainer.episodes_done  # in earlier sessions
    training_seconds = 0.0  # in this session, without the time for checkpoints

    def sessions_now() -> list[Session]:
        """Provenance of all episodes trained so far: earlier sessions, then this session."""
        session = {
            "experiment": shard.experiment,
            "first_episode": done_before + 1,
            "last_episode": trainer.episodes_done,
            "training_seconds": round(training_seconds, 4),
            **current_provenance(time.monotonic() - started, sweep.command),
        }
        return [*sessions, session]

    report(sweep.store, shard, done_before)
    for seconds in _train_in_chunks(trainer):
        training_seconds += seconds
        report(sweep.store, shard, trainer.episodes_done)
        if time.monotonic() - saved > sweep.checkpoint_every:
            sweep.store.checkpoint(shard, trainer.state(), sessions_now())
            saved = time.monotonic()
    if trainer.episodes_done < trainer.num_episodes:  # this process must stop
        sweep.store.checkpoint(shard, trainer.state(), sessions_now())
        return
    sweep.store.put(shard, trainer.history(), sessions_now())
    try:  # a damaged file is an error now, not when the results are read
        sweep.store.read(shard.key)
    except FileError as error:
        accepted = f"a file that can be read just after it was written ({error})"
        raise FileError(error.value, accepted) from error


def train_alone(shard: Shard) -> History | None:
    """Trains a shard without a store; returns its history, or None if stopped before the end.

    Raises:
        InputError: memory is exhausted.
    """
    with _busy, memory_errors():
        trainer = make_trainer(shard.runs, shard.engine)
        for _ in _train_in_chunks(trainer):
            pass
        return trainer.history() if trainer.episodes_done == trainer.num_episodes else None


def _train_in_chunks(trainer: Trainer) -> Iterator[float]:
    """Trains to the end, or until this process must stop; yields the time per chunk in seconds."""
    chunk = 1  # episodes
    while trainer.episodes_done < trainer.num_episodes and not _stop.is_set():
        before = time.monotonic()
        trainer.advance(chunk)
        seconds = max(time.monotonic() - before, 1e-6)  # a coarse clock may give 0
        # At this speed, the next chunk takes about `REPORT_EVERY` seconds; at most, chunks double.
        chunk = max(1, min(2 * chunk, int(chunk * REPORT_EVERY / seconds)))
        yield seconds


def serve(lifeline: Connection) -> None:
    """Prepares a worker process to stop when its parent stops, or on SIGTERM.

    When the parent closes its end of the pipe `lifeline`, training stops at a checkpoint. When the
    parent exits, or on SIGTERM, this process also exits, after the checkpoint.
    """
    threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()
    # The handler runs in the main thread, which may hold `_busy`; so another thread waits for it.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=_leave).start())


def _watch(lifeline: Connection) -> None:
    """Stops training when the parent closes its end of the pipe; exits when the parent exits."""
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()  # nothing is sent: this waits for the end to be closed
    _stop.set()
    parent = multiprocessing.parent_process()
    assert parent is not None  # it started this process
    parent.join()
    _leave()


def _leave() -> None:
    """Stops training at a checkpoint, then exits."""
    _stop.set()
    with _busy:
        os._exit(0)  # `sys.exit` would end this thread only
