"""The law of the climb against the runs that it predicted, and the noise of the leak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pwm.analysis.estimates import Estimate, interval
from pwm.analysis.fourth_predictions import NEAR, NEAR_NOISE, fourth_cells, of_variants
from pwm.analysis.outcomes import Evidence
from pwm.analysis.rivals import RIVALS
from pwm.analysis.slowdowns import LAW, Cell, root_mean_square
from pwm.analysis.starts import fixed_point_cells
from pwm.figures.render import WIDTH, point, without_powers
from pwm.figures.tables import Table

VARIANTS = {
    "from 0": (("raw",), "#0072B2", "o"),
    "from the mean": (("mean", "centred"), "#009E73", "s"),
    "from above": (("start 7.5", "start 9"), "#CC79A7", "D"),
    "attached, from 0": (("attached",), "#D55E00", "v"),
}
"""Variants, colour and marker, by label."""
NAMES = {LAW: "law of the climb", "weight": "weight", "weight per step": "weight / steps",
         "share": "share, no climb", "saturation": "saturation"}  # fmt: skip
FIXED_POINT = {
    "lengths": ("episodes of 6 to 120 steps", "#0072B2", "o"),
    "trials": ("trials of 2 to 6 steps", "#E69F00", "^"),
    "fourth": ("predicted in advance", "#CC79A7", "D"),
}
"""Label, colour and marker, by group of conditions."""


def law_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Slowdowns of the fourth set, the accounts' errors, and slowdowns from the fixed point."""
    table: Table = [("panel", "series", "condition", "critic_weight", "predicted", "value", "low",
                     "high", "finished")]  # fmt: skip
    figure = Figure(figsize=(WIDTH, 2.4), layout="constrained")
    predicted_axes, error_axes, noise_axes = figure.subplots(1, 3, width_ratios=(1.25, 0.8, 1.25))
    table += _predicted_panel(predicted_axes, evidence)
    table += _error_panel(error_axes, evidence)
    table += _noise_panel(noise_axes, evidence)
    return figure, table


def _predicted_panel(axes: Axes, evidence: Evidence) -> Table:
    """Draws measured against predicted slowdown."""
    table: Table = []
    ends = np.array([0.6, 60])
    axes.fill_between(ends, ends / NEAR, ends * NEAR, color="0.9", linewidth=0)
    axes.plot(ends, ends, color="0.4", linewidth=0.8)
    for label, (variants, colour, marker) in VARIANTS.items():
        cells = of_variants(fourth_cells(evidence), *variants)
        for cell in cells:
            estimate = interval(cell.least)
            point(axes, cell.predicted[LAW], estimate, cell.finished, colour, marker)
            table.append(_row("predicted", cell.variant, cell, estimate))
        axes.plot([], [], marker, color=colour, markersize=3, label=label)
    _log_axes(axes)
    axes.set_xlim(0.8, 60)
    axes.set_ylim(0.4, 25)
    axes.set_xticks([1, 2, 5, 10, 20, 50])
    axes.set_yticks([0.5, 1, 2, 5, 10, 20])
    axes.legend(frameon=False, fontsize=6, loc="upper left", handletextpad=0.1, borderaxespad=0.1)
    axes.set_xlabel("slowdown, predicted")
    axes.set_ylabel("slowdown, measured")
    return table


def _error_panel(axes: Axes, evidence: Evidence) -> Table:
    """Draws the root mean square error of log S of each account."""
    cells = of_variants(fourth_cells(evidence), "raw", "mean")
    table: Table = []
    for place, (account, name) in enumerate(NAMES.items()):
        value, low, high = interval(root_mean_square(cells, account))
        colour = "black" if account == LAW else "0.5"
        axes.errorbar(value, -place, xerr=[[max(value - low, 0)], [max(high - value, 0)]],
                      color=colour, marker="o", markersize=3.5, capsize=2, linewidth=1)  # fmt: skip
        axes.text(0.02, -place + 0.2, name, fontsize=6.5, color=colour,
                  transform=axes.get_yaxis_transform())  # fmt: skip
        table.append(("error", account, "all", np.nan, np.nan, value, low, high, True))
    axes.set_ylim(-len(RIVALS) - 0.5, 0.6)
    axes.set_xlim(left=0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("error of log slowdown (r.m.s.)")
    return table


def _noise_panel(axes: Axes, evidence: Evidence) -> Table:
    """Draws the slowdown of attached critics from the fixed point, relative to the noise law's."""
    own = list(fixed_point_cells(evidence))
    groups = {
        "lengths": [cell for cell in own if not cell.condition.startswith("trial")],
        "trials": [cell for cell in own if cell.condition.startswith("trial")],
        "fourth": of_variants(fourth_cells(evidence), "fixed-point"),
    }
    table: Table = []
    axes.axhspan(1 / NEAR_NOISE, NEAR_NOISE, color="0.9", linewidth=0)
    axes.axhline(1, color="0.4", linewidth=0.8)
    for name, cells in groups.items():
        label, colour, marker = FIXED_POINT[name]
        for cell in (each for each in cells if each.informative):
            ratio = Estimate(*(np.array(interval(cell.least)) / cell.predicted[LAW]))
            point(axes, cell.predicted[LAW], ratio, cell.finished, colour, marker)
            table.append(_row("noise", name, cell, ratio))
        axes.plot([], [], marker, color=colour, markersize=3, label=label)
    _log_axes(axes)
    axes.set_ylim(0.3, 2.2)
    axes.set_xticks([1, 2, 5, 10])
    axes.set_yticks([0.5, 0.7, 1, 1.4, 2])
    axes.legend(frameon=False, fontsize=6, loc="lower left", handletextpad=0.1, borderaxespad=0.1)
    axes.set_xlabel("slowdown by noise, predicted")
    axes.set_ylabel("measured over predicted,\nfrom the fixed point")
    return table


def _row(panel: str, series: str, cell: Cell, estimate: Estimate) -> Sequence[object]:
    """A row of the table; without an interval if the number is a bound."""
    known = estimate if cell.finished else Estimate(estimate.value)
    return (panel, series, cell.condition, cell.weight, cell.predicted[LAW], *known, cell.finished)


def _log_axes(axes: Axes) -> None:
    """Makes both axes logarithmic."""
    for scale, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
        scale("log")
        without_powers(axis)
