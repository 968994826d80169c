"""The law of the climb next to the runs it predicted, and critics that start at the fixed point.

A cell is the runs of one condition, variant and critic weight; its slowdown is their median time
to learn over that of the condition's light detached critic. An attached critic leaks: the policy
loss also trains it.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pwm.analysis.estimates import Estimate, interval
from pwm.analysis.evidence import Evidence
from pwm.analysis.fourth_predictions import NEAR, NEAR_NOISE, fourth_cells, of_variants
from pwm.analysis.slowdowns import LAW, root_mean_square
from pwm.analysis.starts import fixed_point_cells
from pwm.figures.panels import WIDTH, add_to_legend, draw_estimate, error_lengths, make_logarithmic
from pwm.figures.tables import Table

VARIANTS = {
    "from 0": (("raw",), "#0072B2", "o"),
    "from the mean": (("mean", "centred"), "#009E73", "s"),
    "from above": (("start 7.5", "start 9"), "#CC79A7", "D"),
    "attached, from 0": (("attached",), "#D55E00", "v"),
}
"""Values of `Cell.variant`, colour and marker by label."""
HEADING = ("panel", "series", "condition", "critic_weight", "predicted", "value", "low", "high",
           "finished")  # fmt: skip
"""Columns of the table. If `finished` is False, `value` is only a lower bound; errors count such a
slowdown at the smallest error possible (`Cell.errors`)."""
ACCOUNTS = {
    LAW: "law of the climb",
    "weight": "weight",
    "weight per step": "weight / steps",
    "share": "share, no climb",
    "saturation": "saturation",
}
"""Labels of the accounts that predict slowdowns: the law and its rivals."""


def law_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Figure of the law of the climb, and the table of its points.

    Panels: measured against predicted slowdowns; errors of the law and its rivals; measured over
    predicted slowdowns of attached critics that start at their fixed point (`_draw_noise`).
    """
    table: Table = [HEADING]
    figure = Figure(figsize=(WIDTH, 2.4), layout="constrained")
    slowdown_axes, error_axes, noise_axes = figure.subplots(1, 3, width_ratios=(1.25, 0.8, 1.25))
    table += _draw_slowdowns(slowdown_axes, evidence)
    table += _draw_errors(error_axes, evidence)
    table += _draw_noise(noise_axes, evidence)
    return figure, table


def _draw_slowdowns(axes: Axes, evidence: Evidence) -> Table:
    """Plots measured against predicted slowdowns; returns the table's rows."""
    table: Table = []
    diagonal = np.array([0.6, 60])
    axes.fill_between(diagonal, diagonal / NEAR, diagonal * NEAR, color="0.9", linewidth=0)
    axes.plot(diagonal, diagonal, color="0.4", linewidth=0.8)
    for label, (variants, colour, marker) in VARIANTS.items():
        for cell in of_variants(fourth_cells(evidence), *variants):
            predicted = cell.predicted[LAW]
            draw_estimate(axes, predicted, cell.estimate, colour, marker)
            table.append(("predicted", cell.variant, cell.condition, cell.weight, predicted,
                          *cell.estimate, cell.finished))  # fmt: skip
        add_to_legend(axes, label, colour, marker)
    make_logarithmic(axes)
    axes.set(xlim=(0.8, 60), xticks=[1, 2, 5, 10, 20, 50], xlabel="slowdown, predicted")
    axes.set(ylim=(0.4, 25), yticks=[0.5, 1, 2, 5, 10, 20], ylabel="slowdown, measured")
    axes.legend(fontsize=6, loc="upper left", handletextpad=0.1, borderaxespad=0.1)
    return table


def _draw_errors(axes: Axes, evidence: Evidence) -> Table:
    """Plots the r.m.s. error of the log slowdown, by the law and each rival; returns table rows."""
    cells = of_variants(fourth_cells(evidence), "raw", "mean")  # as in the statement "law-error"
    table: Table = []
    for row, (account, label) in enumerate(ACCOUNTS.items()):
        error = interval(root_mean_square(cells, account))
        colour = "black" if account == LAW else "0.5"
        axes.errorbar(error.value, -row, xerr=error_lengths(error), color=colour, marker="o",
                      markersize=3.5, capsize=2, linewidth=1)  # fmt: skip
        axes.text(0.02, -row + 0.2, label, fontsize=6.5, color=colour,
                  transform=axes.get_yaxis_transform())  # fmt: skip
        # nan: no single weight, and nothing predicted
        table.append(("error", account, "all", np.nan, np.nan, *error, True))
    axes.set_xlim(left=0)
    axes.set(xlabel="error of log slowdown (r.m.s.)", ylim=(-len(ACCOUNTS) + 0.5, 0.6), yticks=[])
    axes.spines["left"].set_visible(False)
    return table


def _draw_noise(axes: Axes, evidence: Evidence) -> Table:
    """Plots measured over predicted slowdowns of attached critics that start at their fixed point.

    They do not climb; predictions count the leak's noise alone, no critic's gradient. Where too
    few runs learned, the ratio is a lower bound; uninformative cells are left out. Returns rows.
    """
    others = list(fixed_point_cells(evidence))  # not in the fourth set of predictions
    lengths = [cell for cell in others if not cell.condition.startswith("trial")]
    trials = [cell for cell in others if cell.condition.startswith("trial")]
    fourth = of_variants(fourth_cells(evidence), "fixed-point")
    table: Table = []
    axes.axhspan(1 / NEAR_NOISE, NEAR_NOISE, color="0.9", linewidth=0)
    axes.axhline(1, color="0.4", linewidth=0.8)
    for series, cells, label, colour, marker in (
        ("lengths", lengths, "episodes of 6 to 120 steps", "#0072B2", "o"),
        ("trials", trials, "trials of 2 to 6 steps", "#E69F00", "^"),
        ("fourth", fourth, "predicted in advance", "#CC79A7", "D"),
    ):
        for cell in cells:
            if cell.informative:
                predicted = cell.predicted[LAW]
                ratio = Estimate(*(number / predicted for number in cell.estimate))
                draw_estimate(axes, predicted, ratio, colour, marker)
                table.append(("noise", series, cell.condition, cell.weight, predicted, *ratio,
                              cell.finished))  # fmt: skip
        add_to_legend(axes, label, colour, marker)
    make_logarithmic(axes)
    axes.set(xticks=[1, 2, 5, 10], xlabel="slowdown by noise, predicted")
    axes.set(ylim=(0.18, 2.2), yticks=[0.5, 0.7, 1, 1.4, 2])
    axes.set_ylabel("measured over predicted,\nfrom the fixed point")
    axes.legend(fontsize=6, loc="lower left", handletextpad=0.1, borderaxespad=0.1)
    return table
