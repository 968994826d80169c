"""The law of the climb in other settings: other optimisers, returns, batches and losses.

All panels but the last show cells of the fifth set of predictions; that of batches also shows light
critics. A cell is the runs of one condition (a group of `pwm.experiments.fifth` and the steps per
episode), variant and critic weight; its slowdown is their median time to learn over that of the
condition's light detached critic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pwm.analysis.elsewhere import NOTHING
from pwm.analysis.estimates import Estimate, interval, rate, resampled_means
from pwm.analysis.evidence import Evidence
from pwm.analysis.fifth_cells import fifth_cells, median_times, of_groups, predicted_biases
from pwm.analysis.fifth_predictions import BATCHES, OPTIMISERS, TARGETS
from pwm.analysis.fixed_points import huber_bias
from pwm.analysis.fourth_predictions import NEAR
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import LAW
from pwm.core.leak import critic_bias, start_entropy
from pwm.figures.panels import WIDTH, add_to_legend, draw_estimate, make_logarithmic, without_powers
from pwm.figures.tables import Table

VARIANTS: Mapping[str, tuple[str, str, str]] = {
    "own": ("attached", "#D55E00", "v"),
    "all": ("attached, targets too", "#E69F00", "^"),
    "raw": ("detached, from 0", "#0072B2", "o"),
    "centred": ("detached, centred", "#009E73", "s"),
    "per-loss": ("an optimiser for each loss", "#CC79A7", "P"),
    "light": ("light critic", "0.3", "D"),
}
"""Label, colour and marker by `Cell.variant`; also of light critics and the notes' "per-loss"."""
HEADING = ("panel", "series", "x", "predicted", "value", "low", "high", "finished")
"""Columns of the table; the functions that draw a panel return rows without the first. `x` is the
critic weight or, for batches, the episodes per update. `predicted` is nan where nothing is
predicted, inf without a fixed point. If `finished` is False, `value` is only a lower bound."""
LAW_LINE: Mapping[str, Any] = {"color": "0.4", "linewidth": 0.8}


def elsewhere_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Figure and table of measured and predicted slowdowns, biases and times, and of success."""
    optimisers = partial(_draw_slowdowns, groups=(*OPTIMISERS, "sgd"))  # two Adams, and SGD
    returns = partial(_draw_slowdowns, groups=TARGETS)
    weight = "critic weight w"
    # By title: function, axis labels
    panels: Mapping[str, tuple[Callable[[Axes, Evidence], Table], str, str]] = {
        "optimisers": (optimisers, "predicted slowdown", "measured"),
        "returns": (returns, "predicted slowdown", "measured"),
        "bias": (_draw_biases, "predicted bias", "measured"),
        "batches": (_draw_batches, "episodes per update", "episodes to learn"),
        "normalised": (_draw_normalised, weight, "slowdown, attached"),
        "Huber's loss": (_draw_huber, weight, "bias"),
        "state carried": (_draw_carried, weight, "slowdown"),
        "notes, later": (_draw_later_notes, weight, "fraction that learned"),
    }
    figure = Figure(figsize=(WIDTH, 4.0), layout="constrained")
    table: Table = [HEADING]
    for axes, (title, panel) in zip(figure.subplots(2, 4).flat, panels.items(), strict=True):
        draw, x_label, y_label = panel
        table += [(title, *row) for row in draw(axes, evidence)]
        axes.set_title(title, fontsize=8)
        axes.set_xlabel(x_label, fontsize=7)
        axes.set_ylabel(y_label, fontsize=7)
    entries = [Line2D([], [], color=colour, marker=marker, linestyle="", markersize=3, label=label)
               for label, colour, marker in VARIANTS.values()]  # fmt: skip
    figure.legend(handles=entries, loc="outside lower center", ncols=3, fontsize=7)
    return figure, table


def _draw_slowdowns(axes: Axes, evidence: Evidence, groups: Sequence[str]) -> Table:
    """Plots measured against predicted slowdowns of the groups' cells; returns the table's rows."""
    table: Table = []
    diagonal = np.array([0.5, 14])
    # A grey band where predictions are right within a factor of `NEAR`
    axes.fill_between(diagonal, diagonal / NEAR, diagonal * NEAR, color="0.9", linewidth=0)
    axes.plot(diagonal, diagonal, **LAW_LINE)
    for variant, (_, colour, marker) in VARIANTS.items():
        for cell in of_groups(fifth_cells(evidence), groups, variant):
            predicted = cell.predicted[LAW]
            draw_estimate(axes, predicted, cell.estimate, colour, marker)
            series = f"{cell.condition} {variant} {cell.weight:g}"
            table.append((series, cell.weight, predicted, *cell.estimate, cell.finished))
    make_logarithmic(axes)
    return table


def _draw_biases(axes: Axes, evidence: Evidence) -> Table:
    """Plots measured against predicted biases of attached critics; returns the table's rows."""
    table: Table = []
    diagonal = np.array([0.1, 8])
    axes.plot(diagonal, diagonal, **LAW_LINE)
    for variant in ("own", "all"):
        _, colour, marker = VARIANTS[variant]
        for cell in of_groups(fifth_cells(evidence), TARGETS, variant):
            predicted = float(predicted_biases(cell).mean())  # over seeds
            measured = interval(resampled_means(cell.runs.critic_bias))
            draw_estimate(axes, predicted, measured, colour, marker)
            series = f"{cell.condition} {variant} {cell.weight:g}"
            table.append((series, cell.weight, predicted, *measured, True))
    make_logarithmic(axes)
    return table


def _draw_batches(axes: Axes, evidence: Evidence) -> Table:
    """Plots median times to learn by batch size, at 15 steps per episode; returns the table's rows.

    Each line joins the law's predictions for the light critic or for a variant, "raw" or "own".
    """
    table: Table = []
    for group in BATCHES:
        size, condition = int(group.removeprefix("batch-")), f"{group}-15"
        predicted_light = predictions()["fifth"]["light"][condition][LAW]  # episodes to learn
        points = [("light", evidence.of(f"fifth-{condition}-light"), predicted_light)]
        points += [
            (cell.variant, cell.runs, cell.predicted[LAW] * predicted_light)
            for cell in of_groups(fifth_cells(evidence), (group,))
            if cell.condition == condition
        ]
        for variant, runs, predicted in points:
            budget = float(runs.base.num_episodes)
            times = median_times(runs)  # [1 + resamples]; inf if most seeds fail, so capped below
            finished = bool(np.isfinite(times[0]))
            time = interval(np.minimum(times, budget)) if finished else Estimate(budget)
            _, colour, marker = VARIANTS[variant]
            draw_estimate(axes, size, time, colour, marker)
            table.append((variant, size, predicted, *time, finished))
    for variant in ("light", "raw", "own"):
        sizes_and_predictions = [row[1:3] for row in table if row[0] == variant]
        axes.plot(*np.transpose(sizes_and_predictions), color=VARIANTS[variant][1], linewidth=0.8)
    make_logarithmic(axes)
    return table


def _draw_normalised(axes: Axes, evidence: Evidence) -> Table:
    """Plots slowdowns of attached critics with normalised advantages; returns the table's rows.

    Lines are the law's predictions; dotted ones, without normalisation and from the fixed point.
    """
    table: Table = []
    cells = of_groups(fifth_cells(evidence), ("normalised",), "own")
    for steps, colour, marker in ((15, "black", "o"), (60, "0.55", "s")):
        of_steps = [cell for cell in cells if cell.condition == f"normalised-{steps}"]
        for cell in of_steps:
            draw_estimate(axes, cell.weight, cell.estimate, colour, marker)
            predicted = cell.predicted[LAW]
            table.append((f"{steps} steps", cell.weight, predicted, *cell.estimate, cell.finished))
        weights = [cell.weight for cell in of_steps]
        for account, style in ((LAW, "-"), (NOTHING, ":")):
            slowdowns = [cell.predicted[account] for cell in of_steps]
            axes.plot(weights, slowdowns, color=colour, linewidth=0.8, linestyle=style)
        add_to_legend(axes, f"{steps} steps", colour, marker)
    axes.legend(loc="upper right", fontsize=7, handletextpad=0.2)
    make_logarithmic(axes)
    return table


def _draw_huber(axes: Axes, evidence: Evidence) -> Table:
    """Plots the final bias of attached critics with Huber's loss by weight; returns table rows.

    The dotted line is the bias predicted for squared errors before learning. Left of the vertical
    line, it exceeds 1, and a critic with Huber's loss has no fixed point (`huber_bias`).
    """
    table: Table = []
    _, colour, marker = VARIANTS["own"]
    steps, entropy = 15, start_entropy(trial_length=3)  # of the policy learned first
    for cell in fifth_cells(evidence):
        if (cell.condition, cell.variant) == (f"huber-{steps}", "own"):
            predicted = huber_bias(cell.runs.base, entropy, success=0.5)  # only in the table
            measured = interval(resampled_means(cell.runs.critic_bias))
            draw_estimate(axes, cell.weight, measured, colour, marker)
            table.append(("Huber", cell.weight, predicted, *measured, True))
    weights = np.geomspace(2, 20, 40)
    biases = [critic_bias(steps, entropy, weight) for weight in weights]
    axes.plot(weights, biases, linestyle=":", **LAW_LINE)
    axes.axvline(critic_bias(steps, entropy, 1), **LAW_LINE)  # the bias b(1) / w is 1 there
    make_logarithmic(axes)
    axes.set_xticks([2, 5, 10, 20])
    return table


def _draw_carried(axes: Axes, evidence: Evidence) -> Table:
    """Plots slowdowns by weight with the LSTM's state carried across trials; returns table rows."""
    table: Table = []
    for variant, (_, colour, marker) in VARIANTS.items():
        for cell in fifth_cells(evidence):
            if (cell.condition, cell.variant) == ("carried-60", variant):
                draw_estimate(axes, cell.weight, cell.estimate, colour, marker)
                table.append((variant, cell.weight, np.nan, *cell.estimate, cell.finished))
    make_logarithmic(axes)
    axes.set(xlim=(0.7, 140), ylim=(0.8, 12))
    return table


def _draw_later_notes(axes: Axes, evidence: Evidence) -> Table:
    """Plots success by weight in `pwm.experiments.fifth.LATER_SETTING`; returns table rows."""
    table: Table = []
    for name, variant in (("attached", "own"), ("detached", "raw"), ("per-loss", "per-loss")):
        _, colour, marker = VARIANTS[variant]
        runs = evidence.of(f"later-{name}")
        for weight, learned in zip(runs.weights, runs.learned, strict=True):
            success = rate(learned)
            draw_estimate(axes, weight, success, colour, marker)
            table.append((name, weight, np.nan, *success, True))
    axes.set_xscale("log")
    without_powers(axes.xaxis)
    axes.set_ylim(-0.04, 1.04)
    return table
