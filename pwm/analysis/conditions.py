"""Conditions (settings run with both baselines), and rival laws for their lower edge.

The lower edge (`pwm.analysis.edges`) is the critic weight above which attached runs learn. In these
runs, the policy loss's gradient also reaches the values: the leak. Each rival law says that the
leak slows learning by a factor of sqrt(1 + (k / w)²) at critic weight w. The rivals differ in the
noise weight k. All are fitted to the same condition, 15 steps per episode at learning rate 0.001.
A rival predicts a condition's attached runs by slowing its detached runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.edges import lower_edges
from pwm.analysis.estimates import Estimate, interval
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import fitted_law, learned_when_slowed
from pwm.analysis.theory import noise_weight, policy_factor
from pwm.experiments.grids import TRIAL_LENGTHS

LARGEST_LIGHT = 20.0  # largest weight used to fit a lower edge, for a summed policy loss
LEAST_PLATEAU = 0.25  # success rate that some light weight must reach for there to be an edge
RIVALS = ("ratio", "steps", "fixed")  # see `Condition.rival_noise_weights`
FITTED_STEPS = 15  # steps per episode of the runs that the rivals are fitted to
EXPERIMENTS: Mapping[str, str] = {
    "lengths": "weight-0.001", "fast": "weight-0.005", "mean": "mean", "held-out": "held-out",
}  # fmt: skip
"""Experiment of each group except "trial"; each of its episode lengths is a condition. In "mean",
the policy loss is a mean over steps. The lengths and learning rate of "held-out" are in no fit."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Runs of one setting, attached and detached, with W critic weights and S seeds: [2, W, S]."""

    experiment: str
    runs: Outcomes

    @property
    def steps(self) -> int:
        """T, steps per episode, in whole trials."""
        return self.runs.base.task.episode_length

    @property
    def attached(self) -> Outcomes:
        """Runs with an attached baseline, and so with a leak: [W, S]."""
        return self.runs.at(baseline="attached")

    @property
    def detached(self) -> Outcomes:
        """Runs with a detached baseline, and so without a leak: [W, S]."""
        return self.runs.at(baseline="detached")

    @property
    def policy_factor(self) -> float:
        """Factor c of the policy loss: 1 if it is a sum over steps, 1/T if it is a mean."""
        return policy_factor(self.steps, self.runs.base.loss.policy_reduction)

    @property
    def noise_weight(self) -> float:
        """Critic weight at which the leak's bias equals the return's standard deviation."""
        base = self.runs.base
        return noise_weight(self.steps, base.task.trial_length, base.loss.policy_reduction)

    @property
    def rival_noise_weights(self) -> dict[str, float]:
        """Noise weight k according to each rival law.

        It is proportional to `noise_weight` for "ratio", to c T for "steps" and to c for "fixed",
        with T steps and the policy factor c, which `noise_weight` includes.
        """
        law = fitted_law()
        fixed = law.noise_constant * noise_weight(FITTED_STEPS, 3) * self.policy_factor
        return {
            "ratio": law.noise_constant * self.noise_weight,
            "steps": fixed * self.steps / FITTED_STEPS,
            "fixed": fixed,
        }

    def learned_if_slowed(self, noise_weight: float) -> NDArray[np.bool_]:
        """Whether detached runs learn if slowed by sqrt(1 + (noise_weight / w)²): [W, S]."""
        budget = self.runs.base.num_episodes
        return learned_when_slowed(self.runs.weights, self.detached.time, budget, noise_weight)

    def predicted(self, rival: str) -> NDArray[np.bool_]:
        """Whether attached runs learn, as predicted by one of the `RIVALS`: [W, S]."""
        return self.learned_if_slowed(self.rival_noise_weights[rival])

    @cached_property
    def edges(self) -> NDArray[np.float64] | None:
        """`light_edges` of attached runs, [1 + resamples]; None if few learn (`LEAST_PLATEAU`)."""
        runs = self.attached
        is_light = np.array(runs.weights) <= LARGEST_LIGHT * self.policy_factor  # (W,)
        if runs.rate()[is_light].max() < LEAST_PLATEAU:
            return None
        return light_edges(runs.weights, runs.learned, self.policy_factor)

    @property
    def edge(self) -> Estimate:
        """Lower edge of the attached runs, with its interval; nan where `edges` is None."""
        return Estimate(np.nan) if self.edges is None else interval(self.edges)

    def edges_by(self, rival: str) -> NDArray[np.float64]:
        """Lower edge (`light_edges`) of the attached runs as a rival predicts: [1 + resamples]."""
        return light_edges(self.runs.weights, self.predicted(rival), self.policy_factor)

    def errors(self, predicted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Absolute errors of success rates, [W]; `predicted` says whether runs learn, [W, S].

        A run counts as a success if it meets the criterion at any time, as in `learned_if_slowed`.
        """
        ever_learned = np.isfinite(self.attached.time)  # (W, S)
        return np.asarray(np.abs(predicted.mean(axis=-1) - ever_learned.mean(axis=-1)))


def light_edges(
    weights: Sequence[float], learned: NDArray[np.bool_], policy_factor: float = 1.0
) -> NDArray[np.float64]:
    """Lower edge, as in `lower_edges`, but fitted to light weights only: [1 + resamples].

    Weights up to `LARGEST_LIGHT` times the policy loss's factor c are light. Heavier ones, at which
    runs may fail for other reasons, do not count. For `weights` and `learned`, see `lower_edges`.
    """
    num_light = sum(weight <= LARGEST_LIGHT * policy_factor for weight in weights)
    return lower_edges(weights[:num_light], learned[:num_light])  # the weights are ascending


@lru_cache(maxsize=1)
def conditions(evidence: Evidence) -> dict[str, Condition]:
    """Conditions with all weights, by group and steps per episode ("mean-15") or trial ("trial-4").

    Cached with their `edges`, whose runs thus enter `Evidence.read` only once.
    """
    by_name = {}
    for group, experiment in EXPERIMENTS.items():
        grid = evidence.of(experiment)
        for steps in grid.axes["episode_length"]:
            runs = grid.at(episode_length=steps)
            by_name[f"{group}-{steps}"] = Condition(experiment=experiment, runs=runs)
    for length in TRIAL_LENGTHS:
        experiment = f"trial-length-{length}"
        by_name[f"trial-{length}"] = Condition(experiment=experiment, runs=evidence.of(experiment))
    return by_name


def experiments_of(selected: Iterable[Condition]) -> tuple[str, ...]:
    """Names of the experiments of the selected conditions, each once."""
    return tuple(dict.fromkeys(condition.experiment for condition in selected))
