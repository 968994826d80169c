"""The climb of a critic's values from their start to the mean return, and how it slows learning.

A cell is the runs of one start and critic weight; its slowdown is their median time to learn over
that of a light critic that starts at the mean return. All critics are detached. The law of the
climb (`pwm.analysis.climb`) predicts the slowdown.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pwm.analysis.climb import Setting, climb_slowdown
from pwm.analysis.early_probes import probed_runs, probes
from pwm.analysis.evidence import Evidence
from pwm.analysis.starts import DISTANCE_STEPS, MEAN_RETURN, distance_cells
from pwm.figures.panels import WIDTH, draw_estimate, without_powers
from pwm.figures.tables import Table, quartiles

WEIGHT = 10.0  # critic weight in the first two panels
LOOKS = {
    "raw": ("from 0", "#0072B2", (2, -2.75)),
    "mean": ("from the mean return", "#E69F00", (9, 1.6)),
    "centred": ("centred", "#009E73", (2.2, 0.62)),
}
"""Label, colour, and position of the label in the panel "distance", in data coordinates (episode
plus 1, reward), by start (`pwm.analysis.early_probes.STARTS`)."""
DIAGNOSTICS = {
    "saturated": "fraction of units saturated",
    "distance": "value less fixed point (reward)",
}
"""Titles of the first two panels, by diagnostic."""
WEIGHTS = {1.0: "#56B4E9", 10.0: "#0072B2", 30.0: "#CC79A7"}
"""Colours in the last panel, by critic weight."""
HEADING = ("panel", "series", "critic_weight", "x", "value", "low", "high")
"""Columns of the table. `x` is the episode or, for slowdowns, the start minus the mean return."""


def climb_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Figure and table of saturated units, value minus fixed point, and slowdown, by start."""
    table: Table = [HEADING]
    figure = Figure(figsize=(WIDTH, 2.2), layout="constrained")
    *diagnostic_axes, slowdown_axes = figure.subplots(1, 3)
    for axes, (name, title) in zip(diagnostic_axes, DIAGNOSTICS.items(), strict=True):
        table += _draw_diagnostic(axes, evidence, name)
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("episode")
    table += _draw_slowdowns(slowdown_axes, evidence)
    return figure, table


def _draw_diagnostic(axes: Axes, evidence: Evidence, name: str) -> Table:
    """Plots a diagnostic's median and quartiles over seeds by episode; returns table rows."""
    table: Table = []
    for start, (label, colour, position) in LOOKS.items():
        runs = probed_runs(evidence, start, DISTANCE_STEPS, WEIGHT)
        episodes = runs.probed
        low, median, high = quartiles(probes(runs, name))
        axes.fill_between(episodes + 1, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(episodes + 1, median, color=colour, marker="o", markersize=2, linewidth=1)
        rows = zip(episodes.tolist(), median, low, high, strict=True)
        table += [(name, start, WEIGHT, *row) for row in rows]
        if name == "distance":
            axes.text(*position, label, color=colour, fontsize=7, in_layout=False)
    axes.set_xscale("log")  # of the episode plus 1, so that episode 0 is on the axis
    axes.set_xticks([1, 11, 101, 1001], ["0", "10", "100", "1,000"])
    axes.minorticks_off()
    return table


def _draw_slowdowns(axes: Axes, evidence: Evidence) -> Table:
    """Plots measured and predicted slowdowns by start minus mean return; returns table rows."""
    table: Table = []
    cells = distance_cells(evidence)  # by start and weight
    starts = np.linspace(min(cells)[0], max(cells)[0], 81)  # from the lowest to the highest start
    for weight, colour in WEIGHTS.items():
        for (start, cell_weight), cell in cells.items():
            if cell_weight == weight:
                offset = start - MEAN_RETURN
                draw_estimate(axes, offset, cell.estimate, colour, marker="o")
                series = "measured" if cell.finished else "at least"
                table.append(("slowdown", series, weight, offset, *cell.estimate))
        setting = Setting(steps=DISTANCE_STEPS, critic_weight=weight)
        predicted = [climb_slowdown(replace(setting, start=float(start))) for start in starts]
        offsets = starts - MEAN_RETURN
        axes.plot(offsets, predicted, color=colour, linewidth=0.9, zorder=0)
        axes.annotate(f"w = {weight:g}", (offsets[-1], predicted[-1]), xytext=(2, 0),
                      textcoords="offset points", fontsize=6.5, color=colour, va="center",
                      annotation_clip=False)  # fmt: skip
        for offset, value in zip(offsets.tolist(), predicted, strict=True):
            table.append(("slowdown", "law", weight, offset, value, np.nan, np.nan))  # no interval
    axes.set(yscale="log", ylim=(0.7, 20), xlabel="critic's start less the mean return")
    without_powers(axes.yaxis)
    axes.set_yticks([1, 2, 5, 10, 20])
    axes.set_title("slowdown", fontsize=8)
    return table
