"""Conditions that were run with either baseline, and what attached runs should do by rival laws.

Each rival says that the leak slows learning by sqrt(1 + (k / w)²) and what sets k; all of them
have it from the condition at 15 steps and learning rate 0.001, and everything else from the
detached runs of the condition itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pwm.edges import resampled_edges, resampled_estimate
from pwm.evidence import Evidence, point
from pwm.outcomes import Outcomes
from pwm.quoted import predictions
from pwm.speed import slowed
from pwm.stats import Estimate
from pwm.theory import noise_weight

LIGHTEST_HEAVY = 20.0  # greatest weight, beside a sum, that a lower edge is looked for at
LEAST_PLATEAU = 0.25  # success that some weight must reach for there to be an edge


@dataclass(frozen=True)
class Condition:
    """Attached and detached runs of one setting, by weight and seed."""

    group: str
    """The kind of conditions that it is one of."""
    experiment: str
    steps: int
    """An episode."""
    trial_length: int
    runs: Outcomes

    @property
    def attached(self) -> Outcomes:
        """The runs with a leak."""
        return self.runs.at(loss__baseline="attached")

    @property
    def detached(self) -> Outcomes:
        """The runs without."""
        return self.runs.at(loss__baseline="detached")

    @property
    def share(self) -> float:
        """A weight here over the same weight beside a sum."""
        return 1.0 if self.runs.base.loss.policy_reduction == "sum" else 1 / self.steps

    @property
    def noise(self) -> float:
        """Weight at which the leak's bias is the standard deviation of the return."""
        return self.share * noise_weight(self.steps, self.trial_length)

    def foretold(self, rival: str) -> NDArray[np.bool_]:
        """Which seeds should learn attached, by a rival: [W, S]."""
        runs = self.runs
        return slowed(runs.weights, self.detached.time, runs.base.num_episodes, RIVALS[rival](self))

    @cached_property
    def edges(self) -> NDArray[np.float64] | None:
        """The lower edge, then that of each resample; None if too few learn at any weight."""
        if self.attached.rate()[: self._light()].max() < LEAST_PLATEAU:
            return None
        return self._edges(self.attached.learned)

    @property
    def edge(self) -> Estimate:
        """The lower edge with its interval; nan if there is none."""
        return point(np.nan) if self.edges is None else resampled_estimate(self.edges)

    def edges_by(self, rival: str) -> NDArray[np.float64]:
        """The lower edge by a rival, then that of each resample, of the seeds of `edges`."""
        return self._edges(self.foretold(rival))

    def errors(self, rival: str) -> NDArray[np.float64]:
        """How wrong a rival is about the fraction that learns at some time: [W]."""
        measured = np.isfinite(self.attached.time).mean(axis=-1)
        return np.asarray(np.abs(self.foretold(rival).mean(axis=-1) - measured))

    def _light(self) -> int:
        """How many weights are below the upper edge."""
        return sum(weight <= LIGHTEST_HEAVY * self.share for weight in self.runs.weights)

    def _edges(self, learned: NDArray[np.bool_]) -> NDArray[np.float64]:
        return light_edges(self.runs.weights, learned, self.share)


def light_edges(
    weights: Sequence[float], learned: NDArray[np.bool_], share: float = 1.0
) -> NDArray[np.float64]:
    """The lower edge among weights that are not beyond the upper one, and its resamples.

    Args:
        weights: critic weights, ascending, [W].
        learned: whether each seed learned at each weight, [W, S].
        share: a weight here over the same weight beside a sum.
    """
    light = sum(weight <= LIGHTEST_HEAVY * share for weight in weights)
    return resampled_edges(weights[:light], learned[:light], np.random.default_rng(0))


def _constant() -> float:
    return float(predictions()["third"]["noise_constant"])


def _fitted() -> float:
    """The weight beside a sum that slows by sqrt(2) at 15 steps, where it was fitted."""
    return _constant() * noise_weight(15, 3)


RIVALS: Mapping[str, Callable[[Condition], float]] = MappingProxyType(
    {
        "ratio": lambda condition: _constant() * condition.noise,
        "steps": lambda condition: _fitted() * condition.share * condition.steps / 15,
        "fixed": lambda condition: _fitted() * condition.share,
    }
)
"""What sets k: the ratio of the bias to the return's standard deviation; the bias, which is
proportional to the steps; or the weight alone. Each in a convention that does not ask whether the
policy loss is a sum."""


def conditions(evidence: Evidence) -> dict[str, Condition]:
    """All of them by name."""
    found = {}
    for group, name in (
        ("lengths", "weight-0.001"),
        ("fast", "weight-0.005"),
        ("mean", "mean"),
        ("held-out", "held-out"),
    ):
        runs = evidence.of(name)
        for steps in runs.axes["task.episode_length"]:
            part = runs.at(task__episode_length=steps)
            found[f"{group}-{steps}"] = Condition(group, name, steps, 3, part)
    for length in (2, 4, 6):
        name = f"trial-length-{length}"
        found[f"trial-{length}"] = Condition("trial", name, 5 * length, length, evidence.of(name))
    return found
