"""The critic's climb from its start, and what the distance costs."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pwm.analysis.climb import Setting, climb_slowdown
from pwm.analysis.early_probes import STARTS, probed, probes
from pwm.analysis.estimates import Estimate, interval
from pwm.analysis.outcomes import Evidence
from pwm.analysis.starts import DISTANCE_STEPS, distance_cells
from pwm.figures.render import WIDTH, point, without_powers
from pwm.figures.tables import Table, quartiles

WEIGHT = 10.0
LOOKS = {
    "raw": ("from 0", "#0072B2"),
    "mean": ("from the mean return", "#E69F00"),
    "centred": ("centred", "#009E73"),
}
"""Label and colour by start."""
PROBED = {"saturated": "fraction of units saturated", "distance": "value less fixed point (reward)"}
WEIGHTS = {1.0: "#56B4E9", 10.0: "#0072B2", 30.0: "#CC79A7"}
"""Colours by critic weight."""
LABELLED = "distance"  # the panel with labels
PLACES = {"raw": (1, -3.0), "mean": (9, 1.6), "centred": (6, 0.45)}
"""Positions of the curves' labels, in the panel of `LABELLED`."""


def climb_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Saturation and value early in training, and slowdown against the critic's start."""
    table: Table = [("panel", "series", "critic_weight", "x", "value", "low", "high")]
    figure = Figure(figsize=(WIDTH, 2.2), layout="constrained")
    *probe_axes, distance_axes = figure.subplots(1, 3)
    for axes, (name, words) in zip(probe_axes, PROBED.items(), strict=True):
        table += _probe_panel(axes, evidence, name)
        axes.set_title(words, fontsize=8)
        axes.set_xlabel("episode")
    table += _distance_panel(distance_axes, evidence)
    return figure, table


def _probe_panel(axes: Axes, evidence: Evidence, name: str) -> Table:
    """Draws a diagnostic over the first episodes, median and quartiles over seeds, by start."""
    table: Table = []
    for start in STARTS:
        label, colour = LOOKS[start]
        runs = probed(evidence, start, DISTANCE_STEPS, WEIGHT)
        low, middle, high = quartiles(probes(runs, name))
        episode = runs.probed + 1  # so that episode 0 fits on a logarithmic axis
        axes.fill_between(episode, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(episode, middle, color=colour, marker="o", markersize=2, linewidth=1)
        rows = zip(runs.probed.tolist(), middle, low, high, strict=True)
        table += [(name, start, WEIGHT, *row) for row in rows]
        if name == LABELLED:
            axes.text(*PLACES[start], label, color=colour, fontsize=7, in_layout=False)
    axes.set_xscale("log")
    axes.set_xticks([1, 10, 100, 1000], ["0", "10", "100", "1,000"])
    axes.minorticks_off()
    return table


def _distance_panel(axes: Axes, evidence: Evidence) -> Table:
    """Draws slowdown against start, with arrows where fewer than half of the seeds learned."""
    cells = distance_cells(evidence)
    table: Table = []
    mean = Setting(steps=DISTANCE_STEPS, critic_weight=0.0).fixed_point
    for weight, colour in WEIGHTS.items():
        part = [(start, cell) for (start, w), cell in cells.items() if w == weight]
        for start, cell in part:
            estimate = interval(cell.least)
            point(axes, start - mean, estimate, cell.finished, colour)
            known = estimate if cell.finished else Estimate(estimate.value)
            series = "measured" if cell.finished else "at least"
            table.append(("slowdown", series, weight, start - mean, *known))
        starts = np.linspace(min(cells)[0], max(cells)[0], 81)
        law = [climb_slowdown(Setting(steps=DISTANCE_STEPS, critic_weight=weight, start=float(x)))
               for x in starts]  # fmt: skip
        axes.plot(starts - mean, law, color=colour, linewidth=0.9, zorder=0)
        axes.annotate(f"w = {weight:g}", (starts[-1] - mean, law[-1]), xytext=(2, 0),
                      textcoords="offset points", fontsize=6.5, color=colour, va="center",
                      annotation_clip=False)  # fmt: skip
        table += [("slowdown", "law", weight, float(x - mean), y, np.nan, np.nan)
                  for x, y in zip(starts, law, strict=True)]  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(0.7, 20)
    without_powers(axes.yaxis)
    axes.set_yticks([1, 2, 5, 10, 20])
    axes.set_title("slowdown", fontsize=8)
    axes.set_xlabel("critic's start less the mean return")
    return table
