"""`python -m pwm.bench`: how fast training is, beside the loop that everyone writes.

The contestants take turns, round after round, and the ratios are taken within a round: the speed
of a shared machine drifts, its ratios much less. All run on one core but the last, the fused
engine in as many processes as there are cores.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import mean, median
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical
from tqdm import tqdm

from pwm.core.agent import NUM_GATES, NUM_OUTPUTS, AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.errors import require, require_integer
from pwm.core.rollout import DrawSource
from pwm.core.task import TaskConfig, correct_actions
from pwm.core.trainer import Trainer
from pwm.core.update import one_thread
from pwm.engines import make_trainer
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.provenance import cpu_model
from pwm.runs.shards import Member, Shard

ENDLESS = 10**9  # episodes
FUSED_SECONDS = 2.5  # about how long a round of the fused engine is
PRODUCT_SIZE = 256  # rows of the square matrices that a core's speed is measured with
PRODUCTS = 300  # a round


class PlainLoop:
    """The notes' setting as a plain loop, one replica and one trial at a time.

    A trial is one call of `nn.LSTM` and an episode one step of `torch.optim.RMSprop`. It makes
    the same losses as `Trainer`, and logs as much.

    Args:
        run: what to train; it must be the notes' agent and losses.
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

    def _episode(self) -> tuple[float, float, float, float]:
        log_probs, values, entropies, rewards = [], [], [], []
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
            log_probs.append(policy.log_prob(actions))
            entropies.append(policy.entropy())
            values.append(self._value_head(features).squeeze(-1))
            rewards.append(reward)
        returns = torch.cat(rewards).flip(0).cumsum(0).flip(0)
        advantages = returns - torch.cat(values)
        policy_loss = -(advantages * torch.cat(log_probs)).sum()
        value_loss = advantages.square().mean()
        self._optimiser.zero_grad()
        (policy_loss + self._run.critic_weight * value_loss).backward()
        self._optimiser.step()
        entropy = torch.cat(entropies).mean()
        return returns[0].item(), value_loss.item(), policy_loss.item(), entropy.item()


class Fleet:
    """The fused engine in several processes, each with a population of its own."""

    def __init__(self, runs: Sequence[TrainConfig], pool: Executor, cores: int) -> None:
        self._runs = tuple(runs)
        self._pool = pool
        self._cores = cores

    def advance(self, num_episodes: int) -> None:
        """Trains every population for that many episodes."""
        tasks = [(self._runs, num_episodes)] * self._cores
        for _ in self._pool.map(_advance, *zip(*tasks, strict=True)):
            pass


@lru_cache(maxsize=1)
def _fused(runs: tuple[TrainConfig, ...]) -> Trainer:
    return make_trainer(runs, "fused")


def _advance(runs: tuple[TrainConfig, ...], num_episodes: int) -> None:
    _fused(runs).advance(num_episodes)


@dataclass
class Contestant:
    """Something to be timed."""

    name: str
    replicas: int
    advance: Callable[[int], None]
    episodes: int
    """Episodes a round."""

    def rate(self) -> float:
        """Replica-episodes a second, over one round."""
        started = time.perf_counter()
        self.advance(self.episodes)
        return self.replicas * self.episodes / (time.perf_counter() - started)


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.bench`."""

    episode_lengths: tuple[int, ...] = (15, 60, 240)
    """Steps an episode."""
    hidden_sizes: tuple[int, ...] = (24, 64)
    """Units of the LSTM."""
    replicas: int = 48
    """Size of a population."""
    rounds: int = 5
    """Rounds of six to fifteen seconds for each episode length and hidden size."""
    cores: int = multiprocessing.cpu_count()
    """Processes of the last contestant."""


def contestants(run: TrainConfig, replicas: int, pool: Executor, cores: int) -> list[Contestant]:
    """The plain loop, and populations: in torch, fused, and fused on all cores."""
    population = [replace(run, seed=seed) for seed in range(replicas)]
    plain = max(900 // run.task.episode_length, 1)
    members = tuple(Member(run.critic_weight, run.learning_rate, seed) for seed in range(replicas))
    shard = Shard(run.shared, members)
    # long enough for what starting and ending a round costs, on two cores, not to count
    fused = int(FUSED_SECONDS * shard.setting.num_episodes / shard.seconds) + 1
    fleet = Fleet(population, pool, cores)
    return [
        Contestant("plain loop", 1, PlainLoop(run).advance, plain),
        Contestant("torch", replicas, Trainer(population).advance, plain),
        Contestant("fused", replicas, make_trainer(population, "fused").advance, fused),
        Contestant(f"fused, {cores} cores", cores * replicas, fleet.advance, fused),
    ]


def product_rate() -> float:
    """Floating-point operations a second of a matrix product in single precision."""
    left = torch.rand(PRODUCT_SIZE, PRODUCT_SIZE)
    started = time.perf_counter()
    for _ in range(PRODUCTS):
        torch.mm(left, left)
    return PRODUCTS * 2 * PRODUCT_SIZE**3 / (time.perf_counter() - started)


def operations(run: TrainConfig, episodes: int = 200) -> float:
    """Floating-point operations of the fused engine's products in an episode, on average.

    Where the state is reset, a step that several trials have in common is computed once. Each
    product is needed forward, and backward for either factor.
    """
    task, hidden = run.task, run.agent.hidden_size
    (trials,) = DrawSource(task, (run.seed,)).next(episodes).trials.numpy().swapaxes(0, 1)
    firsts = mean(len(np.unique(task.pairs[episode, 0])) for episode in trials)
    pairs = mean(len(np.unique(episode)) for episode in trials)
    remembering = firsts * (task.trial_length - 2) + pairs
    weights = remembering * NUM_GATES * hidden + (firsts + remembering) * NUM_OUTPUTS
    return 3 * 2 * weights * hidden


def plain_operations(run: TrainConfig) -> float:
    """Floating-point operations of the plain loop's products in an episode.

    It computes every step of every trial, each product forward and backward for either factor,
    but for that of the stimuli, whose gradient nobody needs.
    """
    task, hidden = run.task, run.agent.hidden_size
    gates = NUM_GATES * hidden
    step = 3 * hidden * (gates + NUM_OUTPUTS) + 2 * task.num_stimuli * gates
    return 2 * task.num_trials * task.trial_length * step


class Round(NamedTuple):
    """What one round measured."""

    rates: list[float]
    """Replica-episodes a second of each contestant."""
    product: float
    """Floating-point operations a second of a matrix product."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    arguments = parse(
        Arguments,
        "python -m pwm.bench",
        "Times training: a plain loop, and populations in torch and fused, on one core and on all.",
        argv,
    )
    with errors_in_one_line():
        for name in ("replicas", "rounds", "cores"):
            require_integer(name, getattr(arguments, name), 1)
        for name in ("episode_lengths", "hidden_sizes"):
            require(len(getattr(arguments, name)) > 0, name, "", "at least one number")
        runs = [
            TrainConfig(
                task=TaskConfig(episode_length=length),
                agent=AgentConfig(hidden_size=hidden),
                num_episodes=ENDLESS,
            )
            for hidden in arguments.hidden_sizes
            for length in arguments.episode_lengths
        ]
        rounds = arguments.rounds
        print(f"{cpu_model()}, {torch.backends.cpu.get_cpu_capability()}")
        print(f"medians of {rounds} rounds; in brackets the smallest and the largest")
        print(
            "products: operations a second over those of a "
            f"{PRODUCT_SIZE} x {PRODUCT_SIZE} matrix product on one core,\n"
            "  counted as the plain loop does them (every step of every trial), and as they are "
            "done"
        )
        print(
            f"{'units':>5} {'steps':>5}  {'':14} {'replicas':>8} {'replica-episodes/s':>18} "
            f"{'times plain loop':>24}  products"
        )
        bar = tqdm(total=len(runs) * (rounds + 1), unit=" rounds", file=sys.stderr, leave=False)
        with one_thread(), bar, _pool(arguments.cores) as pool:
            for run in runs:
                racing = contestants(run, arguments.replicas, pool, arguments.cores)
                measured = []
                for _ in range(rounds + 1):
                    rates = [contestant.rate() for contestant in racing]
                    measured.append(Round(rates, product_rate()))
                    bar.update()
                _report(run, racing, measured[1:])  # the first round warms up


@contextmanager
def _pool(cores: int) -> Iterator[ProcessPoolExecutor]:
    make_trainer([TrainConfig()], "fused")  # compiles, if it must, once for all processes
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        yield pool


def _report(run: TrainConfig, racing: list[Contestant], measured: list[Round]) -> None:
    works = (plain_operations(run), operations(run))
    for place, contestant in enumerate(racing):
        rate = median(row.rates[place] for row in measured)
        ratios = sorted(row.rates[place] / row.rates[0] for row in measured)
        spread = f"[{ratios[0]:,.0f}, {ratios[-1]:,.0f}]"
        line = (
            f"{run.agent.hidden_size:>5} {run.task.episode_length:>5}  {contestant.name:14} "
            f"{contestant.replicas:>8} {rate:>18,.0f} {median(ratios):>9,.0f} {spread:<14}"
        )
        if contestant.name == "fused":
            plain, done = (
                median(row.rates[place] * work / row.product for row in measured) for work in works
            )
            product = median(row.product for row in measured) / 1e9
            line += f" {plain:>8.0%}, {done:.0%} of {product:.0f} Gflop/s"
        elif place == len(racing) - 1:
            gain = median(row.rates[place] / row.rates[place - 1] for row in measured)
            line += f"     {gain:.2f} times one core"
        tqdm.write(line.rstrip())


if __name__ == "__main__":
    main()
