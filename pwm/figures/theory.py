"""Figures that show theory next to measurement.

Each function takes the evidence and returns a figure as wide as the paper's text, and the table
of what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pwm.analysis.conditions import conditions
from pwm.analysis.gradients import (
    before_learning,
    identity_sides,
    middle,
    policy_share,
    reference_time,
)
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.predictions import fitted_law
from pwm.analysis.theory import critic_bias, value_floor
from pwm.analysis.times import median_time
from pwm.figures.render import BASELINES, WIDTH, without_powers
from pwm.figures.tables import Table

LENGTHS = {6: "#56B4E9", 15: "#009E73", 30: "#E69F00", 60: "#D55E00", 120: "#CC79A7"}
"""Colours by steps per episode."""
WEIGHTS = {0.1: "#440154", 1.0: "#3B528B", 5.0: "#21918C", 20.0: "#5EC962", 100.0: "#D0B000"}
"""Colours by critic weight."""
GROUPS = {
    "lengths": ("learning rate 0.001", "#0072B2", "o"),
    "fast": ("learning rate 0.005", "#D55E00", "s"),
    "trial": ("longer, shorter trials", "#009E73", "^"),
    "mean": ("policy loss a mean", "#E69F00", "v"),
    "held-out": ("held out", "#CC79A7", "D"),
}
"""Label, colour and marker of each group of conditions."""
TITLES = {"ratio": "bias / sd of return", "steps": "bias alone, w ∝ c T", "fixed": "weight alone"}
"""Titles by rival law."""


def bias_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """The critic's bias, the floor of its loss and the identity, measured against predicted."""
    table: Table = [("panel", "experiment", "baseline", "steps", "weight", "predicted", "measured")]
    figure = Figure(figsize=(WIDTH, 2.1), layout="constrained")
    bias_axes, floor_axes, identity_axes = figure.subplots(1, 3)
    for name, marker in (("weight-0.005", "o"), ("weight-0.001", "^")):
        for steps, colour in LENGTHS.items():
            grid = evidence.of(name).at(episode_length=steps)
            attached, detached = (grid.at(baseline=baseline) for baseline in BASELINES)
            label = f"{steps} steps" if marker == "o" else None
            look: dict[str, Any] = {"color": colour, "markersize": 2.8, "alpha": 0.85}
            points = _bias_points(attached, steps)
            table += [("bias", name, "attached", steps, *point) for point in points]
            _, x, y = np.array(points).T
            shown = (x > 1e-3) & (y > 1e-3)
            bias_axes.plot(x[shown], y[shown], marker, label=label, **look)
            points = _floor_points(detached, steps)
            table += [("floor", name, "detached", steps, *point) for point in points]
            _, x, y = np.array(points).T
            floor_axes.plot(x, y, marker, **look)
    runs = evidence.of("gradients").at(baseline="attached")
    for steps, colour in LENGTHS.items():
        for weight, marker in ((1.0, "o"), (5.0, "s")):
            part = runs.at(episode_length=steps, critic_weight=weight)
            ours, theirs = (float(side.mean()) for side in identity_sides(part))
            table.append(("identity", "gradients", "attached", steps, weight, theirs, ours))
            identity_axes.plot(theirs, ours, marker, color=colour, markersize=3.5)
    for axes, low, high, title, predicted in (
        (bias_axes, 1e-3, 3e3, "bias of an attached critic", "T H / 2w"),
        (floor_axes, 0.2, 200, "value loss, detached", "its floor"),
        (identity_axes, 0.3, 3000, "Σ δ log π, attached", "2w (value loss − V) + Cov"),
    ):
        _diagonal(axes, low, high)
        axes.set_title(title, fontsize=7.5)
        axes.set_xlabel(predicted)
    bias_axes.set_ylabel("measured")
    bias_axes.legend(frameon=False, fontsize=5.5, handletextpad=0.1, borderaxespad=0.1)
    return figure, table


def _diagonal(axes: Axes, low: float, high: float) -> None:
    """The line on which prediction and measurement agree, on logarithmic axes."""
    axes.plot([low, high], [low, high], color="0.3", linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    axes.set_yscale("log")


def _bias_points(attached: Outcomes, steps: int) -> list[tuple[float, float, float]]:
    """Weight, predicted bias and measured bias of each cell."""
    entropy, measured = attached.entropy.mean(axis=-1), attached.critic_bias.mean(axis=-1)
    return [
        (weight, critic_bias(steps, float(mean), weight), float(bias))
        for weight, mean, bias in zip(attached.weights, entropy, measured, strict=True)
    ]


def _floor_points(detached: Outcomes, steps: int) -> list[tuple[float, float, float]]:
    """Weight, median floor given each seed's success, and median value loss of each cell."""
    floors = [[value_floor(p, steps // 3) for p in seeds] for seeds in detached.reward]
    medians = np.median(floors, axis=-1), np.median(detached.value_loss, axis=-1)
    return list(zip(detached.weights, *map(np.ndarray.tolist, medians), strict=True))


def edges_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """The lower edge of every condition against three rivals' predictions from detached runs."""
    edged = {
        name: condition
        for name, condition in conditions(evidence).items()
        if condition.edges is not None
    }
    predicted = {rival: [float(c.edges_by(rival)[0]) for c in edged.values()] for rival in TITLES}
    table: Table = [("condition", "steps", "edge", "low", "high", *TITLES)]
    for (name, condition), *edges in zip(edged.items(), *predicted.values(), strict=True):
        table.append((name, condition.steps, *condition.edge, *edges))
    figure = Figure(figsize=(WIDTH, 2.3), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for axes, (rival, values) in zip(panels, predicted.items(), strict=True):
        seen: set[str] = set()
        for condition, x in zip(edged.values(), values, strict=True):
            label, colour, marker = GROUPS[condition.group]
            value, low, high = condition.edge
            error = [[max(value - low, 0)], [max(high - value, 0)]]
            axes.errorbar(x, value, error, color=colour, marker=marker, markersize=3.5, capsize=1.5,
                          linewidth=0.8, label=None if label in seen else label)  # fmt: skip
            seen.add(label)
        _diagonal(axes, 0.03, 30)
        axes.set_xlim(0.03, 30)
        axes.set_ylim(0.03, 30)
        without_powers(axes.xaxis)
        without_powers(axes.yaxis)
        axes.set_title(TITLES[rival], fontsize=8)
        axes.set_xlabel("predicted from detached runs", fontsize=7.5)
    panels[0].set_ylabel("lower edge, measured", fontsize=8)
    if edged:
        panels[0].legend(frameon=False, fontsize=5.5, loc="upper left", borderaxespad=0.1)
    return figure, table


def speed_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Time to learn against the weight, measured and by the law."""
    law = fitted_law()
    table: Table = [("steps", "series", "critic_weight", "median", "law")]
    figure = Figure(figsize=(WIDTH, 1.9), layout="constrained")
    panels = figure.subplots(1, 5, sharex=True, sharey=True)
    grid = evidence.of("weight-0.001")
    for axes, steps in zip(panels, LENGTHS, strict=True):
        part = grid.at(episode_length=steps)
        weights = np.array(part.weights)
        attached, detached = (median_time(part.at(baseline=name).time) for name in BASELINES)
        shared = reference_time(part) * np.array([law.sharing(weight) for weight in weights])
        slowed = detached * np.array([law.leak(weight, steps) for weight in weights])
        for name, times, line in (("detached", detached, shared), ("attached", attached, slowed)):
            axes.plot(weights, times, "o", color=BASELINES[name], markersize=3, label=name)
            known = np.isfinite(line)
            axes.plot(weights[known], line[known], color=BASELINES[name], linewidth=0.9)
            rows = zip(weights, times, line, strict=True)
            table += [(steps, name, *row) for row in rows]
        axes.axhline(grid.base.num_episodes, color="0.6", linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(0.013, 150)
        axes.set_ylim(1500, 60_000)
        without_powers(axes.xaxis)
        without_powers(axes.yaxis)
        axes.set_xticks([0.1, 1, 10, 100])
        axes.set_yticks([2000, 5000, 10_000, 20_000, 50_000])
        axes.tick_params(labelsize=6)
        axes.set_title(f"{steps} steps", fontsize=8)
    panels[0].set_ylabel("episodes until\nhalf had learned", fontsize=7)
    panels[4].legend(frameon=False, fontsize=6, loc="upper left", borderaxespad=0.1)
    figure.supxlabel("critic weight w", fontsize=8)
    return figure, table


def gradients_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """The policy's share of the trunk's gradient: against the weight, and over training."""
    table: Table = [("panel", "steps", "critic_weight", "episode", "share")]
    runs = evidence.of("gradients")
    figure = Figure(figsize=(WIDTH, 2.0), layout="constrained")
    detached_axes, time_axes, attached_axes = figure.subplots(1, 3, sharey=True)
    for axes, baseline in ((detached_axes, "detached"), (attached_axes, "attached")):
        grid = runs.at(baseline=baseline)
        for steps, colour in LENGTHS.items():
            parts = (grid.at(episode_length=steps, critic_weight=w) for w in grid.weights)
            shares = [middle(before_learning(part, policy_share(part))) for part in parts]
            axes.plot(grid.weights, shares, "o-", color=colour, markersize=3, linewidth=1,
                      label=f"{steps} steps")  # fmt: skip
            points: Sequence[tuple[float, float]] = list(zip(grid.weights, shares, strict=True))
            table += [(baseline, steps, weight, 0, share) for weight, share in points]
        axes.set_xscale("log")
        without_powers(axes.xaxis)
        axes.set_xlabel("critic weight w")
        axes.set_title(f"{baseline}, before learning", fontsize=7.5)
    for weight, colour in WEIGHTS.items():
        part = runs.at(baseline="detached", episode_length=60, critic_weight=weight)
        course = np.median(policy_share(part), axis=0)
        episode = runs.base.log_every * np.arange(1, len(course) + 1)
        time_axes.plot(episode / 1000, course, color=colour, linewidth=1, label=f"w = {weight:g}")
        rows = zip(episode, course, strict=True)
        table += [("over time", 60, weight, *row) for row in rows]
    time_axes.set_xlabel("episode (thousands)")
    time_axes.set_title("detached, 60 steps", fontsize=7.5)
    detached_axes.set_ylabel("policy's share of the trunk's\nsquared gradient", fontsize=7)
    handles = detached_axes.get_legend_handles_labels()
    attached_axes.legend(*handles, frameon=False, fontsize=5.5, borderaxespad=0.2)
    time_axes.legend(frameon=False, fontsize=5.5, loc="center right", borderaxespad=0.2)
    return figure, table
