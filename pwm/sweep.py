"""`python -m pwm.sweep`: trains every run of some experiments, once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from queue import Queue
from threading import Event

import tyro
from tqdm import tqdm

from pwm.cli import INTERRUPTED, errors_in_one_line, parse
from pwm.errors import InputError, require_integer
from pwm.experiments import Experiment, Size, chosen
from pwm.files import make_folder
from pwm.store import Shard, Store
from pwm.train import Trainer

SHARD_SIZE = 48  # replicas; half of a grid of four weights by 24 seeds, so that two cores share it
EPISODES_A_TICK = 50
KEEP_EVERY = 15.0  # seconds between two checkpoints


def plan(experiment: Experiment) -> tuple[Shard, ...]:
    """The experiment's runs in order, cut into shards."""
    runs = experiment.runs()
    return tuple(
        Shard(runs[start : start + SHARD_SIZE]) for start in range(0, len(runs), SHARD_SIZE)
    )


def run(experiments: Sequence[Experiment], store: Store, workers: int) -> bool:
    """Trains what the store does not hold yet, showing progress.

    Args:
        experiments: whose runs to train.
        store: where histories are kept.
        workers: processes, each with one thread.
    Returns:
        Whether everything is there now; not so after Ctrl-C.
    """
    shards = {shard.key: shard for experiment in experiments for shard in plan(experiment)}
    missing = [shard for shard in shards.values() if store.get(shard) is None]
    missing.sort(key=lambda shard: -shard.num_episodes)
    if missing:
        make_folder("results", store.folder)
    print(f"{len(shards)} shards, {len(missing)} of them to train.", file=sys.stderr)
    if not missing:
        return True
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        try:
            with _interrupts_held_back():
                manager = stack.enter_context(context.Manager())
                ticks, stop = manager.Queue(), manager.Event()
                executor = ProcessPoolExecutor(min(workers, len(missing)), context)
                stack.enter_context(executor)
                futures = [
                    executor.submit(_train_shard, shard, store, ticks, stop) for shard in missing
                ]
            stack.enter_context(_progress(ticks, sum(shard.num_episodes for shard in missing)))
            for future in as_completed(futures):
                future.result()
        except KeyboardInterrupt:
            stop.set()
            executor.shutdown(cancel_futures=True)
            return False
    return True


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


def _train_shard(shard: Shard, store: Store, ticks: Queue[int | None], stop: Event) -> None:
    """Trains a shard from where it was left, and leaves it well if it is to stop."""
    trainer = Trainer(shard.runs)
    state = store.resume(shard)
    if state is not None:
        trainer.restore(state)
        ticks.put(trainer.episodes_done * len(shard.runs))
    kept = time.monotonic()
    while trainer.episodes_done < trainer.num_episodes:
        if stop.is_set() or time.monotonic() - kept > KEEP_EVERY:
            store.checkpoint(shard, trainer.state())
            kept = time.monotonic()
        if stop.is_set():
            return
        before = trainer.episodes_done
        trainer.advance(EPISODES_A_TICK)
        ticks.put((trainer.episodes_done - before) * len(shard.runs))
    store.put(shard, trainer.history())


@contextmanager
def _progress(ticks: Queue[int | None], total: int) -> Iterator[None]:
    """Shows the replica-episodes that the workers report, until the block ends."""

    def show() -> None:
        with tqdm(total=total, unit=" replica-episodes", unit_scale=True, smoothing=0.05) as bar:
            while (done := ticks.get()) is not None:
                bar.update(done)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ticks.put(None)
        thread.join()


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.sweep`."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Experiments; all of them if none is named."""
    size: Size = "paper"
    """The published budget, or a tiny one."""
    results: Path = Path("results")
    """Folder that histories are kept in."""
    workers: int = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    """Processes, each with one thread."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(
        Arguments,
        "python -m pwm.sweep",
        "Trains every run of some experiments that is not stored yet.",
        argv,
    )
    with errors_in_one_line():
        require_integer("workers", arguments.workers, 1)
        experiments = chosen(arguments.names, arguments.size)
        try:
            complete = run(experiments, Store(arguments.results), arguments.workers)
        except OSError as error:
            accepted = f"a folder that can be written ({error.strerror or error})"
            raise InputError("results", arguments.results, accepted) from error
    if not complete:
        print("Interrupted; what is stored stays. Run it again to go on.", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
