"""Claims about the edges of the working range: where they lie, what sets them, when they move."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pwm.edges import resampled_edges, upper_edge
from pwm.evidence import Claim, Evidence, as_estimate, at_weights, rate_of
from pwm.quoted import predictions
from pwm.stats import Estimate, rate_difference

FACTOR = 2.0  # within which a predicted edge counts as right


def lower_edges(evidence: Evidence) -> dict[str, NDArray[np.float64]]:
    """The lower edge in every condition and its resamples, by what `predictions.json` calls it."""
    found = {}
    by_steps = evidence.of("weight-0.005").at(loss__baseline="attached")
    for steps in by_steps.axes["task.episode_length"]:
        part = by_steps.at(task__episode_length=steps)
        found[f"steps {steps}"] = (part.weights, part.learned)
    for length in (2, 4, 6):
        part = evidence.of(f"trial-length-{length}").at(loss__baseline="attached")
        few = [weight for weight in part.weights if weight <= 20]  # below the upper edge
        found[f"trial length {length}"] = (tuple(few), at_weights(part, few))
    part = evidence.of("mean").at(loss__baseline="attached", task__episode_length=15)
    found["mean, 15 steps"] = (part.weights, part.learned)
    return {
        name: resampled_edges(weights, learned, np.random.default_rng(0))
        for name, (weights, learned) in found.items()
    }


def lower_claims(evidence: Evidence) -> Iterator[Claim]:
    """Where the lower edge lies, and what sets it."""
    edges = lower_edges(evidence)
    predicted = predictions()["lower_edge"]
    experiments = ("weight-0.005", "trial-length-2", "trial-length-4", "trial-length-6", "mean")
    for name, values in edges.items():
        low, high = np.quantile(values[1:], [0.025, 0.975])
        expected = predicted.get(name)
        least, most = (expected / FACTOR, expected * FACTOR) if expected else (0.0, math.inf)
        yield Claim(
            "claim.edge-" + name.replace(",", "").replace(" ", "-"),
            f"lower edge at {name}" + (f", predicted {expected}" if expected else ""),
            Estimate(float(values[0]), float(low), float(high)),
            least,
            most,
            experiments,
        )
    for name, of, sizes, of_law in (
        ("exponent-steps", [f"steps {n}" for n in (6, 15, 30, 60, 120)], (6, 15, 30, 60, 120), 1),
        ("exponent-trial", [f"trial length {n}" for n in (2, 4, 6)], (2, 4, 6), 1),
    ):
        logs = np.log([edges[part] for part in of])  # (conditions, 1 + resamples)
        slopes = np.polyfit(np.log(sizes), logs, 1)[0]
        low, high = np.quantile(slopes[1:], [0.025, 0.975])
        yield Claim(
            f"claim.{name}",
            "the edge rises as this power of the length; a fixed bias says 1, a fixed weight 0",
            Estimate(float(slopes[0]), float(low), float(high)),
            of_law - 0.35,
            of_law + 0.35,
            experiments,
        )


def upper_claims(evidence: Evidence) -> Iterator[Claim]:
    """The upper edge: where it is, and that it is one of speed."""
    for steps in (60, 120):
        part = evidence.of("weight-0.001").at(task__episode_length=steps, loss__baseline="detached")
        yield Claim(
            f"claim.upper-{steps}",
            f"detached, the upper edge at {steps} steps and learning rate 0.001",
            upper_edge(part.weights, part.learned, np.random.default_rng(0)),
            0.2,
            50,
            ("weight-0.001",),
            1,
        )
    before = evidence.of("weight-0.001").at(task__episode_length=60, loss__baseline="detached")
    for weight in (20.0, 50.0):
        few, many = (
            rate_of(part.at(critic_weight=weight).learned)
            for part in (before, evidence.of("budget-upper"))
        )
        yield Claim(
            f"claim.upper-budget-{weight:g}",
            "above the upper edge five times the episodes bring this fraction of seeds there",
            as_estimate(many),
            0.8,
            1,
            ("budget-upper",),
        )
        yield Claim(
            f"claim.upper-gain-{weight:g}",
            "which is so much more than before",
            rate_difference(many, few),
            0.2,
            1,
            ("budget-upper", "weight-0.001"),
        )
    attached = evidence.of("weight-0.001").at(task__episode_length=15, loss__baseline="attached")
    for weight, least in ((1.0, 0.5), (0.5, 0.0)):
        many = rate_of(evidence.of("budget-lower").at(critic_weight=weight).learned)
        yield Claim(
            f"claim.lower-budget-{weight:g}",
            "below the lower edge five times the episodes bring this fraction of seeds there",
            as_estimate(many),
            least,
            1,
            ("budget-lower",),
        )
        yield Claim(
            f"claim.lower-before-{weight:g}",
            "of which so many had learned in the shorter budget",
            as_estimate(rate_of(attached.at(critic_weight=weight).learned)),
            0,
            0.2,
            ("weight-0.001",),
        )
