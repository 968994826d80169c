"""Theory against measurement: the leak's bias, the floor of the value loss, and an identity.

An attached critic has a leak: the policy loss trains it too, which biases its values. The floor is
a detached critic's smallest value loss. The identity (`pwm.analysis.theory.advantage_log_prob`)
gives the policy loss from an attached critic's value loss and from moments of the return.
"""

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
from pwm.figures.panels import WIDTH, add_to_legend, make_logarithmic
from pwm.figures.tables import Table

LENGTHS = {6: "#56B4E9", 15: "#009E73", 30: "#E69F00", 60: "#D55E00", 120: "#CC79A7"}
"""Colours by steps per episode."""
WEIGHT_AXIS = ("critic weight w", (0.1, 1, 10, 100))
STEPS_AXIS = ("steps per episode", (*LENGTHS,))
PANELS: Mapping[str, tuple[str, str, Sequence[float], Sequence[float]]] = {
    "bias": ("bias, attached / (T H / 2w)", *WEIGHT_AXIS, (0.2, 0.5, 1, 2)),
    "floor": ("value loss, detached / floor", *WEIGHT_AXIS, (0.8, 0.9, 1, 1.1, 1.25)),
    "identity": ("identity, left / right", *STEPS_AXIS, (0.8, 0.9, 1, 1.1, 1.25)),
}
"""Title, x label, x ticks and y ticks (measured over predicted) by panel. The first and last y tick
are the ends of the axis."""


def bias_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Figure and table of the critic's bias, its value loss and the identity's two sides."""
    table: Table = [("panel", "experiment", "baseline", "steps", "weight", "predicted", "measured")]
    figure = Figure(figsize=(WIDTH, 2.2), layout="constrained")
    panels = dict(zip(PANELS, figure.subplots(1, 3), strict=True))
    table += _draw_bias_and_floor(panels, evidence)
    table += _draw_identity(panels["identity"], evidence)
    for steps, colour in LENGTHS.items():
        add_to_legend(panels["floor"], f"{steps} steps", colour)
    for name, (title, x_label, x_ticks, ratios) in PANELS.items():
        axes = panels[name]
        axes.axhline(1, color="0.3", linewidth=0.8, zorder=0)
        make_logarithmic(axes)
        axes.minorticks_off()
        axes.set(xticks=x_ticks, yticks=ratios, ylim=(ratios[0], ratios[-1]), xlabel=x_label)
        axes.set_title(title, fontsize=8)
    panels["bias"].set_ylabel("measured over predicted")
    panels["floor"].legend(fontsize=6.5, handletextpad=0.1, borderaxespad=0.1,
                           loc="lower right", ncols=2)  # fmt: skip
    return figure, table


def _draw_bias_and_floor(panels: Mapping[str, Axes], evidence: Evidence) -> Table:
    """Plots attached critics' bias and detached critics' value loss; returns the table's rows."""
    table: Table = []
    for experiment, marker in (("weight-0.005", "o"), ("weight-0.001", "^")):
        for steps, colour in LENGTHS.items():
            runs = evidence.of(experiment).at(episode_length=steps)
            for name, baseline, points in (
                ("bias", "attached", _biases(runs.at(baseline="attached"))),
                ("floor", "detached", _value_losses(runs.at(baseline="detached"))),
            ):
                table += [(name, experiment, baseline, steps, *point) for point in points]
                _draw_ratios(panels[name], name, points, colour, marker)
    return table


def _draw_identity(axes: Axes, evidence: Evidence) -> Table:
    """Plots the ratio of the identity's two sides by episode length; returns the table's rows."""
    table: Table = []
    runs = evidence.of("gradients").at(baseline="attached")
    for steps, colour in LENGTHS.items():
        for weight, marker in ((1.0, "o"), (5.0, "s")):
            sides = identity_sides(runs.at(episode_length=steps, critic_weight=weight))
            measured, predicted = (float(side.mean()) for side in sides)  # over seeds and windows
            table.append(("identity", "gradients", "attached", steps, weight, predicted, measured))
            _draw_ratios(axes, "identity", [(steps, predicted, measured)], colour, marker)
    return table


def _draw_ratios(axes: Axes, panel: str, points: Table, colour: str, marker: str) -> None:
    """Plots points (x, predicted, measured) as measured over predicted, clipped to the y axis."""
    x, predicted, measured = np.transpose(points)
    least, *_, greatest = PANELS[panel][-1]  # y ticks
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.clip(measured / predicted, least, greatest)
    axes.plot(x, ratios, marker, color=colour, markersize=2.8, alpha=0.8, clip_on=False)


def _biases(attached: Outcomes) -> Table:
    """Points (weight, bias predicted from measured entropy, measured bias): means over seeds."""
    steps = attached.base.task.episode_length
    entropies, biases = attached.entropy.mean(axis=-1), attached.critic_bias.mean(axis=-1)
    return [
        (weight, critic_bias(steps, float(entropy), weight), float(bias))
        for weight, entropy, bias in zip(attached.weights, entropies, biases, strict=True)
    ]


def _value_losses(detached: Outcomes) -> Table:
    """Points (weight, floor at measured success, measured value loss): medians over seeds."""
    num_trials = detached.base.task.num_trials
    floors = [[value_floor(success, num_trials) for success in seeds] for seeds in detached.reward]
    predicted = np.median(floors, axis=-1).tolist()
    measured = np.median(detached.value_loss, axis=-1).tolist()
    return list(zip(detached.weights, predicted, measured, strict=True))
