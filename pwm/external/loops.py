"""Settings and runs of public training loops whose policy loss also trains the critic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf

from torch import Tensor
from torch.optim import Adam, RMSprop

from pwm.analysis.external import Baseline, Loop, LoopRun
from pwm.external.losses import Losses, a3c_losses, reinforce_losses, tutorial_losses

SEEDS = 48  # seeds per baseline and critic weight
LONGEST = 200  # maximum steps per episode, as in CartPole-v0


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Settings of a loop: its source's, but for `weights`, `num_updates` and what comments note."""

    weights: tuple[float, ...]
    """Critic weights to train at."""
    losses: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Losses]
    """One of the functions of `pwm.external.losses`."""
    largest_error: float = inf
    """Error beyond which `losses` has a linear value loss (Huber); inf if it squares all errors.
    It does not set the loss: only measured errors are clipped to it."""
    units: int
    """ReLU units in each network's hidden layer."""
    discount: float  # below 1
    learning_rate: float
    num_updates: int
    """Updates after which a run that has not learned ends."""
    shared: bool = True
    """Whether policy and critic share the hidden layer."""
    standardises: bool = False
    """Whether returns are standardised over the steps of an update, here one episode."""
    episodes: int = 1
    """Episodes per update; several only if each is played whole, with `segment` = `LONGEST`."""
    segment: int = LONGEST
    """Maximum steps of an episode per update; if it continues, returns are bootstrapped."""
    num_optimisers: int = 1
    """1: for the sum of both losses. 2: the first trains the policy's network with the policy loss,
    the second the critic's with the value loss; a shared layer belongs to both networks."""
    optimiser: type[Adam] | type[RMSprop] = Adam


# The source trains a convolutional network on Atari, with a learning rate of 0.0001.
A3C = LoopConfig(
    weights=(0.1, 1.0, 10.0),
    losses=a3c_losses,
    units=32,
    discount=0.99,
    learning_rate=0.001,
    num_updates=12_000,
    segment=5,
    num_optimisers=2,
)
LOOPS: dict[Loop, LoopConfig] = {
    "tutorial": LoopConfig(
        weights=(0.1, 0.3, 1.0, 3.0, 10.0),
        losses=tutorial_losses,
        largest_error=1.0,
        units=128,
        discount=0.99,
        learning_rate=0.01,
        num_updates=600,
        standardises=True,
    ),
    "reinforce": LoopConfig(
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
        A3C, weights=(0.1, 0.3, 1.0, 3.0, 10.0), num_optimisers=1, optimiser=RMSprop
    ),
}
"""Loops by name (`docs/external.md`); "a3c-textbook" is A3C with one RMSprop for both losses."""


def runs_of(loop: Loop, seeds: Sequence[int] = range(SEEDS)) -> list[LoopRun]:
    """The runs of a loop: one per baseline (attached or detached), critic weight and seed."""
    baselines: tuple[Baseline, ...] = ("attached", "detached")
    return [
        LoopRun(loop=loop, baseline=baseline, weight=weight, seed=seed)
        for baseline, weight, seed in product(baselines, LOOPS[loop].weights, seeds)
    ]
