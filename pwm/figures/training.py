"""The figure of a run of `python -m pwm.train`: a row of panels per critic weight."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pwm.core.config import TrainConfig
from pwm.core.history import History
from pwm.figures.notes import Row, notes_figure, seeds_figure
from pwm.figures.render import STYLE, rendered, without_powers
from pwm.io.files import write_atomically

PARTS = {"policy": "#0072B2", "critic": "#D55E00", "leak": "#882255"}
"""Colours of the parts of the gradient."""
TITLE_WIDTH = 105  # characters per line


def training_curves(runs: Sequence[TrainConfig], history: History, path: Path) -> None:
    """Draws the curves of a run as PNG.

    Panels show the value loss, the policy loss and the reward; if the run has diagnostics, a
    fourth shows each part's share of the trunk's mean squared gradient.

    Args:
        runs: the configuration of each replica.
        history: of the replicas, in the same order.
        path: of the file.
    """
    with mpl.rc_context(fname=STYLE):
        figure = training_figure(runs, history)
        write_atomically(path, rendered(figure, "png", "pwm.figures.training.training_curves"))


def training_figure(runs: Sequence[TrainConfig], history: History) -> Figure:
    """The figure that `training_curves` writes."""
    replicas: dict[float, list[int]] = {}
    for replica, run in enumerate(runs):
        replicas.setdefault(run.critic_weight, []).append(replica)
    rows = [
        Row(run=runs[chosen[0]], history=history.select(chosen)) for chosen in replicas.values()
    ]
    num_seeds = len(runs) // len(rows)
    title = "\n".join(textwrap.fill(line, TITLE_WIDTH) for line in describe(runs))
    figure = seeds_figure(rows, title) if num_seeds > 1 else notes_figure(rows, title)
    legend: dict[str, Artist] = {}
    if num_seeds > 1:
        legend["median over seeds"] = Line2D([], [], color="black")
        legend["quartiles"] = Patch(color="0.75")
        legend["single seeds"] = Line2D([], [], color="0.6", linewidth=0.5)
    if history.diagnostics:
        _add_shares(figure, rows)
        for part, colour in PARTS.items():
            legend[f"{part} (mean)"] = Line2D([], [], color=colour)
    if legend:
        handles, names = legend.values(), legend.keys()
        figure.legend(handles, names, loc="outside lower center", ncols=len(legend), frameon=False)
    return figure


def describe(runs: Sequence[TrainConfig]) -> list[str]:
    """The settings that tell populations apart, in two lines: task and losses, then training."""
    run = runs[0]
    weights = list(dict.fromkeys(f"{each.critic_weight:g}" for each in runs))
    num_seeds = len(runs) // len(weights)
    first = [
        run.task.stimulus_set,
        f"{run.task.trial_length} steps per trial, {run.task.episode_length} per episode",
        f"{run.loss.baseline} baseline",
    ]
    if run.loss.policy_reduction != "sum":
        first.append(f"{run.loss.policy_reduction} policy loss")
    if run.loss.discount != 1:
        first.append(f"discount {run.loss.discount:g}")
    second = [
        f"critic weight{'s' if len(weights) > 1 else ''} {', '.join(weights)}",
        f"learning rate {run.learning_rate:g}",
        f"{num_seeds} seeds" if num_seeds > 1 else f"seed {run.seed}",
    ]
    return [", ".join(first), "; ".join(second)]


def _add_shares(figure: Figure, rows: Sequence[Row]) -> None:
    """Adds a fourth panel to each row: each part's share of the trunk's, mean over seeds."""
    panels = np.array(figure.axes).reshape(len(rows), -1)
    width, height = figure.get_size_inches()
    columns = panels.shape[1] + 1
    figure.set_size_inches(width * columns / panels.shape[1], height)
    grid = GridSpec(len(rows), columns, figure=figure)
    for (row, column), axes in np.ndenumerate(panels):
        axes.set_subplotspec(grid[row, column])
    for number, row in enumerate(rows):
        axes = figure.add_subplot(grid[number, -1], sharex=panels[0, 0])
        diagnostics = row.history.diagnostics
        for part, colour in PARTS.items():
            with np.errstate(divide="ignore", invalid="ignore"):
                shares = (diagnostics[f"{part}_norm"] / diagnostics["total_norm"]) ** 2
                share = np.where(np.isfinite(shares), shares, np.nan).mean(axis=0)
            axes.plot(row.history.episode / 1000, share, color=colour, linewidth=0.8)
        axes.axhline(1, color="0.45", linewidth=0.5, linestyle=(0, (4, 3)), zorder=0)
        axes.set_yscale("log")
        without_powers(axes.yaxis)
        axes.tick_params(labelbottom=number == len(rows) - 1)
        if number == 0:
            axes.set_title("share of squared gradient")
    axes.set_xlabel("episode (thousands)")
