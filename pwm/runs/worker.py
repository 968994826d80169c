"""Trains shards, wherever it is called: in this process, in another, in a job of a cluster."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from pwm.engines import make_trainer
from pwm.io.files import folder_errors
from pwm.runs.shards import Shard
from pwm.io.provenance import provenance
from pwm.runs.storage import Claim, Session, Store

KEEP_EVERY = 15.0  # seconds between two checkpoints
REPORT_EVERY = 0.5  # seconds between two reports of progress

_stop = threading.Event()
_busy = threading.Lock()


@dataclass(frozen=True)
class Job:
    """How shards are trained."""

    store: Store
    command: str
    """What was typed to have it done, for the provenance."""
    keep_every: float = KEEP_EVERY
    """Seconds between two checkpoints."""


def train_shards(shards: Sequence[Shard], job: Job) -> None:
    """Trains those shards that are not stored and that nobody else is training.

    Raises:
        InputError: the store cannot be written.
    """
    with _busy:
        for shard in shards:
            with folder_errors("results", job.store.folder), job.store.claim(shard) as claim:
                if claim is not None and job.store.get(shard) is None:
                    _train(shard, job, claim)
            if _stop.is_set():
                return


def _train(shard: Shard, job: Job, claim: Claim) -> None:
    """Trains a shard from where it was left, and leaves it well if it is to stop."""
    started = kept = time.monotonic()
    trainer = make_trainer(shard.runs, shard.engine)
    sessions: list[Session] = []
    if (earlier := job.store.resume(shard)) is not None:
        trainer.restore(earlier.state)
        sessions = earlier.sessions
    first, training, step = trainer.episodes_done, 0.0, 1

    def now() -> list[Session]:
        session = {
            "first_episode": first,
            "last_episode": trainer.episodes_done,
            "training_seconds": round(training, 4),
            **provenance(time.monotonic() - started, job.command),
        }
        return [*sessions, session]

    while trainer.episodes_done < trainer.num_episodes:
        claim.report(trainer.episodes_done)
        if _stop.is_set() or time.monotonic() - kept > job.keep_every:
            job.store.checkpoint(shard, trainer.state(), now())
            kept = time.monotonic()
        if _stop.is_set():
            return
        before = time.monotonic()
        trainer.advance(step)
        took = max(time.monotonic() - before, 1e-6)  # where clocks are coarse, it may be 0
        training += took
        step = max(1, min(2 * step, int(step * REPORT_EVERY / took)))
    job.store.put(shard, trainer.history(), now())


def serve(lifeline: Connection) -> None:
    """Prepares a process that is to train shards, and has it end well.

    Args:
        lifeline: what the parent holds the other end of. When that is closed, training stops
            at a checkpoint; if it was closed because the parent died, the process ends too.
    """
    threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()


def _watch(lifeline: Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    _stop.set()
    parent = multiprocessing.parent_process()
    assert parent is not None  # that is what this process was started by
    parent.join()
    with _busy:
        os._exit(0)
