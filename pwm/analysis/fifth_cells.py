"""The fifth set of predictions: does the account hold in other settings?

A cell is the runs of one weight in a group (`pwm.experiments.fifth`), episode length and variant.
Its slowdown is relative to the group's own light critic. Statements are those of `fifth` in
`paper/predictions.json`, in order; a cell of which fewer than half learned is right if the law's
time exceeds the budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import resampled
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import LAW, Cell
from pwm.analysis.times import median_time
from pwm.experiments import EXPERIMENTS
from pwm.experiments.fifth import WEIGHTS

PREFIX = "fifth-"  # of the experiments' names


@lru_cache(maxsize=1)
def fifth_cells(evidence: Evidence) -> tuple[Cell, ...]:
    """Every cell of the fifth set except those of the light critics."""
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
    """The cells with a prediction, of some groups, and of some variants or of all."""
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


def light_times(evidence: Evidence, groups: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Median time of the light critics over the law's, by group and steps: [1 + resamples]."""
    predicted = predictions()["fifth"]["light"]
    return {
        name: median(evidence.of(f"{PREFIX}{name}-light")) / predicted[name][LAW]
        for name in (f"{group}-{steps}" for group, steps in WEIGHTS if group in groups)
    }


def median(runs: Outcomes) -> NDArray[np.float64]:
    """Median time to learn of the runs of one cell: [1 + resamples]."""
    times = runs.time.reshape(-1)
    return median_time(times[resampled(len(times))])


def predicted_bias(cell: Cell) -> NDArray[np.float64]:
    """Bias of each seed's critic, predicted from its entropy and success: [S]."""
    terms = predictions()["fifth"]["bias"][cell.experiments[0]]
    per_success, per_nat = terms[f"{cell.weight:g}"]
    return np.asarray(per_success * cell.runs.reward + per_nat * cell.runs.entropy)


def bias_ratio(
    measured: NDArray[np.float64], predicted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Logarithm of the ratio of two means over seeds: [1 + resamples] from [S] and [S]."""
    least = 1e-9  # for a logarithm, even of a mean that is not positive
    return np.asarray(np.log(np.maximum(means(measured), least) / means(predicted)))


def means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the seeds as they are and over each resample: [1 + resamples] from [S]."""
    return np.asarray(values[resampled(len(values))].mean(axis=-1))
