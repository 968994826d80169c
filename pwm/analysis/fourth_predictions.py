"""Fourth set of predictions: the slowdown of each cell, and the verdict on each statement.

A cell is the runs of one critic weight in one condition and variant. The condition is a setting of
task, network and learning rate. The variant says where the critic starts: at zero ("raw"), at the
mean return ("mean"), above it ("start 7.5", "start 9"), at zero with centred returns ("centred")
or, with a leak, at zero ("attached") or at the leak's fixed point ("fixed-point").

A slowdown S is a cell's median time to learn over that with a light detached critic that starts at
the mean return.

Statements are in the order of `right_if` and `refuted_if` in `paper/predictions.json` (`fourth`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from math import inf, nan

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import Estimate, interval, rate
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import predictions
from pwm.analysis.rivals import RIVALS
from pwm.analysis.slowdowns import LAW, Cell, experiments_of, fraction_right, root_mean_square
from pwm.analysis.starts import LIGHT, climb_cell, distance_cells, light_critic
from pwm.analysis.statements import Statement
from pwm.experiments.fourth import ATTACHED, CONDITIONS

# The criteria of `paper/predictions.json`:
NEAR = 1.5  # a predicted slowdown is right within this factor
NEAR_NOISE = 1.15  # the same for starts at the leak's fixed point
MOST = 0.75  # fraction of cells for which the law must be right
ALIKE = 2.0  # slowdowns that differ by a smaller factor are about equal
CENTRED_LEARN = 22 / 24  # fraction of seeds that must learn with centred returns
MIRRORED = ((-5.25, 15.75), (0.0, 10.5), (2.25, 8.25))
"""Pairs of starts at 60 steps, equally far below and above the mean return of 5.25."""
MIRRORED_WEIGHTS = (1.0, 10.0)  # critic weights that were run from all of these starts
STATEMENTS: Mapping[str, tuple[str, tuple[float, float]]] = {
    "law-cells": (
        f"fraction of the raw and mean cells within a factor of {NEAR} of the law",
        (MOST, inf),
    ),
    "law-error": ("root mean square error of log S, law less the best rival", (-inf, 0.0)),
    "noise": (
        f"attached from the fixed point: fraction of cells within a factor of {NEAR_NOISE}",
        (MOST, inf),
    ),
    "centred": (
        "centred, weights 10 and 100: least fraction that learns in a condition",
        (CENTRED_LEARN, 1.0),
    ),
    "carried": (
        "carried: slowdown of a centred critic of weight 100 (at least, if few learn)",
        (NEAR, inf),
    ),
    "reward-0.1": ("60 steps: slowdown with reward 0.1 over that with reward 1", (0.0, 1 / NEAR)),
    "reward-10": ("15 steps: slowdown with reward 10 over that with reward 1", (NEAR, inf)),
    "above": ("log S of starts above the mean over that of starts as far below", (0.5, inf)),
    "rates": ("largest ratio of slowdowns at learning rates 0.0005 and 0.0015", (1.0, NEAR)),
}
"""The number that each statement is about (S: slowdown), and the range in which it is right."""


@lru_cache(maxsize=1)
def fourth_cells(evidence: Evidence) -> tuple[Cell, ...]:
    """All cells but those of light critics, by condition; those that start above the mean are last.

    Cached with their slowdowns, so that `Evidence.read` records the runs behind a slowdown only for
    the first claim or figure that uses it.
    """
    cells: list[Cell] = []
    for condition in CONDITIONS:
        attached = ("attached", "fixed-point") if condition in ATTACHED else ()
        for variant in ("raw", "mean", "centred", *attached):
            experiments = (f"fourth-{condition}-{variant}", f"fourth-{condition}-mean")
            runs, from_mean = (evidence.of(name) for name in experiments)
            light = from_mean.at(critic_weight=LIGHT)
            cells += _cells_by_weight(condition, variant, experiments, runs, light)
    runs = evidence.of("fourth-above")
    light = light_critic(evidence, runs.base.task)
    for start in runs.axes["critic_start"]:
        from_start = runs.at(critic_start=start)
        experiments = ("fourth-above", "start-mean")
        cells += _cells_by_weight("above", f"start {start:g}", experiments, from_start, light)
    return tuple(cells)


def _cells_by_weight(
    condition: str, variant: str, experiments: tuple[str, ...], runs: Outcomes, light: Outcomes
) -> Iterator[Cell]:
    """Yields a cell for each weight of the runs, except for the light critic."""
    predicted = predictions()["fourth"]["slowdown"].get(condition, {})
    separator = ", " if condition == "above" else " "  # in the names of the predictions
    for weight in runs.weights:
        if (variant, weight) != ("mean", LIGHT):  # these runs are the light critic
            yield Cell(
                condition=condition,
                variant=variant,
                weight=weight,
                runs=runs.at(critic_weight=weight),
                light=light,
                experiments=experiments,
                predicted=predicted.get(f"{variant}{separator}{weight:g}", {}),
            )


def of_variants(cells: Sequence[Cell], *variants: str) -> list[Cell]:
    """Cells of the given variants with a predicted slowdown."""
    return [cell for cell in cells if cell.variant in variants and cell.predicted]


def _statement(name: str, estimate: Estimate, cells: Iterable[Cell]) -> Statement:
    """Statement `name`, with its measured number and the experiments of the cells."""
    says, region = STATEMENTS[name]
    return Statement(
        name=name, says=says, estimate=estimate, region=region, experiments=experiments_of(cells)
    )


def right_if(evidence: Evidence) -> Iterator[Statement]:
    """Yields the statements that must all be right for the fourth set of predictions to hold."""
    cells = fourth_cells(evidence)
    raw_and_mean = of_variants(cells, "raw", "mean")
    yield _statement("law-cells", fraction_right(raw_and_mean, NEAR), raw_and_mean)
    rival_errors = [root_mean_square(raw_and_mean, rival) for rival in RIVALS]
    least_rival_error = np.min(rival_errors, axis=0)  # of each resample: [1 + resamples]
    margin = root_mean_square(raw_and_mean, LAW) - least_rival_error
    yield _statement("law-error", interval(margin), raw_and_mean)
    noisy = of_variants(cells, "fixed-point")
    yield _statement("noise", fraction_right(noisy, NEAR_NOISE), noisy)
    centred = [cell for cell in cells if cell.variant == "centred" and cell.condition != "carried"]
    worst = min(centred, key=lambda cell: float(cell.runs.rate()))
    yield _statement("centred", rate(worst.runs.learned), centred)
    yield _carried(cells)


def _carried(cells: Sequence[Cell]) -> Statement:
    """Statement that centring helps less than elsewhere if the state is carried across trials.

    It is right if a heavy centred critic is slow, or if critics that start at zero, start at the
    mean return or have centred returns are all about equally slow (`ALIKE`), each at the largest
    weight that was run.
    """
    carried = {(cell.variant, cell.weight): cell for cell in cells if cell.condition == "carried"}
    centred = carried["centred", 100.0]
    heavy = [carried["raw", 30.0], carried["mean", 30.0], centred]
    slowdowns = [cell.slowdowns[0] for cell in heavy]  # for the original seeds
    all_alike = all(cell.finished for cell in heavy) and max(slowdowns) < ALIKE * min(slowdowns)
    statement = _statement("carried", interval(centred.least_slowdowns), heavy)
    return replace(statement, otherwise=bool(all_alike))


def refuted_if(evidence: Evidence) -> Iterator[Statement]:
    """Yields statements each of which, if wrong, refutes the fourth set of predictions.

    The first compares rewards of 0.1 and 1 at critic weight 30. With reward 1 and a start at 0,
    weight 30 was not run, so weight 20 stands in. With a lighter critic, runs learn faster, which
    makes the statement harder to pass.
    """
    cells = {(cell.condition, cell.variant, cell.weight): cell for cell in fourth_cells(evidence)}
    yield _reward_statement(evidence, cells["reward-0.1", "raw", 30.0], weight_at_1=20.0)
    yield _reward_statement(evidence, cells["reward-10", "raw", 10.0], weight_at_1=10.0)
    yield _above_statement(distance_cells(evidence))
    # The conditions "slow" and "fast" differ in the learning rate: 0.0005 and 0.0015
    low_rate = [cell for cell in cells.values() if cell.condition == "slow"]
    pairs = [(cell, cells["fast", cell.variant, cell.weight]) for cell in low_rate]
    factors = [_least_factor(low, high) for low, high in pairs]  # [1 + resamples] each
    yield _statement("rates", interval(np.max(factors, axis=0)), chain.from_iterable(pairs))


def _reward_statement(evidence: Evidence, cell: Cell, weight_at_1: float) -> Statement:
    """Statement about the slowdown of `cell` over that at reward 1 and weight `weight_at_1`."""
    detached = evidence.of("weight-0.001").at(baseline="detached", critic_weight=weight_at_1)
    runs = detached.at(episode_length=cell.runs.base.task.episode_length)
    at_1 = climb_cell(evidence, "weight-0.001", runs, start=0.0)
    ratio = cell.least_slowdowns / at_1.least_slowdowns
    return _statement(cell.condition, interval(ratio), [cell, at_1])


def _above_statement(cells: Mapping[tuple[float, float], Cell]) -> Statement:
    """Statement about starts above the mean return, compared with starts equally far below.

    The number is the sum of log S above over the sum below; an unknown S counts as its lower bound.
    Pairs in which neither S is known are left out. Keys of `cells` are start and weight.
    """
    pairs = [
        (cells[low, weight], cells[high, weight])
        for low, high in MIRRORED
        for weight in MIRRORED_WEIGHTS
    ]
    known_pairs = [(low, high) for low, high in pairs if low.finished or high.finished]
    below = np.log([low.least_slowdowns for low, _ in known_pairs]).sum(axis=0)
    above = np.log([high.least_slowdowns for _, high in known_pairs]).sum(axis=0)
    estimate = interval(above / below) if known_pairs else Estimate(nan)
    return _statement("above", estimate, chain.from_iterable(pairs))


def _least_factor(one: Cell, other: Cell) -> NDArray[np.float64]:
    """Lower bound on the ratio of the larger slowdown to the smaller: [1 + resamples].

    An unknown slowdown is only known to be at least `Cell.least_slowdowns`. If one of the two is
    unknown, the ratio is at least its bound over the known slowdown. The ratio is never below 1; it
    is nan where a light critic did not learn, unless the other slowdown is unknown.
    """
    ratio = one.least_slowdowns / other.least_slowdowns
    if_other_known = np.where(np.isfinite(other.slowdowns), ratio, 1.0)
    if_one_known = np.where(np.isfinite(one.slowdowns), 1 / ratio, 1.0)
    return np.maximum(np.maximum(if_one_known, if_other_known), 1.0)
