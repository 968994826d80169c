"""What a claim is, and the evidence for it: outcomes of experiments and statistics of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import Estimate
from pwm.analysis.outcomes import Outcomes, outcomes
from pwm.engines import EngineName
from pwm.experiments import chosen
from pwm.runs.experiment import Size
from pwm.runs.storage import Store

LOW_WEIGHTS = (0.02, 0.05, 0.1)
MIDDLE_WEIGHTS = (2.0, 3.0, 5.0)
RESAMPLES = 400


@dataclass(frozen=True)
class Claim:
    """A number, and where it must lie."""

    name: str
    says: str
    """What follows from the number being in its band."""
    estimate: Estimate
    low: float
    """Least value with which the sentence is true."""
    high: float
    experiments: tuple[str, ...]
    digits: int = 2

    @property
    def holds(self) -> bool:
        """Whether the number is in its band."""
        return self.low <= self.estimate.value <= self.high

    @property
    def text(self) -> str:
        """As the paper prints it."""
        # adding nothing makes zero of what is below it by a rounding
        rounded = (round(part, self.digits) + 0.0 for part in self.estimate)
        value, low, high = (f"{part:,.{self.digits}f}" for part in rounded)
        return value if math.isnan(self.estimate.low) else f"{value} [{low}, {high}]"


class Evidence:
    """Outcomes of experiments, read once each.

    Args:
        store: holds all runs.
        size: of the experiments.
        engine: what trained them.
    """

    def __init__(self, store: Store, size: Size = "paper", engine: EngineName = "fused") -> None:
        self._store, self._size, self._engine = store, size, engine
        self._kept: dict[str, Outcomes] = {}

    def of(self, name: str) -> Outcomes:
        """Outcomes of the experiment of that name."""
        if name not in self._kept:
            (experiment,) = chosen((name,), self._size, self._engine)
            self._kept[name] = outcomes(experiment, self._store)
        return self._kept[name]


def at_weights(part: Outcomes, weights: Sequence[float]) -> NDArray[np.bool_]:
    """Who learned at some critic weights: [weights, ..., S]."""
    return np.stack([part.at(critic_weight=weight).learned for weight in weights])
