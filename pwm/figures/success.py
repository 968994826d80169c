"""Figures of what answers the notes: success against the weight, its edges, and what sets them.

Each function takes the evidence and returns a figure made for the paper's text width, and the
rows of numbers that it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pwm.analysis.conditions import conditions
from pwm.analysis.estimates import success_rate
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.predictions import predictions
from pwm.analysis.theory import noise_weight, slowdown
from pwm.analysis.times import slowed
from pwm.experiments import WEIGHTS
from pwm.figures.theory import (
    COLOURS,
    WIDTH,
    Table,
    bias_figure,
    gradients_figure,
    plain_numbers,
    speed_figure,
)

MARKERS = {"attached": "o", "detached": "s"}


def weight_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Success against the critic weight, by episode length, learning rate and baseline.

    Dashed is what the law foretells of attached runs from the detached ones beside them.
    """
    table: Table = [("learning_rate", "steps", *_HEADING)]
    constant = predictions()["third"]["noise_constant"]
    figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    panels = figure.subplots(2, 5, sharex=True, sharey=True)
    for row, rate in zip(panels, (0.005, 0.001), strict=True):
        grid = evidence.of(f"weight-{rate:g}")
        for axes, steps in zip(row, grid.axes["episode_length"], strict=True):
            cell = grid.at(episode_length=steps)
            for baseline, colour in COLOURS.items():
                part = cell.at(baseline=baseline)
                lines = _success(axes, part.weights, part.learned, baseline, colour)
                table += [(rate, steps, baseline, *line) for line in lines]
            times = cell.at(baseline="detached").time
            noise = constant * noise_weight(steps, 3)
            law = slowed(cell.weights, times, grid.base.num_episodes, noise)
            lines = _law(axes, cell.weights, law, "attached, by the law")
            table += [(rate, steps, "law", *line) for line in lines]
            if rate == 0.005:
                axes.set_title(f"{steps} steps", fontsize=8)
            else:
                axes.set_xticks([0.1, 1, 10, 100])
                axes.tick_params(axis="x", labelsize=6)
        row[0].set_ylabel(f"fraction that learned\nlearning rate {rate:g}", fontsize=7)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), frameon=False, fontsize=7, ncols=3,
                  loc="outside upper center")  # fmt: skip
    figure.supxlabel("critic weight w (policy loss summed, value loss averaged)", fontsize=8)
    return figure, table


def _law(axes: Axes, weights: Sequence[float], learned: NDArray[np.bool_], label: str) -> Table:
    """A dashed curve of success that was not measured, and its numbers."""
    rates = learned.mean(axis=-1)
    axes.plot(weights, rates, "--", color="0.15", linewidth=0.9, label=label)
    return _bare(weights, learned)


def _bare(weights: Sequence[float], learned: NDArray[np.bool_]) -> Table:
    """Numbers of a curve of success that has no interval."""
    return [
        (weight, int(row.sum()), len(row), row.mean(), np.nan, np.nan)
        for weight, row in zip(weights, learned, strict=True)
    ]


_HEADING = ("series", "critic_weight", "learned", "seeds", "rate", "wilson_low", "wilson_high")


def _success(
    axes: Axes, weights: Sequence[float], learned: NDArray[np.bool_], label: str, colour: str
) -> Table:
    """A curve of success with its Wilson band, and the numbers of it."""
    rates = [success_rate(int(row.sum()), len(row)) for row in learned]
    low, high = ([getattr(rate, part) for rate in rates] for part in ("low", "high"))
    axes.fill_between(weights, low, high, color=colour, alpha=0.2, linewidth=0)
    marker = MARKERS.get(label, "^")
    axes.plot(weights, [rate.rate for rate in rates], color=colour, marker=marker, markersize=2.5,
              linewidth=1, label=label)  # fmt: skip
    axes.set_xscale("log")
    plain_numbers(axes.xaxis)
    axes.set_ylim(-0.04, 1.04)
    return [(weight, *rate) for weight, rate in zip(weights, rates, strict=True)]


GROUPS = {
    "lengths": ("learning rate 0.001", "#0072B2", "o"),
    "fast": ("learning rate 0.005", "#D55E00", "s"),
    "trial": ("longer, shorter trials", "#009E73", "^"),
    "mean": ("policy loss a mean", "#E69F00", "v"),
    "held-out": ("held out", "#CC79A7", "D"),
}
"""Groups of conditions: how they are called, and how they look."""
TITLES = {"ratio": "bias / sd of return", "steps": "bias alone, w ∝ c T", "fixed": "weight alone"}


def edges_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """The lower edge in every condition against what three rivals make of its detached runs."""
    edged = {
        name: condition
        for name, condition in conditions(evidence).items()
        if condition.edges is not None
    }
    table: Table = [("condition", "steps", "edge", "low", "high", *TITLES)]
    figure = Figure(figsize=(WIDTH, 2.3), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    foretold = {rival: [float(c.edges_by(rival)[0]) for c in edged.values()] for rival in TITLES}
    for (name, condition), *said in zip(edged.items(), *foretold.values(), strict=True):
        table.append((name, condition.steps, *condition.edge, *said))
    for axes, (rival, values) in zip(panels, foretold.items(), strict=True):
        seen: set[str] = set()
        for condition, x in zip(edged.values(), values, strict=True):
            label, colour, marker = GROUPS[condition.group]
            value, low, high = condition.edge
            error = [[max(value - low, 0)], [max(high - value, 0)]]
            axes.errorbar(x, value, error, color=colour, marker=marker, markersize=3.5, capsize=1.5,
                          linewidth=0.8, label=None if label in seen else label)  # fmt: skip
            seen.add(label)
        axes.plot([0.03, 30], [0.03, 30], color="0.3", linewidth=0.8, zorder=0)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(0.03, 30)
        axes.set_ylim(0.03, 30)
        plain_numbers(axes.xaxis)
        plain_numbers(axes.yaxis)
        axes.set_title(TITLES[rival], fontsize=8)
        axes.set_xlabel("foretold from detached runs", fontsize=7.5)
    panels[0].set_ylabel("lower edge, measured", fontsize=8)
    if edged:
        panels[0].legend(frameon=False, fontsize=5.5, loc="upper left", borderaxespad=0.1)
    return figure, table


def places_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Where the leak acts, at 15 steps: separate LSTMs, a bias by hand, parts of the leak.

    Dashed is what the law says without a fitted number; dotted, who learned at any time.
    """
    table: Table = [("panel", *_HEADING)]
    figure = Figure(figsize=(WIDTH, 2.1), layout="constrained")
    apart_axes, hand_axes, part_axes = panels = figure.subplots(1, 3, sharex=True, sharey=True)
    whole = evidence.of("weight-0.001").at(episode_length=15)
    detached = whole.at(baseline="detached")
    budget, noise = whole.base.num_episodes, noise_weight(15, 3)

    def drawn(axes: Axes, label: str, part: Outcomes, colour: str) -> None:
        weights = part.axes.get("critic_weight", WEIGHTS)
        lines = _success(axes, weights, part.learned, label, colour)
        table.extend((axes.get_title(), label, *line) for line in lines)

    def law(axes: Axes, weights: Sequence[float], learned: NDArray[np.bool_]) -> None:
        lines = _law(axes, weights, learned, "by the law")
        table.extend((axes.get_title(), "law", *line) for line in lines)

    for axes, title in zip(
        panels, ("separate LSTMs", "bias by hand", "leak into a part"), strict=True
    ):
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("critic weight w")
    separate = evidence.of("separate").at(episode_length=15)
    for name, colour in COLOURS.items():
        drawn(apart_axes, name, separate.at(baseline=name), colour)
    times = separate.at(baseline="detached").time
    law(apart_axes, separate.weights, slowed(separate.weights, times, budget, noise))

    drawn(hand_axes, "attached", whole.at(baseline="attached"), COLOURS["attached"])
    drawn(hand_axes, "by hand", evidence.of("by-hand").at(critic_weight=5.0), "#CC79A7")
    critic = 5.0 / predictions()["third"]["share_weight"]
    base = detached.at(critic_weight=5.0).time
    factors = [slowdown(noise / w, critic) / slowdown(critic=critic) for w in WEIGHTS]
    law(hand_axes, WEIGHTS, np.stack([base * factor <= budget for factor in factors]))

    parts = evidence.of("leak-parts")
    head, trunk = (parts.at(baseline=f"attached_{name}") for name in ("head", "trunk"))
    drawn(part_axes, "trunk alone", trunk, "#009E73")
    drawn(part_axes, "head alone", head, "#CC79A7")
    ever = np.isfinite(head.time)
    part_axes.plot(head.weights, ever.mean(axis=-1), ":", color="#CC79A7", linewidth=1.2,
                   label="head, at any time")  # fmt: skip
    lines = _bare(head.weights, ever)
    table.extend(("leak into a part", "head, at any time", *line) for line in lines)
    panels[0].set_ylabel("fraction that learned")
    apart_axes.set_xticks([0.1, 1, 10, 100])
    for axes, place in zip(panels, ("lower right", "lower right", "center right"), strict=True):
        axes.legend(frameon=False, fontsize=6, loc=place, borderaxespad=0.6)
    return figure, table


def rates_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Success and collapse by learning rate and weight."""
    table: Table = [("steps", "baseline", "learning_rate", "critic_weight", "learned", "collapsed")]
    grid = evidence.of("learning-rate")
    figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
    panels = figure.subplots(2, 4, sharex=True, sharey=True)
    image = None
    for row, steps in zip(panels, (15, 60), strict=True):
        for place, baseline in enumerate(COLOURS):
            part = grid.at(episode_length=steps, baseline=baseline)
            learned, collapsed = part.learned.mean(axis=-1), part.collapsed.mean(axis=-1)
            for shift, (name, values) in enumerate(
                (("learned", learned), ("collapsed", collapsed))
            ):
                axes = row[place + 2 * shift]
                image = axes.imshow(values, vmin=0, vmax=1, origin="lower", cmap="viridis",
                                    aspect="auto")  # fmt: skip
                if steps == 15:
                    axes.set_title(f"{name},\n{baseline}", fontsize=8)
            for i, weight in enumerate(part.weights):
                for j, rate in enumerate(part.axes["learning_rate"]):
                    table.append((steps, baseline, rate, weight, learned[i, j], collapsed[i, j]))
        row[0].set_ylabel(f"{steps} steps\ncritic weight w", fontsize=7)
    weights, rates = grid.weights, grid.axes["learning_rate"]
    panels[0, 0].set_yticks(range(len(weights)), [f"{weight:g}" for weight in weights])
    panels[0, 0].set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    for axes in panels[1]:
        axes.tick_params(axis="x", labelrotation=60, labelsize=6)
        axes.set_xlabel("learning rate", fontsize=7)
    assert image is not None
    figure.colorbar(image, ax=panels, label="fraction of seeds", fraction=0.03)
    return figure, table


def variants_figure(evidence: Evidence) -> tuple[Figure, Table]:
    """Success against the weight in other settings, at 15 steps and learning rate 0.001."""
    table: Table = [("panel", *_HEADING)]
    variants, sizes = evidence.of("variants"), evidence.of("hidden-size")
    contents = {"state carried": evidence.of("carried")}
    contents |= {
        f"{name}{', timeout' if timeout else ''}": variants.at(stimulus_set=name, timeout=timeout)
        for name, timeout in (("pwm5", True), ("pwm0", False), ("pwm7", False))
    }
    contents |= {f"{size} units": sizes.at(hidden_size=size) for size in (12, 24, 48, 96)}
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    panels = figure.subplots(2, 4, sharex=True, sharey=True)
    for axes, (title, runs) in zip(panels.flat, contents.items(), strict=True):
        for baseline, colour in COLOURS.items():
            part = runs.at(baseline=baseline)
            lines = _success(axes, part.weights, part.learned, baseline, colour)
            table += [(title, baseline, *line) for line in lines]
        axes.set_title(title, fontsize=8)
    for row in panels:
        row[0].set_ylabel("fraction that learned", fontsize=7)
    panels[0, 1].legend(frameon=False, fontsize=6.5, loc="center")
    figure.supxlabel("critic weight w", fontsize=8)
    return figure, table


ANSWERS: Mapping[str, Callable[[Evidence], tuple[Figure, Table]]] = MappingProxyType(
    {
        "weight": weight_figure,
        "edges": edges_figure,
        "bias": bias_figure,
        "speed": speed_figure,
        "gradients": gradients_figure,
        "places": places_figure,
        "rates": rates_figure,
        "variants": variants_figure,
    }
)
"""Figures of the answer by name."""
