"""Conditions run with both baselines, and what rival laws predict of their attached runs.

Each rival says that the leak slows learning by sqrt(1 + (k / w)²), and what determines k. All
rivals are fitted to the same condition, 15 steps at learning rate 0.001, and take everything else
from the detached runs of the condition that they predict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.edges import lower_edges
from pwm.analysis.estimates import Estimate, interval
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.predictions import fitted_law, learned_when_slowed
from pwm.analysis.theory import noise_weight

LIGHTEST_HEAVY = 20.0  # greatest weight, next to a summed loss, at which a lower edge is sought
LEAST_PLATEAU = 0.25  # success that some weight must reach for there to be an edge
FITTED_STEPS = 15


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Attached and detached runs of one setting, by weight and seed."""

    group: str
    """The kind of conditions that it belongs to."""
    experiment: str
    runs: Outcomes

    @property
    def steps(self) -> int:
        """T, steps per episode."""
        return self.runs.base.task.episode_length

    @property
    def attached(self) -> Outcomes:
        """The runs with a leak."""
        return self.runs.at(baseline="attached")

    @property
    def detached(self) -> Outcomes:
        """The runs without."""
        return self.runs.at(baseline="detached")

    @property
    def policy_factor(self) -> float:
        """The paper's c: 1 where the policy loss is a sum over steps, 1/T where it is a mean."""
        return 1.0 if self.runs.base.loss.policy_reduction == "sum" else 1 / self.steps

    @property
    def noise(self) -> float:
        """Weight at which the leak's bias equals the standard deviation of the return."""
        return self.policy_factor * noise_weight(self.steps, self.runs.base.task.trial_length)

    def predicted(self, rival: str) -> NDArray[np.bool_]:
        """Which seeds should learn with an attached baseline, according to a rival: [W, S]."""
        budget = self.runs.base.num_episodes
        noise = RIVALS[rival](self)
        return learned_when_slowed(self.runs.weights, self.detached.time, budget, noise)

    @cached_property
    def edges(self) -> NDArray[np.float64] | None:
        """The lower edge and its resamples, [1 + resamples]; None if too few runs learn."""
        light = self.attached.rate()[: num_light(self.runs.weights, self.policy_factor)]
        return self._edges(self.attached.learned) if light.max() >= LEAST_PLATEAU else None

    @property
    def edge(self) -> Estimate:
        """The lower edge with its interval; nan if there is none."""
        return Estimate(np.nan) if self.edges is None else interval(self.edges)

    def edges_by(self, rival: str) -> NDArray[np.float64]:
        """The lower edge according to a rival and its resamples, [1 + resamples]."""
        return self._edges(self.predicted(rival))

    def errors(self, rival: str) -> NDArray[np.float64]:
        """A rival's absolute error of the fraction of seeds that ever learned: [W]."""
        measured = np.isfinite(self.attached.time).mean(axis=-1)
        return np.asarray(np.abs(self.predicted(rival).mean(axis=-1) - measured))

    def _edges(self, learned: NDArray[np.bool_]) -> NDArray[np.float64]:
        return light_edges(self.runs.weights, learned, self.policy_factor)


def num_light(weights: Sequence[float], policy_factor: float) -> int:
    """How many critic weights are below the upper edge."""
    return sum(weight <= LIGHTEST_HEAVY * policy_factor for weight in weights)


def light_edges(
    weights: Sequence[float], learned: NDArray[np.bool_], policy_factor: float = 1.0
) -> NDArray[np.float64]:
    """The lower edge among weights below the upper edge, and its resamples.

    Args:
        weights: critic weights, ascending, [W].
        learned: whether each seed learned at each weight, [W, S].
        policy_factor: c, the factor before each step's term of the policy loss.
    Returns:
        [1 + resamples].
    """
    light = num_light(weights, policy_factor)
    return lower_edges(weights[:light], learned[:light])


def _noise_where_fitted() -> float:
    """Weight at which the leak slows learning by sqrt(2) where the law was fitted."""
    return fitted_law().noise_weight(FITTED_STEPS)


RIVALS: Mapping[str, Callable[[Condition], float]] = MappingProxyType(
    {
        "ratio": lambda condition: fitted_law().noise_constant * condition.noise,
        "steps": lambda condition: (
            _noise_where_fitted() * condition.policy_factor * condition.steps / FITTED_STEPS
        ),
        "fixed": lambda condition: _noise_where_fitted() * condition.policy_factor,
    }
)
"""What determines k: the ratio of the bias to the return's standard deviation; the bias, which is
proportional to the number of steps; or the weight alone. The factor c makes each independent of
whether the policy loss is a sum or a mean."""


def conditions(evidence: Evidence) -> dict[str, Condition]:
    """All conditions by name."""
    found = {}
    for group, name in (
        ("lengths", "weight-0.001"),
        ("fast", "weight-0.005"),
        ("mean", "mean"),
        ("held-out", "held-out"),
    ):
        runs = evidence.of(name)
        for steps in runs.axes["episode_length"]:
            part = runs.at(episode_length=steps)
            found[f"{group}-{steps}"] = Condition(group=group, experiment=name, runs=part)
    for length in (2, 4, 6):
        name = f"trial-length-{length}"
        part = evidence.of(name)
        found[f"trial-{length}"] = Condition(group="trial", experiment=name, runs=part)
    return found
