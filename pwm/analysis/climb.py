"""The critic's climb: a model of its way from the start to its fixed point, and of what this costs.

The value head starts near zero, and the mean return is above. RMSprop moves every parameter by
about the learning rate as long as its gradient keeps its sign, whatever the gradient's size. So
while the critic is far from the mean return, each head weight and the bias move by the same
distance D, and each parameter of the trunk moves by the same distance E towards the sign of its
unit's head weight. The value is then

    v = start ± (D + H W h(E)),    W = 1 / sqrt(3 H) + D,

where H is the number of units, h(E) the mean |h| of a unit whose parameters have all moved by E,
and W a head weight, which starts at the root mean square of its initial draw. A descent mirrors a
climb. Only `SHARE` is fitted. The model needs no PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, exp, sqrt, tanh
from typing import NamedTuple

from pwm.analysis.targets import Targets
from pwm.analysis.theory import mean_return, slowdown, value_floor
from pwm.core.errors import require, require_integer, require_non_negative, require_positive
from pwm.core.leak import critic_bias, start_entropy

SMOOTHING = 0.99  # decay of RMSprop's mean square
SUCCESS = 0.5  # probability that a trial is rewarded, before the task is learned
ARRIVED = 1500  # episodes, more than any climb takes
SHARE = 0.265  # factor of `final_share`, fitted to runs of 15 steps at learning rate 0.001


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """Constants of RMSprop or Adam."""

    square_decay: float = SMOOTHING
    """Decay of the mean square; Adam's β₂."""
    momentum_decay: float = 0.0
    """Decay of the mean gradient; Adam's β₁, or 0 for RMSprop, which has no momentum."""
    corrected: bool = False
    """Whether means are divided by the sum of their weights, as Adam does."""


class Stepper:
    """RMSprop or Adam for one typical parameter, at a learning rate of one."""

    def __init__(self, optimiser: Optimiser) -> None:
        self._optimiser = optimiser
        self._mean = self._square = 0.0
        self._taken = 0

    def step(self, gradient: float, square: float) -> float:
        """Returns the next step of the parameter.

        Args:
            gradient: mean over episodes of the gradient of this update.
            square: mean over episodes of its square.
        """
        optimiser = self._optimiser
        self._taken += 1
        self._square += (1 - optimiser.square_decay) * (square - self._square)
        self._mean += (1 - optimiser.momentum_decay) * (gradient - self._mean)
        if not optimiser.corrected:
            return self._mean / sqrt(self._square)
        mean = self._mean / (1 - optimiser.momentum_decay**self._taken)
        return mean / sqrt(self._square / (1 - optimiser.square_decay**self._taken))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Setting of a climb: a shared trunk, the state reset at every trial, a summed policy loss."""

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
    """Targets of the critic; None for undiscounted returns of whole episodes. They include the
    leak, and the reward is then 1."""
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
        """Bias of the advantages at the fixed point, in reward; with `targets`, their `excess`."""
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
        """Standard deviation of the return over steps and episodes, as the critic's noise."""
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
        """Mean error G - v if all values v are too low by 1: less than 1 where targets G use v."""
        return self.targets.pull if self.targets else 1.0

    @property
    def initial_weight(self) -> float:
        """Root mean square of an initial head weight, which is uniform on ±1 / sqrt(H)."""
        return 1 / sqrt(3 * self.hidden_size)


class Position(NamedTuple):
    """Position of the critic on its climb."""

    value: float  # in reward
    head: float  # D, distance that each parameter of the value head has moved
    trunk: float  # E, distance that each parameter of the trunk has moved


def hidden_states(displacement: float, hidden_size: int, trial_length: int) -> list[float]:
    """|h| of an LSTM's unit at each step of a trial, after its parameters moved by one distance.

    Each gate, and the candidate of the cell, adds up two biases, one input weight where a stimulus
    is shown, and a recurrent weight for each unit. All are zero at first, which is their mean, and
    so are equal later.

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
        shown = step in (0, trial_length - 1)  # the two stimuli are first and last
        drive = displacement * (2 + shown + hidden_size * hidden)
        gate = 1 / (1 + exp(-drive))  # input, forget and output gate alike
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

    The reward r_k of the k-th trial is part of the returns of k trials of N, so that the average
    is Σ_k r_k k / N.

    Args:
        success: p, probability that a trial is rewarded, in [0, 1].
        num_trials: N, trials per episode, at least 1.
    Returns:
        p (1 - p) (N + 1) (2 N + 1) / (6 N), in reward².
    """
    variance = success * (1 - success)
    return variance * (num_trials + 1) * (2 * num_trials + 1) / (6 * num_trials)


def score_variance(steps: int, trial_length: int) -> float:
    """Variance of an episode's score at one hidden unit: of Σ_t ∂ log π(a_t) / ∂h_t.

    With the unit's weights u in the policy head, ∂ log π(a) / ∂h = u_a - Σ_b π(b) u_b. Actions at
    different steps are independent. The policy is that of `pwm.core.leak.start_entropy`: uniform
    over three actions before a decision, and over two at it.

    Args:
        steps: T, steps per episode, in whole trials.
        trial_length: L, steps per trial.
    Returns:
        The score's variance divided by that of u: 2/3 per step before a decision, 1/2 at it.
    """
    decisions = steps // trial_length
    return (steps - decisions) * 2 / 3 + decisions / 2


def critic_share(setting: Setting) -> float:
    """Ratio of the critic's root mean square gradient in a trunk parameter to the policy's.

    Assumes that the critic is at the mean return and that the weights of both heads are equally
    large. Both gradients reach the parameter through the same unit, so that the other factors of
    the chain rule cancel. The critic's is 2 w times the episode's mean error. The policy's is a sum
    of independent scores, times the return's standard deviation. The scale of the reward cancels.
    """
    mean_error = sqrt(setting.mean_variance)
    score = sqrt(score_variance(setting.steps, setting.trial_length))
    return 2 * setting.critic_weight * mean_error / (score * setting.spread)


def climb(setting: Setting, num_episodes: int) -> list[Position]:
    """Positions of the critic on its climb, with one update per episode.

    The mean gradient of a parameter is proportional to the remaining distance. Its mean square adds
    the variance over episodes. In the trunk it also adds the square of the policy's gradient, which
    grows with the distance (compare `critic_share`).

    Returns:
        The positions before the first update and after each: [num_episodes + 1].
    """
    units, pull, variance = setting.hidden_size, setting.pull, setting.mean_variance
    distance, spread, rate = setting.distance, setting.spread, setting.learning_rate
    score = score_variance(setting.steps, setting.trial_length) * setting.initial_weight**2
    head = trunk = 0.0
    head_stepper, trunk_stepper = Stepper(setting.optimiser), Stepper(setting.optimiser)
    positions = []
    for _ in range(num_episodes + 1):
        states = hidden_states(trunk, units, setting.trial_length)
        weight = setting.initial_weight + head
        moved = head + units * weight * sum(states) / len(states)
        positions.append(Position(setting.start + copysign(moved, distance), head, trunk))
        error = pull * (abs(distance) - moved)
        square = error**2 + variance
        factor = 2 * setting.critic_weight * weight  # from an error to the trunk's gradient
        policy = score * (error**2 + spread**2)  # mean square of the policy's gradient
        head += rate * head_stepper.step(error, square)
        trunk += rate * trunk_stepper.step(factor * error, factor**2 * square + policy)
    return positions


def final_share(end: Position, setting: Setting) -> float:
    """The `critic_share` after a climb, times the fitted factor `SHARE`.

    Where head weights have grown by a factor R, the critic's share of the trunk's gradient is about
    R² times as large, as measured: one factor R is the head's, the other is there because the
    policy's gradient does not grow as it does in a fresh trunk.
    """
    growth = 1 + end.head / setting.initial_weight
    return SHARE * growth**2 * critic_share(setting)


def climb_slowdown(setting: Setting, num_episodes: int = ARRIVED) -> float:
    """Predicted slowdown relative to a light detached critic that starts at the mean return.

    A bias slows learning as noise, and so does the critic's gradient of the trunk: see
    `pwm.analysis.theory.slowdown`. And units that the climb has driven towards their limits pass on
    less gradient: learning takes 1 / `mean_gain` times as long. The climb takes `num_episodes`.
    """
    end = climb(setting, num_episodes)[-1]
    noise_slowdown = slowdown(setting.bias / setting.spread, final_share(end, setting))
    return noise_slowdown / mean_gain(end, setting)
