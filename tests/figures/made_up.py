"""Stored experiments for tests of the figures, and functions that read what a figure shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from pwm.analysis.outcomes import Outcomes
from pwm.core.task import TaskConfig
from pwm.experiments import chosen
from pwm.figures.notes import Row
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig
from pwm.training.history import METRICS, History
from tests.support.histories import made_up, session

EXPERIMENT = Experiment(
    name="made-up",
    about="none",
    base=TrainConfig(num_episodes=2000),
    axes={"critic_weight": (2.0, 10.0), "seed": (0, 1, 2, 3)},
    notes_seeds=2,
)
WINDOWS = 200
LEARNED = {2.0: 1, 10.0: 3}  # number of the four seeds that learned, by critic weight
SOLVED = {2.0: 0, 10.0: 2}  # number of these seeds that solved the task


def histories() -> dict[float, History]:
    """History of four seeds by critic weight; the last seeds learned or solved the task."""
    made = {}
    for number, weight in enumerate(LEARNED):
        history = made_up(4, WINDOWS, seed=number)
        level = np.full((4, 1), 0.5, np.float32)
        level[4 - LEARNED[weight] :] = 0.8
        level[4 - SOLVED[weight] :] = 0.96
        made[weight] = replace(
            history,
            reward=level + history.reward * np.float32(0.04),
            value_loss=50 * history.value_loss,
            policy_loss=20 * history.policy_loss - 10,
        )
    return made


def rows(stimulus_set: str = "pwm5") -> list[Row]:
    """A row per critic weight, with the made-up histories."""
    task = TaskConfig(stimulus_set=stimulus_set)
    return [
        Row(run=TrainConfig(critic_weight=weight, task=task), history=history)
        for weight, history in histories().items()
    ]


def stored_runs(folder: Path) -> Outcomes:
    """Stores the experiment with the made-up histories in a folder; returns its outcomes."""
    store = Store(folder)
    (shard,) = plan(EXPERIMENT)
    parts = histories().values()
    curves = {name: np.concatenate([part.curves[name] for part in parts]) for name in METRICS}
    history = History.of_curves(next(iter(parts)).episode, curves)
    store.put(shard, history, [session(1, 2000)])
    return Outcomes.of(EXPERIMENT, store)


def quantile(values: Sequence[float], part: float) -> float:
    """Quantile by its definition: linear between ranked values, ignoring nan."""
    ranked = sorted(value for value in values if not np.isnan(value))
    rank = part * (len(ranked) - 1)
    below = int(rank)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (rank - below) * (ranked[above] - ranked[below])


def quartiles_by_hand(curves: NDArray[np.float32]) -> list[list[float]]:
    """Quartiles of each column of curves [R, K], by `quantile`: [3, K]."""
    columns = curves.T.tolist()
    return [[quantile(column, part) for column in columns] for part in (0.25, 0.5, 0.75)]


def panels_of(figure: Figure) -> list[list[Axes]]:
    """The figure's panels: a list of three per row."""
    return [figure.axes[start : start + 3] for start in range(0, len(figure.axes), 3)]


def curves_of(axes: Axes) -> list[Line2D]:
    """Lines of more than two points, which are curves rather than levels."""
    return [line for line in axes.lines if len(np.atleast_1d(line.get_xdata())) > 2]


def levels_of(axes: Axes) -> set[float]:
    """Heights of the horizontal lines across a panel."""
    across = (np.asarray(line.get_ydata()) for line in axes.lines if line not in curves_of(axes))
    return {float(heights[0]) for heights in across if heights[0] == heights[-1]}


def assert_close(values: ArrayLike, expected: ArrayLike, *, rtol: float, atol: float = 0) -> None:
    np.testing.assert_allclose(
        np.asarray(values, np.float64), np.asarray(expected, np.float64), rtol=rtol, atol=atol
    )


def assert_curve(line: Line2D, x: ArrayLike, y: ArrayLike) -> None:
    for plotted, expected in ((line.get_xdata(), x), (line.get_ydata(), y)):
        assert_close(plotted, expected, rtol=1e-6, atol=1e-6)


def smoke_store(folder: Path) -> Store:
    """Stores a history of every experiment in the smoke size.

    A run learns if its critic weight exceeds a threshold that grows with its seed, more slowly for
    a detached critic.
    """
    store = Store(folder)
    shards = [shard for experiment in chosen((), "smoke") for shard in plan(experiment)]
    for number, shard in enumerate(shards):
        setting = shard.setting
        windows = setting.num_episodes // setting.log_every
        history = made_up(
            len(shard.runs), windows, log_every=setting.log_every, seed=number,
            diagnosed=setting.probe_episodes > 0, probe_at=setting.probe_at,
        )  # fmt: skip
        step = 0.02 if setting.loss.baseline == "detached" else 0.4
        learned = [run.critic_weight > 0.1 + step * run.seed for run in shard.runs]
        reward = np.where(learned, 0.95, 0.5).astype(np.float32)[:, None] + 0 * history.reward
        store.put(shard, replace(history, reward=reward), [session(1, setting.num_episodes)])
    return store
