"""Figures of success against the critic weight, in the notes' setting and in others.

Each function takes the evidence and returns a figure and the table of what it shows.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import Law, fitted_law, learned_when_slowed
from pwm.experiments import WEIGHTS
from pwm.figures.render import BASELINES, WIDTH, without_powers
from pwm.figures.tables import SUCCESS, Table, success_rows

SERIES = {
    "15 steps, 10,000 episodes": ("eplen15-edge", "eplen15"),
    "60 steps, 10,000 episodes": ("lrate0.005",),
    "60 steps, 30,000 episodes": ("eplen60",),
}
"""The notes' experiments that make up each curve of `success_figure`, by its label."""
MARKERS = {"attached": "o", "detached": "s"}
LAW = {"color": "0.15", "linestyle": "--", "linewidth": 0.9}
UNFITTED = Law(noise_constant=1.0, share_weight=inf)


def success_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """The notes' setting: the fraction of 96 seeds that learned, with Wilson intervals."""
    table: Table = [("series", *SUCCESS)]
    figure = Figure(figsize=(4.6, 2.6), layout="constrained")
    axes = figure.subplots()
    looks = zip(("#0072B2", "#E69F00", "#CC3311"), ("o", "s", "^"), strict=True)
    for shift, ((name, experiments), (colour, marker)) in enumerate(
        zip(SERIES.items(), looks, strict=True)
    ):
        parts = map(evidence.of, experiments)
        rows = [row for part in parts for row in success_rows(part.weights, part.learned)]
        table += [(name, *row) for row in rows]
        weights, _, _, rate, low, high = np.array(rows).T
        axes.errorbar(
            weights * 1.03 ** (shift - 1),  # side by side, so that intervals do not overlap
            rate, np.clip([rate - low, high - rate], 0, 1), label=name, color=colour, marker=marker,
            markersize=4, linewidth=1, elinewidth=0.8, capsize=2,
        )  # fmt: skip
    axes.set_xscale("log")
    without_powers(axes.xaxis)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("critic weight")
    axes.set_ylabel("fraction of seeds that learned")
    axes.legend(frameon=False, fontsize=7, loc="center left")
    return figure, table


def places_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Success at 15 steps: separate LSTMs, a bias added by hand, a leak into one part.

    Dashed: predicted by the law. Dotted: seeds that learned at any time.
    """
    table: Table = [("panel", "series", *SUCCESS)]
    figure = Figure(figsize=(WIDTH, 2.1), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for axes, (title, draw, place) in zip(
        panels,
        (
            ("separate LSTMs", _separate_lstms, "lower right"),
            ("bias by hand", _bias_by_hand, "lower right"),
            ("leak into a part", _leak_into_a_part, "center right"),
        ),
        strict=True,
    ):
        table += [(title, *line) for line in draw(axes, evidence)]
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("critic weight w")
        axes.legend(frameon=False, fontsize=6, loc=place, borderaxespad=0.6)
    panels[0].set_ylabel("fraction that learned")
    panels[0].set_xticks([0.1, 1, 10, 100])
    return figure, table


def _separate_lstms(axes: Axes, evidence: Evidence) -> Table:
    """Draws both baselines with separate LSTMs, and the law without a fitted number."""
    runs = evidence.of("separate").at(episode_length=15)
    return _both_baselines(axes, runs) + _slowed(axes, runs, UNFITTED, "by the law")


def _bias_by_hand(axes: Axes, evidence: Evidence) -> Table:
    """Draws detached critics with the leak's bias added by hand, attached ones, and the law."""
    runs, weight = evidence.of("weight-0.001").at(episode_length=15), 5.0
    attached, detached = (runs.at(baseline=baseline) for baseline in BASELINES)
    by_hand = evidence.of("by-hand").at(critic_weight=weight)
    noise, law = UNFITTED.noise_weight(15), fitted_law()
    factors = [law.trunk_slowdown(weight, noise / w) / law.trunk_slowdown(weight) for w in WEIGHTS]
    times = np.outer(factors, detached.at(critic_weight=weight).time)
    return (
        _curve(axes, "attached", attached.weights, attached.learned, BASELINES["attached"])
        + _curve(axes, "by hand", WEIGHTS, by_hand.learned, "#CC79A7")
        + _line(axes, "by the law", WEIGHTS, times <= runs.base.num_episodes, LAW)
    )


def _leak_into_a_part(axes: Axes, evidence: Evidence) -> Table:
    """Draws the leak into the trunk alone and into the head alone."""
    runs = evidence.of("leak-parts")
    head, trunk = (runs.at(baseline=f"attached_{part}") for part in ("head", "trunk"))
    dotted = {"color": "#CC79A7", "linestyle": ":", "linewidth": 1.2}
    return (
        _curve(axes, "trunk alone", trunk.weights, trunk.learned, "#009E73")
        + _curve(axes, "head alone", head.weights, head.learned, "#CC79A7")
        + _line(axes, "head, at any time", head.weights, np.isfinite(head.time), dotted)
    )


def rates_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Success and collapse by learning rate and weight."""
    table: Table = [("steps", "baseline", "learning_rate", "critic_weight", "learned", "collapsed")]
    grid = evidence.of("learning-rate")
    figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
    panels = figure.subplots(2, 4, sharex=True, sharey=True)
    images = []
    for row, steps in zip(panels, (15, 60), strict=True):
        for place, baseline in enumerate(BASELINES):
            part = grid.at(episode_length=steps, baseline=baseline)
            rates = {name: getattr(part, name).mean(axis=-1) for name in ("learned", "collapsed")}
            for axes, (name, values) in zip(row[place::2], rates.items(), strict=True):
                images.append(axes.imshow(values, vmin=0, vmax=1, origin="lower", aspect="auto"))
                if steps == 15:
                    axes.set_title(f"{name},\n{baseline}", fontsize=8)
            cells = itertools.product(part.weights, part.axes["learning_rate"])
            shown = zip(cells, *(values.flat for values in rates.values()), strict=True)
            table += [(steps, baseline, rate, weight, *both) for (weight, rate), *both in shown]
        row[0].set_ylabel(f"{steps} steps\ncritic weight w", fontsize=7)
    for axis, values in (
        (panels[0, 0].yaxis, grid.weights),
        (panels[0, 0].xaxis, grid.axes["learning_rate"]),
    ):
        axis.set_ticks(range(len(values)), [f"{value:g}" for value in values])
    for axes in panels[1]:
        axes.tick_params(axis="x", labelrotation=60, labelsize=6)
        axes.set_xlabel("learning rate", fontsize=7)
    figure.colorbar(images[0], ax=panels, label="fraction of seeds", fraction=0.03)
    return figure, table


def variants_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Success against the weight with a carried state, timeouts, other stimuli and other sizes."""
    table: Table = [("panel", "series", *SUCCESS)]
    variants, sizes = evidence.of("variants"), evidence.of("hidden-size")
    contents = {"state carried": evidence.of("carried")}
    contents |= {
        f"{name}{', timeout' if timeout else ''}": variants.at(stimulus_set=name, timeout=timeout)
        for name, timeout in (("pwm5", True), ("pwm0", False), ("pwm7", False))
    }
    contents |= {f"{size} units": sizes.at(hidden_size=size) for size in sizes.axes["hidden_size"]}
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    panels = figure.subplots(2, 4, sharex=True, sharey=True)
    for axes, (title, runs) in zip(panels.flat, contents.items(), strict=True):
        table += [(title, *line) for line in _both_baselines(axes, runs)]
        axes.set_title(title, fontsize=8)
    for row in panels:
        row[0].set_ylabel("fraction that learned", fontsize=7)
    panels[0, 1].legend(frameon=False, fontsize=6.5, loc="center")
    figure.supxlabel("critic weight w", fontsize=8)
    return figure, table


def _both_baselines(axes: Axes, runs: Outcomes) -> Table:
    """Draws the success of attached and of detached runs; returns the rows."""
    rows: Table = []
    for baseline, colour in BASELINES.items():
        part = runs.at(baseline=baseline)
        rows += _curve(axes, baseline, part.weights, part.learned, colour)
    return rows


def _curve(
    axes: Axes, label: str, weights: Sequence[float], learned: NDArray[np.bool_], colour: str
) -> Table:
    """Draws success by weight, from [W, S], with its Wilson band; returns the rows."""
    rows = success_rows(weights, learned)
    *_, rate, low, high = zip(*rows, strict=True)
    axes.fill_between(weights, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(weights, rate, color=colour, marker=MARKERS.get(label, "^"), markersize=2.5,
              linewidth=1, label=label)  # fmt: skip
    axes.set_xscale("log")
    without_powers(axes.xaxis)
    axes.set_ylim(-0.04, 1.04)
    return [(label, *row) for row in rows]


def _slowed(axes: Axes, runs: Outcomes, law: Law, label: str) -> Table:
    """Draws attached success as a law predicts it from detached runs; returns the rows."""
    times, noise = (
        runs.at(baseline="detached").time,
        law.noise_weight(runs.base.task.episode_length),
    )
    learned = learned_when_slowed(runs.weights, times, runs.base.num_episodes, noise)
    return _line(axes, label, runs.weights, learned, LAW)


def _line(
    axes: Axes,
    label: str,
    weights: Sequence[float],
    learned: NDArray[np.bool_],
    look: Mapping[str, Any],
) -> Table:
    """Draws success by weight, from [W, S], without an interval; returns the rows."""
    axes.plot(weights, learned.mean(axis=-1), label=label, **look)
    return [
        (label, weight, int(seeds.sum()), len(seeds), seeds.mean(), np.nan, np.nan)
        for weight, seeds in zip(weights, learned, strict=True)
    ]
