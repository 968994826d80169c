"""Worlds in which runs turn out by the laws that the paper claims, each of which can be broken."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import predictions
from pwm.analysis.theory import critic_bias, noise_weight, slowdown, value_floor
from pwm.analysis.outcomes import Evidence
from pwm.core.config import TrainConfig
from pwm.experiments import EXPERIMENTS
from pwm.runs.experiment import Experiment, with_fields
from pwm.runs.storage import Store

NOISE = 1.2 * predictions()["third"]["noise_constant"]  # fitted, it is not known to a tenth
SHARE = predictions()["third"]["share_weight"]


@dataclass(frozen=True)
class World:
    """How runs turn out, by the laws that the paper claims, each of which can be broken."""

    leaks: Callable[[TrainConfig], bool] = lambda run: run.loss.baseline == "attached"
    """Whether the critic is biased."""
    noise: Callable[[TrainConfig], float] = lambda run: noise_weight(
        run.task.num_trials * run.task.trial_length,
        run.task.trial_length,
        run.loss.policy_reduction,
    )
    """Weight at which the bias is the return's standard deviation."""
    sharing: float = 1.0
    """Times how much of the trunk's steps a critic takes."""
    bias: float = 1.0
    """Measured over predicted."""
    head_unlearns: bool = True
    identity: float = 1.0
    """Measured over predicted."""
    sharing_apart: float = 0.0
    """As `sharing`, with a network each."""
    by_hand: float = 1.0
    """Times how much noise a bias added by hand makes."""
    collapse: Callable[[TrainConfig], bool] = lambda run: (
        run.learning_rate >= 0.003 and run.task.episode_length >= 60 and not run.loss.entropy_weight
    )
    """Whether half of the runs end in one action."""
    lost: tuple[str, ...] = ("log_probs",)
    """Gradients without which nothing is learned."""
    signal: float = 1.0
    """Times how much signal the policy's gradient has."""
    sampling: float = 1.0
    """Times how large the sampling errors of variances are."""
    mean_by_weight: bool = True
    """Whether, beside a mean of the policy loss, the weight alone decides."""
    arrived: bool = False
    """Whether the lightest critic is at its fixed point in the longest episodes too."""

    def bias_to_noise(self, run: TrainConfig) -> float:
        """Of the baseline, as it slows learning."""
        if run.loss.lost_gradients == "values":
            return 0.0
        if run.loss.optimism:
            return self.by_hand * noise_weight(15, 3) * 2 * run.loss.optimism / 15
        constant = 1.0 if run.agent.separate_trunks else NOISE
        mean = run.loss.policy_reduction == "mean"
        if mean and self.leaks(run) and self.mean_by_weight:  # where the ratio is worse
            short = replace(run.task, episode_length=15)
            noise = self.noise(replace(run, task=short)) * 15 / run.task.episode_length
            return float(predictions()["third"]["noise_constant"] * noise / run.critic_weight)
        return constant * self.noise(run) / run.critic_weight if self.leaks(run) else 0.0

    def times(self, run: TrainConfig) -> NDArray[Any]:
        """Episodes until each of 24 seeds learns; inf for those that never do."""
        steps, weight, rate = run.task.episode_length, run.critic_weight, run.learning_rate
        if run.loss.policy_reduction == "mean":
            weight *= steps
        if run.loss.lost_gradients in self.lost or run.loss.entropy_weight == 1:
            return np.full(24, np.inf)
        shared = self.sharing_apart if run.agent.separate_trunks else self.sharing
        critic = shared * weight / SHARE
        bias = self.bias_to_noise(run)
        by_hand = slowdown(bias, critic) if run.loss.optimism else None
        base = 2500 * (steps / 15) ** 0.4 * (run.task.trial_length / 3) ** 0.2
        base *= (0.001 / rate) ** 0.6
        base *= by_hand or slowdown(bias) * slowdown(critic=critic)
        if run.loss.baseline == "attached_trunk":
            base *= 2.1
        if run.loss.baseline == "attached_head" and weight < 0.04:
            base *= 4
        if run.task.trial_length == 6 and weight == 50:
            base *= 0.6  # where the law misses the best weight
        if steps >= 60 and weight >= 2 and not run.agent.separate_trunks:
            base *= 1.7
        base *= 1.0 if rate < 0.005 else 1.3
        times = base * np.geomspace(1 / 1.3, 1.3, 24)
        if self.collapse(run):
            times[np.arange(24) % 2 == 0] = np.inf
        elif (rate >= 0.002 and steps >= 24 and weight < 1) or (steps > 100 and weight >= 2):
            times[:10] = np.inf
        return np.asarray(times)


BROKEN = {
    "a detach lost": World(leaks=lambda _run: True),
    "a detach too many": World(leaks=lambda _run: False),
    "a leak three times as strong": World(noise=lambda run: 3 * World.noise(run)),
    "an edge at a fixed weight": World(noise=lambda _run: 6.5),
    "an edge by the bias alone": World(
        noise=lambda run: (
            noise_weight(15, 3)
            * (1 if run.loss.policy_reduction == "mean" else run.task.episode_length)
            / 15
        ),
        mean_by_weight=False,
        sharing=0.01,
    ),
    "a mean in place of a sum": World(noise=lambda run: World.noise(run) / run.task.episode_length),
    "a critic that takes nothing": World(sharing=0.0),
    "a factor of two in the bias": World(bias=2.0),
    "a head that keeps what it learned": World(head_unlearns=False),
    "an identity that fails": World(identity=1.5),
    "a critic that takes all": World(sharing=40.0, sharing_apart=40.0),
    "nothing by hand, and gradients": World(
        by_hand=0.0, lost=("values",), signal=10.0, sampling=0.0, arrived=True
    ),
    "collapse everywhere": World(collapse=lambda _run: True),
    "collapse nowhere": World(collapse=lambda _run: False),
}
"""Worlds that are not as the paper says."""


class MadeUp(Evidence):
    """Evidence as in a world, without a run; one experiment may be spoiled."""

    def __init__(self, world: World = World(), spoiled: str = "") -> None:
        super().__init__(Store.__new__(Store))
        self._world, self._spoiled = world, spoiled

    def of(self, name: str) -> Outcomes:
        """Outcomes of an experiment."""
        if name not in self._kept:
            self._kept[name] = self._made_up(EXPERIMENTS[name], spoiled=name == self._spoiled)
        return self._kept[name]

    def _made_up(self, experiment: Experiment, *, spoiled: bool) -> Outcomes:
        axes = {field: values for field, values in experiment.axes.items() if field != "seed"}
        seeds = len(experiment.axes["seed"])
        cells, courses = [], []
        for values in itertools.product(*axes.values()):
            run = with_fields(experiment.base, dict(zip(axes, values, strict=True)))
            cells.append(self._cell(run, seeds))
            if spoiled:
                cells[-1]["time"] *= 1.3
                cells[-1]["learned"][:8] ^= True
            if run.probe_episodes:
                courses.append(self._courses(run, seeds))
        shape = (*(len(values) for values in axes.values()), seeds)

        def joined(pieces: list[dict[str, Any]]) -> dict[str, Any]:
            names = pieces[0] if pieces else ()
            whole = {name: np.stack([piece[name] for piece in pieces]) for name in names}
            return {name: part.reshape(*shape, *part.shape[2:]) for name, part in whole.items()}

        return Outcomes(experiment.axes, experiment.base, **joined(cells), courses=joined(courses))

    def _cell(self, run: TrainConfig, seeds: int) -> dict[str, Any]:
        times = np.resize(self._world.times(run), seeds)
        times[times > run.num_episodes] = np.inf
        learned = np.isfinite(times)
        if run.loss.baseline == "attached_head" and self._world.head_unlearns:
            learned &= not 0.15 < run.critic_weight < 1.5
        leaks = self._world.leaks(run)
        steps, weight = run.task.episode_length, run.critic_weight
        bias = critic_bias(steps, 0.5, weight, run.loss.policy_reduction) if leaks else 0.0
        floor = value_floor(1.0, run.task.num_trials)
        collapsed = ~learned & self._world.collapse(run)
        return {
            "learned": learned,
            "reward": np.where(learned, 1.0, 0.5),
            "value_loss": np.full(seeds, 1.02 * floor),
            "entropy": np.full(seeds, 0.5),
            "critic_bias": np.full(seeds, self._world.bias * bias),
            "collapsed": collapsed,
            "collapse": np.where(collapsed, 0.2 * run.num_episodes, np.inf),
            "time": times,
        }

    def _courses(self, run: TrainConfig, seeds: int) -> dict[str, Any]:
        critic = self._world.sharing * run.critic_weight / SHARE
        critic *= 0.25 if run.task.episode_length > 100 and run.critic_weight >= 5 else 1
        leak = 3.0 if self._world.leaks(run) else 0.0
        late = 1.4 if run.task.episode_length > 100 and run.critic_weight < 1 else 1.0
        late = 1.0 if self._world.arrived else late
        steps, weight = run.task.episode_length, run.critic_weight
        bias = critic_bias(steps, 0.5, weight)
        sampled = (
            self._world.sampling * 0.05 * (steps / 15) ** 2 * np.resize([-1, 1], 8)
        )  # errors of a variance
        values = {
            "policy_norm": 1.0,
            "critic_norm": critic,
            "leak_norm": leak,
            "total_norm": np.sqrt(1 + critic**2 + leak**2),
            "signal_to_noise": self._world.signal * (0.0001 if leak and weight < 1 else 0.004),
            "reward": np.array([0.5, 0.5, 0.8, 0.9, 1.0, 1.0, 1.0, 1.0]),
            "critic_bias": bias if leak else 0.0,
            "policy_loss": -self._world.identity * late * 2 * weight * bias**2,
            "value_loss": 2 + bias**2,
            "return_variance": 2 + sampled,
            "covariance": 0.0,
        }
        shape = (seeds, 8)
        return {name: np.broadcast_to(value, shape).copy() for name, value in values.items()}
