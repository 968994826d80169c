"""Settings run with both baselines, and the predictions of rival laws of the lower edge.

Each rival says that the leak slows learning by sqrt(1 + (k / w)²) at critic weight w, and what
determines the noise weight k. All rivals are fitted to the same condition, 15 steps at learning
rate 0.001, and take everything else from the detached runs of the condition that they predict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.edges import lower_edges
from pwm.analysis.estimates import Estimate, interval
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import fitted_law, learned_when_slowed
from pwm.analysis.theory import noise_weight
from pwm.core.leak import policy_factor

LARGEST_LIGHT = 20.0  # greatest weight at which a lower edge is sought, for a summed policy loss
LEAST_PLATEAU = 0.25  # success rate that some weight must reach for there to be an edge
FITTED_STEPS = 15
EXPERIMENTS: Mapping[str, str] = MappingProxyType(
    {"lengths": "weight-0.001", "fast": "weight-0.005", "mean": "mean", "held-out": "held-out"}
)
"""Experiments by group of conditions; each episode length of an experiment is a condition."""
TRIAL_LENGTHS = (2, 4, 6)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Runs of one setting with two baselines, W critic weights and S seeds: [2, W, S]."""

    group: str
    """Kind of condition, for instance "lengths", "trial" or "held-out"."""
    experiment: str
    runs: Outcomes

    @property
    def steps(self) -> int:
        """T, steps per episode."""
        return self.runs.base.task.episode_length

    @property
    def attached(self) -> Outcomes:
        """The runs with an attached baseline, and so with a leak: [W, S]."""
        return self.runs.at(baseline="attached")

    @property
    def detached(self) -> Outcomes:
        """The runs with a detached baseline: [W, S]."""
        return self.runs.at(baseline="detached")

    @property
    def policy_factor(self) -> float:
        """The factor c of the policy loss: 1 if it is a sum over steps, 1/T if it is a mean."""
        return policy_factor(self.steps, self.runs.base.loss.policy_reduction)

    @property
    def noise_weight(self) -> float:
        """Weight at which the leak's bias equals the standard deviation of the return."""
        base = self.runs.base
        return noise_weight(self.steps, base.task.trial_length, base.loss.policy_reduction)

    def learned_if_slowed(self, noise: float) -> NDArray[np.bool_]:
        """Whether detached runs would learn if slowed by sqrt(1 + (noise / w)²): [W, S]."""
        budget = self.runs.base.num_episodes
        return learned_when_slowed(self.runs.weights, self.detached.time, budget, noise)

    def predicted(self, rival: str) -> NDArray[np.bool_]:
        """Whether attached runs should learn, according to a rival: [W, S]."""
        return self.learned_if_slowed(RIVALS[rival](self))

    @property
    def ever_learned(self) -> NDArray[np.float64]:
        """Fraction of attached seeds that learned at any time: [W]."""
        return np.asarray(np.isfinite(self.attached.time).mean(axis=-1))

    @cached_property
    def edges(self) -> NDArray[np.float64] | None:
        """The lower edge and its resamples, [1 + resamples]; None if too few runs learn."""
        learned = self.attached.learned
        num_light = _num_light(self.runs.weights, self.policy_factor)
        best_rate = learned[:num_light].mean(axis=-1).max()
        return self._edges(learned) if best_rate >= LEAST_PLATEAU else None

    @property
    def edge(self) -> Estimate:
        """The lower edge with its interval; nan if there is none."""
        return Estimate(np.nan) if self.edges is None else interval(self.edges)

    def edges_by(self, rival: str) -> NDArray[np.float64]:
        """The lower edge according to a rival, and its resamples: [1 + resamples]."""
        return self._edges(self.predicted(rival))

    def errors(self, predicted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Absolute error of the predicted fraction of seeds that learn: [W] from [W, S]."""
        return np.asarray(np.abs(predicted.mean(axis=-1) - self.ever_learned))

    def _edges(self, learned: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The lower edge and its resamples, [1 + resamples], from whether runs learned, [W, S]."""
        return light_edges(self.runs.weights, learned, self.policy_factor)


def light_edges(
    weights: Sequence[float], learned: NDArray[np.bool_], policy_factor: float = 1.0
) -> NDArray[np.float64]:
    """The lower edge, sought only among weights too light for the upper edge to matter.

    Args:
        weights: critic weights, ascending, [W].
        learned: whether each seed learned at each weight, [W, S].
        policy_factor: c, the factor of each step's term of the policy loss.
    Returns:
        The edge for the seeds as they are and for each resample, [1 + resamples].
    """
    light = _num_light(weights, policy_factor)
    return lower_edges(weights[:light], learned[:light])


def _num_light(weights: Sequence[float], policy_factor: float) -> int:
    """Number of critic weights, from the first on, among which the lower edge is sought."""
    return sum(weight <= LARGEST_LIGHT * policy_factor for weight in weights)


def _ratio(condition: Condition) -> float:
    """Noise weight that grows with the bias over the return's standard deviation."""
    return fitted_law().noise_constant * condition.noise_weight


def _steps(condition: Condition) -> float:
    """Noise weight that grows with the bias, which is proportional to the number of steps."""
    return _fixed(condition) * condition.steps / FITTED_STEPS


def _fixed(condition: Condition) -> float:
    """Noise weight that is the same everywhere."""
    return fitted_law().noise_weight(FITTED_STEPS) * condition.policy_factor


RIVALS: Mapping[str, Callable[[Condition], float]] = MappingProxyType(
    {"ratio": _ratio, "steps": _steps, "fixed": _fixed}
)
"""Rival accounts of the noise weight k of a condition. All include the factor c, so that they do
not depend on whether the policy loss is a sum or a mean."""


@lru_cache(maxsize=1)
def conditions(evidence: Evidence) -> dict[str, Condition]:
    """All conditions, by group and steps: "lengths-15" per episode, but "trial-4" per trial."""
    found = {}
    for group, name in EXPERIMENTS.items():
        runs = evidence.of(name)
        for steps in runs.axes["episode_length"]:
            of_length = runs.at(episode_length=steps)
            found[f"{group}-{steps}"] = Condition(group=group, experiment=name, runs=of_length)
    for length in TRIAL_LENGTHS:
        name = f"trial-length-{length}"
        runs = evidence.of(name)
        found[f"trial-{length}"] = Condition(group="trial", experiment=name, runs=runs)
    return found


def experiments_of(some: Iterable[Condition]) -> tuple[str, ...]:
    """The experiments of some conditions, each once."""
    return tuple(dict.fromkeys(condition.experiment for condition in some))
