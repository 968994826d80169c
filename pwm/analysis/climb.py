"""Closed forms, without PyTorch: the critic's climb from its start to its fixed point.

The value head starts near zero, and the mean return is above. RMSprop moves every parameter by
about the learning rate as long as its gradient keeps its sign, whatever the gradient's size. So
while the critic is far from the mean return, each head weight and the bias move by the same
distance D, and each parameter of the trunk moves by the same distance E towards the sign of its
unit's head weight. The value is then

    v = start ± (D + H W h(E)),    W = 1 / sqrt(3 H) + D,

with H units, the mean |h| of a unit whose parameters have all moved by E, and a head weight that
starts at the root mean square of its initial draw. Nothing here is fitted but `SHARE`.
A descent is a climb mirrored.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import copysign, exp, sqrt, tanh
from typing import NamedTuple

from pwm.analysis.targets import Targets
from pwm.analysis.theory import mean_return, slowdown, value_floor
from pwm.core.errors import require, require_integer, require_non_negative, require_positive
from pwm.core.leak import critic_bias, start_entropy

SMOOTHING = 0.99  # of RMSprop's mean square
SUCCESS = 0.5  # of trials, before the task is learned
ARRIVED = 1500  # episodes, more than any climb takes
SHARE = 0.265  # factor on the critic's share: fitted to 15 steps, learning rate 0.001


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """RMSprop or Adam for one typical parameter, at a learning rate of one."""

    square_decay: float = SMOOTHING
    """Decay of the mean square; Adam's β₂."""
    momentum_decay: float = 0.0
    """Decay of the mean gradient; Adam's β₁, or 0 for RMSprop, which has no momentum."""
    corrected: bool = False
    """Whether means are divided by the sum of their weights, as Adam does."""

    def steps(self) -> Generator[float, tuple[float, float], None]:
        """A coroutine that is sent a gradient's mean and mean square, and yields the step."""
        mean = square = 0.0
        taken = 0
        step = 0.0
        while True:
            gradient, its_square = yield step
            taken += 1
            square += (1 - self.square_decay) * (its_square - square)
            mean += (1 - self.momentum_decay) * (gradient - mean)
            weights = [1 - decay**taken for decay in (self.momentum_decay, self.square_decay)]
            of_mean, of_square = weights if self.corrected else (1.0, 1.0)
            step = mean / of_mean / sqrt(square / of_square)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Setting of a climb: a shared trunk, the state reset at every trial, a summed loss."""

    steps: int
    """T, steps per episode, in whole trials."""
    critic_weight: float
    start: float = 0.0
    """Value that the critic starts at."""
    trial_length: int = 3
    learning_rate: float = 0.001
    hidden_size: int = 24
    reward: float = 1.0
    """Reward of a trial."""
    attached: bool = False
    """Whether the policy loss's gradient reaches the critic."""
    targets: Targets | None = None
    """Targets of the critic, if not undiscounted returns of whole episodes; the leak is then
    theirs, and the reward is 1."""
    optimiser: Optimiser = Optimiser()

    def __post_init__(self) -> None:
        require_integer("trial_length", self.trial_length, 1)
        require_integer("hidden_size", self.hidden_size, 1)
        whole = self.steps >= self.trial_length and self.steps % self.trial_length == 0
        require(whole, "steps", self.steps, f"a multiple of the {self.trial_length} of a trial")
        if self.attached:  # the leak's bias, c T H / 2w, is infinite at 0
            require_positive("critic_weight", self.critic_weight)
        require_non_negative("critic_weight", self.critic_weight)
        require_positive("learning_rate", self.learning_rate)
        require_positive("reward", self.reward)

    @property
    def num_trials(self) -> int:
        """N, trials per episode."""
        return self.steps // self.trial_length

    @property
    def bias(self) -> float:
        """Bias of the advantages at the critic's fixed point, in reward; 0 if detached."""
        if self.targets:
            return self.targets.excess
        if not self.attached:
            return 0.0
        return critic_bias(self.steps, start_entropy(self.trial_length), self.critic_weight)

    @property
    def fixed_point(self) -> float:
        """Mean return at `SUCCESS`, plus the bias."""
        if self.targets:
            return self.targets.mean_value
        return mean_return(SUCCESS, self.num_trials, self.reward) + self.bias

    @property
    def distance(self) -> float:
        """Fixed point minus start, in reward."""
        return self.fixed_point - self.start

    @property
    def spread(self) -> float:
        """Standard deviation of the return, for a critic that does not know its position."""
        if self.targets:
            return self.targets.unbiased.noise
        return self.reward * sqrt(value_floor(SUCCESS, self.num_trials))

    @property
    def mean_variance(self) -> float:
        """Variance over episodes of the target averaged over an episode's steps, in reward²."""
        if self.targets:
            return self.targets.mean_variance
        return self.reward**2 * mean_return_variance(SUCCESS, self.num_trials)

    @property
    def pull(self) -> float:
        """Error of a critic that is off by one: 1, or less if its targets are off with it."""
        return self.targets.pull if self.targets else 1.0

    @property
    def initial_weight(self) -> float:
        """Root mean square of a head weight, uniform on ±1 / sqrt(H)."""
        return 1 / sqrt(3 * self.hidden_size)


class Position(NamedTuple):
    """Position of the critic on its climb."""

    value: float  # in units of the reward
    head: float  # D, distance that each parameter of the value head has moved
    trunk: float  # E, the same of the trunk


def hidden_states(displacement: float, hidden_size: int, trial_length: int) -> list[float]:
    """|h| of a unit at each step of a trial, once all its parameters have moved in one direction.

    A gate has two biases, one input weight where a stimulus is shown, and a recurrent weight for
    each unit; all start at zero here, which is their mean.

    Args:
        displacement: E, distance that each parameter has moved.
        hidden_size: H, number of units, which all move alike.
        trial_length: L, steps per trial.
    Returns:
        |h|, [L].
    """
    states = []
    hidden = cell = 0.0
    for step in range(trial_length):
        shown = step in (0, trial_length - 1)
        drive = displacement * (2 + shown + hidden_size * hidden)
        gate = 1 / (1 + exp(-drive))
        cell = gate * (cell + tanh(drive))
        hidden = gate * tanh(cell)
        states.append(hidden)
    return states


def mean_gain(end: Position, setting: Setting) -> float:
    """Mean over a trial's steps of the derivative 1 - h² of a unit's output, after the climb."""
    states = hidden_states(end.trunk, setting.hidden_size, setting.trial_length)
    return sum(1 - state**2 for state in states) / len(states)


def mean_return_variance(success: float, num_trials: int) -> float:
    """Variance over episodes of the return averaged over an episode's steps.

    The k-th trial's reward is part of the returns of k trials of N, so that the average is
    Σ_k r_k k / N.

    Args:
        success: p, probability that a trial is rewarded, in [0, 1].
        num_trials: N, trials per episode, at least 1.
    Returns:
        p (1 - p) (N + 1) (2 N + 1) / (6 N), in reward².
    """
    trials = num_trials
    return success * (1 - success) * (trials + 1) * (2 * trials + 1) / (6 * trials)


def score_variance(steps: int, trial_length: int) -> float:
    """Variance of an episode's score at one hidden unit: of Σ_t ∂ log π(a_t) / ∂h_t.

    With the unit's weights u in the policy head, ∂ log π(a) / ∂h = u_a - Σ_b π(b) u_b. Actions at
    different steps are independent. The policy is that of `pwm.core.leak.start_entropy`.

    Args:
        steps: T, steps per episode, in whole trials.
        trial_length: L, steps per trial.
    Returns:
        The variance over that of u: 2/3 per step before a decision (three actions), 1/2 at it.
    """
    decisions = steps // trial_length
    return (steps - decisions) * 2 / 3 + decisions / 2


def critic_share(setting: Setting) -> float:
    """Ratio of the critic's root mean square gradient in a trunk parameter to the policy's.

    Assumes that the critic is at the mean return and that the weights of both heads are equally
    large. Both gradients reach the parameter through the same unit, so that the other factors of
    the chain rule cancel. The critic's is 2 w times the episode's mean error; the policy's is a sum
    of independent scores times the return's spread. The scale of the reward cancels.
    """
    mean_error = sqrt(setting.mean_variance)
    scores = sqrt(score_variance(setting.steps, setting.trial_length))
    return 2 * setting.critic_weight * mean_error / (scores * setting.spread)


def climb(setting: Setting, num_episodes: int) -> list[Position]:
    """Positions of the critic on its climb, with one update per episode.

    A parameter's step is the learning rate times its mean gradient over its running root mean
    square. The mean is the remaining distance. The mean square adds the variance over episodes and,
    in the trunk, the policy's gradient as in `critic_share`, which grows with the distance.

    Args:
        setting: setting of the critic.
        num_episodes: number of updates.
    Returns:
        The positions before the first update and after each: [num_episodes + 1].
    """
    units, variance, pull = setting.hidden_size, setting.mean_variance, setting.pull
    scores = score_variance(setting.steps, setting.trial_length) * setting.initial_weight**2
    distance, spread = setting.distance, setting.spread
    head = trunk = 0.0
    head_steps, trunk_steps = setting.optimiser.steps(), setting.optimiser.steps()
    next(head_steps), next(trunk_steps)  # a coroutine must be started
    positions = []
    for _ in range(num_episodes + 1):
        states = hidden_states(trunk, units, setting.trial_length)
        weight = setting.initial_weight + head
        moved = head + units * weight * sum(states) / len(states)
        positions.append(Position(setting.start + copysign(moved, distance), head, trunk))
        error = pull * (abs(distance) - moved)
        square = error**2 + variance
        gradient = 2 * setting.critic_weight * weight
        policy = scores * (error**2 + spread**2)
        head += setting.learning_rate * head_steps.send((error, square))
        trunk += setting.learning_rate * trunk_steps.send(
            (gradient * error, gradient**2 * square + policy)
        )
    return positions


def climb_slowdown(setting: Setting, num_episodes: int = ARRIVED) -> float:
    """Predicted slowdown relative to a light detached critic that starts at the mean return.

    A bias slows learning as noise, and the critic's share of the trunk slows it too: see
    `pwm.analysis.theory.slowdown`. The climb leaves two things behind. Where head weights are R
    times their initial size, the critic's gradient of the trunk is about R² times as large
    relative to the policy's, as measured: R by the head, the rest because the policy's gradient
    does not grow as it does in a fresh trunk. And units driven towards their limits pass on less:
    the slowdown is the inverse of their `mean_gain`.

    Args:
        setting: setting of the critic.
        num_episodes: length of the climb.
    """
    *_, end = climb(setting, num_episodes)
    grown = 1 + end.head / setting.initial_weight
    share = SHARE * grown**2 * critic_share(setting)
    return slowdown(setting.bias / setting.spread, share) / mean_gain(end, setting)
