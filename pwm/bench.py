"""`python -m pwm.bench`: how fast one core trains, beside the loop that everyone writes.

All contestants take turns in one process on one thread, round after round, and the ratios are
taken within a round: the speed of a shared machine drifts, its ratios much less.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch
from torch import nn
from torch.distributions import Categorical
from tqdm import tqdm

from pwm.cli import errors_in_one_line, parse
from pwm.errors import require, require_integer
from pwm.provenance import cpu_model
from pwm.task import TaskConfig, correct_actions
from pwm.train import TrainConfig, Trainer, one_thread

ENDLESS = 10**9  # episodes


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

    episode_lengths: tuple[int, ...] = (15, 60)
    """Steps an episode."""
    replicas: int = 96
    """Size of the population."""
    rounds: int = 9
    """Rounds of about three seconds for each episode length."""


def contestants(episode_length: int, replicas: int) -> list[Contestant]:
    """The plain loop, one replica and a population, in rounds of about a second each."""
    run = TrainConfig(task=TaskConfig(episode_length=episode_length), num_episodes=ENDLESS)
    population = [replace(run, seed=seed) for seed in range(replicas)]
    plain = 1800 // episode_length
    return [
        Contestant("plain loop", 1, PlainLoop(run).advance, plain),
        Contestant("one replica", 1, Trainer([run]).advance, 10 * plain),
        Contestant("population", replicas, Trainer(population).advance, 2 * plain),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    arguments = parse(
        Arguments,
        "python -m pwm.bench",
        "Times training on one core: a plain loop, one replica, a population.",
        argv,
    )
    with errors_in_one_line():
        require_integer("replicas", arguments.replicas, 1)
        require_integer("rounds", arguments.rounds, 1)
        lengths = arguments.episode_lengths
        require(len(lengths) > 0, "episode_lengths", "", "at least one number of steps")
        rounds = arguments.rounds
        print(f"{cpu_model()}, {torch.backends.cpu.get_cpu_capability()}, one core")
        print(f"medians of {rounds} rounds; in brackets the smallest and the largest")
        print(f"{'steps':>5}  {'':12} {'replicas':>8} {'replica-episodes/s':>20} times plain loop")
        bar = tqdm(total=len(lengths) * (rounds + 1), unit=" rounds", file=sys.stderr, leave=False)
        with one_thread(), bar:
            for length in lengths:
                racing = contestants(length, arguments.replicas)
                rates = []
                for _ in range(rounds + 1):
                    rates.append([contestant.rate() for contestant in racing])
                    bar.update()
                _report(length, racing, rates[1:])  # the first round warms up


def _report(length: int, racing: list[Contestant], rates: list[list[float]]) -> None:
    for place, contestant in enumerate(racing):
        rate = median(row[place] for row in rates)
        ratios = sorted(row[place] / row[0] for row in rates)
        tqdm.write(
            f"{length:>5}  {contestant.name:12} {contestant.replicas:>8} {rate:>20,.0f} "
            f"{median(ratios):>6.1f} [{ratios[0]:.1f}, {ratios[-1]:.1f}]"
        )


if __name__ == "__main__":
    main()
