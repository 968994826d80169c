"""`python -m pwm.bench`: measures training speed, compared with a plain PyTorch loop.

Contestants (ways of training) take turns, round after round. Ratios are taken within a round: the
speed of a shared machine drifts, but ratios drift much less. All run on one core, except those
named "N cores", which train in N processes.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pwm.bench.contestants import Contestant, contestants, peers
from pwm.bench.operations import operations, plain_operations, product_rate
from pwm.core.errors import require, require_integer
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.provenance import cpu_model
from pwm.runs.engines import make_trainer
from pwm.runs.fields import replaced
from pwm.runs.scheduler import CORES
from pwm.training.config import TrainConfig
from pwm.training.update import one_thread


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.bench`."""

    episode_lengths: tuple[int, ...] = (15, 60, 240)
    """Steps per episode."""
    hidden_sizes: tuple[int, ...] = (24, 64)
    """Units of the LSTM."""
    replicas: int = 48
    """Replicas in a population."""
    rounds: int = 5
    """Rounds for each episode length and hidden size; a round takes 6 to 15 seconds."""
    cores: int = CORES
    """Processes of the contestants that use all cores."""
    peers: bool = False
    """Also time populations in JAX, which `pip install 'pwm[peers]'` installs."""

    def __post_init__(self) -> None:
        for name in ("replicas", "rounds", "cores"):
            require_integer(name, getattr(self, name), 1)
        if self.peers:
            accepted = "JAX to be installed: pip install 'pwm[peers]'"
            require(find_spec("jax") is not None, "peers", "", accepted)
        for name in ("episode_lengths", "hidden_sizes"):
            require(len(getattr(self, name)) > 0, name, "", "at least one number")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and prints a table."""
    about = "Times a plain loop, a population in PyTorch, and fused ones on one core and on all."
    arguments = parse(Arguments, "python -m pwm.bench", about, argv)
    with errors_in_one_line():
        replicas, cores = arguments.replicas, arguments.cores
        endless = TrainConfig(num_episodes=10**9)  # more episodes than are timed
        runs = [
            replaced(endless, {"hidden_size": hidden_size, "episode_length": episode_length})
            for hidden_size in arguments.hidden_sizes
            for episode_length in arguments.episode_lengths
        ]
        print(
            f"{cpu_model()}, {torch.backends.cpu.get_cpu_capability()}\n"
            f"medians of {arguments.rounds} rounds; in brackets the smallest and the largest\n"
            "products: operations per second, in percent of a matrix product's on one core,\n"
            "  counting those of the plain loop (every step of every trial), then those done\n"
            f"{'units':>5} {'steps':>5}  {'':14} {'replicas':>8} {'replica-episodes/s':>18} "
            f"{'times plain loop':>24}  products"
        )
        make_trainer([TrainConfig()])  # compiles, if necessary, once for all processes
        pool = ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"))
        bar = tqdm(total=len(runs) * (arguments.rounds + 1), unit=" rounds", leave=False)
        with one_thread(), bar, pool:
            for run in runs:
                timed = contestants(run, replicas, pool, cores)
                if arguments.peers:  # insert them before the fused engine
                    timed[2:2] = peers(run, replicas, pool, cores)
                rates, product_rates = [], []  # per second, of each round; see `_report`
                for _ in range(arguments.rounds + 1):
                    rates.append([contestant.rate() for contestant in timed])
                    product_rates.append(product_rate())
                    bar.update()
                # The first round warms up.
                _report(run, timed, np.array(rates[1:]), np.array(product_rates[1:]))


def _report(
    run: TrainConfig,
    timed: Sequence[Contestant],
    rates: NDArray[np.float64],
    product_rates: NDArray[np.float64],
) -> None:
    """Prints a row of the table for each contestant.

    `timed` has the plain loop first, and the fused engine on all cores last. `rates` are
    replica-episodes per second, [rounds, contestants]; `product_rates` are operations per second
    of a matrix product on one core, [rounds].
    """
    by_name = {each.name: own_rates for each, own_rates in zip(timed, rates.T, strict=True)}
    for contestant in timed:
        name, own_rates = contestant.name, by_name[contestant.name]
        ratios = own_rates / rates[:, 0]  # to the plain loop, [rounds]
        extremes = f"[{ratios.min():,.0f}, {ratios.max():,.0f}]"
        line = (
            f"{run.agent.hidden_size:>5} {run.task.episode_length:>5}  {name:14} "
            f"{contestant.replicas:>8} {np.median(own_rates):>18,.0f} {np.median(ratios):>9,.0f} "
            f"{extremes:<14}"
        )
        if name == "fused":
            # Operations per second, as fractions of a matrix product's: if none were saved; as done
            episodes_per_operation = np.median(own_rates / product_rates)
            as_plain_loop = episodes_per_operation * plain_operations(run)
            as_done = episodes_per_operation * operations(run)
            line += f" {as_plain_loop:>8.0%}, {as_done:.0%} of "
            line += f"{np.median(product_rates) / 1e9:.0f} Gflop/s"
        elif contestant is timed[-1]:
            line += f"     {np.median(own_rates / by_name['fused']):.2f} times one core"
        # With `--peers`, each contestant of the fused engine has a counterpart in JAX.
        if name.startswith("fused") and name.replace("fused", "jax") in by_name:
            jax_rates = by_name[name.replace("fused", "jax")]
            line += f"; {np.median(own_rates / jax_rates):.1f} times JAX"
        tqdm.write(line.rstrip())


if __name__ == "__main__":
    main()
