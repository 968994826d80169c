"""`python -m pwm.bench`: the speed of training, compared with a plain PyTorch loop.

Contestants take turns, round after round, and ratios are taken within a round: the speed of a
shared machine drifts, ratios much less. All run on one core, except the last: the fused engine in
one process per core.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from statistics import mean, median
from timeit import timeit
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical
from tqdm import tqdm

from pwm.core.agent import NUM_GATES, NUM_OUTPUTS
from pwm.core.config import TrainConfig
from pwm.core.errors import require, require_integer
from pwm.core.rollout import DrawSource
from pwm.core.task import correct_actions
from pwm.engines import make_trainer
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.provenance import cpu_model
from pwm.runs.fields import replaced
from pwm.runs.shards import Member, Shard
from pwm.training.update import one_thread

FUSED_SECONDS = 2.5  # approximate length of a round of the fused engine
PRODUCT_SIZE = 256  # rows and columns of the matrices whose product measures a core's speed
PRODUCTS = 300  # per round
_fused = lru_cache(maxsize=1)(make_trainer)  # so that a process makes it once, not every round


@lru_cache(maxsize=1)
def _peer(run: TrainConfig, replicas: int) -> Any:
    """The population in JAX of this process, made on the first call."""
    from pwm.peer import JaxPopulation  # noqa: PLC0415, an optional extra

    return JaxPopulation(run, replicas)


class PlainLoop:
    """The notes' setting as a simple loop, one replica and one trial at a time.

    A trial is one call of `nn.LSTM`, and an episode one step of `torch.optim.RMSprop`. The
    losses are those of `pwm.core.losses`.

    Args:
        run: run to train, with the notes' agent and losses.
    """

    def __init__(self, run: TrainConfig) -> None:
        hidden = run.agent.hidden_size
        self._run = run
        self._pairs = torch.from_numpy(run.task.pairs)
        self._correct = torch.from_numpy(correct_actions(run.task))
        self._lstm = nn.LSTM(run.task.num_stimuli, hidden)
        self._policy_head = nn.Linear(hidden, 3)
        self._value_head = nn.Linear(hidden, 1)
        layers = nn.ModuleList([self._lstm, self._policy_head, self._value_head])
        self._optimiser = torch.optim.RMSprop(layers.parameters(), lr=run.learning_rate)

    def advance(self, num_episodes: int) -> None:
        """Trains for that many episodes."""
        for _ in range(num_episodes):
            self._episode()

    def _episode(self) -> tuple[float, ...]:
        """Plays an episode and makes an update; returns metrics, as a loop that logs would."""
        steps = []
        for _ in range(self._run.task.num_trials):
            pair = int(torch.randint(len(self._pairs), ()))
            observations = torch.zeros(self._run.task.trial_length, self._run.task.num_stimuli)
            observations[0, self._pairs[pair, 0]] = 1
            observations[-1, self._pairs[pair, 1]] = 1
            features, _ = self._lstm(observations)
            policy = Categorical(logits=self._policy_head(features))
            actions = policy.sample()
            reward = torch.zeros(len(observations))
            reward[-1] = float(actions[-1] == self._correct[pair])
            value = self._value_head(features).squeeze(-1)
            steps.append((policy.log_prob(actions), value, policy.entropy(), reward))
        log_probs, values, entropies, rewards = map(torch.cat, zip(*steps, strict=True))
        returns = rewards.flip(0).cumsum(0).flip(0)
        advantages = returns - values  # not detached, as in the notes
        policy_loss = -(advantages * log_probs).sum()
        value_loss = advantages.square().mean()
        self._optimiser.zero_grad()
        (policy_loss + self._run.critic_weight * value_loss).backward()
        self._optimiser.step()
        metrics = (returns[0], value_loss, policy_loss, entropies.mean())
        return tuple(metric.item() for metric in metrics)


def _advance_peer(run: TrainConfig, replicas: int, num_episodes: int) -> None:
    """Trains this process's population in JAX, for a pool of processes to call."""
    _peer(run, replicas).advance(num_episodes)


def _advance(runs: tuple[TrainConfig, ...], num_episodes: int) -> None:
    """Trains this process's population with the fused engine, for a pool of processes to call."""
    _fused(runs).advance(num_episodes)


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
    """Rounds of 6 to 15 seconds for each episode length and hidden size."""
    cores: int = multiprocessing.cpu_count()
    """Processes of the last contestant."""
    peers: bool = False
    """Also time a population in JAX, which `pip install 'pwm[peers]'` installs."""

    def __post_init__(self) -> None:
        for name in ("replicas", "rounds", "cores"):
            require_integer(name, getattr(self, name), 1)
        here = not self.peers or find_spec("jax") is not None
        require(here, "peers", "", "JAX to be installed: pip install 'pwm[peers]'")
        for name in ("episode_lengths", "hidden_sizes"):
            require(len(getattr(self, name)) > 0, name, "", "at least one number")

    def runs(self) -> list[TrainConfig]:
        """A configuration for each hidden size and episode length."""
        return [
            replaced(TrainConfig(num_episodes=10**9), {"hidden_size": h, "episode_length": length})
            for h in self.hidden_sizes
            for length in self.episode_lengths
        ]


def contestants(run: TrainConfig, replicas: int, pool: Executor, cores: int) -> list[Contestant]:
    """The contestants: the plain loop, and populations in PyTorch, fused, and fused on all cores.

    Args:
        run: setting of all contestants.
        replicas: replicas of a population.
        pool: one process per core.
        cores: number of these processes.
    """
    members = (Member(run.critic_weight, run.learning_rate, seed) for seed in range(replicas))
    shard = Shard(run.shared, tuple(members))
    population, short = shard.runs, max(900 // run.task.episode_length, 1)
    # A round is long enough for the time to start and end it on several cores not to matter.
    long = int(FUSED_SECONDS * shard.setting.num_episodes / shard.seconds) + 1

    def on_all_cores(num_episodes: int) -> None:
        """Trains a population in each process of the pool, and waits for all."""
        list(pool.map(_advance, [population] * cores, [num_episodes] * cores))

    return [
        Contestant("plain loop", 1, PlainLoop(run).advance, short),
        Contestant("torch", replicas, make_trainer(population, "torch").advance, short),
        Contestant("fused", replicas, make_trainer(population).advance, long),
        Contestant(f"fused, {cores} cores", cores * replicas, on_all_cores, long),
    ]


def peers(run: TrainConfig, replicas: int, pool: Executor, cores: int) -> list[Contestant]:
    """The contestants in JAX, on one core and on all; the arguments are those of `contestants`."""
    episodes = max(6000 // run.task.episode_length, 1)

    def on_cores(count: int, num_episodes: int) -> None:
        """Trains a population in each of `count` processes, and waits for all."""
        parts = [run] * count, [replicas] * count, [num_episodes] * count
        list(pool.map(_advance_peer, *parts))

    return [
        Contestant("jax", replicas, partial(on_cores, 1), episodes),
        Contestant(f"jax, {cores} cores", cores * replicas, partial(on_cores, cores), episodes),
    ]


def product_rate() -> float:
    """Measured floating-point operations per second of matrix products in single precision."""
    left = torch.rand(PRODUCT_SIZE, PRODUCT_SIZE)
    return PRODUCTS * 2 * PRODUCT_SIZE**3 / timeit(lambda: torch.mm(left, left), number=PRODUCTS)


def operations(run: TrainConfig, episodes: int = 200) -> float:
    """Floating-point operations per episode in the fused engine's products, on average.

    With the LSTM's state reset at each trial, a step that several trials share is computed once.
    Each product is computed once forward, and twice backward, once for each factor.

    Args:
        run: run whose LSTM state is reset at each trial.
        episodes: number of episodes to average over.
    """
    task, hidden = run.task, run.agent.hidden_size
    (trials,) = DrawSource(task, (run.seed,)).next(episodes).trials.numpy().swapaxes(0, 1)
    firsts = mean(len(np.unique(task.pairs[episode, 0])) for episode in trials)
    pairs = mean(len(np.unique(episode)) for episode in trials)
    with_past = firsts * (task.trial_length - 2) + pairs
    weights = with_past * NUM_GATES * hidden + (firsts + with_past) * NUM_OUTPUTS
    return 3 * 2 * weights * hidden


def plain_operations(run: TrainConfig) -> float:
    """Floating-point operations per episode in the plain loop's products.

    It computes every step of every trial, each product once forward and twice backward, once for
    each factor; only the gradient with respect to the stimuli is not needed.
    """
    task, gates = run.task, NUM_GATES * run.agent.hidden_size
    step = 3 * run.agent.hidden_size * (gates + NUM_OUTPUTS) + 2 * task.num_stimuli * gates
    return 2 * task.num_trials * task.trial_length * step


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and prints a table."""
    about = "Times a plain loop, and populations in PyTorch and fused, on one core and on all."
    arguments = parse(Arguments, "python -m pwm.bench", about, argv)
    with errors_in_one_line():
        runs, rounds = arguments.runs(), arguments.rounds
        print(
            f"{cpu_model()}, {torch.backends.cpu.get_cpu_capability()}\n"
            f"medians of {rounds} rounds; in brackets the smallest and the largest\n"
            "products: operations per second, relative to a matrix product on one core, counted\n"
            "  as in the plain loop (every step of every trial), and as computed\n"
            f"{'units':>5} {'steps':>5}  {'':14} {'replicas':>8} {'replica-episodes/s':>18} "
            f"{'times plain loop':>24}  products"
        )
        make_trainer([TrainConfig()])  # compiles, if necessary, once for all processes
        pool = ProcessPoolExecutor(arguments.cores, multiprocessing.get_context("spawn"))
        bar = tqdm(total=len(runs) * (rounds + 1), unit=" rounds", leave=False)
        with one_thread(), bar, pool:
            for run in runs:
                racing = contestants(run, arguments.replicas, pool, arguments.cores)
                if arguments.peers:
                    racing[2:2] = peers(run, arguments.replicas, pool, arguments.cores)
                rates, products = [], []
                for _ in range(rounds + 1):
                    rates.append([contestant.rate() for contestant in racing])
                    products.append(product_rate())
                    bar.update()
                _report(run, racing, rates[1:], products[1:])  # the first round warms up


def _report(
    run: TrainConfig, racing: list[Contestant], rates: list[list[float]], core_flops: list[float]
) -> None:
    """Prints a line per contestant.

    Args:
        run: setting of the contestants.
        racing: the contestants; the plain loop first, all cores last.
        rates: replica-episodes per second, [rounds][contestants].
        core_flops: operations per second of a matrix product on one core, [rounds].
    """
    names = {contestant.name: column for column, contestant in enumerate(racing)}
    for column, contestant in enumerate(racing):
        own = [row[column] for row in rates]
        ratios = sorted(row[column] / row[0] for row in rates)
        spread = f"[{ratios[0]:,.0f}, {ratios[-1]:,.0f}]"
        line = (
            f"{run.agent.hidden_size:>5} {run.task.episode_length:>5}  {contestant.name:14} "
            f"{contestant.replicas:>8} {median(own):>18,.0f} {median(ratios):>9,.0f} {spread:<14}"
        )
        if contestant.name == "fused":
            per_flop = median(rate / flops for rate, flops in zip(own, core_flops, strict=True))
            as_plain, as_done = (
                per_flop * work for work in (plain_operations(run), operations(run))
            )
            line += f" {as_plain:>8.0%}, {as_done:.0%} of {median(core_flops) / 1e9:.0f} Gflop/s"
        elif column == len(racing) - 1:
            gain = median(row[column] / row[column - 1] for row in rates)
            line += f"     {gain:.2f} times one core"
        peer = names.get(contestant.name.replace("fused", "jax"), column)
        if peer != column:
            line += f"; {median(row[column] / row[peer] for row in rates):.1f} times JAX"
        tqdm.write(line.rstrip())


if __name__ == "__main__":
    main()
