"""The fifth set of predictions: does the account hold in other settings?

A cell is the runs of one weight in a group (`pwm.experiments.fifth`), episode length and variant.
Its slowdown is relative to the group's own light critic. Statements are those of `fifth` in
`paper/predictions.json`, in order; a cell of which fewer than half learned is right if the law's
time exceeds the budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import inf, nan

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.elsewhere import BIAS, NOTHING, huber_bias
from pwm.analysis.estimates import Estimate, interval, rate, rate_difference, resampled
from pwm.analysis.fourth import CENTRED_LEARN, MOST, NEAR, Statement
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import (
    LAW,
    Cell,
    experiments_of,
    fraction_right,
    root_mean_square,
)
from pwm.analysis.theory import value_floor
from pwm.analysis.times import median_time
from pwm.core.leak import critic_bias
from pwm.experiments import EXPERIMENTS
from pwm.experiments.fifth import WEIGHTS

PREFIX = "fifth-"
TARGETS = ("discount", "trial", "gae", "td")
BOOTSTRAPPED = ("gae", "td")
OPTIMISERS = ("adam-0.99", "adam-0.999")
BATCHES = ("batch-4", "batch-16", "batch-64", "batch-256")
NEAR_BIAS = (0.85, 1.15)
MEMORY = 1.25
"""Least ratio of times by which a longer memory of the optimiser would count as slower."""


@lru_cache(maxsize=1)
def fifth_cells(evidence: Evidence) -> tuple[Cell, ...]:
    """Every cell but those of the light critics."""
    return tuple(_cells(evidence))


def _cells(evidence: Evidence) -> Iterator[Cell]:
    """Yields the cells by group, steps, variant and weight."""
    predicted = predictions()["fifth"]["slowdown"]
    for group, steps in WEIGHTS:
        beginning = f"{PREFIX}{group}-{steps}-"
        light = evidence.of(beginning + "light")
        for name in EXPERIMENTS:
            if name.startswith(beginning) and not name.endswith("light"):
                runs = evidence.of(name)
                for weight in runs.weights:
                    yield Cell(
                        condition=f"{group}-{steps}",
                        variant=name.removeprefix(beginning).split("-")[0],
                        weight=weight,
                        runs=runs.at(critic_weight=weight),
                        light=light.at(critic_weight=light.weights[0]),
                        experiments=(name, beginning + "light"),
                        predicted=predicted.get(name, {}).get(f"{weight:g}", {}),
                    )


def of_groups(cells: Sequence[Cell], groups: Sequence[str], *variants: str) -> list[Cell]:
    """The cells of some groups and variants, or of all variants, that have a prediction."""
    return [
        cell
        for cell in cells
        if cell.condition.rpartition("-")[0] in groups
        and cell.variant in (variants or (cell.variant,))
        and cell.predicted
    ]


def the_cell(evidence: Evidence, condition: str, variant: str, weight: float) -> Cell:
    """The cell of a group and number of steps, a variant and a weight."""
    (found,) = (
        cell
        for cell in fifth_cells(evidence)
        if (cell.condition, cell.variant, cell.weight) == (condition, variant, weight)
    )
    return found
