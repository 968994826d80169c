"""Cells of the fifth set of predictions: runs in other settings, and their light critics.

A cell is the runs of one weight, group, episode length and variant; `pwm.experiments.fifth` lists
the groups and variants. Its slowdown is its median time to learn over that of the variant `light`
(detached, with a small weight) of the same group and length.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import resampled_means, resampled_medians
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import Cell
from pwm.experiments import EXPERIMENTS
from pwm.experiments.fifth import WEIGHTS

LEAST_BIAS = 1e-9  # smaller means of measured biases are raised to it, to have a logarithm


@lru_cache(maxsize=1)
def fifth_cells(evidence: Evidence) -> tuple[Cell, ...]:
    """All cells but the light critics, ordered by group, steps, variant and weight.

    Cached with their slowdowns, so that `Evidence.read` records the runs behind a slowdown only for
    the first claim or figure that uses it.
    Experiments are found by the beginnings of their names; `pwm.experiments.fifth` names them.
    """
    predicted = predictions()["fifth"]["slowdown"]
    cells = []
    for group, steps in WEIGHTS:
        prefix = f"fifth-{group}-{steps}-"
        light_name = f"{prefix}light"
        light = evidence.of(light_name)
        names = [name for name in EXPERIMENTS if name.startswith(prefix) and name != light_name]
        for name in names:
            runs = evidence.of(name)
            cells += [
                Cell(
                    condition=f"{group}-{steps}",
                    variant=name.removeprefix(prefix).split("-")[0],  # a weight may follow
                    weight=weight,
                    runs=runs.at(critic_weight=weight),
                    light=light.at(critic_weight=light.weights[0]),
                    experiments=(name, light_name),
                    predicted=predicted.get(name, {}).get(f"{weight:g}", {}),  # {}: no prediction
                )
                for weight in runs.weights
            ]
    return tuple(cells)


def of_groups(cells: Sequence[Cell], groups: Sequence[str], *variants: str) -> list[Cell]:
    """Cells that have a prediction, of these groups and, if any are given, of these variants."""
    return [
        cell
        for cell in cells
        if cell.predicted  # none: carried states, a leak with a Huber loss, SGD at weight 1000
        and cell.condition.rpartition("-")[0] in groups  # a condition is "GROUP-STEPS"
        and (not variants or cell.variant in variants)
    ]


def the_cell(evidence: Evidence, condition: str, variant: str, weight: float) -> Cell:
    """The cell of a condition (group and steps, such as "td-60"), variant and weight."""
    cells = {(cell.condition, cell.variant, cell.weight): cell for cell in fifth_cells(evidence)}
    return cells[condition, variant, weight]


def median_times(runs: Outcomes) -> NDArray[np.float64]:
    """Median number of episodes to learn, over runs that differ only in seed: [1 + resamples].

    It is inf where fewer than half of the seeds ever learned.
    """
    return resampled_medians(runs.time.ravel())  # all axes but the seed have one value: (S,)


def predicted_biases(cell: Cell) -> NDArray[np.float64]:
    """Critic bias, in reward, predicted from each seed's final entropy and rewarded trials: [S].

    Only for attached cells with discounted, bootstrapped or single-trial returns.
    """
    by_weight = predictions()["fifth"]["bias"][cell.experiments[0]]
    per_success, per_nat = by_weight[f"{cell.weight:g}"]  # see `pwm.analysis.elsewhere.bias_terms`
    return np.asarray(per_success * cell.runs.reward + per_nat * cell.runs.entropy)


def log_bias_ratio(
    measured: NDArray[np.float64], predicted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log ratio of mean measured to mean predicted bias, [1 + resamples], given biases by seed."""
    positive = np.maximum(resampled_means(measured), LEAST_BIAS)
    return np.log(positive / resampled_means(predicted))
