"""The paper's answer in one figure: the critic weights at which agents learn.

The policy loss also trains an attached critic; it does not train a detached one. A centred critic
learns the return minus its running mean.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from pwm.analysis.evidence import Evidence
from pwm.figures.panels import WIDTH, draw_success
from pwm.figures.tables import SUCCESS, Table

LENGTHS = (15, 60, 120)  # steps per episode
RATES = (0.001, 0.005)  # learning rates
SERIES = {
    "attached": ("weight", "attached", "#D55E00", "o", (0.025, 0.07)),
    "detached": ("weight", "detached", "#0072B2", "s", (0.5, 0.6)),
    "detached, centred": ("centred", "detached", "#009E73", "^", (0.025, 1.08)),
}
"""Curves by label: name of the experiments without the learning rate, baseline, colour, marker, and
position of the label in the one panel that has labels, in data coordinates."""


def answer_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Figure and table of success by critic weight, for each learning rate and episode length."""
    table: Table = [("learning_rate", "steps", "series", *SUCCESS)]
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for learning_rate, panels_of_rate in zip(RATES, panels, strict=True):
        for steps, axes in zip(LENGTHS, panels_of_rate, strict=True):
            for label, (name, baseline, colour, marker, position) in SERIES.items():
                runs = evidence.of(f"{name}-{learning_rate:g}")
                runs = runs.at(episode_length=steps, baseline=baseline)
                rows = draw_success(axes, runs.weights, runs.learned, colour, alpha=0.15,
                                    marker=marker, markersize=3, linewidth=1.1)  # fmt: skip
                table += [(learning_rate, steps, label, *row) for row in rows]
                if (learning_rate, steps) == (0.001, 60):
                    axes.text(*position, label, color=colour, fontsize=7, va="center")
            axes.set(xlim=(0.016, 130), ylim=(-0.04, 1.12), yticks=[0, 0.5, 1])
        panels_of_rate[0].set_ylabel(f"fraction that learned\nlearning rate {learning_rate:g}")
    for axes, steps in zip(panels[0], LENGTHS, strict=True):
        axes.set_title(f"{steps} steps per episode", fontsize=8, pad=8)
    panels[0, 0].set_xticks([0.1, 1, 10, 100])
    figure.supxlabel("critic weight w (policy loss summed, value loss averaged)", fontsize=8)
    return figure, table
