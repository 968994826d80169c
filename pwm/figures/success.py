"""Figures of success, the fraction of seeds that learned, by critic weight.

The leak is the policy loss's gradient with respect to the values, which biases them. Attached
critics have it; detached ones do not. The law (`pwm.analysis.theory.slowdown`) predicts its cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pwm.analysis.estimates import success_rate
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import fitted_law, learned_when_slowed
from pwm.analysis.theory import noise_weight, slowdown
from pwm.experiments.grids import WEIGHTS
from pwm.figures.panels import WIDTH, draw_success, without_powers
from pwm.figures.tables import SUCCESS, Table

SERIES = {
    "15 steps, 10,000 episodes": (("eplen15-edge", "eplen15"), "#0072B2", "o", 1 / 1.03),
    "60 steps, 10,000 episodes": (("lrate0.005",), "#E69F00", "s", 1.0),
    "60 steps, 30,000 episodes": (("eplen60",), "#CC3311", "^", 1.03),
}
"""Curves of `success_figure` by label: their experiments, colour, marker, and a factor on weights
that keeps intervals from overlapping."""
BASELINES = {"attached": "#D55E00", "detached": "#0072B2"}
"""Colours by baseline."""
MARKERS = {"attached": "o", "detached": "s"}  # other curves have "^"
DASHED = {"color": "0.15", "linestyle": "--", "linewidth": 0.9}  # for predictions


def success_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Figure and table of the fraction of seeds that learned, attached as in the notes."""
    table: Table = [("series", *SUCCESS)]
    figure = Figure(figsize=(4.6, 2.6), layout="constrained")
    axes = figure.subplots()
    for label, (experiments, colour, marker, factor) in SERIES.items():
        parts = [evidence.of(experiment) for experiment in experiments]
        weights = np.concatenate([part.weights for part in parts])
        rates = [success_rate(seeds) for part in parts for seeds in part.learned]
        table += [(label, weight, *rate) for weight, rate in zip(weights, rates, strict=True)]
        middle, low, high = np.transpose([(rate.rate, rate.low, rate.high) for rate in rates])
        bars = np.clip([middle - low, high - middle], 0, 1)  # rounding may make one negative
        axes.errorbar(
            weights * factor, middle, bars, label=label,
            color=colour, marker=marker, markersize=4, linewidth=1, elinewidth=0.8, capsize=2,
        )  # fmt: skip
    axes.set_xscale("log")
    without_powers(axes.xaxis)
    axes.set(ylim=(-0.03, 1.03), xlabel="critic weight", ylabel="fraction of seeds that learned")
    axes.legend(fontsize=7, loc="center left")
    return figure, table


def places_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Figure and table of success at 15 steps, with the leak or its bias in part of the agent only.

    The panels show separate LSTMs for policy and critic; no leak, but its bias added to the
    baseline by hand; and a leak into the trunk or the value head alone. Dashed lines are predicted
    by the law. The dotted line counts seeds that learned at any time, even if not at the end, with
    the leak into the value head.
    """
    table: Table = [("panel", "series", *SUCCESS)]
    figure = Figure(figsize=(WIDTH, 2.1), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    contents = {
        "separate LSTMs": _draw_separate_lstms,
        "bias by hand": _draw_bias_by_hand,
        "leak into a part": _draw_leak_into_a_part,
    }
    for axes, (title, draw) in zip(panels, contents.items(), strict=True):
        table += [(title, *row) for row in draw(axes, evidence)]
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("critic weight w")
        axes.legend(fontsize=6, loc="lower right", borderaxespad=0.6)
    panels[0].set_ylabel("fraction that learned")
    panels[0].set_xticks([0.1, 1, 10, 100])
    return figure, table


def _draw_separate_lstms(axes: Axes, evidence: Evidence) -> Table:
    """Plots success with separate LSTMs, where the leak only adds noise; returns table rows.

    The law predicts the success of attached runs from the times of detached runs, without a fit.
    """
    runs = evidence.of("separate").at(episode_length=15)
    rows = _draw_baselines(axes, runs)
    times = runs.at(baseline="detached").time
    noise = noise_weight(steps=15, trial_length=3)
    predicted = learned_when_slowed(runs.weights, times, runs.base.num_episodes, noise)
    return rows + _draw_line(axes, "by the law", runs.weights, predicted, **DASHED)


def _draw_bias_by_hand(axes: Axes, evidence: Evidence) -> Table:
    """Plots success of attached critics, and of detached ones with the leak's bias; returns rows.

    Detached critics all have weight 5; those plotted at w have the bias of a leak at weight w.
    """
    critic_weight = 5.0
    runs = evidence.of("weight-0.001").at(episode_length=15)
    attached, detached = runs.at(baseline="attached"), runs.at(baseline="detached")
    by_hand = evidence.of("by-hand").at(critic_weight=critic_weight)  # a bias per weight of WEIGHTS
    share, noise = critic_weight / fitted_law().share_weight, noise_weight(steps=15, trial_length=3)
    # The bias of a leak at w, noise / w standard deviations of the return, multiplies the times.
    factors = [slowdown(noise / w, share) / slowdown(critic=share) for w in WEIGHTS]
    times = np.outer(factors, detached.at(critic_weight=critic_weight).time)  # (W, S)
    predicted = times <= runs.base.num_episodes
    return [
        *_draw_curve(axes, "attached", attached.weights, attached.learned, BASELINES["attached"]),
        *_draw_curve(axes, "by hand", WEIGHTS, by_hand.learned, "#CC79A7"),
        *_draw_line(axes, "by the law", WEIGHTS, predicted, **DASHED),
    ]


def _draw_leak_into_a_part(axes: Axes, evidence: Evidence) -> Table:
    """Plots success with a leak into only the trunk or only the head; returns the table's rows."""
    runs = evidence.of("leak-parts")
    head, trunk = runs.at(baseline="attached_head"), runs.at(baseline="attached_trunk")
    dotted = {"color": "#CC79A7", "linestyle": ":", "linewidth": 1.2}
    return [
        *_draw_curve(axes, "trunk alone", trunk.weights, trunk.learned, "#009E73"),
        *_draw_curve(axes, "head alone", head.weights, head.learned, "#CC79A7"),
        *_draw_line(axes, "head, ever", head.weights, np.isfinite(head.time), **dotted),
    ]


def rates_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Figure and table of the seeds that learned or collapsed, by learning rate and critic weight.

    A collapsed seed ends with an almost deterministic policy, and has not learned at the end.
    """
    table: Table = [("steps", "baseline", "learning_rate", "critic_weight", "learned", "collapsed")]
    grid = evidence.of("learning-rate")
    weights, learning_rates = grid.weights, grid.axes["learning_rate"]
    figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
    panels = figure.subplots(2, 4, sharex=True, sharey=True)
    for row, steps in zip(panels, (15, 60), strict=True):
        for column, baseline in enumerate(BASELINES):
            runs = grid.at(episode_length=steps, baseline=baseline)
            learned, collapsed = runs.learned.mean(axis=-1), runs.collapsed.mean(axis=-1)
            for axes, name, fractions in (
                (row[column], "learned", learned),
                (row[column + 2], "collapsed", collapsed),
            ):
                image = axes.imshow(fractions, vmin=0, vmax=1, origin="lower", aspect="auto")
                if steps == 15:
                    axes.set_title(f"{name},\n{baseline}", fontsize=8)
            for i, j in np.ndindex(learned.shape):  # weight and learning rate
                setting = (steps, baseline, learning_rates[j], weights[i])
                table.append((*setting, learned[i, j], collapsed[i, j]))
        row[0].set_ylabel(f"{steps} steps\ncritic weight w", fontsize=7)
    panels[0, 0].set_yticks(range(len(weights)), [f"{weight:g}" for weight in weights])
    panels[0, 0].set_xticks(range(len(learning_rates)), [f"{rate:g}" for rate in learning_rates])
    for axes in panels[1]:
        axes.tick_params(axis="x", labelrotation=60, labelsize=6)
        axes.set_xlabel("learning rate", fontsize=7)
    figure.colorbar(image, ax=panels, label="fraction of seeds", fraction=0.03)
    return figure, table


def variants_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Figure and table of success by weight: carried state, timeouts, other stimuli, LSTM sizes."""
    table: Table = [("panel", "series", *SUCCESS)]
    variants, sizes = evidence.of("variants"), evidence.of("hidden-size")
    contents = {
        "state carried": evidence.of("carried"),
        "pwm5, timeout": variants.at(stimulus_set="pwm5", timeout=True),
        "pwm0": variants.at(stimulus_set="pwm0", timeout=False),
        "pwm7": variants.at(stimulus_set="pwm7", timeout=False),
    }
    for size in sizes.axes["hidden_size"]:
        contents[f"{size} units"] = sizes.at(hidden_size=size)
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    panels = figure.subplots(2, 4, sharex=True, sharey=True)
    for axes, (title, runs) in zip(panels.flat, contents.items(), strict=True):
        table += [(title, *row) for row in _draw_baselines(axes, runs)]
        axes.set_title(title, fontsize=8)
    for row in panels:
        row[0].set_ylabel("fraction that learned", fontsize=7)
    panels[0, 1].legend(fontsize=6.5, loc="center")
    figure.supxlabel("critic weight w", fontsize=8)
    return figure, table


def _draw_baselines(axes: Axes, runs: Outcomes) -> Table:
    """Plots success by weight for attached and detached runs; returns the table's rows."""
    rows: Table = []
    for baseline, colour in BASELINES.items():
        learned = runs.at(baseline=baseline).learned
        rows += _draw_curve(axes, baseline, runs.weights, learned, colour)
    return rows


def _draw_curve(
    axes: Axes, label: str, weights: Sequence[float], learned: NDArray[np.bool_], colour: str
) -> Table:
    """Plots success by weight with `draw_success`; returns its rows, each preceded by the label."""
    marker = MARKERS.get(label, "^")
    rows = draw_success(axes, weights, learned, colour, label=label, marker=marker, markersize=2.5,
                        linewidth=1)  # fmt: skip
    axes.set_ylim(-0.04, 1.04)
    return [(label, *row) for row in rows]


def _draw_line(
    axes: Axes, label: str, weights: Sequence[float], learned: NDArray[np.bool_], **look: Any
) -> Table:
    """Plots the success rate, the mean of `learned`, [W, S], over seeds, against critic weight.

    Returns rows with the label and the columns `SUCCESS`, with nan for the missing intervals.
    """
    axes.plot(weights, learned.mean(axis=-1), label=label, **look)
    return [
        (label, weight, int(seeds.sum()), len(seeds), seeds.mean(), np.nan, np.nan)
        for weight, seeds in zip(weights, learned, strict=True)
    ]
