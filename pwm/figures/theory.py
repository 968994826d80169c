"""Figures that show theory next to measurement.

Each function takes the evidence and returns a figure as wide as the paper's text, and the table
of what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pwm.analysis.gradients import (
    identity_sides,
)
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.theory import critic_bias, value_floor
from pwm.figures.render import BASELINES, WIDTH, without_powers
from pwm.figures.tables import Table

LENGTHS = {6: "#56B4E9", 15: "#009E73", 30: "#E69F00", 60: "#D55E00", 120: "#CC79A7"}
"""Colours by steps per episode."""
RATIOS = (0.05, 0.1, 0.2, 0.5, 1, 2)


def bias_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """The critic's bias, the floor of its loss and the identity, measured over predicted."""
    table: Table = [("panel", "experiment", "baseline", "steps", "weight", "predicted", "measured")]
    figure = Figure(figsize=(WIDTH, 2.2), layout="constrained")
    bias_axes, floor_axes, identity_axes = figure.subplots(1, 3, sharex=True, sharey=True)
    for name, marker in (("weight-0.005", "o"), ("weight-0.001", "^")):
        for steps, colour in LENGTHS.items():
            grid = evidence.of(name).at(episode_length=steps)
            attached, detached = (grid.at(baseline=baseline) for baseline in BASELINES)
            for axes, panel, baseline, points in (
                (bias_axes, "bias", "attached", _bias_points(attached, steps)),
                (floor_axes, "floor", "detached", _floor_points(detached, steps)),
            ):
                table += [(panel, name, baseline, steps, *point) for point in points]
                _ratios(axes, points, colour, marker)
    runs = evidence.of("gradients").at(baseline="attached")
    for steps, colour in LENGTHS.items():
        points = []
        for weight in (1.0, 5.0):
            part = runs.at(episode_length=steps, critic_weight=weight)
            ours, theirs = (float(side.mean()) for side in identity_sides(part))
            points.append((weight, theirs, ours))
        table += [("identity", "gradients", "attached", steps, *point) for point in points]
        _ratios(identity_axes, points, colour, "s")
        identity_axes.plot([], [], "s", color=colour, markersize=3, label=f"{steps} steps")
    for axes, title in (
        (bias_axes, "bias, attached / (T H / 2w)"),
        (floor_axes, "value loss, detached / floor"),
        (identity_axes, "the identity's two sides"),
    ):
        axes.axhline(1, color="0.3", linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.set_yscale("log")
        without_powers(axes.xaxis)
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("critic weight w")
    without_powers(bias_axes.yaxis)
    bias_axes.set_ylim(RATIOS[0], RATIOS[-1])
    bias_axes.set_yticks(RATIOS)
    bias_axes.set_xticks([0.1, 1, 10, 100])
    bias_axes.set_ylabel("measured over predicted")
    identity_axes.legend(frameon=False, fontsize=6.5, handletextpad=0.1, borderaxespad=0.1,
                         loc="lower right")  # fmt: skip
    return figure, table


def _ratios(
    axes: Axes, points: Sequence[tuple[float, float, float]], colour: str, marker: str
) -> None:
    """Measured over predicted by weight; outside of the axis, at its edge."""
    weight, predicted, measured = np.array(points).T
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.clip(measured / predicted, RATIOS[0], RATIOS[-1])
    axes.plot(weight, ratio, marker, color=colour, markersize=2.8, alpha=0.8, clip_on=False)


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
