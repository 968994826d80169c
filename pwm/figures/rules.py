"""Heat map of success, the fraction of seeds that learned, by balancing method and condition."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pwm.analysis.evidence import Evidence
from pwm.analysis.rules import Comparison, compared
from pwm.experiments.rules import BOTH
from pwm.figures.panels import WIDTH
from pwm.figures.tables import Table

ALONE = {"usual": "raw", "standardised 100": "centred", "popart": "centred"}
"""Methods tried with one kind of returns only, and the panel (of `BOTH`) that shows them."""
SUMMARIES = ("mean", "worst")


def rules_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Figure and table of each method's success in each condition; the figure is in percent.

    A row of the figure shows a method with raw returns in the left panel and with centred returns
    in the right one. The columns are the mean and the worst success over the ranked conditions,
    then each ranked and each held-out condition. Methods are sorted by `Comparison.ranking`, rows
    by the better of their two methods.
    """
    comparison = compared(evidence)
    by_place = {_place(method): method for method in comparison.ranking()}
    rows = list(dict.fromkeys(row for row, _ in by_place))  # each once, at its better rank
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, returns in zip(panels, BOTH, strict=True):
        _draw(axes, comparison, [by_place.get((row, returns)) for row in rows])
        axes.set_title(f"{returns} returns", pad=12)
    names = {"usual": "normalised, clipped"}
    labels = [f"weight {row}" if row.isdigit() else names.get(row, row) for row in rows]
    panels[0].set_yticks(range(len(rows)), labels, fontsize=6)
    return figure, _table(comparison)


def _place(method: str) -> tuple[str, str]:
    """Row and panel (of `BOTH`) that show a method: ("pcgrad", "centred") for "centred pcgrad"."""
    returns, _, row = method.partition(" ")
    return (row, returns) if returns in BOTH else (method, ALONE[method])


def _draw(axes: Axes, comparison: Comparison, methods: Sequence[str | None]) -> None:
    """Draws a panel with three blocks of columns: summaries, ranked and held-out conditions.

    `methods` are those of the rows; None leaves a row empty.
    """
    ranked, held_out = comparison.ranked_conditions, comparison.held_out
    blocks = {"score": SUMMARIES, "conditions": ranked, "held out": held_out}
    conditions = [*ranked, *held_out]
    rates = np.full((len(methods), len(SUMMARIES) + len(conditions)), nan)  # (rows, columns)
    for row, method in enumerate(methods):
        if method is not None:
            by_condition = comparison.learned_by(method, conditions).mean(axis=-1)
            summaries = comparison.success(method).value, comparison.worst_success(method)
            rates[row] = (*summaries, *by_condition)
    centres: list[float] = []  # x of each column
    for title, block in blocks.items():
        left = centres[-1] + 1.4 if centres else 0.0  # with a gap between blocks
        right = left + (len(block) - 1)
        first_column = len(centres)
        axes.imshow(
            rates[:, first_column : first_column + len(block)],
            cmap="Blues", vmin=0, vmax=1, aspect="auto",
            extent=(left - 0.5, right + 0.5, len(methods) - 0.5, -0.5),
        )  # fmt: skip
        middle = (left + right) / 2
        axes.text(middle, -0.6, title, ha="center", va="bottom", fontsize=5.5, style="italic")
        centres += [left + column for column in range(len(block))]
    for (row, column), rate in np.ndenumerate(rates):
        if not np.isnan(rate):
            colour = "white" if rate >= 0.6 else "black"  # on dark or light blue
            axes.text(centres[column], row, f"{100 * rate:.0f}", color=colour, ha="center",
                      va="center", fontsize=4.8)  # fmt: skip
    axes.set_xticks(centres, [*SUMMARIES, *conditions], rotation=90, fontsize=5.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.5, centres[-1] + 0.5), ylim=(len(methods) - 0.5, -0.5))


def _table(comparison: Comparison) -> Table:
    """Table of success by method, best first: mean over ranked conditions, then each condition."""
    table: Table = [("method", "condition", "held_out", "rate", "low", "high", "median_episodes")]
    for method in comparison.ranking():
        table.append((method, "mean", 0, *comparison.success(method), nan))  # no median time
        for condition in comparison.conditions:
            held_out = int(condition in comparison.held_out)
            rate = comparison.success(method, condition)
            episodes = comparison.median_episodes(method, condition)
            table.append((method, condition, held_out, *rate, episodes))
    return table
