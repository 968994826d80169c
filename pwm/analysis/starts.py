"""Cells by the critic's initial value: its fixed point under the leak, the mean return, or another.

A cell is the runs of one setting and critic weight (`pwm.analysis.slowdowns.Cell`). The leak is the
policy loss's gradient with respect to the values.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.climb import Setting, climb_slowdown
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.rivals import rival_slowdowns
from pwm.analysis.slowdowns import LAW, Cell
from pwm.analysis.theory import noise_weight, slowdown
from pwm.core.task import TaskConfig
from pwm.experiments.grids import TRIAL_LENGTHS
from pwm.training.config import TrainConfig

LIGHT = 0.1  # critic weight of the light critic, to which slowdowns are relative
DISTANCE_STEPS = 60  # steps per episode of `distance_cells`
MEAN_RETURN = 5.25  # at 60 steps, of a policy that is rewarded in half of the trials
CLEAR = 1.2  # predicted slowdown above which the leak's noise can be estimated


def light_critic(evidence: Evidence, task: TaskConfig) -> Outcomes:
    """Runs of a light detached critic from the mean return at `task`'s lengths, rate 0.001: [S]."""
    suffix = "" if task.trial_length == 3 else f"-trial-{task.trial_length}"
    runs = evidence.of(f"start-mean{suffix}")
    return runs.at(episode_length=task.episode_length, critic_weight=LIGHT)


def fixed_point_cells(evidence: Evidence) -> Iterator[Cell]:
    """Yields the cells with an attached baseline whose critics start at their fixed point."""
    experiments = ("start-fixed-point", "start-mean")  # of the attached and of the light critics
    grid = evidence.of(experiments[0])
    for steps in grid.axes["episode_length"]:
        yield from _noise_cells(evidence, f"{steps}", experiments, grid.at(episode_length=steps))
    for length in TRIAL_LENGTHS:
        experiments = (f"start-fixed-point-trial-{length}", f"start-mean-trial-{length}")
        runs = evidence.of(experiments[0])
        yield from _noise_cells(evidence, f"trial-{length}", experiments, runs)


def _noise_cells(
    evidence: Evidence, condition: str, experiments: tuple[str, ...], runs: Outcomes
) -> Iterator[Cell]:
    """Yields a cell for each weight of `runs`, with the slowdown that the leak's noise predicts."""
    task = runs.base.task
    noise = noise_weight(task.num_steps, task.trial_length)
    for weight in runs.weights:
        yield Cell(
            condition=condition,
            variant="fixed-point",
            weight=weight,
            runs=runs.at(critic_weight=weight),
            light=light_critic(evidence, task),
            experiments=experiments,
            predicted={LAW: slowdown(bias=noise / weight)},
        )


def leak_constant(cells: list[Cell], *, at_least: bool = False) -> NDArray[np.float64]:
    """Factor on the noise weight that fits the slowdowns of one condition: [1 + resamples].

    By the theory, only the leak's noise slows a critic that starts at its fixed point, by a factor
    S = sqrt(1 + (noise weight / w)²) at critic weight w. The noise weight is thus proportional to
    sqrt(S² - 1), and a cell gives the ratio of this root for the measured and the predicted S. The
    result is the median over the cells, at least one, with a predicted S above `CLEAR`; nan if none
    has a known S. If `at_least`, an unknown S predicted below its lower bound counts as the bound.
    """
    factors = []
    for cell in cells:
        predicted = cell.predicted[LAW]
        if predicted > CLEAR:
            exceeds = cell.bounds > predicted
            if_unknown = np.where(exceeds, cell.bounds, np.nan) if at_least else np.nan
            measured = np.where(np.isfinite(cell.slowdowns), cell.slowdowns, if_unknown)
            excess = np.maximum(measured**2 - 1, 0)  # 0 if learning is not slowed at all
            factors.append(np.sqrt(excess / (predicted**2 - 1)))
    with catch_warnings(action="ignore", category=RuntimeWarning):  # no slowdown is known
        return np.asarray(np.nanmedian(factors, axis=0))


def setting_of(run: TrainConfig, start: float) -> Setting:
    """A run's `Setting` from `start`, as if with summed policy loss, whole returns and RMSprop."""
    return Setting(
        steps=run.task.num_steps,
        critic_weight=run.critic_weight,
        start=start,
        trial_length=run.task.trial_length,
        learning_rate=run.learning_rate,
        hidden_size=run.agent.hidden_size,
        reward=run.task.reward,
        attached=run.loss.baseline == "attached",
    )


def distance_cells(evidence: Evidence) -> dict[tuple[float, float], Cell]:
    """Cells with a detached baseline at 60 steps, by the critic's initial value and weight."""
    from_zero = evidence.of("weight-0.001").at(baseline="detached", episode_length=DISTANCE_STEPS)
    from_mean = evidence.of("start-mean").at(episode_length=DISTANCE_STEPS)
    other_starts = evidence.of("distance")
    by_start = {0.0: ("weight-0.001", from_zero), MEAN_RETURN: ("start-mean", from_mean)}
    for start in other_starts.axes["critic_start"]:
        by_start[start] = ("distance", other_starts.at(critic_start=start))
    cells = {}
    for start, (experiment, runs) in sorted(by_start.items()):
        for weight in runs.weights:
            at_weight = runs.at(critic_weight=weight)
            cells[start, weight] = climb_cell(evidence, experiment, at_weight, start)
    return cells


def grid_cells(evidence: Evidence, baseline: str) -> Iterator[Cell]:
    """Yields the cells of the experiment `weight-0.001` with one baseline; critics start at 0."""
    runs = evidence.of("weight-0.001").at(baseline=baseline)
    for steps in runs.axes["episode_length"]:
        for weight in runs.weights:
            at_weight = runs.at(episode_length=steps, critic_weight=weight)
            yield climb_cell(evidence, "weight-0.001", at_weight, 0.0)


def climb_cell(evidence: Evidence, experiment: str, runs: Outcomes, start: float) -> Cell:
    """Cell of runs (trials of 3 steps, learning rate 0.001) with slowdowns predicted by the law.

    The law (`climb_slowdown`) has the critic climb from `start` to its fixed point, which a leak
    raises above the mean return. For a detached baseline, the law's rivals predict slowdowns too.
    """
    run = runs.base
    return Cell(
        condition=f"{run.task.episode_length}",
        variant=f"start {start:g}",
        weight=run.critic_weight,
        runs=runs,
        light=light_critic(evidence, run.task),
        experiments=tuple(dict.fromkeys((experiment, "start-mean"))),  # each once
        predicted=_predicted(setting_of(run, start)),
    )


@cache
def _predicted(setting: Setting) -> dict[str, float]:
    """Slowdowns predicted by the law of the climb and, for a detached baseline, by its rivals."""
    rivals = {} if setting.attached else rival_slowdowns(setting)
    return {LAW: climb_slowdown(setting), **rivals}
