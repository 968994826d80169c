"""The answer in one figure: which weights work, with the leak, without, and centred.

Each function takes the evidence and returns a figure and the table of what it shows.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pwm.analysis.evidence import Evidence
from pwm.figures.render import WIDTH, without_powers
from pwm.figures.tables import SUCCESS, Table, success_rows

LENGTHS = (15, 60, 120)
RATES = (0.001, 0.005)
SERIES = {
    "attached": ("weight", "attached", "#D55E00", "o"),
    "detached": ("weight", "detached", "#0072B2", "s"),
    "detached, centred": ("centred", "detached", "#009E73", "^"),
}
"""Grid, baseline, colour and marker of each curve."""
LABELS = {"attached": (0.06, 0.07), "detached": (1.3, 0.6), "detached, centred": (0.06, 1.06)}
"""Positions of the curves' labels, in the panel of `LABELLED`."""
LABELLED = (0.001, 60)
"""Learning rate and steps of the panel with labels."""


def answer_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Success by weight at three lengths and two learning rates: attached, detached, centred."""
    table: Table = [("learning_rate", "steps", "series", *SUCCESS)]
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for row, rate in zip(panels, RATES, strict=True):
        for axes, steps in zip(row, LENGTHS, strict=True):
            rows = _success(axes, evidence, rate, steps)
            table += [(rate, steps, *line) for line in rows]
            if (rate, steps) == LABELLED:
                for name, place in LABELS.items():
                    axes.text(*place, name, color=SERIES[name][2], fontsize=7, va="center")
        row[0].set_ylabel(f"fraction that learned\nlearning rate {rate:g}")
    for axes, steps in zip(panels[0], LENGTHS, strict=True):
        axes.set_title(f"{steps} steps per episode", fontsize=8, pad=8)
    panels[0, 0].set_xticks([0.1, 1, 10, 100])
    figure.supxlabel("critic weight w (policy loss summed, value loss averaged)", fontsize=8)
    return figure, table


def _success(axes: Axes, evidence: Evidence, rate: float, steps: int) -> Table:
    """Draws the curves of one panel; returns their rows."""
    table: Table = []
    for name, (grid, baseline, colour, marker) in SERIES.items():
        runs = evidence.of(f"{grid}-{rate:g}").at(episode_length=steps, baseline=baseline)
        rows = success_rows(runs.weights, runs.learned)
        weights, _, _, fraction, low, high = zip(*rows, strict=True)
        axes.fill_between(weights, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(weights, fraction, color=colour, marker=marker, markersize=3, linewidth=1.1)
        table += [(name, *row) for row in rows]
    axes.set_xscale("log")
    without_powers(axes.xaxis)
    axes.set_xlim(0.04, 130)
    axes.set_ylim(-0.04, 1.12)
    axes.set_yticks([0, 0.5, 1])
    return table
