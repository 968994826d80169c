"""Histories made up for tests of what stores, counts and draws them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pwm.train import METRICS, History


def made_up(replicas: int, windows: int, *, log_every: int = 10, seed: int = 0) -> History:
    """A history of random numbers, no two alike."""
    random = np.random.default_rng(seed)
    curves = (random.random((replicas, windows)).astype(np.float32) for _ in METRICS)
    return History(log_every * np.arange(1, windows + 1, dtype=np.int64), *curves)


def of_rewards(episode: Sequence[int], reward: Sequence[Sequence[float]]) -> History:
    """A history in which nothing but the reward matters."""
    rewards = np.array(reward, dtype=np.float32)
    rest = (np.zeros_like(rewards) for _ in METRICS[1:])
    return History(np.array(episode, dtype=np.int64), rewards, *rest)


def same(one: History, other: History) -> bool:
    """Whether two histories are the same: names, types, shapes and every bit."""
    ours, theirs = one.arrays(), other.arrays()
    return ours.keys() == theirs.keys() and all(
        array.dtype == theirs[name].dtype
        and array.shape == theirs[name].shape
        and array.tobytes() == theirs[name].tobytes()
        for name, array in ours.items()
    )
