"""Learning curves as in the notes, the report that is reproduced here, and curves of more seeds.

For each critic weight, a row of panels shows the value loss, the policy loss and the reward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, StrMethodFormatter
from numpy.typing import NDArray

from pwm.analysis.estimates import success_rate
from pwm.analysis.learning import learned
from pwm.analysis.levels import reward_levels
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.theory import value_floor
from pwm.figures.tables import Table, coarsened, quartiles
from pwm.training.config import TrainConfig
from pwm.training.history import History

PANELS = {"value_loss": "value loss", "policy_loss": "policy loss", "reward": "reward"}
"""Titles of a row's panels, by name in `History.curves`."""
COLOURS = {"value_loss": "#D55E00", "policy_loss": "#0072B2", "reward": "#007A5A"}
WIDTH = 7.0  # inches
FAINT_SEEDS = 24  # number of seeds whose single curves are drawn


@dataclass(frozen=True, kw_only=True)
class Row:
    """Data of a row of panels: runs that differ only in their seed."""

    run: TrainConfig
    """Configuration of one of the runs."""
    history: History
    """Curves of all runs of the row."""

    @property
    def floor(self) -> float | None:
        """Smallest value loss once solved, in reward²; None where unknown or 0 (state carried)."""
        run, task, loss = self.run, self.run.task, self.run.loss
        whole_returns = loss.discount == loss.trace_decay == 1 and loss.return_horizon == "episode"
        if run.agent.carry_state or task.timeout or task.hold_reward or not whole_returns:
            return None
        return value_floor(success=1.0, num_trials=task.num_trials) * task.reward**2


def mean_of_few_seeds(runs: Outcomes, num_seeds: int) -> tuple[Figure, Table]:
    """Figure and table of learning curves by critic weight, averaged over the first `num_seeds`.

    The notes show such means. The runs have two axes, critic weight and seed.
    """
    rows = [replace(row, history=row.history.select(range(num_seeds))) for row in rows_of(runs)]
    table: Table = [("critic_weight", "episode", *PANELS)]
    for row in rows:
        means = [row.history.curves[name].mean(axis=0) for name in PANELS]
        for values in zip(row.history.episode, *means, strict=True):
            table.append((row.run.critic_weight, *values))
    seeds = f"mean of {num_seeds} seeds" if num_seeds > 1 else "one seed"
    return notes_figure(rows, f"{_setting(runs)}: {seeds}, as in the notes"), table


def every_seed(runs: Outcomes) -> tuple[Figure, Table]:
    """Figure and table of learning curves by critic weight: quartiles over all seeds.

    The figure also shows the curves of the first `FAINT_SEEDS`. All curves are `coarsened`. The
    runs have two axes, critic weight and seed.
    """
    rows = rows_of(runs)
    names = [f"{name}_{part}" for name in PANELS for part in ("q25", "median", "q75")]
    table: Table = [("critic_weight", "episode", *names)]
    for row in rows:
        coarse = coarsened(row.history)
        columns = np.concatenate([quartiles(coarse.curves[name]) for name in PANELS])  # (9, points)
        for values in zip(coarse.episode, *columns, strict=True):
            table.append((row.run.critic_weight, *values))
    num_seeds = len(runs.axes["seed"])
    faint = f"{min(num_seeds, FAINT_SEEDS)} of them (faint)"
    title = f"{_setting(runs)}\n{num_seeds} seeds: median (black), quartiles (band), {faint}"
    return seeds_figure(rows, title), table


def rows_of(runs: Outcomes) -> list[Row]:
    """Returns one row per critic weight, with the runs of all seeds."""
    by_weight = [runs.at(critic_weight=weight) for weight in runs.weights]
    return [Row(run=each.base, history=each.history) for each in by_weight]


def notes_figure(rows: Sequence[Row], title: str) -> Figure:
    """Figure with a row of panels per `Row`: curves averaged over the row's runs."""
    figure, axes = _panels(rows, title)
    for row, panels in zip(rows, axes, strict=True):
        for panel, name in zip(panels, PANELS, strict=True):
            mean = row.history.curves[name].mean(axis=0)
            panel.plot(row.history.episode / 1000, mean, color=COLOURS[name], linewidth=0.6)
        panels[0].set_ylim(bottom=0)
    return figure


def seeds_figure(rows: Sequence[Row], title: str) -> Figure:
    """Figure with a row of panels per `Row`: median, quartiles and the first `FAINT_SEEDS` curves.

    The third panel also says how many seeds learned, with the Wilson interval.
    """
    figure, axes = _panels(rows, title)
    for row, panels in zip(rows, axes, strict=True):
        coarse = coarsened(row.history)
        thousands = coarse.episode / 1000
        for panel, name in zip(panels, PANELS, strict=True):
            curves, colour = coarse.curves[name], COLOURS[name]
            low, median, high = quartiles(curves)
            panel.plot(thousands, curves[:FAINT_SEEDS].T, color=colour, alpha=0.22, linewidth=0.4)
            panel.fill_between(thousands, low, high, color=colour, alpha=0.25, linewidth=0)
            panel.plot(thousands, median, color="black", linewidth=0.8)
        panels[0].set_yscale("log")
        panels[0].yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        # Minor ticks have labels only if the axis spans at most one decade.
        panels[0].yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))
        rate = success_rate(learned(row.history, row.run.task))
        text = f"learned {rate.successes}/{rate.total}  [{rate.low:.2f}, {rate.high:.2f}]"
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
        panels[2].text(0.98, 0.03, text, transform=panels[2].transAxes, ha="right", va="bottom",
                       fontsize=6.5, bbox=box)  # fmt: skip
    return figure


def _setting(runs: Outcomes) -> str:
    """Text for a title: task and learning rate of the runs."""
    task, rate = runs.base.task, runs.base.learning_rate
    return f"{task.stimulus_set}, {task.episode_length} steps per episode, learning rate {rate:g}"


def _panels(rows: Sequence[Row], title: str) -> tuple[Figure, NDArray[np.object_]]:
    """Makes a figure and its panels, [rows, 3], with labels and reference lines but no curves."""
    figure = Figure(figsize=(WIDTH, 0.75 + 1.12 * len(rows)), layout="constrained")
    figure.suptitle(title, fontsize=9)
    axes = figure.subplots(len(rows), len(PANELS), squeeze=False, sharex=True)
    for column, name in enumerate(PANELS):
        axes[0, column].set_title(PANELS[name])
        axes[-1, column].set_xlabel("episode (thousands)")
    for row, (value_axes, policy_axes, reward_axes) in zip(rows, axes, strict=True):
        value_axes.set_ylabel(f"critic weight {row.run.critic_weight:g}", fontweight="bold")
        if row.floor is not None:
            _draw_level(value_axes, row.floor, f"floor\nif solved\n{row.floor:.4g}")
        policy_axes.axhline(0, color="0.6", linewidth=0.5, zorder=0)
        reward_axes.set(ylim=(0.2, 1.04), yticks=[0.2, 0.4, 0.6, 0.8, 1.0])  # lowest level: 1/3
        levels = reward_levels(row.run.task.stimulus_set)._asdict()
        for level in sorted(set(levels.values())):  # policies of the same level share a label
            names = [name for name, value in levels.items() if value == level]
            _draw_level(reward_axes, level, " = ".join(names).replace("_", "-"))
        value_axes.margins(x=0)
    return figure, axes


def _draw_level(axes: Axes, level: float, label: str) -> None:
    """Draws a horizontal line at the height `level`, with a label on its right."""
    axes.axhline(level, color="0.45", linewidth=0.5, linestyle=(0, (4, 3)), zorder=0)
    axes.annotate(
        label, (1, level), xycoords=("axes fraction", "data"), xytext=(2, 0),
        textcoords="offset points", fontsize=5.5, color="0.3", va="center", annotation_clip=False,
    )  # fmt: skip
