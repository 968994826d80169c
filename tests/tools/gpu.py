"""Trains on a GPU, and compares the results and the speed with training on this machine's CPU.

    python -m tests.tools.gpu

First, the PyTorch engine trains the pinned settings (`tests.tools.pins`) on both, with the same
random numbers: only rounding may differ. Then replica-episodes per second are measured, in the
notes' setting: of the fused engine on the CPU; on the GPU, of the PyTorch engine, and of the
training in JAX (`pwm.bench.peer`; left out where JAX is not installed or sees no GPU).
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from statistics import median

import numpy as np
import torch

from pwm.bench.contestants import contestants
from pwm.core.config import TrainConfig
from pwm.core.rollout import DrawSource
from pwm.core.task import TaskConfig
from pwm.engines import make_trainer
from pwm.training.update import TorchEngine
from tests.tools.pins import SETTINGS, population

EPISODES = 4  # of each setting; in more, rounding would change actions
TOLERANCE = 1e-3
ROUNDS = 3
LENGTHS = (15, 60, 240)  # steps per episode
TORCH_REPLICAS, TORCH_EPISODES = (48, 768, 12_288), 4
JAX_REPLICAS, JAX_EPISODES = (48, 768, 12_288, 49_152), 64


def differing() -> list[str]:
    """Names of the settings whose metrics or parameters on the GPU are not as on the CPU."""
    names = []
    for name, run in SETTINGS.items():
        runs = tuple(population(run))
        trained = []
        for device in ("cpu", "cuda"):
            engine = TorchEngine(runs, device)
            draws = DrawSource(run.task, [each.seed for each in runs]).next(EPISODES)
            trained.append((engine.train(draws), engine.parameters.detach().cpu().numpy()))
        close = partial(np.allclose, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        if not all(map(close, *trained)):
            names.append(name)
    return names


def report(
    length: int, name: str, replicas: int, train: Callable[[], object], episodes: int
) -> None:
    """Prints the median rate of a few calls of `train`, which trains all replicas, as one row."""
    rates = []
    for _ in range(ROUNDS + 1):  # the first warms up
        started = time.perf_counter()
        train()
        rates.append(replicas * episodes / (time.perf_counter() - started))
    print(f"{length:>5}  {name:16} {replicas:>8,} {median(rates[1:]):>18,.0f}", flush=True)


def main() -> None:
    """Prints the settings that differ, and a table of rates."""
    assert torch.cuda.is_available(), "PyTorch finds no GPU here"
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # leaves memory to PyTorch
    names = differing()
    print(torch.cuda.get_device_name())
    print(f"{len(SETTINGS) - len(names)} of {len(SETTINGS)} settings as on the CPU", *names)
    print(f"{'steps':>5}  {'':16} {'replicas':>8} {'replica-episodes/s':>18}", flush=True)
    make_trainer([TrainConfig()])  # compiles, if necessary, once for all processes
    cores = multiprocessing.cpu_count()
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        for length in LENGTHS:
            run = replace(TrainConfig(num_episodes=10**9), task=TaskConfig(episode_length=length))
            for each in contestants(run, 48, pool, cores)[2:]:  # the fused engine
                advance = partial(each.advance, each.episodes)
                report(length, each.name, each.replicas, advance, each.episodes)
            on_gpu(run)


def on_gpu(run: TrainConfig) -> None:
    """Prints the rates of training on the GPU."""
    length = run.task.episode_length
    for replicas in TORCH_REPLICAS:
        seeds = range(replicas)
        engine = TorchEngine(tuple(replace(run, seed=seed) for seed in seeds), "cuda")
        draws = DrawSource(run.task, list(seeds)).next(TORCH_EPISODES)
        report(length, "torch, GPU", replicas, partial(engine.train, draws), TORCH_EPISODES)
    if find_spec("jax") is None:
        return
    import jax  # noqa: PLC0415, an optional extra

    from pwm.bench.peer import JaxPopulation  # noqa: PLC0415, needs JAX

    if jax.default_backend() != "gpu":
        return
    for replicas in JAX_REPLICAS:
        advance = partial(JaxPopulation(run, replicas).advance, JAX_EPISODES)
        report(length, "jax, GPU", replicas, advance, JAX_EPISODES)


if __name__ == "__main__":
    main()
