"""The benchmark's contestants: ways of training, all timed on the same setting."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache, partial
from math import ceil
from typing import Any

from pwm.bench.plain import PlainLoop
from pwm.bench.rows import EPISODES_PER_CALL
from pwm.runs.engines import make_trainer
from pwm.runs.shards import Member, Shard
from pwm.training.config import TrainConfig

FUSED_SECONDS = 2.5  # approximate duration of a round of the fused engine
PLAIN_STEPS = 900  # most steps per replica and round, or one episode; plain loop and torch engine
JAX_STEPS = 60_000  # least steps, for JAX


@dataclass(frozen=True)
class Contestant:
    """A way of training, to be timed."""

    name: str
    replicas: int
    advance: Callable[[int], object]
    """Trains all replicas for a number of episodes."""
    episodes: int
    """Episodes per round."""

    def rate(self) -> float:
        """Trains for a round; returns replica-episodes per second."""
        started = time.perf_counter()
        self.advance(self.episodes)
        return self.replicas * self.episodes / (time.perf_counter() - started)


def contestants(run: TrainConfig, replicas: int, pool: Executor, cores: int) -> list[Contestant]:
    """The plain loop, a population in PyTorch, a fused one, and a fused one per core.

    A population is `replicas` runs that differ only in seed. The last contestant trains one in each
    of the `cores` processes of `pool`.
    """
    members = tuple(Member(run.critic_weight, run.learning_rate, seed) for seed in range(replicas))
    shard = Shard(run.shared, members)  # the population, with an estimate of its training time
    population = shard.runs
    slow_episodes = max(PLAIN_STEPS // run.task.episode_length, 1)
    # A round is long enough that the time to start and end it on several cores is negligible.
    fused_episodes = int(FUSED_SECONDS * shard.setting.num_episodes / shard.seconds) + 1
    on_all_cores = partial(_on_cores, pool, cores, make_trainer, (population,))
    return [
        Contestant("plain loop", 1, PlainLoop(run).advance, slow_episodes),
        Contestant("torch", replicas, make_trainer(population, "torch").advance, slow_episodes),
        Contestant("fused", replicas, make_trainer(population).advance, fused_episodes),
        Contestant(f"fused, {cores} cores", cores * replicas, on_all_cores, fused_episodes),
    ]


def peers(run: TrainConfig, replicas: int, pool: Executor, cores: int) -> list[Contestant]:
    """JAX contestants: one population, and one per core; arguments as for `contestants`."""
    calls = ceil(JAX_STEPS / (run.task.episode_length * EPISODES_PER_CALL))
    episodes = calls * EPISODES_PER_CALL  # `JaxPopulation.advance` would round up, uncounted
    on_one_core = partial(_on_cores, pool, 1, _jax_population, (run, replicas))
    on_all_cores = partial(_on_cores, pool, cores, _jax_population, (run, replicas))
    return [
        Contestant("jax", replicas, on_one_core, episodes),
        Contestant(f"jax, {cores} cores", cores * replicas, on_all_cores, episodes),
    ]


def _on_cores(
    pool: Executor, cores: int, make: Callable[..., Any], arguments: tuple[Any, ...], episodes: int
) -> None:
    """Trains a population `make(*arguments)` in each of `cores` processes, and waits for all."""
    for future in [pool.submit(_train, make, arguments, episodes) for _ in range(cores)]:
        future.result()


def _train(make: Callable[..., Any], arguments: tuple[Any, ...], episodes: int) -> None:
    """Trains this process's population `make(*arguments)` for a number of episodes."""
    _population(make, arguments).advance(episodes)


@lru_cache(maxsize=2)  # a fused population and one in JAX
def _population(make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """This process's population `make(*arguments)`, made on the first call: in the warm-up."""
    return make(*arguments)


def _jax_population(run: TrainConfig, replicas: int) -> Any:
    """Makes a population of `replicas` runs in JAX, an optional dependency."""
    from pwm.bench.peer import JaxPopulation  # noqa: PLC0415, an optional extra

    return JaxPopulation(run, replicas)
