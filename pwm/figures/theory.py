"""Figures of what the theory says beside what was measured: bias, floor, identity, speed, shares.

As those of `pwm.figures.success`, which draws the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from pwm.analysis.gradients import (
    before_learning,
    identity_sides,
    middle,
    policy_share,
    reference_time,
)
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.predictions import predictions
from pwm.analysis.theory import critic_bias, noise_weight, slowdown, value_floor
from pwm.analysis.times import median_time

WIDTH = 6.5  # inches, the paper's text width
COLOURS = {"attached": "#D55E00", "detached": "#0072B2"}
LENGTHS = {6: "#56B4E9", 15: "#009E73", 30: "#E69F00", 60: "#D55E00", 120: "#CC79A7"}
WEIGHTS = {0.1: "#440154", 1.0: "#3B528B", 5.0: "#21918C", 20.0: "#5EC962", 100.0: "#D0B000"}
Table = list[Sequence[Any]]
"""Rows of a table, its heading first."""


def plain_numbers(axis: Axis) -> None:
    """Labels a logarithmic axis without powers."""
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _as_predicted(axes: Axes, low: float, high: float) -> None:
    """A line where what is measured is what is predicted, on logarithmic axes."""
    axes.plot([low, high], [low, high], color="0.3", linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    axes.set_yscale("log")


def bias_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """The critic's bias, the floor under its loss and the identity, measured against predicted."""
    table: Table = [("panel", "experiment", "baseline", "steps", "weight", "predicted", "measured")]
    figure = Figure(figsize=(WIDTH, 2.1), layout="constrained")
    of_bias, of_floor, of_identity = figure.subplots(1, 3)
    for name, marker in (("weight-0.005", "o"), ("weight-0.001", "^")):
        for steps, colour in LENGTHS.items():
            grid = evidence.of(name).at(episode_length=steps)
            attached, detached = (grid.at(baseline=baseline) for baseline in COLOURS)
            label = f"{steps} steps" if marker == "o" else None
            look: dict[str, Any] = {"color": colour, "markersize": 2.8, "alpha": 0.85}
            points = _bias_points(attached, steps)
            table += [("bias", name, "attached", steps, *point) for point in points]
            _, x, y = np.array(points).T
            kept = (x > 1e-3) & (y > 1e-3)
            of_bias.plot(x[kept], y[kept], marker, label=label, **look)
            points = _floor_points(detached, steps)
            table += [("floor", name, "detached", steps, *point) for point in points]
            _, x, y = np.array(points).T
            of_floor.plot(x, y, marker, **look)
    runs = evidence.of("gradients").at(baseline="attached")
    for steps, colour in LENGTHS.items():
        for weight, marker in ((1.0, "o"), (5.0, "s")):
            part = runs.at(episode_length=steps, critic_weight=weight)
            ours, theirs = (float(side.mean()) for side in identity_sides(part, steps, weight))
            table.append(("identity", "gradients", "attached", steps, weight, theirs, ours))
            of_identity.plot(theirs, ours, marker, color=colour, markersize=3.5)
    _as_predicted(of_bias, 1e-3, 3e3)
    _as_predicted(of_floor, 0.2, 200)
    _as_predicted(of_identity, 0.3, 3000)
    of_bias.set_xlabel("T H / 2w")
    of_bias.set_ylabel("measured")
    of_bias.set_title("bias of an attached critic", fontsize=7.5)
    of_floor.set_xlabel("floor under it")
    of_floor.set_title("value loss, detached", fontsize=7.5)
    of_identity.set_xlabel("2w (value loss − V) + Cov")
    of_identity.set_title("Σ δ log π, attached", fontsize=7.5)
    of_bias.legend(frameon=False, fontsize=5.5, handletextpad=0.1, borderaxespad=0.1)
    return figure, table


def _bias_points(attached: Outcomes, steps: int) -> list[tuple[float, float, float]]:
    """Weight, predicted and measured bias of each cell."""
    return [
        (
            weight,
            critic_bias(steps, float(attached.entropy[place].mean()), weight),
            float(attached.critic_bias[place].mean()),
        )
        for place, weight in enumerate(attached.weights)
    ]


def _floor_points(detached: Outcomes, steps: int) -> list[tuple[float, float, float]]:
    """Weight, floor at the cell's own success, and measured value loss of each cell (medians)."""
    return [
        (
            weight,
            float(np.median([value_floor(p, steps // 3) for p in detached.reward[place]])),
            float(np.median(detached.value_loss[place])),
        )
        for place, weight in enumerate(detached.weights)
    ]


def speed_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """How long learning takes against the weight, and what the law of slowdown says."""
    law = predictions()["third"]
    table: Table = [("steps", "series", "critic_weight", "median", "law")]
    figure = Figure(figsize=(WIDTH, 1.9), layout="constrained")
    panels = figure.subplots(1, 5, sharex=True, sharey=True)
    grid = evidence.of("weight-0.001")
    for axes, steps in zip(panels, LENGTHS, strict=True):
        part = grid.at(episode_length=steps)
        detached = median_time(part.at(baseline="detached").time)
        attached = median_time(part.at(baseline="attached").time)
        weights = np.array(part.weights)
        noise = law["noise_constant"] * noise_weight(steps, 3)
        shared = reference_time(part) * np.array(
            [slowdown(critic=weight / law["share_weight"]) for weight in weights]
        )
        slowed = detached * np.array([slowdown(noise / weight) for weight in weights])
        for name, times, lines in (("detached", detached, shared), ("attached", attached, slowed)):
            axes.plot(weights, times, "o", color=COLOURS[name], markersize=3, label=name)
            kept = np.isfinite(lines)
            axes.plot(weights[kept], lines[kept], color=COLOURS[name], linewidth=0.9)
            rows = zip(weights, times, lines, strict=True)
            table += [(steps, name, *row) for row in rows]
        axes.axhline(grid.base.num_episodes, color="0.6", linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(0.013, 150)
        axes.set_ylim(1500, 60_000)
        plain_numbers(axes.xaxis)
        plain_numbers(axes.yaxis)
        axes.set_xticks([0.1, 1, 10, 100])
        axes.set_yticks([2000, 5000, 10_000, 20_000, 50_000])
        axes.tick_params(labelsize=6)
        axes.set_title(f"{steps} steps", fontsize=8)
    panels[0].set_ylabel("episodes until\nhalf had learned", fontsize=7)
    panels[4].legend(frameon=False, fontsize=6, loc="upper left", borderaxespad=0.1)
    figure.supxlabel("critic weight w", fontsize=8)
    return figure, table


def gradients_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """The policy's share of the trunk's gradient: against the weight, over training, attached."""
    table: Table = [("panel", "steps", "critic_weight", "episode", "share")]
    runs = evidence.of("gradients")
    figure = Figure(figsize=(WIDTH, 2.0), layout="constrained")
    by_weight, over_time, with_leak = figure.subplots(1, 3, sharey=True)
    for axes, baseline in ((by_weight, "detached"), (with_leak, "attached")):
        grid = runs.at(baseline=baseline)
        for steps, colour in LENGTHS.items():
            shares = []
            for weight in grid.weights:
                part = grid.at(episode_length=steps, critic_weight=weight)
                early = before_learning(part, policy_share(part))
                shares.append(middle(early))
            axes.plot(grid.weights, shares, "o-", color=colour, markersize=3, linewidth=1,
                      label=f"{steps} steps")  # fmt: skip
            rows = zip(grid.weights, shares, strict=True)
            table += [(baseline, steps, weight, 0, share) for weight, share in rows]
        axes.set_xscale("log")
        plain_numbers(axes.xaxis)
        axes.set_xlabel("critic weight w")
        axes.set_title(f"{baseline}, before learning", fontsize=7.5)
    for weight, colour in WEIGHTS.items():
        part = runs.at(baseline="detached", episode_length=60, critic_weight=weight)
        course = np.median(policy_share(part), axis=0)
        episode = runs.base.log_every * np.arange(1, len(course) + 1)
        over_time.plot(episode / 1000, course, color=colour, linewidth=1, label=f"w = {weight:g}")
        rows = zip(episode, course, strict=True)
        table += [("over time", 60, weight, *row) for row in rows]
    over_time.set_xlabel("thousand episodes")
    over_time.set_title("detached, 60 steps", fontsize=7.5)
    by_weight.set_ylabel("policy's share of the trunk's\nsquared gradient", fontsize=7)
    with_leak.legend(*by_weight.get_legend_handles_labels(), frameon=False, fontsize=5.5,
                     borderaxespad=0.2)  # fmt: skip
    over_time.legend(frameon=False, fontsize=5.5, loc="center right", borderaxespad=0.2)
    return figure, table
