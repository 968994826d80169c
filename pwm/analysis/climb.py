"""Model of the critic's climb from its start to its fixed point, and of the slowdown it causes.

The critic is a linear value head on the units of an LSTM (the trunk), which the policy shares. The
critic usually starts at 0, below its fixed point: the mean return or, with a leak, more. As long as
a parameter's gradient keeps its sign, RMSprop moves it by about the learning rate (at first up to
ten times that), whatever the gradient's size. So during the climb, each weight of the value head
and its bias move by the same distance D. Each parameter of a unit in the trunk moves by the same
distance E, so that the unit's output h grows with the sign of its head weight. The value is then

    v = start ± (D + H W h(E)),    W = 1 / sqrt(3 H) + D,

where H is the number of units, h(E) a unit's mean |h| over the steps of a trial, and W the size of
a head weight, which starts at the root mean square of its initial draw. The sign is + for a climb
and - for a descent, which mirrors a climb. Only `SHARE` is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, exp, sqrt, tanh
from typing import NamedTuple

from pwm.analysis.targets import Targets
from pwm.analysis.theory import mean_return, slowdown, value_floor
from pwm.core.errors import require
from pwm.core.leak import critic_bias, start_entropy

SMOOTHING = 0.99  # decay of RMSprop's mean square
SUCCESS = 0.5  # probability that a trial is rewarded if the policy guesses left or right
ARRIVED = 1500  # episodes, more than most climbs take
SHARE = 0.265  # factor in `final_share`, fitted at 15 steps per episode, learning rate 0.001


class Optimiser(NamedTuple):
    """Hyperparameters of RMSprop (the defaults) or Adam."""

    square_decay: float = SMOOTHING  # of the mean square; Adam's β₂
    momentum_decay: float = 0.0  # of the mean gradient; Adam's β₁
    corrected: bool = False  # whether each mean is divided by 1 - decay^k at step k, as in Adam


RMSPROP = Optimiser()


class Stepper:
    """RMSprop or Adam for one parameter, at a learning rate of 1."""

    def __init__(self, optimiser: Optimiser) -> None:
        self._optimiser = optimiser
        self._mean = self._square = 0.0
        self._num_steps = 0

    def step(self, gradient: float, square: float) -> float:
        """Makes an update by gradient ascent, and returns the parameter's change.

        `gradient` and `square` (above 0) are the expected values of the gradient and of its square.
        """
        optimiser = self._optimiser
        self._num_steps += 1
        self._square += (1 - optimiser.square_decay) * (square - self._square)
        self._mean += (1 - optimiser.momentum_decay) * (gradient - self._mean)
        if not optimiser.corrected:
            return self._mean / sqrt(self._square)
        mean = self._mean / (1 - optimiser.momentum_decay**self._num_steps)
        return mean / sqrt(self._square / (1 - optimiser.square_decay**self._num_steps))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Setting of a critic's climb; the trunk is shared, and the LSTM is reset at every trial."""

    steps: int  # T, steps per episode, a multiple of `trial_length`
    critic_weight: float  # w, of the value loss, above 0 if attached; the policy loss is a sum
    start: float = 0.0  # the critic's initial value, in reward
    trial_length: int = 3
    learning_rate: float = 0.001
    hidden_size: int = 24
    reward: float = 1.0  # of a successful trial
    attached: bool = False  # whether the policy loss's gradient reaches the critic (the leak)
    targets: Targets | None = None
    """Targets of a critic with the same steps and trial length, including any leak (`attached` is
    then ignored), for a `reward` of 1; None for undiscounted returns of whole episodes."""
    optimiser: Optimiser = RMSPROP

    def __post_init__(self) -> None:
        require(not self.targets or self.reward == 1, "reward", self.reward, "1 with `targets`")

    @property
    def num_trials(self) -> int:
        """N, trials per episode."""
        return self.steps // self.trial_length

    @property
    def bias(self) -> float:
        """Bias of the baseline at the fixed point, in reward (`Targets.excess` with `targets`)."""
        if self.targets:
            return self.targets.excess
        if not self.attached:
            return 0.0
        return critic_bias(self.steps, start_entropy(self.trial_length), self.critic_weight)

    @property
    def fixed_point(self) -> float:
        """The critic's value at its fixed point, averaged over the steps, in reward."""
        if self.targets:
            return self.targets.mean_value
        return mean_return(SUCCESS, self.num_trials, self.reward) + self.bias

    @property
    def distance(self) -> float:
        """Fixed point minus start, in reward."""
        return self.fixed_point - self.start

    @property
    def spread(self) -> float:
        """Root mean square of target minus value at the fixed point without a leak, in reward."""
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
    def initial_weight(self) -> float:
        """Root mean square of an initial weight of either head: uniform within ±1 / sqrt(H)."""
        return 1 / sqrt(3 * self.hidden_size)


class Position(NamedTuple):
    """Position of the critic on its climb."""

    value: float  # in reward
    head: float  # D, distance that each parameter of the value head has moved
    trunk: float  # E, distance that each parameter of the trunk has moved


def hidden_states(displacement: float, hidden_size: int, trial_length: int) -> list[float]:
    """|h| of an LSTM unit at each step of a trial, after its parameters have moved: [trial_length].

    The input of each gate, and of the cell's candidate, is the sum of two biases, one input weight
    where a stimulus is shown, and a recurrent weight times h for each of the H units, which all
    have the same state. In the model, all these parameters start at 0, the mean of their initial
    draw, and so all equal E, the `displacement`.
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
    """Mean over a trial, after the climb, of 1 - h², the part of a gradient that units pass on."""
    states = hidden_states(end.trunk, setting.hidden_size, setting.trial_length)
    return sum(1 - state**2 for state in states) / len(states)  # as if they were tanh units


def mean_return_variance(success: float, num_trials: int) -> float:
    """Variance over episodes of the return averaged over an episode's N trials, for rewards of 1.

    The reward r_k of the k-th trial is included in the returns of the first k trials. So the mean
    return is Σ_k r_k k / N. Its variance is p (1 - p) Σ_k k² / N², where p is the `success`, the
    probability that a trial is rewarded. This is p (1 - p) (N + 1) (2 N + 1) / (6 N).
    """
    variance = success * (1 - success)
    return variance * (num_trials + 1) * (2 * num_trials + 1) / (6 * num_trials)


def score_variance(steps: int, trial_length: int) -> float:
    """Variance of an episode's score Σ_t ∂ log π(a_t) / ∂h_t at one hidden unit.

    With the unit's weights u in the policy head, ∂ log π(a) / ∂h = u_a - Σ_b π(b) u_b. For
    independent weights of variance 1, as here, the variance of this is 1 - Σ_b π(b)²: 2/3 for a
    policy uniform over three actions, 1/2 for one uniform over two. The policy is that of
    `pwm.core.leak.start_entropy`: two actions at the last step of a trial, three at all others.
    The steps' actions are independent, so the variances of their scores add up.
    """
    last_steps = steps // trial_length  # one per trial
    return (steps - last_steps) * 2 / 3 + last_steps / 2


def critic_share(setting: Setting) -> float:
    """Root mean square of the critic's gradient in the trunk, divided by the policy's.

    Assumes that the critic is at the mean target and that the weights of both heads are equally
    large. Both gradients reach a parameter of the trunk through the same unit, so the other factors
    of the chain rule cancel. What remains is 2 w times the episode's mean error for the critic, and
    the sum over steps of the advantage times the score (`score_variance`) for the policy.
    """
    mean_error = sqrt(setting.mean_variance)
    score = sqrt(score_variance(setting.steps, setting.trial_length))
    return 2 * setting.critic_weight * mean_error / (score * setting.spread)


def climb(setting: Setting, num_episodes: int) -> list[Position]:
    """Positions of the critic before the first update and after each one: [num_episodes + 1].

    There is one update per episode. A parameter's expected gradient is proportional to the
    remaining distance. The expected square is the square of this plus `Setting.mean_variance`. In
    the trunk, the policy's gradient adds its own expected square, which grows with the distance:
    the expected squared score, for a policy head of initial size, times the mean squared error.
    """
    units, distance, rate = setting.hidden_size, setting.distance, setting.learning_rate
    mean_variance, spread = setting.mean_variance, setting.spread
    # Mean growth of the error G - v if all values v fall by 1; below 1 if the targets G contain v
    pull = setting.targets.pull if setting.targets else 1.0
    squared_score = score_variance(setting.steps, setting.trial_length) * setting.initial_weight**2
    head = trunk = 0.0
    head_stepper, trunk_stepper = Stepper(setting.optimiser), Stepper(setting.optimiser)
    positions = []
    for _ in range(num_episodes + 1):
        states = hidden_states(trunk, units, setting.trial_length)
        head_weight = setting.initial_weight + head  # W
        climbed = head + units * head_weight * sum(states) / len(states)
        positions.append(Position(setting.start + copysign(climbed, distance), head, trunk))
        error = pull * (abs(distance) - climbed)
        square = error**2 + mean_variance
        head += rate * head_stepper.step(error, square)  # its gradient's factor 2 w cancels
        factor = 2 * setting.critic_weight * head_weight  # from an error to the trunk's gradient
        policy_square = squared_score * (error**2 + spread**2)  # of the policy's gradient
        trunk += rate * trunk_stepper.step(factor * error, factor**2 * square + policy_square)
    return positions


def final_share(end: Position, setting: Setting) -> float:
    """Root mean square of the critic's gradient in the trunk over the policy's, after a climb.

    It is `SHARE` R² times `critic_share`, where R is the factor by which the head's weights have
    grown. One R is in the critic's gradient, which passes through the head; the other allows for a
    policy's gradient smaller than in a fresh trunk. The form was chosen after seeing slowdowns.
    """
    growth = 1 + end.head / setting.initial_weight
    return SHARE * growth**2 * critic_share(setting)


def climb_slowdown(setting: Setting) -> float:
    """Predicted time to learn over that with a light detached critic starting at the mean return.

    It is the product of two factors at the critic's position after `ARRIVED` episodes. The first is
    `pwm.analysis.theory.slowdown`: a bias of the baseline, and the critic's gradient in the trunk,
    add noise to the policy's gradient. The second is 1 / `mean_gain`: units that the climb has
    driven towards saturation pass on less gradient.
    """
    end = climb(setting, ARRIVED)[-1]
    noise_slowdown = slowdown(setting.bias / setting.spread, final_share(end, setting))
    return noise_slowdown / mean_gain(end, setting)
