"""Heat map of success by balancing method and condition."""

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
    """Figure and table of each method's success in each condition, in percent of seeds.

    A method's score is its mean success over the ranked conditions. A row shows a method with raw
    returns in the left panel and with centred returns in the right one; rows are sorted by the
    better of the two scores. The columns are the score, the worst condition, all ranked conditions
    and the held-out ones. The table's methods are sorted by score.
    """
    methods = compared(evidence)
    by_place = {_place(method): method for method in methods.ranking()}
    rows = list(dict.fromkeys(row for row, _ in by_place))  # each once, at its better rank
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, returns in zip(panels, BOTH, strict=True):
        _draw(axes, methods, [by_place.get((row, returns)) for row in rows])
        axes.set_title(f"{returns} returns", pad=12)
    names = {"usual": "normalised, clipped"}
    labels = [f"weight {row}" if row.isdigit() else names.get(row, row) for row in rows]
    panels[0].set_yticks(range(len(rows)), labels, fontsize=6)
    return figure, _table(methods)


def _place(method: str) -> tuple[str, str]:
    """Row and panel (of `BOTH`) that show a method; "centred pcgrad" is in "pcgrad", "centred"."""
    returns, _, row = method.partition(" ")
    return (row, returns) if returns in BOTH else (method, ALONE[method])


def _draw(axes: Axes, methods: Comparison, names: Sequence[str | None]) -> None:
    """Draws a panel with three blocks of columns: summaries, ranked and held-out conditions.

    `names` are the methods of the rows; None leaves a row empty.
    """
    blocks = {"score": SUMMARIES, "conditions": methods.ranked, "held out": methods.held_out}
    conditions = [*methods.ranked, *methods.held_out]
    rates = np.full((len(names), len(SUMMARIES) + len(conditions)), nan)
    for row, name in enumerate(names):
        if name is not None:
            by_condition = methods.learned_by(name, conditions).mean(axis=-1)
            summaries = methods.success(name).value, methods.worst_success(name)
            rates[row] = (*summaries, *by_condition)
    places: list[float] = []  # abscissa of each column
    for title, block in blocks.items():
        left = places[-1] + 1.4 if places else 0.0  # with a gap between blocks
        right = left + (len(block) - 1)
        first = len(places)
        axes.imshow(
            rates[:, first : first + len(block)],
            cmap="Blues", vmin=0, vmax=1, aspect="auto",
            extent=(left - 0.5, right + 0.5, len(names) - 0.5, -0.5),
        )  # fmt: skip
        middle = (left + right) / 2
        axes.text(middle, -0.6, title, ha="center", va="bottom", fontsize=5.5, style="italic")
        places += [left + column for column in range(len(block))]
    for (row, column), rate in np.ndenumerate(rates):
        if not np.isnan(rate):
            colour = "white" if rate >= 0.6 else "black"  # on dark or light blue
            axes.text(places[column], row, f"{100 * rate:.0f}", color=colour, ha="center",
                      va="center", fontsize=4.8)  # fmt: skip
    axes.set_xticks(places, [*SUMMARIES, *conditions], rotation=90, fontsize=5.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlim=(-0.5, places[-1] + 0.5), ylim=(len(names) - 0.5, -0.5))


def _table(methods: Comparison) -> Table:
    """Table of success by method, best first: its mean, then its success in each condition."""
    table: Table = [("method", "condition", "held_out", "rate", "low", "high", "median_episodes")]
    for name in methods.ranking():
        table.append((name, "mean", 0, *methods.success(name), nan))
        for condition in methods.conditions:
            held_out = int(condition in methods.held_out)
            rate = methods.success(name, condition)
            episodes = methods.median_episodes(name, condition)
            table.append((name, condition, held_out, *rate, episodes))
    return table
