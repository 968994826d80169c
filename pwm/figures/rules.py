"""Heat map of the methods that balance the two losses, by condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pwm.analysis.evidence import Evidence
from pwm.analysis.rules import Comparison, compared
from pwm.experiments.rules import BOTH
from pwm.figures.render import WIDTH
from pwm.figures.tables import Table

ALONE = {"usual": "raw", "standardised 100": "centred", "popart": "centred"}
"""Methods tried in one way only, and the panel that shows them."""
DARK = 0.6  # success from which a number is printed in white
SUMMARIES = ("mean", "worst")
NUMBERS: Mapping[str, Any] = {"ha": "center", "va": "center", "fontsize": 4.8}


def rules_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Success of every method in every condition, in percent of seeds, raw and centred.

    The figure's rows are sorted by the better of their two scores, the table by score.
    """
    methods = compared(evidence)
    rows = list(dict.fromkeys(_row(name) for name in methods.ranking()))
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, returns in zip(panels, BOTH, strict=True):
        names = [_method(row, returns) for row in rows]
        _draw(axes, methods, names)
        axes.set_title(f"{returns} returns", pad=12)
    labels = [f"weight {row}" if row.isdigit() else row for row in rows]
    panels[0].set_yticks(range(len(rows)), labels, fontsize=6)
    return figure, _table(methods)


def _row(method: str) -> str:
    """The row of a method: its name without the returns."""
    returns, _, rest = method.partition(" ")
    return rest if returns in BOTH else method


def _method(row: str, returns: str) -> str | None:
    """The method in a row of a panel, if there is one."""
    if row not in ALONE:
        return f"{returns} {row}"
    return row if ALONE[row] == returns else None


def _draw(axes: Axes, methods: Comparison, names: Sequence[str | None]) -> None:
    """Draws a panel: mean and worst, ranked conditions, held-out ones, with gaps between."""
    blocks = {"score": SUMMARIES, "conditions": methods.ranked, "held out": methods.held_out}
    conditions = [*methods.ranked, *methods.held_out]
    missing = np.full(len(SUMMARIES) + len(conditions), nan)
    rates = np.array([_rates(methods, name, conditions) if name else missing for name in names])
    ticks: list[float] = []
    for title, block in blocks.items():
        first = len(ticks)
        left = ticks[-1] + 1.4 if ticks else 0.0
        ticks += [left + number for number in range(len(block))]
        axes.imshow(
            rates[:, first : len(ticks)], cmap="Blues", vmin=0, vmax=1, aspect="auto",
            extent=(left - 0.5, ticks[-1] + 0.5, len(names) - 0.5, -0.5),
        )  # fmt: skip
        middle = (left + ticks[-1]) / 2
        axes.text(middle, -0.6, title, ha="center", va="bottom", fontsize=5.5, style="italic")
    for (row, column), rate in np.ndenumerate(rates):
        if not np.isnan(rate):
            colour = "white" if rate >= DARK else "black"
            axes.text(ticks[column], row, f"{100 * rate:.0f}", color=colour, **NUMBERS)
    axes.set_xticks(ticks, [*SUMMARIES, *conditions], rotation=90, fontsize=5.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.5, ticks[-1] + 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)


def _rates(methods: Comparison, name: str, conditions: Sequence[str]) -> NDArray[np.float64]:
    """Success of a method: mean, worst, then in each condition."""
    rates = methods.learned_by(name, conditions).mean(axis=-1)
    return np.array([methods.success(name).value, methods.worst_success(name), *rates])


def _table(methods: Comparison) -> Table:
    """A row per method and condition, and one for its mean; the best method first."""
    table: Table = [("method", "condition", "held_out", "rate", "low", "high", "median_episodes")]
    for name in methods.ranking():
        table.append((name, "mean", 0, *methods.success(name), nan))
        for condition in methods.conditions:
            rate = methods.success(name, condition)
            episodes = methods.median_episodes(name, condition)
            table.append((name, condition, int(condition in methods.held_out), *rate, episodes))
    return table
