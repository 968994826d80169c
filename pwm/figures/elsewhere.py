"""The fifth set of predictions: other optimisers, returns, batches and losses, in eight panels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pwm.analysis.elsewhere import NOTHING
from pwm.analysis.estimates import Estimate, interval, resampled_means, success_rate
from pwm.analysis.fifth_cells import fifth_cells, median_times, of_groups, predicted_bias
from pwm.analysis.fifth_predictions import BATCHES, OPTIMISERS, TARGETS
from pwm.analysis.fixed_points import huber_bias
from pwm.analysis.fourth_predictions import NEAR
from pwm.analysis.outcomes import Evidence
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import LAW
from pwm.core.leak import critic_bias, start_entropy
from pwm.figures.render import WIDTH, point, without_powers
from pwm.figures.tables import Table

VARIANTS: Mapping[str, tuple[str, str, str]] = {
    "own": ("attached", "#D55E00", "v"),
    "all": ("attached, targets too", "#E69F00", "^"),
    "raw": ("detached, from 0", "#0072B2", "o"),
    "centred": ("detached, centred", "#009E73", "s"),
}
"""Label, colour and marker by variant."""
HEADING = ("panel", "series", "x", "predicted", "value", "low", "high", "finished")
LAW_LINE: Mapping[str, Any] = {"color": "0.4", "linewidth": 0.8}
BEFORE_LINE: Mapping[str, Any] = {"color": "0.4", "linewidth": 0.8, "linestyle": ":"}


def elsewhere_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Slowdowns, biases and times with the law's, and success in the notes' later setting."""
    panels: Mapping[str, Callable[[Axes, Evidence], Table]] = {
        "optimisers": partial(_slowdowns, groups=(*OPTIMISERS, "sgd")),
        "returns": partial(_slowdowns, groups=TARGETS),
        "bias": _biases,
        "batches": _batches,
        "normalised": _normalised,
        "Huber's loss": _huber,
        "state carried": _carried,
        "notes, later": _later,
    }
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    table: Table = [HEADING]
    for axes, (title, draw) in zip(figure.subplots(2, 4).flat, panels.items(), strict=True):
        axes.set_title(title, fontsize=8)
        table += [(title, *row) for row in draw(axes, evidence)]
        axes.xaxis.label.set_size(7)
        axes.yaxis.label.set_size(7)
    return figure, table


def _slowdowns(axes: Axes, evidence: Evidence, groups: Sequence[str]) -> Table:
    """Draws measured against predicted slowdown, by variant; returns the rows."""
    table: Table = []
    ends = np.array([0.5, 14])
    axes.fill_between(ends, ends / NEAR, ends * NEAR, color="0.9", linewidth=0)
    axes.plot(ends, ends, **LAW_LINE)
    for variant, (label, colour, marker) in VARIANTS.items():
        cells = of_groups(fifth_cells(evidence), groups, variant)
        for cell in cells:
            estimate = interval(cell.least)
            point(axes, cell.predicted[LAW], estimate, cell.finished, colour, marker)
            series = f"{cell.condition} {variant} {cell.weight:g}"
            table.append(_row(series, cell.weight, cell.predicted[LAW], estimate, cell.finished))
        if cells:
            axes.plot([], [], marker, color=colour, markersize=3, label=label)
    _logarithmic(axes, "predicted slowdown", "measured")
    axes.legend(frameon=False, fontsize=5, loc="lower right", handletextpad=0.2)
    return table


def _biases(axes: Axes, evidence: Evidence) -> Table:
    """Draws measured against predicted bias of attached critics; returns the rows."""
    table: Table = []
    ends = np.array([0.1, 8])
    axes.plot(ends, ends, **LAW_LINE)
    for variant in ("own", "all"):
        _, colour, marker = VARIANTS[variant]
        for cell in of_groups(fifth_cells(evidence), TARGETS, variant):
            predicted = float(resampled_means(predicted_bias(cell))[0])
            estimate = interval(resampled_means(cell.runs.critic_bias))
            point(axes, predicted, estimate, True, colour, marker)
            series = f"{cell.condition} {variant} {cell.weight:g}"
            table.append(_row(series, cell.weight, predicted, estimate, True))
    _logarithmic(axes, "predicted bias", "measured")
    return table


def _batches(axes: Axes, evidence: Evidence) -> Table:
    """Draws episodes to learn against episodes per update, at 15 steps, and the law's lines."""
    table: Table = []
    lines: dict[str, list[tuple[int, float]]] = {}
    times = predictions()["fifth"]["light"]
    for group in BATCHES:
        size, light = int(group.removeprefix("batch-")), f"{group}-15"
        found = {"light": (median_times(evidence.of(f"fifth-{light}-light")), times[light][LAW])}
        for cell in of_groups(fifth_cells(evidence), (group,)):
            if cell.condition == light:
                predicted = cell.predicted[LAW] * times[light][LAW]
                found[cell.variant] = (median_times(cell.runs), predicted)
        for variant, (episodes, predicted) in found.items():
            finished = bool(np.isfinite(episodes[0]))
            estimate = interval(np.minimum(episodes, _budget(evidence, light)))
            _, colour, marker = VARIANTS.get(variant, ("", "0.3", "D"))
            point(axes, size, estimate, finished, colour, marker)
            lines.setdefault(variant, []).append((size, predicted))
            table.append(_row(variant, size, predicted, estimate, finished))
    for line in lines.values():
        axes.plot(*zip(*line, strict=True), **LAW_LINE)
    axes.plot([], [], "D", color="0.3", markersize=3, label="light")
    _logarithmic(axes, "episodes per update", "episodes to learn")
    axes.legend(frameon=False, fontsize=5, loc="upper left", handletextpad=0.2)
    return table


def _budget(evidence: Evidence, condition: str) -> int:
    """Episodes that the runs of a condition are trained for."""
    return evidence.of(f"fifth-{condition}-light").base.num_episodes


def _normalised(axes: Axes, evidence: Evidence) -> Table:
    """Draws the slowdown by the leak with normalised advantages; dotted: without normalising."""
    table: Table = []
    cells = of_groups(fifth_cells(evidence), ("normalised",), "own")
    for steps, colour, marker in ((15, "#009E73", "o"), (60, "#D55E00", "s")):
        of_steps = [cell for cell in cells if cell.condition == f"normalised-{steps}"]
        for cell in of_steps:
            estimate = interval(cell.least)
            point(axes, cell.weight, estimate, cell.finished, colour, marker)
            row = _row(f"{steps} steps", cell.weight, cell.predicted[LAW], estimate, cell.finished)
            table.append(row)
        weights = [cell.weight for cell in of_steps]
        for account, look in ((LAW, LAW_LINE), (NOTHING, BEFORE_LINE)):
            line = [cell.predicted[account] for cell in of_steps]
            axes.plot(weights, line, **{**look, "color": colour})
        axes.plot([], [], marker, color=colour, markersize=3, label=f"{steps} steps")
    _logarithmic(axes, "critic weight w", "slowdown, attached")
    axes.legend(frameon=False, fontsize=5, loc="upper right", handletextpad=0.2)
    return table


def _huber(axes: Axes, evidence: Evidence) -> Table:
    """Draws the bias of an attached critic with Huber's loss.

    Left of the line, there is no fixed point before learning. Dotted: the bias with squared errors.
    """
    table: Table = []
    cells = [cell for cell in fifth_cells(evidence) if cell.condition == "huber-15"]
    for cell in cells:
        if cell.variant == "own":
            run = cell.runs.base
            predicted = huber_bias(run, start_entropy(run.task.trial_length), 0.5)
            estimate = interval(resampled_means(cell.runs.critic_bias))
            point(axes, cell.weight, estimate, True, VARIANTS["own"][1], "v")
            table.append(_row("Huber", cell.weight, predicted, estimate, True))
    weights = np.geomspace(2, 20, 40)
    squared = [critic_bias(15, start_entropy(3), weight) for weight in weights]
    axes.plot(weights, squared, **BEFORE_LINE)
    axes.axvline(15 * start_entropy(3) / 2, **LAW_LINE)
    _logarithmic(axes, "critic weight w", "bias")
    return table


def _carried(axes: Axes, evidence: Evidence) -> Table:
    """Draws slowdown against weight with a carried state, at 60 steps."""
    table: Table = []
    cells = [cell for cell in fifth_cells(evidence) if cell.condition == "carried-60"]
    for variant, (label, colour, marker) in VARIANTS.items():
        found = [cell for cell in cells if cell.variant == variant]
        for cell in found:
            estimate = interval(cell.least)
            point(axes, cell.weight, estimate, cell.finished, colour, marker)
            table.append(_row(variant, cell.weight, np.nan, estimate, cell.finished))
        if found:
            axes.plot([], [], marker, color=colour, markersize=3, label=label)
    _logarithmic(axes, "critic weight w", "slowdown")
    axes.set_xlim(0.7, 140)
    axes.set_ylim(0.8, 12)
    axes.legend(frameon=False, fontsize=5, loc="lower right", handletextpad=0.2)
    return table


def _later(axes: Axes, evidence: Evidence) -> Table:
    """Draws success against weight in the notes' later setting, with Wilson intervals."""
    table: Table = []
    looks = {
        "attached": VARIANTS["own"],
        "detached": VARIANTS["raw"],
        "per-loss": ("optimiser for each loss", *VARIANTS["centred"][1:]),
    }
    for name, (label, colour, marker) in looks.items():
        runs = evidence.of(f"later-{name}")
        for weight in runs.weights:
            *_, value, low, high = success_rate(runs.at(critic_weight=weight).learned)
            estimate = Estimate(value, low, high)
            point(axes, weight, estimate, True, colour, marker)
            table.append(_row(name, weight, np.nan, estimate, True))
        axes.plot([], [], marker, color=colour, markersize=3, label=label.partition(",")[0])
    axes.set_xscale("log")
    without_powers(axes.xaxis)
    axes.set_ylim(-0.04, 1.04)
    axes.set_xlabel("critic weight w")
    axes.set_ylabel("fraction that learned")
    axes.legend(frameon=False, fontsize=5, loc="best", handletextpad=0.2)
    return table


def _row(
    series: str, x: float, predicted: float, estimate: Estimate, finished: bool
) -> Sequence[object]:
    """A row of the table; without an interval if the number is a bound."""
    known = estimate if finished else Estimate(estimate.value)
    return (series, x, predicted, *known, finished)


def _logarithmic(axes: Axes, x: str, y: str) -> None:
    """Labels both axes and makes them logarithmic."""
    for scale, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
        scale("log")
        without_powers(axis)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
