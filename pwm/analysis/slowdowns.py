"""Measured slowdowns, and the errors of the accounts that predict them: the law and its rivals.

A cell is the runs of one setting and critic weight. Its slowdown is their median time to learn
divided by that of a light detached critic that starts at its fixed point, usually the mean return.
Numbers are arrays [1 + resamples], for the original seeds and for bootstrap resamples of them, so
accounts are compared on the same seeds; `pwm.analysis.estimates.interval` makes estimates of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import RESAMPLES, Estimate, interval, resampled_medians
from pwm.analysis.learning import FINAL_EPISODES
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.statements import Statement

LAW = "law"
"""Name of the account under test, the law of `pwm.analysis.climb`; the others are its rivals."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Runs of one setting and weight, [S], and the light critic's, [S], to compare them with."""

    condition: str
    """Name of the setting apart from the critic, for instance its number of steps per episode."""
    variant: str
    """Name of the critic's start, of its returns or of its leak."""
    weight: float
    runs: Outcomes
    light: Outcomes
    experiments: tuple[str, ...]  # of both kinds of runs
    predicted: Mapping[str, float] = field(default_factory=dict)
    """Predicted slowdown by account; empty if there is no prediction."""
    earlier: float = 0.0
    """Episodes subtracted from every time, and so from the budget: see `by_middle`."""

    @cached_property
    def slowdowns(self) -> NDArray[np.float64]:
        """Slowdown: [1 + resamples]; inf where fewer than half of the cell's seeds ever learned.

        It is nan where fewer than half of the light critic's seeds did.
        """
        return (resampled_medians(self.runs.time) - self.earlier) / self._light_median

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """Largest slowdown that can be measured within the runs' budget: [1 + resamples]."""
        return np.asarray((self.runs.base.num_episodes - self.earlier) / self._light_median)

    @property
    def least_slowdowns(self) -> NDArray[np.float64]:
        """Slowdown or, where it is unknown, its lower bound (`bounds`): [1 + resamples]."""
        return np.where(np.isfinite(self.slowdowns), self.slowdowns, self.bounds)

    @property
    def estimate(self) -> Estimate:
        """Slowdown with the interval of `least_slowdowns`; if unknown, its lower bound alone."""
        least = self.least_slowdowns
        return interval(least) if self.finished else Estimate(float(least[0]))

    @property
    def finished(self) -> bool:
        """Whether the slowdown is known: the cell and its light critic have finite medians."""
        return bool(np.isfinite(self.slowdowns[0]))

    @property
    def informative(self) -> bool:
        """Whether the slowdown tests the law: it is known, or predicted to be below the bound."""
        return self.finished or self.predicted[LAW] < self.bounds[0]

    def errors(self, account: str = LAW) -> NDArray[np.float64]:
        """Logarithm of the slowdown over an account's prediction of it: [1 + resamples].

        An unknown slowdown exceeds its bound (`bounds`). Its error is the smallest possible: that
        of the bound, or 0 if the prediction exceeds the bound too. The error is nan where fewer
        than half of the light critic's seeds ever learned.
        """
        predicted = self.predicted[account]
        smallest = np.maximum(np.log(self.bounds / predicted), 0.0)
        errors = np.log(self.slowdowns / predicted)
        return np.where(np.isfinite(self.slowdowns), errors, smallest)

    def right(self, factor: float, account: str = LAW) -> bool:
        """Whether an account is right within a factor, by its first error; False if that is nan.

        A prediction above the bound of an unknown slowdown is right (`errors`).
        """
        return bool(abs(self.errors(account)[0]) <= np.log(factor))

    @property
    def _light_median(self) -> NDArray[np.float64]:
        """Light critic's median time to learn less `earlier`, nan if infinite: [1 + resamples]."""
        times = resampled_medians(self.light.time) - self.earlier
        return np.where(np.isfinite(times), times, np.nan)


def by_middle(cells: Iterable[Cell]) -> list[Cell]:
    """The same cells, with times to the middle of the 500 episodes that first met the criterion."""
    return [replace(cell, earlier=FINAL_EPISODES / 2) for cell in cells]


def root_mean_square(cells: Sequence[Cell], account: str = LAW) -> NDArray[np.float64]:
    """Root mean square of an account's errors over cells: [1 + resamples]; nan without cells.

    For the original seeds and in each resample, cells whose error is nan are left out.
    """
    if not cells:
        return np.full(1 + RESAMPLES, np.nan)
    squares = np.square([cell.errors(account) for cell in cells])  # (cells, 1 + resamples)
    has_error = np.isfinite(squares)
    total = np.where(has_error, squares, 0.0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(total / has_error.sum(axis=0)))


def measured_over_predicted(cells: Sequence[Cell]) -> NDArray[np.float64]:
    """Geometric mean over cells of measured over predicted slowdown: [1 + resamples].

    Predictions are the law's. Unknown slowdowns count as in `Cell.errors`. It is nan without cells,
    and where fewer than half of a light critic's seeds ever learned.
    """
    if not cells:
        return np.full(1 + RESAMPLES, np.nan)
    return np.asarray(np.exp(np.mean([cell.errors(LAW) for cell in cells], axis=0)))


def leaving_one_out(cells: Sequence[Cell], one: str, other: str) -> Estimate:
    """Error (`root_mean_square`) of account `one` minus that of `other`, over all cells.

    The interval ranges from the smallest to the largest difference when each condition is left out
    in turn.
    """

    def difference(some: Sequence[Cell]) -> float:
        """Error of account `one` minus that of `other`, over some cells."""
        return float(root_mean_square(some, one)[0] - root_mean_square(some, other)[0])

    differences = []
    for left_out in {cell.condition for cell in cells}:
        kept = [cell for cell in cells if cell.condition != left_out]
        differences.append(difference(kept))
    return Estimate(difference(cells), min(differences), max(differences))


def fraction_right(cells: Sequence[Cell], factor: float) -> Estimate:
    """Fraction of cells for which the law is right within a factor (see `Cell.right`)."""
    return Estimate(float(np.mean([cell.right(factor) for cell in cells])))


def experiments_of(measured: Iterable[Cell | Statement]) -> tuple[str, ...]:
    """Names of the experiments of cells or statements, each once."""
    return tuple(dict.fromkeys(name for each in measured for name in each.experiments))
