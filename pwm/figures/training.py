"""The figure that `python -m pwm.train` draws: a row of panels per critic weight."""

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
from numpy.typing import NDArray

from pwm.figures.notes import Row, notes_figure, seeds_figure
from pwm.figures.panels import without_powers
from pwm.figures.render import STYLE, rendered
from pwm.io.files import write_atomically
from pwm.training.config import TrainConfig
from pwm.training.history import History

PARTS = {"policy": "#0072B2", "critic": "#D55E00", "leak": "#882255"}
"""Colours by part of the trunk's gradient (`pwm.training.diagnostics`)."""
HIDDEN = {"activity": ("|h| (mean)", "#E69F00"), "saturated": ("saturated units (mean)", "#56B4E9")}
"""Labels and colours of the fifth panel's curves."""
TITLE_WIDTH = 105  # characters per line


def training_curves(runs: Sequence[TrainConfig], history: History, path: Path) -> None:
    """Draws the learning curves of runs with `training_figure`; writes them to `path`, as a PNG."""
    with mpl.rc_context(fname=STYLE):
        figure = training_figure(runs, history)
        write_atomically(path, rendered(figure, "png", "pwm.figures.training.training_curves"))


def training_figure(runs: Sequence[TrainConfig], history: History) -> Figure:
    """Figure of the learning curves of runs, with one row of panels per critic weight.

    Panels show the value loss, the policy loss and the reward. If the runs have diagnostics, a
    fourth panel shows each part's share of the trunk's mean squared gradient (`PARTS`). With
    `probe_at`, a fifth shows the hidden states, and both have a logarithmic axis of episodes.

    Args:
        runs: configurations, which differ in critic weight and seed; weights have the same seeds.
        history: history of the runs, in the same order.
    """
    indices: dict[float, list[int]] = {}  # of the runs, by critic weight
    for index, run in enumerate(runs):
        indices.setdefault(run.critic_weight, []).append(index)
    rows = [Row(run=runs[each[0]], history=history.select(each)) for each in indices.values()]
    several_seeds = len(runs) // len(rows) > 1
    title = "\n".join(textwrap.fill(line, TITLE_WIDTH) for line in describe(runs))
    figure = seeds_figure(rows, title) if several_seeds else notes_figure(rows, title)
    legend: dict[str, Artist] = {}
    if several_seeds:
        legend["median over seeds"] = Line2D([], [], color="black")
        legend["quartiles"] = Patch(color="0.75")
        legend["single seeds"] = Line2D([], [], color="0.6", linewidth=0.5)
    if history.diagnostics:
        added = _add_panels(figure, rows)
        _draw_shares(added[:, 0], rows)
        for part, colour in PARTS.items():
            legend[f"{part} (mean)"] = Line2D([], [], color=colour)
        if history.probe_episode is not None:
            _draw_hidden_states(added[:, 1], rows)
            for label, colour in HIDDEN.values():
                legend[label] = Line2D([], [], color=colour)
    if legend:
        figure.legend(legend.values(), legend, loc="outside lower center", ncols=len(legend))
    return figure


def describe(runs: Sequence[TrainConfig]) -> list[str]:
    """Two lines for `training_figure`: task, losses and the critic's start, then training."""
    run, loss = runs[0], runs[0].loss
    weights = list(dict.fromkeys(f"{each.critic_weight:g}" for each in runs))
    num_seeds = len(runs) // len(weights)
    settings = {  # by text: whether to show it, as unusual; all other settings are left out
        f"{loss.policy_reduction} policy loss": loss.policy_reduction != "sum",
        f"discount {loss.discount:g}": loss.discount != 1,
        f"trace decay {loss.trace_decay:g}": loss.trace_decay != 1,
        f"returns to the end of the {loss.return_horizon}": loss.return_horizon != "episode",
        f"{loss.returns} returns": loss.returns != "raw",
        loss.balance: loss.balance != "fixed",
        f"critic from {run.critic_start}": run.critic_start != 0,
    }
    first = [
        run.task.stimulus_set,
        f"{run.task.trial_length} steps per trial, {run.task.episode_length} per episode",
        f"{loss.baseline} baseline",
        *(text for text, unusual in settings.items() if unusual),
    ]
    second = [
        f"critic weight{'s' if len(weights) > 1 else ''} {', '.join(weights)}",
        f"learning rate {run.learning_rate:g}",
        f"{num_seeds} seeds" if num_seeds > 1 else f"seed {run.seed}",
    ]
    return [", ".join(first), "; ".join(second)]


def _add_panels(figure: Figure, rows: Sequence[Row]) -> NDArray[np.object_]:
    """Widens the figure by a fourth panel per row and, with `probe_at`, a fifth: [rows, 1 or 2].

    The figure has no axes yet but the panels, row by row.
    """
    panels = np.array(figure.axes).reshape(len(rows), -1)
    columns_before = panels.shape[1]
    has_probes = rows[0].history.probe_episode is not None
    count = 2 if has_probes else 1
    columns = columns_before + count
    width, height = figure.get_size_inches()
    figure.set_size_inches(width * columns / columns_before, height)
    grid = GridSpec(len(rows), columns, figure=figure)
    for row_and_column, axes in np.ndenumerate(panels):
        axes.set_subplotspec(grid[row_and_column])
    added = np.empty((len(rows), count), object)
    for row, column in np.ndindex(added.shape):
        shared = None if has_probes else panels[0, 0]
        axes = figure.add_subplot(grid[row, columns_before + column], sharex=shared)
        if has_probes:
            axes.set_xscale("symlog", linthresh=1)  # a logarithmic axis that includes episode 0
        axes.tick_params(labelbottom=row == len(rows) - 1)
        added[row, column] = axes
    for axes in added[-1]:
        axes.set_xlabel("episode" if has_probes else "episode (thousands)")
    return added


def _draw_shares(panels: NDArray[np.object_], rows: Sequence[Row]) -> None:
    """Draws `PARTS` as fractions of the trunk's squared gradient, mean over each row's runs.

    Parts may cancel, so a fraction may exceed 1. There is a gap where a run has no gradient left,
    as a mean over fewer runs would jump there.
    """
    for axes, row in zip(panels, rows, strict=True):
        diagnostics = row.history.diagnostics
        for part, colour in PARTS.items():
            with np.errstate(divide="ignore", invalid="ignore"):  # a run may have no gradient left
                shares = (diagnostics[f"{part}_norm"] / diagnostics["total_norm"]) ** 2
            mean_share = np.where(np.isfinite(shares), shares, np.nan).mean(axis=0)
            axes.plot(_episodes(row), mean_share, color=colour, linewidth=0.8)
        axes.axhline(1, color="0.45", linewidth=0.5, linestyle=(0, (4, 3)), zorder=0)
        axes.set_yscale("log")
        without_powers(axes.yaxis)
    panels[0].set_title("share of squared gradient")


def _draw_hidden_states(panels: NDArray[np.object_], rows: Sequence[Row]) -> None:
    """Draws the activity and saturation of the hidden units, mean over each row's runs."""
    for axes, row in zip(panels, rows, strict=True):
        for name, (_, colour) in HIDDEN.items():
            mean = row.history.diagnostics[name].mean(axis=0)
            axes.plot(_episodes(row), mean, color=colour, linewidth=0.8)
        axes.set_ylim(0, 1)
    panels[0].set_title("hidden states")


def _episodes(row: Row) -> NDArray[np.float64]:
    """Abscissas of a row's diagnostics: episodes with `probe_at`, else thousands of episodes."""
    unit = 1000 if row.history.probe_episode is None else 1
    return row.history.probed / unit
