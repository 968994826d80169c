"""Runs that do not fit into memory are refused before anything is allocated."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from pwm.core.agent import AgentConfig
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.runs.memory import memory_errors, require_memory
from pwm.runs.training import EPISODES_PER_CHUNK, episodes_per_chunk
from pwm.training.config import TrainConfig

HUGE = TrainConfig(agent=AgentConfig(hidden_size=10**6))
LONG = TrainConfig(task=TaskConfig(episode_length=10**12))
BATCHED = TrainConfig(num_episodes=10**12, episodes_per_update=10**12)
PROBED = TrainConfig(probe_episodes=10**12)


@pytest.mark.parametrize(
    ("run", "refusal"),
    [
        (HUGE, r"--hidden-size 1000000: expected less: it takes 96,000 GB of memory, and there"),
        (LONG, r"--episode-length 1000000000000: expected less: it takes 44,000 GB of memory"),
        (BATCHED, r"--episodes-per-update 1000000000000: expected less: it takes 1,440,000 GB"),
        (PROBED, r"--probe-episodes 1000000000000: expected less: it takes 1,440,000 GB"),
        (replace(HUGE, agent=AgentConfig(hidden_size=10**99)), r"--hidden-size 1000+: expected"),
    ],
)
def test_an_impossible_size_is_named_with_the_memory_that_it_takes(
    run: TrainConfig, refusal: str
) -> None:
    with pytest.raises(InputError, match=refusal):
        require_memory([run], 1)


def test_the_number_of_runs_counts() -> None:
    middling = TrainConfig(agent=AgentConfig(hidden_size=2000))  # 0.4 GB
    require_memory([middling], 50)
    with pytest.raises(InputError, match=r"takes 384,000 GB of memory for 1000000 runs"):
        require_memory([middling] * 10**6, 50)


def test_the_usual_setting_fits_into_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def fits(megabytes: int) -> bool:
        pages = {"SC_PAGE_SIZE": 1000, "SC_PHYS_PAGES": 1000 * megabytes}
        monkeypatch.setattr(os, "sysconf", pages.__getitem__)
        try:
            require_memory([TrainConfig()] * 1000, EPISODES_PER_CHUNK)
        except InputError:
            return False
        return True

    # 50 episodes of 60 steps for 1000 runs, at 24 bytes each, are 72 MB.
    assert fits(73)
    assert not fits(71)


def test_large_populations_train_fewer_episodes_per_chunk() -> None:
    def per_chunk(replicas: int, hidden: int = 24, length: int = 60) -> int:
        task, agent = TaskConfig(episode_length=length), AgentConfig(hidden_size=hidden)
        return episodes_per_chunk([TrainConfig(task=task, agent=agent)] * replicas)

    assert per_chunk(1) == per_chunk(48) == EPISODES_PER_CHUNK
    assert 1 < per_chunk(480) < 10
    assert per_chunk(1, hidden=1000) == per_chunk(1, length=10**9) == per_chunk(10_000) == 1


def test_memory_that_runs_out_is_one_line() -> None:
    for allocate in (lambda: np.ones(2**48), lambda: torch.ones(2**48)):
        with pytest.raises(InputError) as refusal, memory_errors():
            allocate()
        assert "\n" not in str(refusal.value)
        assert "a smaller hidden size or episode length, or fewer runs (" in str(refusal.value)


def test_an_error_that_missing_memory_caused_is_the_same() -> None:
    def close_what_is_closed() -> None:  # as NumPy does when it cannot write an archive
        try:
            raise MemoryError
        except MemoryError:
            raise ValueError("I/O operation on closed file")  # noqa: B904

    with pytest.raises(InputError, match=r"MEMORY exhausted: .*\(MemoryError\)"), memory_errors():
        close_what_is_closed()


def test_other_errors_are_not_taken_for_it() -> None:
    with pytest.raises(RuntimeError, match="another"), memory_errors():
        raise RuntimeError("another error")
