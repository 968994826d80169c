"""Made-up worlds: runs that follow the laws of the paper's claims, or break one of them.

A world gives each run a time to learn and a few other outcomes. In `World()` every claim holds.
Each world in `BROKEN` breaks some, and every claim must be broken by at least one: to add a
claim, make it hold in `World()` and add a world, or a field of one, in which it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pwm.analysis.climb import Setting, climb, critic_share, hidden_states
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import fitted_law
from pwm.analysis.theory import noise_weight, slowdown, value_floor
from pwm.core.leak import critic_bias
from pwm.experiments import EXPERIMENTS
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig
from tests.claims.fifth_world import BEGINS, Elsewhere, elsewhere_outcome
from tests.claims.rules_world import COMPARED, method_outcome, success
from tests.support.outcomes import MadeUpRuns

SHARE = fitted_law().share_weight
SEEDS = 24
RAW_NOISE = 1.3  # factor on the noise of a leak whose critic starts at 0, at 15 steps


def _from_zero(run: TrainConfig) -> bool:
    return run.critic_start == 0 and run.loss.returns == "raw"


_course = cache(partial(climb, num_episodes=600))


class End(NamedTuple):
    """State of the trunk at the end of a climb, which decides the time to learn."""

    share: float  # norm of the critic's gradient over that of the policy's
    gain: float  # mean derivative of the units' outputs, at most 1


@cache
def climbed(setting: Setting) -> End:
    """The end of the climb according to `pwm.analysis.climb`, without a leak's noise."""
    *_, end = _course(setting)
    states = hidden_states(end.trunk, setting.hidden_size, setting.trial_length)
    grown = 1 + end.head / setting.initial_weight
    gain = sum(1 - state**2 for state in states) / len(states)
    return End(0.265 * grown**2 * critic_share(setting), gain)


def ratio_noise(run: TrainConfig) -> float:
    """Weight at which the leak's bias equals the return's standard deviation."""
    length = run.task.trial_length
    return noise_weight(run.task.num_trials * length, length, run.loss.policy_reduction)


@dataclass(frozen=True, kw_only=True)
class World:
    """The laws that runs follow. Factors are 1 where the paper's claims hold."""

    leaks: Callable[[TrainConfig], bool] = lambda run: run.loss.baseline == "attached"
    """Whether a leak biases the critic."""
    noise: Callable[[TrainConfig], float] = ratio_noise
    """Weight at which the bias counts as much as the return's noise."""
    sharing: float = 1.0
    """Factor on the critic's gradient in a shared trunk."""
    sharing_apart: float = 0.0
    """Factor on the critic's gradient with separate networks, where it should have no effect."""
    bias: float = 1.0
    """Factor on the measured bias of the critic."""
    identity: float = 1.0
    """Factor on the policy loss, one side of the identity of `pwm.claims.gradients`."""
    by_hand: float = 1.0
    """Factor on the noise of a bias added by hand."""
    signal: float = 1.0
    """Factor on the signal of the policy's gradient."""
    sampling: float = 1.0
    """Factor on the sampling errors of the return's variance."""
    head_forgets: bool = True
    """Whether runs with the leak in the head alone forget what they learned."""
    collapse: Callable[[TrainConfig], bool] = lambda run: (
        run.learning_rate >= (0.003 if run.loss.returns == "raw" else 0.005)
        and run.task.episode_length >= 60
        and not run.loss.entropy_weight
        and not (run.loss.returns == "centred" and run.critic_weight >= 10)
    )
    """Whether half of a run's seeds collapse to one action."""
    fragile: bool = True
    """Whether high learning rates lose seeds, for instance with light critics (`lost_seeds`)."""
    lost: str = "log_probs"
    """Gradients without which no run learns."""
    far: float = 1.0
    """Factor on the critic's distance from its fixed point."""
    above: float = 1.0
    """Further factor on this distance if the critic starts above its fixed point."""
    rates: float = 0.0
    """Half the power of (learning rate / 0.001) by which the share grows further."""
    recentred: bool = True
    """Whether named starts, and returns that are not raw, put the critic at its fixed point."""
    arrived: bool = False
    """Whether the lightest critic reaches its fixed point even in the longest episodes."""
    carried: float = 4.0
    """Slowdown by heavy critics if the state is carried across trials."""
    fixed_point: float = 1.3
    """Further slowdown from the fixed point in the two conditions that were predicted wrongly."""
    saturated: float = 0.0
    """Fraction of units that are saturated without a climb."""
    speed: float = 1.0
    """Factor on all times."""
    quirks: bool = True
    """Whether the climb costs more or less than the law says at some lengths."""

    elsewhere: Elsewhere = "found"
    """World of the fifth set of predictions (`tests.claims.fifth_world`)."""
    methods: Callable[[TrainConfig], float] = success
    """Fraction of seeds that learn in the comparison of methods."""

    def bias_to_noise(self, run: TrainConfig) -> float:
        """Bias of the baseline over the return's standard deviation, in its effect on learning."""
        if run.loss.lost_gradients == "values":
            return 0.0
        if run.loss.optimism:
            return self.by_hand * noise_weight(15, 3) * 2 * run.loss.optimism / 15
        if not self.leaks(run):
            return 0.0
        raw = _from_zero(run) and not run.agent.separate_trunks
        factor = RAW_NOISE * min((15 / run.task.episode_length) ** 0.3, 1.1) if raw else 1.0
        return factor * self.noise(run) / run.critic_weight

    def climb(self, run: TrainConfig) -> Setting:
        """Setting of the climb of the run's critic."""
        steps = run.task.num_trials * run.task.trial_length
        setting = Setting(
            steps=steps,
            critic_weight=run.critic_weight * (steps if run.loss.policy_reduction == "mean" else 1),
            trial_length=run.task.trial_length,
            learning_rate=run.learning_rate,
            hidden_size=run.agent.hidden_size,
            reward=run.task.reward,
            attached=self.leaks(run) and run.loss.lost_gradients != "values",
        )
        start = run.critic_start
        if isinstance(start, str) or run.loss.returns != "raw":
            start = setting.fixed_point if self.recentred else 0.0
        far = self.far * (self.above if start > setting.fixed_point else 1.0)
        return replace(setting, start=setting.fixed_point + far * (start - setting.fixed_point))

    def times(self, run: TrainConfig) -> NDArray[np.float64]:
        """Episodes until each seed learns, inf if it never does: [SEEDS]."""
        steps = run.task.episode_length
        weight = run.critic_weight * (steps if run.loss.policy_reduction == "mean" else 1)
        if run.loss.lost_gradients == self.lost or run.loss.entropy_weight == 1:
            return np.full(SEEDS, inf)
        base = self.typical_time(run, weight)
        times: NDArray[np.float64] = base * np.geomspace(1 / 1.3, 1.3, SEEDS)
        if self.collapse(run):
            times[::2] = inf
            if steps > 100:
                times[:4] = inf
        elif self.fragile:
            times[: self.lost_seeds(run, weight)] = inf
        return times

    def typical_time(self, run: TrainConfig, weight: float) -> float:
        """Episodes until the typical seed learns."""
        steps, rate = run.task.episode_length, run.learning_rate
        bias = self.bias_to_noise(run)
        base: float = self.speed * 2500 * (steps / 15) ** 0.4 * (run.task.trial_length / 3) ** 0.2
        base *= (0.001 / rate) ** 0.6 * (1.0 if rate < 0.005 else 1.3)
        if run.agent.separate_trunks:
            base *= slowdown(bias) * slowdown(0, self.sharing_apart * weight / SHARE)
        else:
            end = climbed(self.climb(run))
            share = self.sharing * end.share * (rate / 0.001) ** (2 * self.rates)
            base *= slowdown(bias, share) / end.gain
        if run.loss.baseline == "attached_trunk":
            base *= 2.1
        if run.loss.baseline == "attached_head" and weight < 0.04:
            base *= 4
        if run.agent.carry_state and weight >= 10:
            base *= self.carried
        if run.critic_start == "fixed-point" and (steps == 75 or run.task.trial_length == 8):
            base *= self.fixed_point
        if run.num_episodes > 50_000:
            base *= 0.4  # the climb does not slow learning for ever
        return base * self.quirk(run, weight)

    def quirk(self, run: TrainConfig, weight: float) -> float:
        """Factor by which some runs differ from the laws."""
        steps, rate, base = run.task.episode_length, run.learning_rate, 1.0
        if self.quirks and _from_zero(run) and self.leaks(run) and steps == 45:
            base *= 0.6
        if self.quirks and _from_zero(run) and run.loss.baseline == "detached":
            base *= {45: 0.8, 60: 1.2, 120: 0.92}.get(steps, 1.0)
            base *= 0.3 if (steps, rate) == (60, 0.005) and weight >= 20 else 1.0
        if run.loss.returns == "centred" and self.leaks(run) and (steps, weight) == (15, 1):
            base *= 1.4
        if run.loss.baseline == "attached_head" and not _from_zero(run) and self.head_forgets:
            base = inf if run.critic_start == "fixed-point" else base
        return base

    def lost_seeds(self, run: TrainConfig, weight: float) -> int:
        """Number of seeds that never learn at a high learning rate, though none collapses."""
        steps, rate, tracking = run.task.episode_length, run.learning_rate, run.loss.tracking_rate
        if rate >= 0.005 and run.loss.returns == "centred":
            if tracking <= 0.01 or (steps == 120 and weight <= 10 and tracking < 1):
                return 10
            if tracking == 0.03 or (steps == 120 and weight <= 10):
                return 4
            if steps == 30 and weight == 1:
                return 6
        if rate >= 0.01 and run.loss.returns == "raw":
            return 8
        if rate >= 0.002 and steps >= 24 and weight < 1:
            return 10
        return 5 if rate >= 0.005 and self.leaks(run) and weight <= 1 else 0

    def outcome(self, run: TrainConfig, seeds: int) -> dict[str, NDArray[Any]]:
        """Outcomes of the seeds of one setting, by field: [S] each."""
        times = np.resize(self.times(run), seeds)
        times[times > run.num_episodes] = inf
        learned = np.isfinite(times)
        if run.loss.baseline == "attached_head" and self.head_forgets:
            learned &= not 0.15 < run.critic_weight < 1.5
        bias = 0.0
        if self.leaks(run):
            steps, reduction = run.task.episode_length, run.loss.policy_reduction
            bias = self.bias * critic_bias(steps, 0.5, run.critic_weight, reduction)
        collapsed = ~learned & self.collapse(run)
        return {
            "learned": learned,
            "time": times,
            "reward": np.where(learned, 1.0, 0.5),
            "value_loss": np.full(seeds, 1.02 * value_floor(1.0, run.task.num_trials)),
            "entropy": np.full(seeds, 0.5),
            "critic_bias": np.full(seeds, bias),
            "collapsed": collapsed,
            "collapse": np.where(collapsed, 0.2 * run.num_episodes, inf),
        }

    def curves(self, run: TrainConfig) -> dict[str, ArrayLike]:
        """Diagnostics in K = 8 windows, the same for all seeds: a number, or [K]."""
        if run.probe_at:
            return self.probes(run)
        steps, weight, leaks = run.task.episode_length, run.critic_weight, self.leaks(run)
        longest = steps > 100
        critic = self.sharing * weight / SHARE * (0.25 if longest and weight >= 5 else 1)
        leak = 3.0 if leaks else 0.0
        late = 1.4 if longest and weight < 1 and not self.arrived else 1.0
        bias = critic_bias(steps, 0.5, weight)
        error = self.sampling * 0.05 * (steps / 15) ** 2 * np.resize([-1.0, 1.0], 8)
        return {
            "policy_norm": 1.0,
            "critic_norm": critic,
            "leak_norm": leak,
            "total_norm": np.sqrt(1 + critic**2 + leak**2),
            "signal_to_noise": self.signal * (0.0001 if leaks and weight < 1 else 0.004),
            "reward": [0.5, 0.5, 0.8, 0.9, 1.0, 1.0, 1.0, 1.0],
            "critic_bias": bias if leaks else 0.0,
            "policy_loss": -self.identity * late * 2 * weight * bias**2,
            "value_loss": 2 + bias**2,
            "return_variance": 2 + error,
        }

    def probes(self, run: TrainConfig) -> dict[str, ArrayLike]:
        """Scheduled probes, the same for all seeds: [J]."""
        setting, at = self.climb(run), np.array(run.probe_at)
        course = _course(setting)
        places = [course[min(place, len(course) - 1)] for place in run.probe_at]
        states = [
            np.mean(hidden_states(place.trunk, setting.hidden_size, setting.trial_length))
            for place in places
        ]
        heads = [1 + place.head / setting.initial_weight for place in places]
        saturated = self.sharing * np.clip(2 * (np.array(states) - 0.3), 0, 0.5)
        return {
            "activity": 0.05 + np.array(states),
            "saturated": self.saturated + saturated,
            "value_weight_norm": 0.55 * np.array(heads),
            "distance": [place.value - setting.fixed_point for place in places],
            "trace": np.where(heads[-1] > 1.4, 0.0, 0.03) * (at > 1000),
        }


def bias_noise(run: TrainConfig) -> float:
    """Noise weight if the bias itself slows learning, not its ratio to the return's deviation."""
    steps = 1 if run.loss.policy_reduction == "mean" else run.task.episode_length
    return noise_weight(15, 3) * steps / 15


BROKEN: Mapping[str, World] = MappingProxyType(
    {
        "every run leaks": World(leaks=lambda _run: True),
        "no run leaks": World(leaks=lambda _run: False),
        "a leak three times as strong": World(noise=lambda run: 3 * ratio_noise(run)),
        "an edge at a fixed weight": World(noise=lambda _run: 6.5),
        "an edge by the bias alone": World(noise=bias_noise, sharing=0.01),
        "a mean instead of a sum": World(
            noise=lambda run: ratio_noise(run) / run.task.episode_length
        ),
        "a critic that leaves the trunk alone": World(sharing=0.0),
        "a critic that takes over any trunk": World(sharing=40.0, sharing_apart=40.0),
        "twice the bias": World(bias=2.0, elsewhere="slower"),
        "a head that forgets nothing": World(head_forgets=False),
        "an identity that fails": World(identity=1.5),
        "no noise by hand, clear gradients": World(
            by_hand=0.0, lost="values", signal=10.0, sampling=0.0, arrived=True
        ),
        "methods that never work": World(methods=lambda _run: 0.0, elsewhere="none"),
        "methods that always work": World(methods=lambda _run: 1.0, elsewhere="all"),
        "methods that work raw": World(
            methods=lambda run: float(run.loss.returns == "raw"), elsewhere="as predicted"
        ),
        "a weight of 100 that fails": World(
            methods=lambda run: float(run.critic_weight != 100), elsewhere="nothing changes"
        ),
        "no climb": World(far=0.0, fixed_point=1.0, carried=1.0, quirks=False),
        "a climb that centring does not shorten": World(recentred=False, fragile=False),
        "a start above that costs nothing": World(above=0.0, rates=0.5),
        "all is easy": World(leaks=lambda _run: False, far=0.0, speed=0.2, saturated=0.3),
        "collapse everywhere": World(collapse=lambda _run: True),
        "collapse nowhere": World(collapse=lambda _run: False),
    }
)
"""Worlds in which some claims are false, by what is wrong in them."""


class MadeUp(Evidence):
    """Outcomes of the paper's experiments in a made-up world.

    Args:
        world: the laws that the runs follow.
        spoiled: names of experiments whose runs are changed.
    """

    def __init__(self, world: World = World(), spoiled: Collection[str] = ()) -> None:
        super().__init__(Store(Path("nowhere")))
        self._world, self._spoiled = world, spoiled
        self._made: dict[str, Outcomes] = {}

    def of(self, name: str) -> Outcomes:
        """The outcomes of an experiment."""
        if name not in self._made:
            axes, seeds = EXPERIMENTS[name].axes, len(EXPERIMENTS[name].axes["seed"])

            def outcome(run: TrainConfig) -> dict[str, NDArray[Any]]:
                if name.startswith(BEGINS):
                    found = elsewhere_outcome(name, run, seeds, self._world.elsewhere)
                elif name.startswith(COMPARED):
                    found = method_outcome(run, seeds, self._world.methods(run))
                else:
                    found = self._world.outcome(run, seeds)
                if name in self._spoiled:
                    found["time"] *= 1.3
                    found["learned"][:8] ^= True
                return found

            def curves(run: TrainConfig) -> dict[str, ArrayLike]:
                found = self._world.curves(run)
                if name in self._spoiled:
                    found |= {"policy_norm": 1.3, "policy_loss": -1.0, "signal_to_noise": 0.1}
                return found

            runs = MadeUpRuns(_configs(name), seeds, outcome, curves)
            shape = tuple(len(values) for values in axes.values())
            numbers = np.arange(len(runs.configs)).reshape(shape)
            self._made[name] = Outcomes(runs, axes, numbers)
        return self._made[name]


@cache
def _configs(name: str) -> tuple[TrainConfig, ...]:
    return EXPERIMENTS[name].runs()
