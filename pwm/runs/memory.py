"""Refuses runs that need more memory than there is, and reports memory exhausted in training."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pwm.core.agent import NUM_GATES
from pwm.core.errors import InputError
from pwm.runs.fields import flat
from pwm.training.config import TrainConfig

BYTES_PER_DRAW = 24  # per random number: drawn, stacked, converted and copied
BYTES_PER_STEP = 20  # table row, action, reward; the fused engine plays one run's episode at a time


def require_memory(runs: Sequence[TrainConfig], episodes_per_draw: int) -> None:
    """Requires that the machine's memory can hold each of a population's batches of random numbers.

    There are batches for all initial weights, for `episodes_per_draw` episodes, for an update and
    for a probe. Each is checked by itself, with its copies. Other arrays, and memory in use, do not
    count: training may still exhaust the memory.

    Raises:
        InputError: a batch does not fit; the message names the field that makes it large.
    """
    run, steps = runs[0], runs[0].task.episode_length
    parameters = run.agent.num_trunks * NUM_GATES * run.agent.hidden_size**2  # recurrent weights
    per_draw = BYTES_PER_DRAW * len(runs)
    episodes = min(episodes_per_draw, run.num_episodes)
    needed = {  # bytes, by the field that determines them
        "hidden_size": per_draw * parameters,
        "episode_length": (per_draw * episodes + BYTES_PER_STEP) * steps,
        "episodes_per_update": (per_draw * run.episodes_per_update + BYTES_PER_STEP) * steps,
        "probe_episodes": (per_draw * run.probe_episodes + BYTES_PER_STEP) * steps,
    }
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name, size in needed.items():
        if size > available:
            of_all = f" for {len(runs)} runs" if len(runs) > 1 else ""
            accepted = f"less: it takes {size // 10**9:,} GB of memory{of_all}"
            accepted += f", and there are {available // 10**9:,} GB"
            raise InputError(name, flat(run)[name], accepted)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns an error caused by exhausted memory, directly or indirectly, into an `InputError`."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not _is_about_memory(cause):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        reason = " ".join(str(cause).split()) or type(cause).__name__
        accepted = f"a smaller hidden size or episode length, or fewer runs ({reason})"
        raise InputError("MEMORY", "exhausted", accepted) from error


def _is_about_memory(error: BaseException) -> bool:
    """Whether an error is a `MemoryError` or, as from PyTorch, a `RuntimeError` about memory."""
    is_of_pytorch = isinstance(error, RuntimeError) and "memory" in str(error)
    return isinstance(error, MemoryError) or is_of_pytorch
