"""Curves, points, axes and legends shared by several figures."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from pwm.analysis.estimates import Estimate, success_rate
from pwm.figures.tables import Table

WIDTH = 6.5  # inches, the paper's text width


def draw_success(
    axes: Axes,
    weights: Sequence[float],
    learned: NDArray[np.bool_],
    colour: str,
    alpha: float = 0.2,
    **line: Any,
) -> Table:
    """Draws success by critic weight, on a logarithmic axis, with a band of Wilson intervals.

    `learned` is whether each seed learned at each of the weights, [W, S]; `alpha` is the opacity of
    the band, and `line` are matplotlib's line properties. Returns one row per weight, with the
    columns `pwm.figures.tables.SUCCESS`.
    """
    rates = [success_rate(seeds) for seeds in learned]
    lows, highs = [rate.low for rate in rates], [rate.high for rate in rates]
    axes.fill_between(weights, lows, highs, color=colour, alpha=alpha, linewidth=0)
    axes.plot(weights, [rate.rate for rate in rates], color=colour, **line)
    axes.set_xscale("log")
    without_powers(axes.xaxis)
    return [(weight, *rate) for weight, rate in zip(weights, rates, strict=True)]


def draw_estimate(axes: Axes, x: float, estimate: Estimate, colour: str, marker: str) -> None:
    """Draws an estimate with its interval or, if it has none, an arrow up: it is a lower bound.

    An arrow does not widen the axes; one whose head is outside is not drawn.
    """
    value, low, _ = estimate
    if isnan(low):  # on a logarithmic axis, a factor gives all arrows the same length
        arrow = {"arrowstyle": "->", "color": colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (x, value * 1.35), (x, value), annotation_clip=True, arrowprops=arrow)
    else:
        axes.errorbar(x, value, error_lengths(estimate), color=colour, marker=marker,
                      markersize=2.8, linewidth=0.7)  # fmt: skip


def error_lengths(estimate: Estimate) -> list[list[float]]:
    """Lengths of an estimate's error bar below and above, [2, 1], for `Axes.errorbar`."""
    value, low, high = estimate  # an interval may exclude the value
    return [[max(value - low, 0)], [max(high - value, 0)]]  # `errorbar` refuses negative lengths


def add_to_legend(axes: Axes, label: str, colour: str, marker: str = "o") -> None:
    """Adds an entry to a panel's legend, for the points of `draw_estimate`."""
    axes.plot([], [], marker, color=colour, markersize=3, label=label)


def make_logarithmic(axes: Axes) -> None:
    """Makes both axes logarithmic, labelled without powers of ten."""
    axes.set(xscale="log", yscale="log")
    without_powers(axes.xaxis)
    without_powers(axes.yaxis)


def without_powers(axis: Axis) -> None:
    """Labels a logarithmic axis 0.1, 1, 10, not in powers of ten; minor ticks are at 2 and 5."""
    axis.set_minor_locator(LogLocator(subs=(2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
