"""The law of the climb in other settings: other optimisers, returns, batches and advantages.

An account is a hypothesis about how long a run takes to learn. This module computes the fifth
set of predictions (`paper/predictions.json`). The law is the account of `pwm.analysis.climb`,
extended here without a new fit:

- *Optimiser.* The critic climbs by the steps of its optimiser. SGD's steps are not divided by the
  gradient's size, so neither a bias nor the critic's gradient in the trunk slows learning.
- *Targets.* The fixed point and the noise are those of `pwm.analysis.targets`.
- *K episodes per update.* The mean gradient μ does not depend on K; the variance s² of an episode's
  gradient is divided by K. Where leak and critic multiply s by F, the root mean square gradient is
  sqrt(μ² + F² s² / K). The progress per update is g μ over the geometric mean of this root in the
  policy head and in the trunk; g is the gain after a climb (`mean_gain`) with K = 1.
- *Normalised advantages.* A constant bias cancels. The bias that remains is α (H - mean H) / d,
  where α is the leak's temperature (`pwm.core.leak`), H the policy's entropy at a step, and d the
  standard deviation of an episode's advantages, including this bias. The critic climbs as it would
  with weight d w and no normalisation.

RMSprop's first steps are longer than its later ones, as its mean square starts at zero. A measured
time to learn is the end of a window of 500 episodes that meets the criterion. The law predicts the
window's middle, to which half a window is added.

Predicted times are for a shared trunk, trials of 3 steps, rewards of 1, a summed policy loss and a
learning rate of 0.001. Normalised advantages are those of whole undiscounted returns. A Huber loss
counts as squared, and whatever else changes learning, such as a carried state, is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from math import log, sqrt
from typing import Any, NamedTuple

from pwm.analysis.climb import ARRIVED, SMOOTHING, Optimiser, Setting, climb, final_share, mean_gain
from pwm.analysis.learning import FINAL_EPISODES
from pwm.analysis.slowdowns import LAW
from pwm.analysis.starts import setting_of
from pwm.analysis.targets import Targets
from pwm.core.leak import leak_temperature
from pwm.runs.fields import replaced
from pwm.training.config import TrainConfig

SIGNAL_TO_NOISE = 1 / 170  # μ² / s² with a light critic before learning, measured at 15 steps
TIMES: Mapping[int, float] = {15: 2000.0, 60: 3100.0}
"""Measured median episodes to learn with a light critic from the mean return, by episode length."""
LAG = FINAL_EPISODES / 2  # episodes from the middle of a window to its end
FIRST_SETTING: Mapping[str, Any] = {
    "discount": 1.0,
    "trace_decay": 1.0,
    "leaking_targets": False,
    "return_horizon": "episode",
    "normalise_advantages": False,
    "value_loss": "squared",
    "carry_state": False,
    "optimizer": "rmsprop",
    "learning_rate": 0.001,
    "episodes_per_update": 1,
}
"""The first studies' values of the fields that other settings change."""
NOTHING = "nothing changes"  # account: runs take as long as in the first studies' setting
BIAS = "bias"  # account: the whole bias that the leak gives bootstrapped values acts as noise


class Causes(NamedTuple):
    """Causes of slow learning in a run, relative to a reference.

    The reference is a run in the first studies' setting, with as many steps per episode and a light
    detached critic that starts at the mean return.
    """

    noise: float  # standard deviation of the policy's own gradient, over the reference's
    bias: float  # due to the leak, over the standard deviation of the run's unbiased advantages
    share: float  # root mean square of the critic's gradient in the trunk, over the policy's own
    gain: float  # mean derivative of the trunk's units after the climb (`mean_gain`)

    def slowdown(self, batch: int) -> float:
        """Updates needed to learn, with `batch` episodes each, over those of the reference.

        If optimiser steps are equally long, it is the geometric mean of the ratios of root mean
        square gradients in policy head and trunk (`pwm.analysis.theory.slowdown`), over the gain.
        """
        variance = self.noise**2 / batch  # in units of the reference's s², as all below
        head = SIGNAL_TO_NOISE + variance * (1 + self.bias**2)  # mean square gradient
        trunk = SIGNAL_TO_NOISE + variance * (1 + self.bias**2 + self.share**2)
        of_reference = SIGNAL_TO_NOISE + 1
        return sqrt(sqrt(head / of_reference) * sqrt(trunk / of_reference)) / self.gain


def predicted_time(run: TrainConfig) -> float:
    """Episodes to learn by the law, at 15 or 60 steps; 1 for SGD, so that every slowdown is 1."""
    return 1.0 if run.optimizer == "sgd" else _time(_causes(run), run)


def time_if_nothing_changes(run: TrainConfig) -> float:
    """Episodes to learn, by the law, if `run` had the first studies' setting (`FIRST_SETTING`)."""
    start = 0.0 if run.critic_start == 0 else "fixed-point"  # the fixed point of that setting
    return predicted_time(replaced(run, {**FIRST_SETTING, "critic_start": start}))


def time_if_bias_is_noise(run: TrainConfig) -> float:
    """Episodes to learn without a climb, if all the bias that the leak gives values were noise."""
    targets = _targets(run)
    whole_returns = _targets(replaced(run, {"discount": 1.0, "trace_decay": 1.0}))
    deviation = whole_returns.unbiased.noise  # of undiscounted returns, cut at the run's horizon
    bias = (targets.mean_value - targets.unbiased.mean_value) / deviation
    return _time(Causes(noise=1.0, bias=bias, share=0.0, gain=1.0), run)


def _time(causes: Causes, run: TrainConfig) -> float:
    """Predicted episodes to learn with RMSprop or Adam, at 15 or 60 steps, given the causes."""
    batch = run.episodes_per_update
    reference_updates = int(TIMES[run.task.num_steps] - LAG)  # of one episode each (see `Causes`)
    # RMSprop's n-th step is 1 / sqrt(1 - SMOOTHING^n) times as long as a late one.
    excess = sum(1 / sqrt(1 - SMOOTHING**n) - 1 for n in range(1, reference_updates + 1))
    distance = causes.slowdown(batch) * (reference_updates + excess)  # to cover, in late steps
    if run.optimizer != "rmsprop":  # Adam, whose steps are all as long as a late one of RMSprop's
        return LAG + batch * distance
    updates, covered = 0, 0.0
    while covered < distance:
        updates += 1
        covered += 1 / sqrt(1 - SMOOTHING**updates)
    return LAG + batch * updates


@cache
def _causes(run: TrainConfig) -> Causes:
    """Causes of slow learning in a run with RMSprop or Adam, according to the law."""
    if run.loss.normalise_advantages:
        return _normalised_causes(run)
    setting = _climb_setting(run)
    end = climb(setting, ARRIVED)[-1]
    reference = Setting(steps=setting.steps, critic_weight=0.0)
    return Causes(
        noise=setting.spread / reference.spread,
        bias=setting.bias / setting.spread,
        share=final_share(end, setting),
        gain=mean_gain(end, setting),
    )


def _normalised_causes(run: TrainConfig) -> Causes:
    """Causes of slow learning in a run with normalised advantages (see the module's docstring)."""
    setting = setting_of(run, start=0.0)  # any start: only the noise is read
    variance = _episode_variance(setting)
    bias = normalised_bias(run) if run.loss.baseline == "attached" else 0.0
    weight = run.critic_weight * sqrt(variance + bias**2)  # d w
    unnormalised = {"critic_weight": weight, "normalise_advantages": False, "baseline": "detached"}
    causes = _causes(replaced(run, unnormalised))  # whose share and gain are kept
    noise = sqrt(variance)
    return causes._replace(noise=noise / setting.spread, bias=bias / noise)


def normalised_bias(run: TrainConfig) -> float:
    """Standard deviation b over steps of the leak's bias with normalised advantages, in reward.

    All quantities are for a summed policy loss and the policy that is learned first
    (`start_entropy`): H is log 2 at the last step of a trial and log 3 at all others. Let W be the
    variance of an episode's advantages without the bias, in reward², and D² the variance of α H
    over the steps of a trial. Normalising divides α H by the standard deviation of all advantages,
    with the bias, which is uncorrelated with the rest of them: b² = D² / (W + b²). The baseline is
    taken to be attached, whatever the run's is.
    """
    length = run.task.trial_length
    variance = _episode_variance(setting_of(run, start=0.0))  # W
    entropy_deviation = sqrt((length - 1) / length**2) * (log(3) - log(2))  # of H
    deviation = leak_temperature(run.task.num_steps, run.critic_weight) * entropy_deviation  # D
    return sqrt((sqrt(variance**2 + 4 * deviation**2) - variance) / 2)


def _episode_variance(setting: Setting) -> float:
    """Variance of unbiased advantages within an episode, averaged over episodes, in reward²."""
    return setting.spread**2 - setting.mean_variance


def _climb_setting(run: TrainConfig) -> Setting:
    """Setting of the climb model for a run; any start but 0 with raw returns is the fixed point."""
    targets = _targets(run)
    whole_returns = targets.discount == targets.trace_decay == 1 and targets.horizon == "episode"
    setting = replace(setting_of(run, start=0.0), targets=None if whole_returns else targets)
    if run.optimizer == "adam":
        adam = Optimiser(run.square_decay, run.momentum_decay, corrected=True)
        setting = replace(setting, optimiser=adam)
    # With centred returns the fixed point is about 0, so the critic starts there.
    from_zero = run.critic_start == 0 and run.loss.returns == "raw"
    return setting if from_zero else replace(setting, start=setting.fixed_point)


def _targets(run: TrainConfig) -> Targets:
    """Targets of a run's critic while the policy is the one learned first (`start_entropy`).

    Only a leak into the whole critic ("attached") is modelled.
    """
    loss = run.loss
    attached = loss.baseline == "attached"
    return Targets(
        steps=run.task.num_steps,
        trial_length=run.task.trial_length,
        discount=loss.discount,
        trace_decay=loss.trace_decay,
        horizon=loss.return_horizon,
        temperature=leak_temperature(run.task.num_steps, run.critic_weight) if attached else 0.0,
        leaking_targets=loss.leaking_targets,
    )


def accounts(run: TrainConfig, light: TrainConfig) -> dict[str, float]:
    """Slowdown of `run` relative to `light`, by account; `BIAS` only if bootstrapped and attached.

    `light` has the same setting, and a light detached critic that starts at its fixed point.
    """
    light_time = time_if_nothing_changes(light)
    slowdowns = {
        LAW: predicted_time(run) / predicted_time(light),
        NOTHING: time_if_nothing_changes(run) / light_time,
    }
    if run.loss.trace_decay < 1 and run.loss.baseline == "attached":
        slowdowns[BIAS] = time_if_bias_is_noise(run) / light_time
    return slowdowns


def bias_terms(run: TrainConfig) -> tuple[float, float]:
    """Coefficients (a, b) of the values' mean bias at the fixed point: a · success + b · entropy.

    The policy is assumed to have the same entropy at every step.
    """
    targets = _targets(run)
    of_success = replace(targets, success=1.0, entropy=0.0).bias
    of_entropy = replace(targets, success=0.0, entropy=1.0).bias
    return of_success, of_entropy


def law_edge(run: TrainConfig, light: TrainConfig) -> float:
    """Critic weight at which `run` takes twice as long to learn as `light`, according to the law.

    For an attached run, which must not start at 0, it is the lower edge, due to the leak alone. For
    a detached run, it is the upper edge, due to the critic's share of the trunk's gradient and, if
    it starts at 0 with raw returns, to the climb. `run.critic_weight` is ignored. RMSprop or Adam
    only. Without an edge between 0.01 and 10,000, the result is close to one of these.
    """
    limit, attached = 2 * predicted_time(light), run.loss.baseline == "attached"
    low, high = 0.01, 10_000.0
    for _ in range(12):  # bisections narrow a factor of a million to 0.3%
        middle = sqrt(low * high)
        causes = _causes(replace(run, critic_weight=middle))
        if attached:  # without the critic's share, heavier weights are never slower
            causes = causes._replace(share=0.0)
        too_slow = _time(causes, run) > limit
        if too_slow == attached:  # the edge is above the middle
            low = middle
        else:
            high = middle
    return sqrt(low * high)
