"""The figure of theory against measurement: bias, floor and identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pwm.analysis.evidence import Evidence
from pwm.analysis.gradients import identity_sides
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.theory import value_floor
from pwm.core.leak import critic_bias
from pwm.figures.render import BASELINES, WIDTH, without_powers
from pwm.figures.tables import Table

LENGTHS = {6: "#56B4E9", 15: "#009E73", 30: "#E69F00", 60: "#D55E00", 120: "#CC79A7"}
"""Colours by steps per episode."""
RATIOS = {
    "bias": (0.2, 0.5, 1, 2),
    "floor": (0.8, 0.9, 1, 1.1, 1.25),
    "identity": (0.8, 0.9, 1, 1.1, 1.25),
}
"""Ticks of each panel; the outer two are the ends of its axis."""


def bias_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """The critic's bias, the floor of its loss and the identity, measured over predicted."""
    table: Table = [("panel", "experiment", "baseline", "steps", "weight", "predicted", "measured")]
    figure = Figure(figsize=(WIDTH, 2.2), layout="constrained")
    panels = dict(zip(RATIOS, figure.subplots(1, 3), strict=True))
    table += _bias_and_floor(panels, evidence)
    table += _identity(panels["identity"], evidence)
    for steps, colour in LENGTHS.items():
        panels["floor"].plot([], [], "o", color=colour, markersize=3, label=f"{steps} steps")
    for (panel, axes), title, label in zip(
        panels.items(),
        ("bias, attached / (T H / 2w)", "value loss, detached / floor", "identity, left / right"),
        ("critic weight w", "critic weight w", "steps per episode"),
        strict=True,
    ):
        axes.axhline(1, color="0.3", linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks([6, 15, 30, 60, 120] if panel == "identity" else [0.1, 1, 10, 100])
        for axis in (axes.xaxis, axes.yaxis):
            without_powers(axis)
            axis.minorticks_off()
        axes.set_ylim(RATIOS[panel][0], RATIOS[panel][-1])
        axes.set_yticks(RATIOS[panel])
        axes.set_title(title, fontsize=8)
        axes.set_xlabel(label)
    panels["bias"].set_ylabel("measured over predicted")
    panels["floor"].legend(frameon=False, fontsize=6.5, handletextpad=0.1, borderaxespad=0.1,
                           loc="lower right", ncols=2)  # fmt: skip
    return figure, table


def _bias_and_floor(panels: Mapping[str, Axes], evidence: Evidence) -> Table:
    """Draws the bias of attached critics and the loss of detached ones; returns the rows."""
    table: Table = []
    for name, marker in (("weight-0.005", "o"), ("weight-0.001", "^")):
        for steps, colour in LENGTHS.items():
            grid = evidence.of(name).at(episode_length=steps)
            attached, detached = (grid.at(baseline=baseline) for baseline in BASELINES)
            for panel, baseline, points in (
                ("bias", "attached", _bias_points(attached, steps)),
                ("floor", "detached", _floor_points(detached, steps)),
            ):
                table += [(panel, name, baseline, steps, *point) for point in points]
                weights, predicted, measured = zip(*points, strict=True)
                look = colour, marker
                _ratios(panels[panel], panel, weights, predicted, measured, look)
    return table


def _identity(axes: Axes, evidence: Evidence) -> Table:
    """Draws the ratio of the identity's sides; returns the rows."""
    table: Table = []
    runs = evidence.of("gradients").at(baseline="attached")
    for steps, colour in LENGTHS.items():
        for weight, marker in ((1.0, "o"), (5.0, "s")):
            part = runs.at(episode_length=steps, critic_weight=weight)
            measured, predicted = (float(side.mean()) for side in identity_sides(part))
            table.append(("identity", "gradients", "attached", steps, weight, predicted, measured))
            look = colour, marker
            _ratios(axes, "identity", [steps], [predicted], [measured], look)
    return table


def _ratios(
    axes: Axes,
    panel: str,
    x: Sequence[float],
    predicted: Sequence[float],
    measured: Sequence[float],
    look: tuple[str, str],
) -> None:
    """Draws measured over predicted; at the end of the axis if it lies beyond."""
    colour, marker = look
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.clip(np.divide(measured, predicted), RATIOS[panel][0], RATIOS[panel][-1])
    axes.plot(x, ratio, marker, color=colour, markersize=2.8, alpha=0.8, clip_on=False)


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
