"""Accounts of the slowdown with other optimisers, returns, batches and advantages.

The law is that of `pwm.analysis.climb`, extended without a new fit:

- *Optimiser.* Adam climbs by its own steps. SGD's steps are not divided by the gradient's size, so
  that neither a bias nor a critic's share of the trunk slows it.
- *Targets.* Fixed point and noise are those of `pwm.analysis.targets`.
- *K episodes per update.* The mean gradient μ stays that of an episode; the variance s² of its
  noise is divided by K. An update advances by μ / sqrt(μ² + S² s² / K), with the slowdown S of one
  episode.
- *Normalised advantages.* A constant bias cancels. What leaks is α (H - mean H) / s, where s is the
  standard deviation of an episode's advantages, this bias included; and a weight w counts as s w.

RMSprop's first steps are longer than its later ones, as its mean square starts at zero, so that n
updates advance by Σ 1 / sqrt(1 - 0.99^k). A time to learn is the end of a window of 500 episodes
that meets the criterion; the law is about its middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import accumulate, count
from math import inf, log, sqrt
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from pwm.analysis.climb import (
    ARRIVED,
    SHARE,
    SMOOTHING,
    Optimiser,
    Setting,
    climb,
    critic_share,
    mean_gain,
)
from pwm.analysis.learning import FINAL_EPISODES
from pwm.analysis.slowdowns import LAW
from pwm.analysis.targets import Leak, Targets
from pwm.core.config import TrainConfig
from pwm.core.leak import leak_temperature

SIGNAL_TO_NOISE = 1 / 170
"""μ² / s² of one episode, of a light critic before learning: as probed at 15 steps."""
TIMES: Mapping[int, float] = {15: 2000.0, 60: 3100.0}
"""Published median episodes to learn, by steps, of a light critic started at the mean return."""
LAG = FINAL_EPISODES / 2  # from the middle of the window to its end
EDGE_STEPS = 12  # bisections of a factor of a million: to within a half of a percent
NOTHING = "nothing changes"
"""The account that a setting changes no time and no slowdown."""
BIAS = "bias"
"""The account that the whole bias of a bootstrapped critic acts as noise."""


class Slowing(NamedTuple):
    """Causes of slow learning, relative to the light critic of the first studies."""

    noise: float
    """Noise of the policy's gradient without a leak or a critic in its trunk."""
    bias: float
    """Bias by the leak, over this noise."""
    share: float
    """The critic's gradient in the trunk, over this noise."""
    gain: float
    """Mean derivative of the trunk's units, as `mean_gain`."""

    def updates(self, batch: int) -> float:
        """Factor on the advance that learning needs, with `batch` episodes per update."""
        head, trunk = (
            (SIGNAL_TO_NOISE + self.noise**2 * square / batch) / (SIGNAL_TO_NOISE + 1)
            for square in (1 + self.bias**2, 1 + self.bias**2 + self.share**2)
        )
        return sqrt(sqrt(head) * sqrt(trunk)) / self.gain


def predicted_time(run: TrainConfig) -> float:
    """Episodes to learn according to the law; for SGD, relative to the light critic."""
    if run.optimizer == "sgd":
        return 1.0
    return _time(_slowing(run), run)


def time_as_before(run: TrainConfig) -> float:
    """Episodes to learn if the setting made no difference: those in the first studies' setting."""
    loss = replace(
        run.loss,
        discount=1.0,
        trace_decay=1.0,
        leaking_targets=False,
        return_horizon="episode",
        normalise_advantages=False,
        value_loss="squared",
    )
    agent = replace(run.agent, carry_state=False)
    before = replace(
        run,
        loss=loss,
        agent=agent,
        optimizer="rmsprop",
        learning_rate=0.001,
        episodes_per_update=1,
        critic_start=0.0 if run.critic_start == 0 else "fixed-point",
    )
    return _time(_slowing(before), before)


def time_by_the_bias(run: TrainConfig) -> float:
    """Episodes to learn if all of a bootstrapped critic's bias acted as noise."""
    targets = _targets(run)
    before = _targets(replace(run, loss=replace(run.loss, discount=1.0, trace_decay=1.0)))
    noise = before.unbiased.noise
    bias = (targets.mean_value - targets.unbiased.mean_value) / noise
    return _time(Slowing(1.0, bias, 0.0, 1.0), run)


def _time(slowing: Slowing, run: TrainConfig) -> float:
    """Episodes to learn, given the causes that slow a run."""
    batch = run.episodes_per_update
    of_rmsprop = run.optimizer == "rmsprop"
    needed = slowing.updates(batch) * _advance(TIMES[run.task.num_steps] - LAG)
    updates = _updates(needed) if of_rmsprop else needed
    return LAG + batch * updates


def _advance(updates: float) -> float:
    """Distance that RMSprop's updates cover, in steps of the length that they settle at."""
    return updates + sum(1 / sqrt(1 - SMOOTHING**n) - 1 for n in range(1, int(updates) + 1))


def _updates(advance: float) -> int:
    """Updates of RMSprop that cover a distance: the inverse of `_advance`."""
    covered = accumulate(1 / sqrt(1 - SMOOTHING**n) for n in count(1))
    return next(n for n, distance in enumerate(covered, 1) if distance >= advance)


def _slowing(run: TrainConfig) -> Slowing:
    """Causes that slow a run, by the law of the climb."""
    return _normalised(run) if run.loss.normalise_advantages else _climbed(run)


@cache
def _climbed(run: TrainConfig) -> Slowing:
    """Causes that slow a run whose advantages are not normalised."""
    setting = setting_of(run)
    *_, end = climb(setting, ARRIVED if setting.distance else 0)
    grown = 1 + end.head / setting.initial_weight
    return Slowing(
        noise=setting.spread / Setting(steps=setting.steps, critic_weight=0.0).spread,
        bias=setting.bias / setting.spread,
        share=SHARE * grown**2 * critic_share(setting),
        gain=mean_gain(end, setting),
    )


def _normalised(run: TrainConfig) -> Slowing:
    """Causes that slow a run whose advantages are normalised."""
    setting = Setting(steps=run.task.num_steps, critic_weight=run.critic_weight)
    within = setting.spread**2 - setting.mean_variance
    bias = normalised_bias(run) if run.loss.baseline == "attached" else 0.0
    deviation = sqrt(within + bias**2)
    equivalent = replace(
        run,
        critic_weight=run.critic_weight * deviation,
        loss=replace(run.loss, normalise_advantages=False, baseline="detached"),
    )
    climbed = _climbed(equivalent)
    return climbed._replace(noise=sqrt(within) / setting.spread, bias=bias / sqrt(within))


def normalised_bias(run: TrainConfig) -> float:
    """Standard deviation over the steps of the leak's bias with normalised advantages, in reward.

    Let W be the variance of an episode's advantages without the bias, and D² that of α H over the
    steps of a trial. As α H is divided by the advantages' standard deviation, which includes the
    bias b, b² (W + b²) = D².
    """
    length = run.task.trial_length
    setting = Setting(steps=run.task.num_steps, critic_weight=run.critic_weight)
    within = setting.spread**2 - setting.mean_variance
    temperature = leak_temperature(run.task.num_steps, run.critic_weight)
    entropies = sqrt((length - 1) / length**2) * (log(3) - log(2))
    return sqrt((sqrt(within**2 + 4 * (temperature * entropies) ** 2) - within) / 2)


def setting_of(run: TrainConfig) -> Setting:
    """Setting of the climb of a run's critic; centred critics start at their fixed point."""
    targets = _targets(run)
    whole = targets.discount == targets.trace_decay == 1 and targets.horizon == "episode"
    adam = Optimiser(
        square_decay=run.square_decay, momentum_decay=run.momentum_decay, corrected=True
    )
    setting = Setting(
        steps=run.task.num_steps,
        critic_weight=run.critic_weight,
        trial_length=run.task.trial_length,
        learning_rate=run.learning_rate,
        hidden_size=run.agent.hidden_size,
        attached=run.loss.baseline == "attached",
        targets=None if whole else targets,
        optimiser=adam if run.optimizer == "adam" else Optimiser(),
    )
    from_zero = run.critic_start == 0 and run.loss.returns == "raw"
    return setting if from_zero else replace(setting, start=setting.fixed_point)


def _targets(run: TrainConfig) -> Targets:
    """The targets of a run's critic."""
    loss = run.loss
    leak: Leak = "all" if loss.leaking_targets else "own"
    if loss.baseline == "detached":
        leak = "none"
    return Targets(
        steps=run.task.num_steps,
        trial_length=run.task.trial_length,
        discount=loss.discount,
        trace_decay=loss.trace_decay,
        horizon=loss.return_horizon,
        leak=leak,
        temperature=leak_temperature(run.task.num_steps, run.critic_weight),
    )


def accounts(run: TrainConfig, light: TrainConfig) -> dict[str, float]:
    """Slowdown relative to the light critic of the same setting, by account.

    Args:
        run: configuration of the run.
        light: configuration of the light critic.
    """
    found = {
        LAW: predicted_time(run) / predicted_time(light),
        NOTHING: time_as_before(run) / time_as_before(light),
    }
    if run.loss.trace_decay < 1 and run.loss.baseline == "attached":
        found[BIAS] = time_by_the_bias(run) / time_as_before(light)
    return found


def bias_terms(run: TrainConfig) -> tuple[float, float]:
    """The critic's bias per unit of success and per nat of the policy's entropy, in reward."""
    targets = _targets(run)
    return (
        replace(targets, success=1.0, entropy=0.0).bias,
        replace(targets, success=0.0, entropy=1.0).bias,
    )


def huber_bias(run: TrainConfig, entropy: float, success: float) -> float:
    """Bias of an attached critic that learns by Huber's loss; inf where it has no fixed point.

    The error of a step counts up to 1, so that E[clip(G - v, -1, 1)] = -α H at the fixed point. If
    α H ≥ 1, the leak outweighs any error. The return G is the number of rewards in the trials left.
    """
    trials = run.task.num_trials
    pull = leak_temperature(run.task.num_steps, run.critic_weight) * entropy
    if pull >= 1:
        return inf
    weights = np.mean(
        [
            np.pad(binom.pmf(range(n + 1), n, success), (0, trials - n))
            for n in range(1, trials + 1)
        ],
        axis=0,
    )
    returns = np.arange(trials + 1)

    def error(value: float) -> float:
        """Mean clipped error plus the leak's pull; zero at the fixed point."""
        return float(weights @ np.clip(returns - value, -1, 1)) + pull

    return float(brentq(error, -1.0, trials + 1.0, xtol=1e-14)) - float(weights @ returns)


def law_edge(run: TrainConfig, light: TrainConfig) -> float:
    """Weight at which a run takes twice as long as the light critic, according to the law.

    Args:
        run: a configuration: attached, so that light weights are slow, or detached and started at
            zero, so that heavy ones are.
        light: configuration of the light critic.
    """
    limit, attached = 2 * predicted_time(light), run.loss.baseline == "attached"
    low, high = 0.01, 10_000.0
    for _ in range(EDGE_STEPS):
        middle = sqrt(low * high)
        slowing = _slowing(replace(run, critic_weight=middle))
        slow = _time(slowing._replace(share=0.0) if attached else slowing, run) > limit
        low, high = (middle, high) if slow == attached else (low, middle)
    return sqrt(low * high)
