"""Shards and histories for tests that store, count or draw them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pwm.io.files import read_arrays
from pwm.runs.shards import Member, Shard
from pwm.runs.storage import Session
from pwm.training.config import TrainConfig
from pwm.training.history import (
    AGENT_DIAGNOSTICS,
    ARRAYS,
    DIAGNOSTICS,
    FURTHER_ARRAYS,
    METRICS,
    History,
)


def shard_of(runs: Sequence[TrainConfig]) -> Shard:
    """A shard of the given runs, which may differ only in weight, learning rate and seed."""
    (setting,) = {run.shared for run in runs}
    members = (Member(run.critic_weight, run.learning_rate, run.seed) for run in runs)
    return Shard(setting, tuple(members))


def session(first: int, last: int) -> Session:
    """Provenance of a session that trained some episodes, with the fields that commands read."""
    return {
        "first_episode": first,
        "last_episode": last,
        "training_seconds": 0.25,
        "command": "python -m pwm.sweep",
        "commit": "0123456789" * 4,
        "clean": True,
        "wall_seconds": 1.5,
    }


def made_up(
    replicas: int,
    windows: int,
    *,
    log_every: int = 10,
    seed: int = 0,
    diagnosed: bool = False,
    probe_at: Sequence[int] = (),
) -> History:
    """A history of random numbers: metrics in all windows, and diagnostics as asked.

    Args:
        replicas: number of replicas.
        windows: number of windows.
        log_every: episodes per window.
        seed: seed of the random numbers.
        diagnosed: whether there are diagnostics in every window.
        probe_at: episodes with diagnostics, instead of diagnostics in every window.
    """
    random = np.random.default_rng(seed)
    lengths = dict.fromkeys(METRICS + (DIAGNOSTICS if diagnosed else ()), windows)  # by curve
    if probe_at:
        lengths |= dict.fromkeys(DIAGNOSTICS + AGENT_DIAGNOSTICS, len(probe_at))
    curves = {
        name: random.random((replicas, length)).astype(np.float32)
        for name, length in lengths.items()
    }
    episode = log_every * np.arange(1, windows + 1, dtype=np.int64)
    return History.of_curves(episode, curves, np.array(probe_at, np.int64) if probe_at else None)


def of_rewards(episode: Sequence[int], reward: Sequence[Sequence[float]]) -> History:
    """A history with the given rewards, [R, K], and 0 for all other metrics."""
    rewards = np.array(reward, dtype=np.float32)
    rest = (np.zeros_like(rewards) for _ in METRICS[1:])  # the first metric is the reward
    return History(np.array(episode, dtype=np.int64), rewards, *rest)


def read_history(path: Path) -> History:
    """Reads and verifies a file that holds a history alone."""
    arrays = read_arrays(path, ARRAYS, *FURTHER_ARRAYS)
    return History.of_curves(arrays["episode"], arrays, arrays.get("probe_episode"))


def same(one: History, other: History) -> bool:
    """Whether two histories have the same names, types, shapes and bits."""
    ours, theirs = one.arrays(), other.arrays()
    return ours.keys() == theirs.keys() and all(
        array.dtype == theirs[name].dtype
        and array.shape == theirs[name].shape
        and array.tobytes() == theirs[name].tobytes()
        for name, array in ours.items()
    )
