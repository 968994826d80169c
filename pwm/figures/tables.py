"""Tables of the numbers behind the figures, and their form as CSV."""

from __future__ import annotations

import csv
import hashlib
import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import trim_mean

from pwm.analysis.estimates import over_seeds, rate_difference, success_rate
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.times import median_time
from pwm.core.history import METRICS, History

Table = list[Sequence[Any]]
"""Rows of a table, the heading first."""
SUCCESS = ("critic_weight", "learned", "seeds", "rate", "wilson_low", "wilson_high")
SOLVED = 0.95  # final reward of a seed that solves the task
POINTS = 100  # least number of points in a coarsened curve, if it has so many


def as_csv(table: Sequence[Sequence[Any]]) -> bytes:
    """A table as CSV, with six significant digits."""
    text = io.StringIO()
    rows = ([_cell(value) for value in row] for row in table)
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    """A value as printed: floating-point numbers with six significant digits."""
    return f"{value:.6g}" if isinstance(value, float | np.floating) else value


def digest(table: Sequence[Sequence[Any]]) -> str:
    """A hash of the numbers in a table."""
    return hashlib.sha256(as_csv(table)).hexdigest()[:16]


def success_rows(weights: Sequence[float], learned: NDArray[np.bool_]) -> Table:
    """Rows of success at each weight, for the heading `SUCCESS`.

    Args:
        weights: critic weights, [W].
        learned: whether each seed learned, [W, S].
    """
    return [(weight, *success_rate(seeds)) for weight, seeds in zip(weights, learned, strict=True)]


def learned_table(runs: Outcomes) -> Table:
    """Success, time to learn and value loss at each weight.

    The columns after the success rate:

    - `heaviest_gain`: success rate of the heaviest weight minus that of this one;
    - `reward`: interquartile mean of the final reward;
    - `episodes`: median time to learn, inf if fewer than half of the seeds learned;
    - `peak_value_loss`: largest windowed mean of the value loss, median over seeds;
    - `solved`: number of seeds with a final reward above 0.95;
    - `solved_value_loss`: median final value loss of those seeds.

    The first three have 95% intervals.

    Args:
        runs: runs by critic weight and seed.
    """
    intervals = (f"{name}{end}" for name in ("heaviest_gain", "reward", "episodes")
                 for end in ("", "_low", "_high"))  # fmt: skip
    table: Table = [(*SUCCESS, *intervals, "peak_value_loss", "solved", "solved_value_loss")]
    heaviest = runs.at(critic_weight=runs.weights[-1]).learned
    for row, weight in zip(success_rows(runs.weights, runs.learned), runs.weights, strict=True):
        part = runs.at(critic_weight=weight)
        estimates = (
            rate_difference(heaviest, part.learned),
            _interquartile_mean(part.reward),
            _median_time(part.time),
        )
        peak = np.median(part.peak_value_loss)
        solved = part.reward > SOLVED
        solved_loss = np.median(part.value_loss[solved]) if solved.any() else np.nan
        numbers = [number for estimate in estimates for number in estimate]
        table.append((*row, *numbers, peak, int(solved.sum()), solved_loss))
    return table


def _interquartile_mean(values: NDArray[np.float64]) -> Sequence[float]:
    """Interquartile mean over seeds [S], with its interval."""
    return over_seeds(
        lambda chosen: np.asarray(trim_mean(values[chosen], 0.25, axis=-1)), len(values)
    )


def _median_time(times: NDArray[np.float64]) -> Sequence[float]:
    """Median time to learn over seeds [S], with its interval."""
    return over_seeds(lambda chosen: median_time(times[chosen]), len(times))


def quartiles(curves: NDArray[np.float32]) -> NDArray[np.float64]:
    """Quartiles over replicas in each window, without values that are not finite.

    Args:
        curves: one curve per replica, [R, K].
    Returns:
        The quartiles, [3, K]; nan where no value is finite.
    """
    finite = np.where(np.isfinite(curves), curves.astype(np.float64), np.nan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanquantile(finite, [0.25, 0.5, 0.75], axis=0)


def coarsened(history: History, points: int = POINTS) -> History:
    """A history averaged over equal groups of windows: at least `points` groups, if it has so many.

    The last windows are dropped if they do not fill a group, and so are the diagnostics.
    """
    windows = max(len(history.episode) // points, 1)
    groups = len(history.episode) // windows
    kept = groups * windows
    return History(
        history.episode[windows - 1 : kept : windows],
        *(
            history.curves[name][:, :kept].reshape(-1, groups, windows).mean(axis=2)
            for name in METRICS
        ),
    )
