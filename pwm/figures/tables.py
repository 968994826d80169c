"""Tables of the numbers behind the figures, and their text as CSV."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import trim_mean

from pwm.analysis.estimates import (
    interval,
    rate_difference,
    resampled,
    resampled_medians,
    success_rate,
)
from pwm.analysis.outcomes import Outcomes
from pwm.training.history import METRICS, History

Table = list[Sequence[Any]]
"""Rows of a table; in a whole table, the first row is the heading."""
SUCCESS = ("critic_weight", "learned", "seeds", "rate", "wilson_low", "wilson_high")
"""Columns of a row of success rates: the critic weight, then the fields of a `SuccessRate`."""


def as_csv(table: Sequence[Sequence[Any]]) -> bytes:
    """A table as CSV, with six significant digits in each floating-point number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in table:
        writer.writerow(
            f"{value:.6g}" if isinstance(value, float | np.floating) else value for value in row
        )
    return text.getvalue().encode()


def learned_table(runs: Outcomes) -> Table:
    """Table of success, time to learn and value loss by critic weight.

    The columns after the success rate:

    - `heaviest_gain`: success rate at the heaviest weight minus that at this one;
    - `reward`: interquartile mean of the final reward;
    - `episodes`: median time to learn, inf if fewer than half of the seeds ever learned;
    - `peak_value_loss`: largest windowed mean of the value loss, median over seeds;
    - `solved`: number of seeds with a final reward above 0.95;
    - `solved_value_loss`: median final value loss of those seeds; nan if there are none.

    `heaviest_gain`, `reward` and `episodes` have 95% intervals. The axes of the runs are critic
    weight and seed.
    """
    names = [*SUCCESS]
    for estimated in ("heaviest_gain", "reward", "episodes"):
        names += [estimated, f"{estimated}_low", f"{estimated}_high"]
    table: Table = [(*names, "peak_value_loss", "solved", "solved_value_loss")]
    heaviest = runs.at(critic_weight=runs.weights[-1]).learned
    for weight in runs.weights:
        part = runs.at(critic_weight=weight)
        reward = part.reward  # (S,)
        reward_means = np.asarray(trim_mean(reward[resampled(len(reward))], 0.25, axis=-1))
        solved = reward > 0.95
        row = (
            weight,
            *success_rate(part.learned),
            *rate_difference(heaviest, part.learned),
            *interval(reward_means),
            *interval(resampled_medians(part.time)),
            np.median(part.peak_value_loss),
            int(solved.sum()),
            np.median(part.value_loss[solved]) if solved.any() else np.nan,
        )
        table.append(row)
    return table


def quartiles(curves: NDArray[np.float32]) -> NDArray[np.float64]:
    """Quartiles [3, K] over R curves [R, K], of finite values only; nan where there are none."""
    finite = np.where(np.isfinite(curves), curves.astype(np.float64), np.nan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanquantile(finite, [0.25, 0.5, 0.75], axis=0)


def coarsened(history: History, points: int = 100) -> History:
    """A history averaged over groups of consecutive windows, all of the same size.

    The size is the largest that leaves at least `points` groups; a history with fewer windows keeps
    all of them. Windows left over at the end are dropped, and so are all diagnostics.
    """
    size = max(len(history.episode) // points, 1)  # windows per group
    groups = len(history.episode) // size
    num_kept = groups * size  # windows
    curves = {
        name: history.curves[name][:, :num_kept].reshape(-1, groups, size).mean(axis=2)
        for name in METRICS
    }
    last_episodes = history.episode[size - 1 : num_kept : size]  # of each group
    return History.of_curves(last_episodes, curves)
