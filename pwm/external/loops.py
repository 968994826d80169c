"""Public actor-critic loops on CartPole whose policy loss trains the critic.

Many replicas train at once, each with parameters, poles and an optimiser of its own: a seed, a
weight, attached or detached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, nan

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Categorical
from torch.optim import Adam, Optimizer, RMSprop

from pwm.analysis.external import Baseline, Loop, LoopOutcome, LoopRun
from pwm.core.update import one_thread
from pwm.external.cartpole import CartPoles
from pwm.external.losses import (
    Losses,
    a3c_losses,
    reinforce_losses,
    standardised,
    tutorial_losses,
)

SEEDS = 48
LONGEST = 200  # steps of an episode, as in CartPole-v0
SOLVED, WINDOW = 195.0, 100  # mean steps of as many episodes in a row


@dataclass(frozen=True, kw_only=True)
class LoopSetting:
    """A loop, as its source has it but for what the comments say."""

    weights: tuple[float, ...]
    losses: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Losses]
    units: int
    """Of the hidden layer, with ReLU, of each network."""
    discount: float
    learning_rate: float
    num_episodes: int
    """Episodes after which a run that has not learned ends."""
    shared: bool = True
    """Whether policy and critic share the hidden layer."""
    standardises: bool = False
    """Whether returns are standardised within an episode."""
    episodes: int = 1
    """Played side by side for an update."""
    segment: int = LONGEST
    """Steps after which an update bootstraps."""
    optimisers: int = 1
    """One for the sum of the losses, or one for each: the policy's spares the value head."""
    optimiser: type[Optimizer] = Adam


LOOPS: dict[Loop, LoopSetting] = {
    "tutorial": LoopSetting(
        weights=(0.1, 0.3, 1.0, 3.0, 10.0),
        losses=tutorial_losses,
        units=128,
        discount=0.99,
        learning_rate=0.01,
        num_episodes=1000,
        standardises=True,
    ),
    "reinforce": LoopSetting(
        weights=(0.02, 0.2, 2.0),
        losses=reinforce_losses,
        units=100,
        discount=0.9,
        learning_rate=0.001,
        num_episodes=1000,
        shared=False,
        episodes=2,
    ),
    # Its source learns Atari with a convolutional network, at a rate of 0.0001.
    "a3c": LoopSetting(
        weights=(0.1, 1.0, 10.0),
        losses=a3c_losses,
        units=128,
        discount=0.99,
        learning_rate=0.001,
        num_episodes=1000,
        segment=5,
        optimisers=2,
    ),
    "a3c-textbook": LoopSetting(
        weights=(0.1, 0.3, 1.0, 3.0, 10.0),
        losses=a3c_losses,
        units=128,
        discount=0.99,
        learning_rate=0.001,
        num_episodes=1000,
        segment=5,
        optimiser=RMSprop,
    ),
}


def runs_of(loop: Loop, seeds: Sequence[int] = range(SEEDS)) -> list[LoopRun]:
    """A run for each seed and weight, attached and detached."""
    baselines: tuple[Baseline, ...] = ("attached", "detached")
    return [
        LoopRun(loop=loop, baseline=baseline, weight=weight, seed=seed)
        for baseline, weight, seed in product(baselines, LOOPS[loop].weights, seeds)
    ]


class Networks:
    """A policy and a critic for each of R replicas, with Keras's default initialisation.

    Args:
        seeds: one for each replica.
        setting: of the loop.
    """

    def __init__(self, seeds: Sequence[int], setting: LoopSetting) -> None:
        units, trunks = setting.units, 1 if setting.shared else 2
        sizes = [(4, units)] * trunks + [(units, 2), (units, 1)]
        drawn = {seed: np.random.default_rng([seed, 1]) for seed in seeds}
        layers = {
            seed: [random.uniform(-1, 1, size) * np.sqrt(6 / sum(size)) for size in sizes]
            for seed, random in drawn.items()
        }
        weights = [np.stack([layers[seed][i] for seed in seeds]) for i in range(len(sizes))]
        self.weights = [torch.tensor(each, dtype=torch.float32) for each in weights]
        self.biases = [torch.zeros(len(seeds), 1, size[1]) for size in sizes]
        for parameter in self.parameters():
            parameter.requires_grad_()

    def parameters(self) -> list[Tensor]:
        """Of all layers: [R, ...]."""
        return [*self.weights, *self.biases]

    def of_policy(self) -> list[Tensor]:
        """Those that the policy is computed from."""
        return [each[i] for each in (self.weights, self.biases) for i in (0, -2)]

    def of_critic(self) -> list[Tensor]:
        """Those that the critic is computed from."""
        return [each[i] for each in (self.weights, self.biases) for i in (-3, -1)]

    def policy(self, states: Tensor) -> Categorical:
        """Distributions over actions for states [R, N, 4]."""
        return Categorical(logits=self._layer(-2, self._layer(0, states).relu()))

    def values(self, states: Tensor) -> Tensor:
        """Of states [R, N, 4]: [R, N]."""
        return self._layer(-1, self._layer(-3, states).relu()).squeeze(-1)

    def _layer(self, index: int, inputs: Tensor) -> Tensor:
        return torch.baddbmm(self.biases[index], inputs, self.weights[index])


class Replicas:
    """Runs of one loop, all trained at once.

    Args:
        runs: of the same loop.
    """

    def __init__(self, runs: Sequence[LoopRun]) -> None:
        self._setting = setting = LOOPS[runs[0].loop]
        self._runs = list(runs)
        seeds = [run.seed for run in runs]
        self._networks = networks = Networks(seeds, setting)
        self._weight = torch.tensor([run.weight for run in runs])
        self._attached = torch.tensor([run.baseline == "attached" for run in runs])
        parts = [networks.parameters()]
        if setting.optimisers == 2:
            parts = [networks.of_policy(), networks.of_critic()]
        self._optimisers = [setting.optimiser(each, lr=setting.learning_rate) for each in parts]
        shape = (len(runs), setting.episodes)
        self._poles = CartPoles([seed for seed in seeds for _ in range(setting.episodes)])
        self._over = np.ones(shape, bool)  # whether the next step begins an episode
        self._length = np.zeros(shape, np.int64)  # of the episodes so far
        self._values = np.zeros(shape)  # their sum over these steps
        self._lengths: list[list[int]] = [[] for _ in runs]  # of the episodes that have ended
        self._sums: list[list[NDArray[np.float64]]] = [[] for _ in runs]  # per update
        self._random = torch.Generator().manual_seed(seeds[0])

    def train(self) -> Iterator[LoopOutcome]:
        """Yields the outcomes of runs as they end."""
        while self._runs:
            self._update(*self._play())
            times = [self._time(lengths) for lengths in self._lengths]
            ended = np.isfinite(times) | (
                np.array([len(each) for each in self._lengths]) >= self._setting.num_episodes
            )
            for replica in np.flatnonzero(ended):
                yield self._outcome(replica, times[replica])
            if ended.any():
                self._keep(~ended)

    def _play(self) -> tuple[Tensor, Tensor, Tensor]:
        """Plays one segment, or episode, of each replica.

        Returns:
            States, [R, E, L + 1, 4]; actions, [R, E, L]; which of these steps were played.
        """
        shape = self._over.shape
        self._poles.reset(self._over.reshape(-1))
        self._length[self._over] = 0
        self._over = np.zeros(shape, bool)
        states, actions, played = [self._states()], [], []
        with torch.no_grad():
            for _ in range(self._setting.segment):
                policy = self._networks.policy(states[-1])
                draws = torch.rand(shape, generator=self._random)
                action = (draws < policy.probs[..., 1]).long()
                fallen = self._poles.step(action.numpy().reshape(-1)).reshape(shape)
                played.append(torch.tensor(~self._over))
                actions.append(action)
                states.append(self._states())
                self._length += ~self._over
                self._over |= fallen | (self._length == LONGEST)
                if self._over.all():
                    break
        return torch.stack(states, 2), torch.stack(actions, 2), torch.stack(played, 2).float()

    def _states(self) -> Tensor:
        """Of the poles: [R, E, 4]."""
        return torch.tensor(self._poles.states.reshape(*self._over.shape, 4), dtype=torch.float32)

    def _update(self, states: Tensor, actions: Tensor, played: Tensor) -> None:
        """Updates all parameters, and counts."""
        setting, networks = self._setting, self._networks
        replicas = len(self._runs)
        over = torch.tensor(self._over)
        with torch.no_grad():
            last = networks.values(states[:, :, -1]) * ~over  # [R, E]
        targets, bootstrap = bootstrapped(played, last, ~over, setting.discount)
        # From here on the steps of a replica's episodes stand in one row: [R, E L]
        flat = [each.reshape(replicas, -1) for each in (actions, played, targets, bootstrap)]
        action, counted, target, factor = flat
        if setting.standardises:
            target = standardised(target, counted)
        seen = states[:, :, :-1].reshape(replicas, -1, 4)
        policy, values = networks.policy(seen), networks.values(seen)
        baseline = torch.where(self._attached[:, None], values, values.detach())
        losses = setting.losses(policy.log_prob(action), values, target, baseline, counted)
        weighted = self._weight * losses.value
        totals = [losses.policy + weighted] if setting.optimisers == 1 else [*losses[:1], weighted]
        self._step(totals)
        with torch.no_grad():
            error = values - target
            if setting.losses is tutorial_losses:
                error = error.clamp(-1, 1)
            rows = (torch.ones_like(error), error, policy.entropy(), factor)
            sums = torch.stack([(row * counted).sum(1) for row in rows], 1).double().numpy()
            valued = (values * counted).reshape(played.shape).sum(2).double().numpy()
        self._values += valued
        for replica, episode in np.argwhere(self._over):
            length = int(self._length[replica, episode])
            self._lengths[replica].append(length)
        ended = np.where(
            self._over, self._values - summed_returns(self._length, setting.discount), 0
        )
        steps = np.where(self._over, self._length, 0)
        self._values[self._over] = 0
        rows = np.concatenate([sums, ended.sum(1)[:, None], steps.sum(1)[:, None]], axis=1)
        for kept, row in zip(self._sums, rows, strict=True):
            kept.append(row)

    def _step(self, totals: Sequence[Tensor]) -> None:
        """Takes a step of each optimiser on the gradient of its total, [R]."""
        gradients = []
        for optimiser, total in zip(self._optimisers, totals, strict=True):
            parameters = optimiser.param_groups[0]["params"]
            gradients.append(torch.autograd.grad(total.sum(), parameters, retain_graph=True))
        for optimiser, gradient in zip(self._optimisers, gradients, strict=True):
            for parameter, each in zip(optimiser.param_groups[0]["params"], gradient, strict=True):
                parameter.grad = each
            optimiser.step()

    def _time(self, lengths: Sequence[int]) -> float:
        """Episodes, if the last of them meet the criterion; or else inf."""
        solved = len(lengths) >= WINDOW and np.mean(lengths[-WINDOW:]) > SOLVED
        return float(len(lengths)) if solved else inf

    def _outcome(self, replica: int, time: float) -> LoopOutcome:
        """Of a run that has ended."""
        sums = np.array(self._sums[replica])
        count, error, entropy, factor, bias, steps = sums[len(sums) // 2 :].sum(axis=0)
        return LoopOutcome(
            run=self._runs[replica],
            num_episodes=len(self._lengths[replica]),
            length=round(float(np.mean(self._lengths[replica][-WINDOW:])), 2),
            time=time,
            error=_rounded(error / count),
            entropy=_rounded(entropy / count),
            bias=nan if self._setting.standardises or not steps else _rounded(bias / steps),
            bootstrap=_rounded(factor / count),
            torch=torch.__version__,
        )

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        """Leaves out the runs that have ended."""
        places, mask = np.flatnonzero(kept), torch.tensor(kept)
        for optimiser in self._optimisers:
            for state in optimiser.state.values():
                for name, value in state.items():
                    if value.dim():
                        state[name] = value[mask]
        for parameter in self._networks.parameters():
            parameter.data, parameter.grad = parameter.data[mask], None
        self._weight, self._attached = self._weight[mask], self._attached[mask]
        self._poles.keep(np.repeat(kept, self._setting.episodes))
        self._over, self._length, self._values = (
            each[kept] for each in (self._over, self._length, self._values)
        )
        self._runs, self._lengths, self._sums = (
            [each[place] for place in places] for each in (self._runs, self._lengths, self._sums)
        )


def bootstrapped(
    played: Tensor, last: Tensor, goes_on: Tensor, discount: float
) -> tuple[Tensor, Tensor]:
    """Returns of a reward of 1 per step, and the factor of the last value in each.

    Args:
        played: 1 for each step played, 0 after the episode's end; [..., L].
        last: value of the state after the last step, [...].
        goes_on: whether the episode goes on there, [...].
        discount: γ.
    Returns:
        [..., L] each.
    """
    following, factor = last, goes_on.float()
    returns, factors = [], []
    for step in played.unbind(-1)[::-1]:
        following = torch.where(step > 0, 1 + discount * following, following)
        factor = torch.where(step > 0, discount * factor, factor)
        returns.append(following)
        factors.append(factor)
    return torch.stack(returns[::-1], -1), torch.stack(factors[::-1], -1)


def summed_returns(length: NDArray[np.int64], discount: float) -> NDArray[np.float64]:
    """Sum over the steps of whole episodes of their discounted returns, at a reward of 1 per step.

    Σ_{n=1}^{L} (1 - γⁿ) / (1 - γ), for a discount below 1.
    """
    geometric = discount * (1 - discount**length) / (1 - discount)
    return np.asarray((length - geometric) / (1 - discount))


def train_loop(runs: Sequence[LoopRun]) -> list[LoopOutcome]:
    """Trains runs of one loop, on one thread."""
    with one_thread():
        return list(Replicas(runs).train())


def _rounded(number: float) -> float:
    return float(f"{number:.5g}")
