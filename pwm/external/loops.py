"""Public actor-critic loops on CartPole whose policy loss trains the critic.

Many replicas train at once, each with parameters, poles and an optimiser of its own: a seed, a
weight, attached or detached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf, nan, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Adam, RMSprop

from pwm.analysis.external import Baseline, Loop, LoopOutcome, LoopRun
from pwm.external.cartpole import CartPoles
from pwm.external.losses import (
    Losses,
    a3c_losses,
    reinforce_losses,
    standardised,
    tutorial_losses,
)
from pwm.training.update import one_thread

SEEDS = 48
LONGEST = 200  # steps of an episode, as in CartPole-v0
SOLVED, WINDOW = 195.0, 100  # mean steps of as many episodes in a row
CACHED = 2**18  # numbers per layer of which gradients are computed at once


@dataclass(frozen=True, kw_only=True)
class LoopSetting:
    """A loop, as its source has it but for what the comments say."""

    weights: tuple[float, ...]
    losses: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Losses]
    units: int
    """Of the hidden layer, with ReLU, of each network."""
    discount: float
    learning_rate: float
    num_updates: int
    """Updates after which a run that has not learned ends."""
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
    optimiser: type[Adam] | type[RMSprop] = Adam


# Its source learns Atari with a convolutional network, at a rate of 0.0001. As there, one thread
# plays.
A3C = LoopSetting(
    weights=(0.1, 1.0, 10.0),
    losses=a3c_losses,
    units=32,
    discount=0.99,
    learning_rate=0.001,
    num_updates=12_000,
    segment=5,
    optimisers=2,
)
LOOPS: dict[Loop, LoopSetting] = {
    "tutorial": LoopSetting(
        weights=(0.1, 0.3, 1.0, 3.0, 10.0),
        losses=tutorial_losses,
        units=128,
        discount=0.99,
        learning_rate=0.01,
        num_updates=600,
        standardises=True,
    ),
    "reinforce": LoopSetting(
        weights=(0.02, 0.2, 2.0),
        losses=reinforce_losses,
        units=100,
        discount=0.9,
        learning_rate=0.001,
        num_updates=500,
        shared=False,
        episodes=2,
    ),
    "a3c": A3C,
    "a3c-textbook": replace(
        A3C, weights=(0.1, 0.3, 1.0, 3.0, 10.0), optimisers=1, optimiser=RMSprop
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
    """A policy and a critic for each of R replicas.

    Args:
        parameters: of each layer, weights and then biases, [R, ...]: one hidden layer or two, the
            policy's head, the critic's head.
    """

    def __init__(self, parameters: Sequence[tuple[Tensor, Tensor]]) -> None:
        self._layers = [tuple(each.requires_grad_() for each in layer) for layer in parameters]

    @classmethod
    def drawn(cls, seeds: Sequence[int], setting: LoopSetting) -> Networks:
        """Networks of a loop, as Keras draws them by default: one for each seed."""
        trunks = 1 if setting.shared else 2
        sizes = [(4, setting.units)] * trunks + [(setting.units, 2), (setting.units, 1)]
        randoms = {seed: np.random.default_rng([seed, 1]) for seed in seeds}
        drawn = {
            seed: [random.uniform(-1, 1, size) * sqrt(6 / sum(size)) for size in sizes]
            for seed, random in randoms.items()
        }
        stacked = [np.stack([drawn[seed][i] for seed in seeds]) for i in range(len(sizes))]
        biases = [torch.zeros(len(seeds), 1, size[1]) for size in sizes]
        return cls([(torch.tensor(w).float(), b) for w, b in zip(stacked, biases, strict=True)])

    def some(self, which: Tensor) -> Networks:
        """Copies of the networks of some replicas."""
        return Networks([(w.detach()[which], b.detach()[which]) for w, b in self._layers])

    def parameters(self, optimisers: int) -> list[list[Tensor]]:
        """Those of each optimiser: all, or those of the policy and those of the critic."""
        parts = [range(len(self._layers))] if optimisers == 1 else [(0, -2), (-3, -1)]
        return [[each for i in part for each in self._layers[i]] for part in parts]

    def logits(self, states: Tensor) -> Tensor:
        """Of the actions in states [R, N, 4]: [R, N, 2]."""
        return self._layer(-2, self._layer(0, states).relu())

    def values(self, states: Tensor) -> Tensor:
        """Of states [R, N, 4]: [R, N]."""
        return self._layer(-1, self._layer(-3, states).relu()).squeeze(-1)

    def _layer(self, index: int, inputs: Tensor) -> Tensor:
        weights, biases = self._layers[index]
        return torch.baddbmm(biases, inputs, weights)


class Replicas:
    """Runs of one loop, all trained at once.

    Args:
        runs: of the same loop.
    """

    def __init__(self, runs: Sequence[LoopRun]) -> None:
        self._setting = setting = LOOPS[runs[0].loop]
        self._runs = list(runs)
        seeds = [run.seed for run in runs]
        self._networks = Networks.drawn(seeds, setting)
        self._weight = torch.tensor([run.weight for run in runs])
        self._attached = torch.tensor([run.baseline == "attached" for run in runs])
        self._optimisers = [
            setting.optimiser(part, lr=setting.learning_rate)
            for part in self._networks.parameters(setting.optimisers)
        ]
        shape = (len(runs), setting.episodes)
        self._poles = CartPoles([seed for seed in seeds for _ in range(setting.episodes)])
        self._over = np.ones(shape, bool)  # whether the next step begins an episode
        self._length = np.zeros(shape, np.int64)  # of the episodes so far
        self._updates = 0
        self._lengths: list[list[int]] = [[] for _ in runs]  # of the episodes that have ended
        self._at: list[list[int]] = [[] for _ in runs]  # updates made by then
        self._sums = np.zeros((len(runs), 5))  # over the steps since then
        self._ended: list[list[NDArray[np.float64]]] = [[] for _ in runs]  # those up to then
        self._random = torch.Generator().manual_seed(seeds[0])

    def train(self, num_updates: int) -> Iterator[LoopOutcome]:
        """Yields the outcomes of runs as they learn, and of the others after so many updates."""
        while self._runs:
            self._update(*self._play())
            self._updates += 1
            ended = np.full(len(self._runs), self._updates == num_updates)
            times = np.full(len(self._runs), inf)
            for replica in np.flatnonzero(self._over.any(axis=1)):
                lengths, updates = self._lengths[replica], self._at[replica]
                lengths.extend(self._length[replica, self._over[replica]].tolist())
                updates.extend([self._updates] * int(self._over[replica].sum()))
                self._ended[replica].append(self._sums[replica].copy())
                self._sums[replica] = 0
                if len(lengths) >= WINDOW and np.mean(lengths[-WINDOW:]) > SOLVED:
                    times[replica], ended[replica] = updates[-WINDOW // 2], True
            for place in np.flatnonzero(ended).tolist():
                yield self._outcome(place, float(times[place]))
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
                logits = self._networks.logits(states[-1])
                draws = torch.rand(shape, generator=self._random)
                action = (draws < (logits[..., 1] - logits[..., 0]).sigmoid()).long()
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
        setting = self._setting
        goes_on = torch.tensor(~self._over)
        with torch.no_grad():
            last = self._networks.values(states[:, :, -1]) * goes_on
        targets, factors = bootstrapped(played, last, goes_on, setting.discount)
        steps = played.sum(-1).amax(1)  # [R]
        # Short episodes together, and few enough at once for the processor's cache.
        together = max(1, CACHED // (setting.units * played.shape[1:].numel()))
        parts = [optimiser.param_groups[0]["params"] for optimiser in self._optimisers]
        gradients = [[torch.empty_like(parameter) for parameter in part] for part in parts]
        for which in steps.argsort().split(together):
            until = int(steps[which[-1]])
            # The steps of a replica's episodes stand in one row: [R, E L]
            given = (states[:, :, :-1], actions, played, targets, factors)
            rows = [each[which, :, :until].flatten(1, 2) for each in given]
            for whole, some in zip(gradients, self._gradients(which, *rows), strict=True):
                for gradient, found in zip(whole, some, strict=True):
                    gradient[which] = found
        for optimiser, part, whole in zip(self._optimisers, parts, gradients, strict=True):
            for parameter, gradient in zip(part, whole, strict=True):
                parameter.grad = gradient
            optimiser.step()

    def _gradients(
        self,
        which: Tensor,
        states: Tensor,
        actions: Tensor,
        played: Tensor,
        targets: Tensor,
        factors: Tensor,
    ) -> list[tuple[Tensor, ...]]:
        """Gradients of some replicas' parameters, by optimiser; counts errors and the like.

        Args:
            which: replicas, [r].
            states: [r, N, 4].
            actions: [r, N], as all that follow.
            played: 1 for steps of episodes.
            targets: returns.
            factors: of the bootstrapped values in them.
        """
        setting, networks = self._setting, self._networks.some(which)
        if setting.standardises:
            targets = standardised(targets, played)
        of_actions, values = networks.logits(states).log_softmax(-1), networks.values(states)
        log_probs = of_actions.gather(-1, actions[..., None]).squeeze(-1)
        baseline = torch.where(self._attached[which, None], values, values.detach())
        losses = setting.losses(log_probs, values, targets, baseline, played)
        totals = [losses.policy, self._weight[which] * losses.value]
        if setting.optimisers == 1:
            totals = [totals[0] + totals[1]]
        with torch.no_grad():
            error = values - targets
            if setting.losses is tutorial_losses:
                error = error.clamp(-1, 1)
            entropy = -(of_actions.exp() * of_actions).sum(-1)
            rows = torch.stack([torch.ones_like(error), error, entropy, factors, values])
            self._sums[which.numpy()] += (rows * played).sum(-1).T.double().numpy()
        return [
            torch.autograd.grad(total.sum(), part, retain_graph=True)
            for total, part in zip(totals, networks.parameters(setting.optimisers), strict=True)
        ]

    def _outcome(self, replica: int, time: float) -> LoopOutcome:
        """Of a run that has ended."""
        lengths, sums = self._lengths[replica], self._ended[replica]
        half = len(sums) // 2
        count, error, entropy, factor, values = np.sum(sums[half:], axis=0)
        returns = summed_returns(lengths[half * self._setting.episodes :], self._setting.discount)
        bias = nan if self._setting.standardises else (values - returns) / count
        return LoopOutcome(
            run=self._runs[replica],
            num_updates=self._updates,
            num_episodes=len(lengths),
            length=round(float(np.mean(lengths[-WINDOW:])), 2),
            time=time,
            error=_rounded(error / count),
            entropy=_rounded(entropy / count),
            bias=_rounded(bias),
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
        for parameter in self._networks.parameters(1)[0]:
            parameter.data, parameter.grad = parameter.data[mask], None
        self._weight, self._attached = self._weight[mask], self._attached[mask]
        self._poles.keep(np.repeat(kept, self._setting.episodes))
        self._over, self._length, self._sums = (
            self._over[kept],
            self._length[kept],
            self._sums[kept],
        )
        self._runs = [self._runs[place] for place in places]
        self._lengths = [self._lengths[place] for place in places]
        self._at = [self._at[place] for place in places]
        self._ended = [self._ended[place] for place in places]


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


def summed_returns(lengths: Sequence[int], discount: float) -> float:
    """Sum over the steps of whole episodes of their discounted returns, at a reward of 1 per step.

    For each, Σ_{n=1}^{L} (1 - γⁿ) / (1 - γ), for a discount below 1.
    """
    length = np.array(lengths, np.float64)
    geometric = discount * (1 - discount**length) / (1 - discount)
    return float(((length - geometric) / (1 - discount)).sum())


def train_loop(runs: Sequence[LoopRun], num_updates: int) -> list[LoopOutcome]:
    """Trains runs of one loop until each has learned, or for so many updates, on one thread."""
    with one_thread():
        return list(Replicas(runs).train(num_updates))


def _rounded(number: float) -> float:
    return float(f"{number:.5g}")
