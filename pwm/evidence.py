"""What a claim is, and the evidence for it: outcomes of experiments and statistics of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pwm.engines import Engine
from pwm.experiments import chosen
from pwm.grid import Size
from pwm.outcomes import Outcomes, outcomes
from pwm.stats import Estimate, SuccessRate, success_rate
from pwm.store import Store

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

    def __init__(self, store: Store, size: Size = "paper", engine: Engine = "fused") -> None:
        self._store, self._size, self._engine = store, size, engine
        self._kept: dict[str, Outcomes] = {}

    def of(self, name: str) -> Outcomes:
        """Outcomes of the experiment of that name."""
        if name not in self._kept:
            (experiment,) = chosen((name,), self._size, self._engine)
            self._kept[name] = outcomes(experiment, self._store)
        return self._kept[name]


def rate_of(learned: NDArray[np.bool_]) -> SuccessRate:
    """Fraction of seeds that learned in one cell, [S]."""
    (seeds,) = learned.shape
    return success_rate(int(learned.sum()), seeds)


def rate_over_cells(learned: NDArray[np.bool_]) -> Estimate:
    """Fraction of runs that learned over cells [..., S] of the same seeds, which are resampled.

    Where all of them did, or none, resampling says nothing: the interval is that of one cell.
    """
    seeds = learned.shape[-1]
    value = float(learned.mean())
    if value in {0.0, 1.0}:
        return as_estimate(success_rate(int(value * seeds), seeds))

    def rate(chosen: NDArray[np.intp]) -> float:
        return float(learned[..., chosen].mean())

    return of_resampled_seeds(rate, seeds, np.random.default_rng(0))


def point(value: float) -> Estimate:
    """A number that has no interval."""
    return Estimate(value, math.nan, math.nan)


def as_estimate(rate: SuccessRate) -> Estimate:
    """A fraction and its interval."""
    return Estimate(rate.rate, rate.low, rate.high)


def at_weights(part: Outcomes, weights: Sequence[float]) -> NDArray[np.bool_]:
    """Who learned at some critic weights: [weights, ..., S]."""
    return np.stack([part.at(critic_weight=weight).learned for weight in weights])


def difference_of_seeds(
    one: NDArray[np.bool_], other: NDArray[np.bool_], random: np.random.Generator
) -> Estimate:
    """Difference of two rates over conditions [C, S] of the same seeds, which are resampled."""
    gain = one.mean(axis=0) - other.mean(axis=0)
    chosen = random.integers(len(gain), size=(2000, len(gain)))
    low, high = np.quantile(gain[chosen].mean(axis=1), [0.025, 0.975])
    return Estimate(float(gain.mean()), float(low), float(high))


def median(values: NDArray[np.float64], tail: float) -> Estimate:
    """Median, with quantiles that leave out a tail at either end."""
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan)
    low, middle, high = np.quantile(values, [tail, 0.5, 1 - tail])
    return Estimate(float(middle), float(low), float(high))


def of_resampled_seeds(
    statistic: Callable[[NDArray[np.intp]], float], seeds: int, random: np.random.Generator
) -> Estimate:
    """A statistic of some seeds, with the interval that resampling them gives.

    Args:
        statistic: of the numbers of the seeds that are taken.
        seeds: how many there are.
        random: draws the resamples.
    """
    chosen = random.integers(seeds, size=(RESAMPLES, seeds))
    with np.errstate(divide="ignore", invalid="ignore"):  # of times that are infinite
        value = statistic(np.arange(seeds))
        found = np.array([statistic(part) for part in chosen])
    known = found[~np.isnan(found)]
    if not len(known):
        return Estimate(value, math.nan, math.nan)
    low, high = np.quantile(known, [0.025, 0.975], method="inverted_cdf")
    return Estimate(value, float(low), float(high))
