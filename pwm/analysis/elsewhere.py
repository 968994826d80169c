"""The law of the climb in other settings: other optimisers, returns, batches and advantages.

An account is a hypothesis about how long a run takes to learn. `accounts` and `bias_terms` are the
predictions of the fifth set (`paper/predictions.json`). The law is the account of
`pwm.analysis.climb`, extended here without a new fit:

- *Optimiser.* Adam climbs by its own steps. SGD's steps are not divided by the gradient's size, so
  that neither a bias nor a critic's share of the trunk slows it.
- *Targets.* Fixed point and noise are those of `pwm.analysis.targets`.
- *K episodes per update.* The mean gradient μ stays that of an episode; the variance s² of its
  noise is divided by K. An update advances by μ / sqrt(μ² + S² s² / K), with the slowdown S of one
  episode.
- *Normalised advantages.* A constant bias cancels. What leaks is α (H - mean H) / s, where s is the
  standard deviation of an episode's advantages, this bias included; and a weight w counts as s w.

RMSprop's first steps are longer than its later ones, as its mean square starts at zero: the k-th
step is 1 / sqrt(1 - 0.99^k) times as long as a late one. A time to learn is the end of a window of
500 episodes that meets the criterion; the law is about its middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from math import log, sqrt
from typing import Any, NamedTuple

from pwm.analysis.climb import (
    ARRIVED,
    SMOOTHING,
    Optimiser,
    Setting,
    climb,
    final_share,
    mean_gain,
)
from pwm.analysis.learning import FINAL_EPISODES
from pwm.analysis.slowdowns import LAW
from pwm.analysis.targets import Leak, Targets
from pwm.core.config import TrainConfig
from pwm.core.leak import leak_temperature
from pwm.runs.fields import replaced

SIGNAL_TO_NOISE = 1 / 170
"""μ² / s² of one episode, of a light critic before learning: as probed at 15 steps."""
TIMES: Mapping[int, float] = {15: 2000.0, 60: 3100.0}
"""Published median episodes to learn, by steps, of a light critic started at the mean return."""
LAG = FINAL_EPISODES / 2  # from the middle of a window to its end
EDGE_STEPS = 12  # bisections of a factor of a million: to within a half of a percent
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
"""Fields of the first studies' setting that other settings change."""
NOTHING = "nothing changes"
"""Name of the account that a setting changes no time and no slowdown."""
BIAS = "bias"
"""Name of the account that the whole bias of a bootstrapped critic acts as noise."""


class Causes(NamedTuple):
    """Causes of slow learning, relative to the light critic of the first studies."""

    noise: float
    """Noise of the policy's gradient without a leak or a critic in its trunk."""
    bias: float
    """Bias by the leak, over this noise."""
    share: float
    """The critic's gradient in the trunk, over this noise."""
    gain: float
    """Mean derivative of the trunk's units, as `mean_gain`."""

    def slowdown(self, batch: int) -> float:
        """Number of equally long steps that learning needs, with `batch` episodes per update.

        It is relative to that of the light critic with one episode per update.
        """
        power = self.noise**2
        head = SIGNAL_TO_NOISE + power * (1 + self.bias**2) / batch
        trunk = SIGNAL_TO_NOISE + power * (1 + self.bias**2 + self.share**2) / batch
        light = SIGNAL_TO_NOISE + 1
        return sqrt(sqrt(head / light) * sqrt(trunk / light)) / self.gain


def predicted_time(run: TrainConfig) -> float:
    """Episodes to learn according to the law; 1 for SGD, for which it predicts only ratios."""
    return 1.0 if run.optimizer == "sgd" else _time(_causes(run), run)


def time_if_nothing_changes(run: TrainConfig) -> float:
    """Episodes to learn according to the law for the same run in the first studies' setting."""
    start = 0.0 if run.critic_start == 0 else "fixed-point"
    return predicted_time(replaced(run, {**FIRST_SETTING, "critic_start": start}))


def time_if_bias_is_noise(run: TrainConfig) -> float:
    """Episodes to learn if all of a bootstrapped critic's bias acted as noise."""
    targets = _targets(run)
    whole_returns = _targets(replaced(run, {"discount": 1.0, "trace_decay": 1.0}))
    noise = whole_returns.unbiased.noise
    bias = (targets.mean_value - targets.unbiased.mean_value) / noise
    return _time(Causes(noise=1.0, bias=bias, share=0.0, gain=1.0), run)


def _time(causes: Causes, run: TrainConfig) -> float:
    """Episodes to learn, given the causes that slow a run."""
    batch = run.episodes_per_update
    steps = causes.slowdown(batch) * _rmsprop_steps(TIMES[run.task.num_steps] - LAG)
    updates = _rmsprop_updates(steps) if run.optimizer == "rmsprop" else steps
    return LAG + batch * updates


def _rmsprop_steps(updates: float) -> float:
    """Number of late steps of RMSprop that are together as long as its first `updates` steps."""
    return updates + sum(1 / sqrt(1 - SMOOTHING**n) - 1 for n in range(1, int(updates) + 1))


def _rmsprop_updates(steps: float) -> int:
    """Updates of RMSprop that go as far as a number of late steps: inverse of `_rmsprop_steps`."""
    updates, covered = 0, 0.0
    while covered < steps:
        updates += 1
        covered += 1 / sqrt(1 - SMOOTHING**updates)
    return updates


def _causes(run: TrainConfig) -> Causes:
    """Causes that slow a run, by the law."""
    return _normalised_causes(run) if run.loss.normalise_advantages else _raw_causes(run)


@cache
def _raw_causes(run: TrainConfig) -> Causes:
    """Causes that slow a run whose advantages are not normalised."""
    setting = _climb_setting(run)
    end = climb(setting, ARRIVED if setting.distance else 0)[-1]
    return Causes(
        noise=setting.spread / Setting(steps=setting.steps, critic_weight=0.0).spread,
        bias=setting.bias / setting.spread,
        share=final_share(end, setting),
        gain=mean_gain(end, setting),
    )


def _normalised_causes(run: TrainConfig) -> Causes:
    """Causes that slow a run whose advantages are normalised.

    Its critic climbs as in a detached run of the weight s w whose advantages are not normalised.
    """
    setting = Setting(steps=run.task.num_steps, critic_weight=run.critic_weight)
    variance = _episode_variance(setting)
    bias = normalised_bias(run) if run.loss.baseline == "attached" else 0.0
    weight = run.critic_weight * sqrt(variance + bias**2)
    changes = {"critic_weight": weight, "normalise_advantages": False, "baseline": "detached"}
    causes = _raw_causes(replaced(run, changes))
    noise = sqrt(variance)
    return causes._replace(noise=noise / setting.spread, bias=bias / noise)


def normalised_bias(run: TrainConfig) -> float:
    """Standard deviation over the steps of the leak's bias with normalised advantages, in reward.

    Let W be the variance of an episode's advantages without the bias, and D² that of α H over the
    steps of a trial, where H is log 3 at all steps but the last and log 2 there. As α H is divided
    by the advantages' standard deviation, which includes the bias b, b² (W + b²) = D².
    """
    steps, length = run.task.num_steps, run.task.trial_length
    variance = _episode_variance(Setting(steps=steps, critic_weight=run.critic_weight))  # W
    entropy_deviation = sqrt((length - 1) / length**2) * (log(3) - log(2))
    deviation = leak_temperature(steps, run.critic_weight) * entropy_deviation  # D
    return sqrt((sqrt(variance**2 + 4 * deviation**2) - variance) / 2)


def _episode_variance(setting: Setting) -> float:
    """Variance of the advantages within an episode without a bias, mean over episodes."""
    return setting.spread**2 - setting.mean_variance


def _climb_setting(run: TrainConfig) -> Setting:
    """Setting of the climb of a run's critic; centred critics start at their fixed point."""
    targets = _targets(run)
    whole_returns = targets.discount == targets.trace_decay == 1 and targets.horizon == "episode"
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
        targets=None if whole_returns else targets,
        optimiser=adam if run.optimizer == "adam" else Optimiser(),
    )
    from_zero = run.critic_start == 0 and run.loss.returns == "raw"
    return setting if from_zero else replace(setting, start=setting.fixed_point)


def _targets(run: TrainConfig) -> Targets:
    """The targets of a run's critic."""
    loss = run.loss
    leak: Leak = "all" if loss.leaking_targets else "own"
    return Targets(
        steps=run.task.num_steps,
        trial_length=run.task.trial_length,
        discount=loss.discount,
        trace_decay=loss.trace_decay,
        horizon=loss.return_horizon,
        leak="none" if loss.baseline == "detached" else leak,
        temperature=leak_temperature(run.task.num_steps, run.critic_weight),
    )


def accounts(run: TrainConfig, light: TrainConfig) -> dict[str, float]:
    """Slowdown of a run relative to the light critic of the same setting, by account."""
    unchanged = time_if_nothing_changes(light)
    found = {
        LAW: predicted_time(run) / predicted_time(light),
        NOTHING: time_if_nothing_changes(run) / unchanged,
    }
    if run.loss.trace_decay < 1 and run.loss.baseline == "attached":
        found[BIAS] = time_if_bias_is_noise(run) / unchanged
    return found


def bias_terms(run: TrainConfig) -> tuple[float, float]:
    """The critic's bias per unit of success and per nat of the policy's entropy, in reward."""
    targets = _targets(run)
    of_success = replace(targets, success=1.0, entropy=0.0).bias
    of_entropy = replace(targets, success=0.0, entropy=1.0).bias
    return of_success, of_entropy


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
        causes = _causes(replace(run, critic_weight=middle))
        if attached:  # the lower edge is due to the leak alone
            causes = causes._replace(share=0.0)
        too_slow = _time(causes, run) > limit
        edge_is_above = too_slow if attached else not too_slow
        low, high = (middle, high) if edge_is_above else (low, middle)
    return sqrt(low * high)
