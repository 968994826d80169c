"""Measured slowdowns, and the errors of the accounts that predict them: the law and its rivals.

The slowdown S of a cell is its median time to learn over that of a light detached critic that
starts at the mean return, in the same condition. Every number is computed for the seeds as they are
and for each bootstrap resample of them, so that accounts are compared on the same seeds. The result
is an array [1 + resamples], from which `pwm.analysis.estimates.interval` makes an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import RESAMPLES, Estimate, resampled
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.times import median_time

LAW = "law"
"""The account of `pwm.analysis.climb`, next to its rivals."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Runs of one setting, [S], and those of the light critic to compare them with, [S]."""

    condition: str
    variant: str
    """The critic's start, or its returns."""
    weight: float
    runs: Outcomes
    light: Outcomes
    experiments: tuple[str, ...]
    predicted: Mapping[str, float] = field(default_factory=dict)
    """Predicted slowdown, by account."""

    @cached_property
    def slowdowns(self) -> NDArray[np.float64]:
        """Slowdown S: [1 + resamples]; inf where fewer than half of the seeds ever learned."""
        with np.errstate(invalid="ignore"):
            return _medians(self.runs) / self._reference

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """Largest slowdown that the budget lets one measure: [1 + resamples]."""
        return np.asarray(self.runs.base.num_episodes / self._reference)

    @property
    def least_slowdowns(self) -> NDArray[np.float64]:
        """Slowdown or, where it is unknown, the bound that it exceeds: [1 + resamples]."""
        return np.where(np.isfinite(self.slowdowns), self.slowdowns, self.bounds)

    @property
    def finished(self) -> bool:
        """Whether half of the seeds learned, so that the slowdown is known."""
        return bool(np.isfinite(self.slowdowns[0]))

    @property
    def informative(self) -> bool:
        """Whether the cell tests the law: half of the seeds learned, or should have."""
        return self.finished or self.predicted[LAW] < self.bounds[0]

    def errors(self, account: str = LAW) -> NDArray[np.float64]:
        """Logarithm of the slowdown over an account's prediction: [1 + resamples].

        Where the slowdown is unknown, it exceeds the bound. The smallest possible error is then
        returned: of the bound, or 0 if the prediction exceeds the bound too.
        """
        predicted = self.predicted[account]
        unknown = np.maximum(np.log(self.bounds / predicted), 0.0)
        with np.errstate(divide="ignore"):
            known = np.log(self.slowdowns / predicted)
        return np.where(np.isfinite(self.slowdowns), known, unknown)

    def right(self, factor: float) -> bool:
        """Whether the law's prediction is within a factor of the slowdown, as far as known."""
        return bool(abs(self.errors()[0]) <= np.log(factor))

    @property
    def _reference(self) -> NDArray[np.float64]:
        """Median time of the light critic: [1 + resamples]; nan where most seeds failed."""
        times = _medians(self.light)
        return np.where(np.isfinite(times), times, np.nan)


def _medians(runs: Outcomes) -> NDArray[np.float64]:
    """Median time to learn of some runs, [S], and of each resample of them: [1 + resamples]."""
    times = runs.time
    return median_time(times[resampled(len(times))])


def root_mean_square(cells: Sequence[Cell], account: str = LAW) -> NDArray[np.float64]:
    """Root mean square over cells of an account's errors: [1 + resamples]; nan without cells."""
    if not cells:
        return np.full(1 + RESAMPLES, np.nan)
    squares = np.square([cell.errors(account) for cell in cells])
    known = np.isfinite(squares)
    total = np.where(known, squares, 0.0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(total / known.sum(axis=0)))


def measured_over_predicted(cells: Sequence[Cell]) -> NDArray[np.float64]:
    """Geometric mean over cells of measured over predicted slowdown: [1 + resamples]."""
    if not cells:
        return np.full(1 + RESAMPLES, np.nan)
    return np.asarray(np.exp(np.mean([cell.errors() for cell in cells], axis=0)))


def leaving_one_out(cells: Sequence[Cell], one: str, other: str) -> Estimate:
    """Difference of two accounts' errors, and its range when each condition is left out in turn."""

    def difference(kept: Sequence[Cell]) -> float:
        """Error of the first account minus that of the other, over some cells."""
        return float(root_mean_square(kept, one)[0] - root_mean_square(kept, other)[0])

    without = [
        difference([cell for cell in cells if cell.condition != left_out])
        for left_out in {cell.condition for cell in cells}
    ]
    return Estimate(difference(cells), min(without), max(without))


def fraction_right(cells: Sequence[Cell], factor: float) -> Estimate:
    """Fraction of cells for which the law is `right` within a factor."""
    return Estimate(float(np.mean([cell.right(factor) for cell in cells])))


def experiments_of(cells: Iterable[Cell]) -> tuple[str, ...]:
    """The experiments of some cells, each once."""
    return tuple(dict.fromkeys(name for cell in cells for name in cell.experiments))
