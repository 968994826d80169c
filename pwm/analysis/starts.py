"""Cells by the critic's start: at the leak's fixed point, at the mean return, or elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.climb import Setting, climb_slowdown
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.rivals import RIVALS
from pwm.analysis.slowdowns import LAW, Cell
from pwm.analysis.theory import noise_weight, slowdown
from pwm.core.config import TrainConfig
from pwm.core.task import TaskConfig

LIGHT = 0.1
"""Weight of the light critic that slowdowns are relative to."""
TRIAL_LENGTHS = (2, 4, 6)
DISTANCE_STEPS = 60
CLEAR = 1.2  # smallest predicted slowdown from which the noise can be estimated


def light_critic(evidence: Evidence, task: TaskConfig) -> Outcomes:
    """The light detached critic that starts at the mean return, at learning rate 0.001: [S]."""
    if task.trial_length == 3:
        runs = evidence.of("start-mean").at(episode_length=task.episode_length)
    else:
        runs = evidence.of(f"start-mean-trial-{task.trial_length}")
    return runs.at(critic_weight=LIGHT)


def fixed_point_cells(evidence: Evidence) -> Iterator[Cell]:
    """Yields attached cells that start at the leak's fixed point."""
    runs = evidence.of("start-fixed-point")
    for steps in runs.axes["episode_length"]:
        experiments = ("start-fixed-point", "start-mean")
        yield from _noise_cells(evidence, f"{steps}", experiments, runs.at(episode_length=steps))
    for length in TRIAL_LENGTHS:
        experiments = (f"start-fixed-point-trial-{length}", f"start-mean-trial-{length}")
        yield from _noise_cells(
            evidence, f"trial-{length}", experiments, evidence.of(experiments[0])
        )


def _noise_cells(
    evidence: Evidence, condition: str, experiments: tuple[str, ...], runs: Outcomes
) -> Iterator[Cell]:
    """Yields a condition's cells by weight, with the slowdown by noise alone, nothing fitted."""
    task = runs.base.task
    noise = noise_weight(task.episode_length, task.trial_length)
    for weight in runs.weights:
        yield Cell(
            condition=condition,
            variant="fixed-point",
            weight=weight,
            runs=runs.at(critic_weight=weight),
            light=light_critic(evidence, task),
            experiments=experiments,
            predicted={LAW: slowdown(noise / weight)},
        )


def leak_constant(cells: list[Cell]) -> NDArray[np.float64]:
    """Factor on the noise weight that fits the slowdowns of one condition: [1 + resamples].

    Each cell for which the law predicts a clear slowdown gives a factor; their median counts.
    """
    factors = []
    for cell in cells:
        predicted = cell.predicted[LAW]
        if predicted > CLEAR:
            squares = np.where(np.isfinite(cell.slowdowns), cell.slowdowns, np.nan) ** 2 - 1
            factors.append(np.sqrt(np.maximum(squares, 0) / (predicted**2 - 1)))
    with catch_warnings(action="ignore", category=RuntimeWarning):  # no cell finished
        return np.asarray(np.nanmedian(factors, axis=0))


def setting_of(run: TrainConfig, start: float) -> Setting:
    """The law's setting for a run; `start` is the value that its critic starts at."""
    return Setting(
        steps=run.task.episode_length,
        critic_weight=run.critic_weight,
        start=start,
        trial_length=run.task.trial_length,
        learning_rate=run.learning_rate,
        hidden_size=run.agent.hidden_size,
        reward=run.task.reward,
        attached=run.loss.baseline == "attached",
    )


def distance_cells(evidence: Evidence) -> dict[tuple[float, float], Cell]:
    """Detached cells at 60 steps, by the critic's start and weight."""
    at = {"episode_length": DISTANCE_STEPS}
    far = evidence.of("distance")
    mean = Setting(steps=DISTANCE_STEPS, critic_weight=0.0).fixed_point
    parts = {
        0.0: ("weight-0.001", evidence.of("weight-0.001").at(**at, baseline="detached")),
        mean: ("start-mean", evidence.of("start-mean").at(**at)),
    }
    parts |= {start: ("distance", far.at(critic_start=start)) for start in far.axes["critic_start"]}
    return {
        (start, weight): _climb_cell(evidence, name, runs.at(critic_weight=weight), start)
        for start, (name, runs) in sorted(parts.items())
        for weight in runs.weights
    }


def published_cells(evidence: Evidence, baseline: str) -> Iterator[Cell]:
    """Yields the cells of the first study's grid, at learning rate 0.001; critics start at 0."""
    runs = evidence.of("weight-0.001").at(baseline=baseline)
    for steps in runs.axes["episode_length"]:
        for weight in runs.weights:
            cell = runs.at(episode_length=steps, critic_weight=weight)
            yield _climb_cell(evidence, "weight-0.001", cell, 0.0)


def _climb_cell(evidence: Evidence, name: str, runs: Outcomes, start: float) -> Cell:
    """A cell with the slowdowns that the law of the climb and its rivals predict."""
    run = runs.base
    return Cell(
        condition=f"{run.task.episode_length}",
        variant=f"start {start:g}",
        weight=run.critic_weight,
        runs=runs,
        light=light_critic(evidence, run.task),
        experiments=(name, "start-mean"),
        predicted=_predicted(setting_of(run, start)),
    )


@cache
def _predicted(setting: Setting) -> dict[str, float]:
    """The slowdown according to the law of the climb and, if detached, to its rivals."""
    rivals = {} if setting.attached else {name: law(setting) for name, law in RIVALS.items()}
    return {LAW: climb_slowdown(setting), **rivals}
