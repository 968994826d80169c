"""Fourth set of predictions: the slowdown of each cell, and the verdict on each statement.

A cell is the runs of one critic weight in one condition and variant. The condition is a setting of
task, network and learning rate. The variant is the critic's start and returns: from zero ("raw"),
from the mean return ("mean"), from zero with centred returns ("centred"), or with a leak from zero
("attached") or from the leak's fixed point ("fixed-point"). Slowdowns are relative to a light
critic that starts at the mean return.

Statements are those of `right_if` and `refuted_if` of `fourth` in `paper/predictions.json`, in
order. As stated there, if fewer than half of a cell's runs learned, the law is right if the time
that it predicts exceeds the budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import inf, nan

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import Estimate, interval, rate
from pwm.analysis.evidence import Evidence
from pwm.analysis.predictions import predictions
from pwm.analysis.rivals import RIVALS
from pwm.analysis.slowdowns import LAW, Cell, experiments_of, fraction_right, root_mean_square
from pwm.analysis.starts import LIGHT, distance_cells, light_critic
from pwm.analysis.statements import Statement
from pwm.experiments.fourth import ATTACHED, CONDITIONS

# The criteria of `paper/predictions.json`:
NEAR = 1.5  # a predicted slowdown is right within this factor
NEAR_NOISE = 1.15  # the same for starts at the leak's fixed point
MOST = 0.75  # fraction of cells for which the law must be right
CENTRED_LEARN = 22 / 24  # fraction of seeds that must learn with centred returns
MIRRORED = ((-5.25, 15.75), (0.0, 10.5), (2.25, 8.25))
"""Pairs of starts at 60 steps, equally far below and above the mean return of 5.25."""
MIRRORED_WEIGHTS = (1.0, 10.0)  # those that were run from all of these starts


@lru_cache(maxsize=1)
def fourth_cells(evidence: Evidence) -> tuple[Cell, ...]:
    """All cells but the light critics, by condition; last, those that start above the mean."""
    cells = []
    for condition in CONDITIONS:
        attached = ("attached", "fixed-point") if condition in ATTACHED else ()
        for variant in ("raw", "mean", "centred", *attached):
            cells += _variant_cells(evidence, condition, variant)
    predicted = predictions()["fourth"]["slowdown"]["above"]
    runs = evidence.of("fourth-above")
    light = light_critic(evidence, runs.base.task)
    for start, weight in product(runs.axes["critic_start"], runs.weights):
        variant = f"start {start:g}"
        cells.append(
            Cell(
                condition="above",
                variant=variant,
                weight=weight,
                runs=runs.at(critic_start=start, critic_weight=weight),
                light=light,
                experiments=("fourth-above", "start-mean"),
                predicted=predicted[f"{variant}, {weight:g}"],
            )
        )
    return tuple(cells)


def _variant_cells(evidence: Evidence, condition: str, variant: str) -> list[Cell]:
    """Cells of a variant in a condition, by weight."""
    predicted = predictions()["fourth"]["slowdown"].get(condition, {})
    name, light_name = f"fourth-{condition}-{variant}", f"fourth-{condition}-mean"
    runs, light = evidence.of(name), evidence.of(light_name).at(critic_weight=LIGHT)
    return [
        Cell(
            condition=condition,
            variant=variant,
            weight=weight,
            runs=runs.at(critic_weight=weight),
            light=light,
            experiments=(name, light_name),
            predicted=predicted.get(f"{variant} {weight:g}", {}),
        )
        for weight in runs.weights
        if (variant, weight) != ("mean", LIGHT)  # these runs are the light critic
    ]


def of_variants(cells: Sequence[Cell], *variants: str) -> list[Cell]:
    """Cells of the given variants for which a slowdown was predicted."""
    return [cell for cell in cells if cell.variant in variants and cell.predicted]


def right_if(evidence: Evidence) -> Iterator[Statement]:
    """Yields the statements that must all be right for the fourth set of predictions to hold."""
    cells = fourth_cells(evidence)
    raw_and_mean = of_variants(cells, "raw", "mean")
    says = f"fraction of the raw and mean cells within a factor of {NEAR} of the law"
    yield _most_right("law-cells", says, raw_and_mean, NEAR)
    rival_errors = [root_mean_square(raw_and_mean, rival) for rival in RIVALS]
    least_rival_error = np.min(rival_errors, axis=0)  # in each resample: [1 + resamples]
    yield Statement(
        name="law-error",
        says="root mean square error of log S, law less the best rival",
        estimate=interval(root_mean_square(raw_and_mean, LAW) - least_rival_error),
        region=(-inf, 0.0),
        experiments=experiments_of(raw_and_mean),
    )
    says = f"attached from the fixed point: fraction of cells within a factor of {NEAR_NOISE}"
    yield _most_right("noise", says, of_variants(cells, "fixed-point"), NEAR_NOISE)
    centred = [cell for cell in cells if cell.variant == "centred" and cell.condition != "carried"]
    worst = min(centred, key=lambda cell: float(cell.runs.rate()))
    yield Statement(
        name="centred",
        says="centred, weights 10 and 100: least fraction that learns in a condition",
        estimate=rate(worst.runs.learned),
        region=(CENTRED_LEARN, 1.0),
        experiments=experiments_of(centred),
    )
    yield _carried(cells)


def _most_right(name: str, says: str, cells: Sequence[Cell], factor: float) -> Statement:
    """Statement that the law predicts the slowdowns of most cells within a factor."""
    return Statement(
        name=name,
        says=says,
        estimate=fraction_right(cells, factor),
        region=(MOST, inf),
        experiments=experiments_of(cells),
    )


def _carried(cells: Sequence[Cell]) -> Statement:
    """Statement about a state carried across trials, where centring helps less than elsewhere.

    It is right if a heavy centred critic is slow, or if three heavy critics are about equally slow
    whether they start at zero, start at the mean return, or have centred returns.
    """
    carried = {(cell.variant, cell.weight): cell for cell in cells if cell.condition == "carried"}
    centred = carried["centred", 100.0]
    heavy = [carried["raw", 30.0], carried["mean", 30.0], centred]
    slowdowns = [cell.slowdowns[0] for cell in heavy]  # of all seeds
    all_alike = all(cell.finished for cell in heavy) and max(slowdowns) < 2 * min(slowdowns)
    return Statement(
        name="carried",
        says="carried: slowdown of a centred critic of weight 100 (at least, if few learn)",
        estimate=interval(centred.least_slowdowns),
        region=(NEAR, inf),
        experiments=experiments_of(heavy),
        otherwise=bool(all_alike),
    )


def refuted_if(evidence: Evidence) -> Iterator[Statement]:
    """Yields statements each of which, if wrong, refutes the fourth set of predictions.

    The first compares rewards of 0.1 and 1 with critics of weight 30. Weight 30 was not run with
    reward 1 and a critic that starts at 0, so weight 20 stands in. A lighter critic learns faster,
    which makes the statement harder to pass.
    """
    cells = {(cell.condition, cell.variant, cell.weight): cell for cell in fourth_cells(evidence)}
    small_reward, large_reward = cells["reward-0.1", "raw", 30.0], cells["reward-10", "raw", 10.0]
    yield _reward_statement(evidence, small_reward, weight_at_1=20.0, region=(0.0, 1 / NEAR))
    yield _reward_statement(evidence, large_reward, weight_at_1=10.0, region=(NEAR, inf))
    yield _above_statement(distance_cells(evidence))
    slow = [cell for cell in cells.values() if cell.condition == "slow"]
    pairs = [(cell, cells["fast", cell.variant, cell.weight]) for cell in slow]
    factors = [_least_factor(slow_cell, fast_cell) for slow_cell, fast_cell in pairs]
    yield Statement(
        name="rates",
        says="largest ratio of slowdowns at learning rates 0.0005 and 0.0015",
        estimate=interval(np.max(factors, axis=0)),
        region=(1.0, NEAR),
        experiments=experiments_of(cell for pair in pairs for cell in pair),
    )


def _reward_statement(
    evidence: Evidence, cell: Cell, weight_at_1: float, region: tuple[float, float]
) -> Statement:
    """Statement about the slowdown of `cell` over the slowdown with a reward of 1.

    The latter is that of runs with episodes of the same length and the weight `weight_at_1`.
    """
    task = cell.runs.base.task
    runs = evidence.of("weight-0.001").at(
        episode_length=task.episode_length, baseline="detached", critic_weight=weight_at_1
    )
    at_1 = Cell(
        condition=f"{task.episode_length} steps",
        variant="raw",
        weight=weight_at_1,
        runs=runs,
        light=light_critic(evidence, runs.base.task),
        experiments=("weight-0.001", "start-mean"),
    )
    return Statement(
        name=f"reward-{task.reward:g}",
        says=f"{task.episode_length} steps: slowdown with reward {task.reward:g} over that with "
        "reward 1",
        estimate=interval(cell.least_slowdowns / at_1.least_slowdowns),
        region=region,
        experiments=experiments_of([cell, at_1]),
    )


def _above_statement(cells: Mapping[tuple[float, float], Cell]) -> Statement:
    """Statement about starts above the mean return, compared with starts equally far below.

    The number is a ratio of two sums of log S over pairs of cells. Pairs of which neither slowdown
    is known are left out. `cells` are by start and weight.
    """
    pairs = [
        (cells[low, weight], cells[high, weight])
        for low, high in MIRRORED
        for weight in MIRRORED_WEIGHTS
    ]
    known = [(low, high) for low, high in pairs if low.finished or high.finished]
    below = np.log([low.least_slowdowns for low, _ in known]).sum(axis=0)
    above = np.log([high.least_slowdowns for _, high in known]).sum(axis=0)
    return Statement(
        name="above",
        says="log S of starts above the mean over that of starts as far below",
        estimate=interval(above / below) if known else Estimate(nan),
        region=(0.5, inf),
        experiments=experiments_of(cell for pair in pairs for cell in pair),
    )


def _least_factor(one: Cell, other: Cell) -> NDArray[np.float64]:
    """Least possible ratio of the larger slowdown to the smaller: [1 + resamples].

    An unknown slowdown may have any value from `Cell.least_slowdowns` on. If it is the only unknown
    one, the ratio is at least this bound over the known slowdown. The ratio is never below 1.
    """
    ratio = one.least_slowdowns / other.least_slowdowns
    known_one, known_other = np.isfinite(one.slowdowns), np.isfinite(other.slowdowns)
    least_factor = np.select(
        [known_one & known_other, known_other, known_one],
        [np.maximum(ratio, 1 / ratio), ratio, 1 / ratio],
        default=1.0,  # if both are unknown, they may be equal
    )
    return np.asarray(np.maximum(least_factor, 1.0))
