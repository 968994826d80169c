"""Claims about the edges of the working range: where they lie, what sets them, when they move."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pwm.edges import resampled_edges, upper_edge
from pwm.evidence import Claim, Evidence, as_estimate, rate_of
from pwm.outcomes import Outcomes
from pwm.quoted import predictions
from pwm.speed import slowed
from pwm.stats import Estimate, rate_difference
from pwm.theory import noise_weight

FACTOR = 2.0  # within which a predicted edge counts as right
LIGHTEST_HEAVY = 20.0  # greatest weight that a lower edge is looked for at
LEAST_PLATEAU = 0.25  # success that some weight must reach for there to be an edge


@dataclass(frozen=True)
class Edge:
    """The lower edge of attached runs in one condition, measured and foretold."""

    steps: int
    """An episode."""
    noise: float
    """`noise_weight` of the condition."""
    measured: NDArray[np.float64]
    """The edge, then that of each resample of the seeds: [1 + resamples]."""
    foretold: float
    """The edge of the condition's detached runs, slowed as the law says."""
    reduction: str = "sum"

    @property
    def estimate(self) -> Estimate:
        """The measured edge with its interval."""
        low, high = np.quantile(self.measured[1:], [0.025, 0.975])
        return Estimate(float(self.measured[0]), float(low), float(high))


def _edge(runs: Outcomes, steps: int, trial_length: int) -> Edge | None:
    """The edge of a condition; None if too few attached seeds learn at any weight."""
    attached, detached = (runs.at(loss__baseline=kind) for kind in ("attached", "detached"))
    reduction = runs.base.loss.policy_reduction
    heaviest = LIGHTEST_HEAVY if reduction == "sum" else LIGHTEST_HEAVY / steps
    few = [place for place, weight in enumerate(runs.weights) if weight <= heaviest]
    weights = [runs.weights[place] for place in few]
    if attached.rate()[few].max() < LEAST_PLATEAU:
        return None
    noise = noise_weight(steps, trial_length, reduction)
    law = slowed(
        weights,
        detached.time[few],
        runs.base.num_episodes,
        predictions()["third"]["noise_constant"] * noise,
    )
    measured = resampled_edges(weights, attached.learned[few], np.random.default_rng(0))
    foretold = resampled_edges(weights, law, np.random.default_rng(0))[0]
    return Edge(steps, noise, measured, float(foretold), reduction)


def lower_edges(evidence: Evidence) -> Mapping[str, Edge | None]:
    """The lower edge in every condition that was run with either baseline."""
    found: dict[str, Edge | None] = {}
    for rate in ("0.001", "0.005"):
        runs = evidence.of(f"weight-{rate}")
        for steps in runs.axes["task.episode_length"]:
            found[f"{steps} steps, {rate}"] = _edge(runs.at(task__episode_length=steps), steps, 3)
    for length in (2, 4, 6):
        found[f"trial of {length}"] = _edge(
            evidence.of(f"trial-length-{length}"), 5 * length, length
        )
    for steps in (15, 60):
        found[f"mean, {steps} steps"] = _edge(
            evidence.of("mean").at(task__episode_length=steps), steps, 3
        )
    runs = evidence.of("held-out")
    for steps in runs.axes["task.episode_length"]:
        found[f"{steps} steps, held out"] = _edge(runs.at(task__episode_length=steps), steps, 3)
    return found


RIVALS = ("law", "steps", "noise", "fixed")
"""What may set the lower edge: the law of slowdown; c T; the weight at which the leak's bias is the
return's standard deviation; nothing, in a convention that means both losses."""


def rival_edges(edges: Sequence[Edge], rival: str) -> NDArray[np.float64]:
    """The edges as a rival has them, all but the law's with the factor that fits best."""
    if rival == "law":
        return np.array([edge.foretold for edge in edges])
    shape = {
        "steps": lambda edge: edge.steps * _share(edge),
        "noise": lambda edge: edge.noise,
        "fixed": _share,
    }[rival]
    values = np.array([shape(edge) for edge in edges])
    measured = np.array([edge.measured[0] for edge in edges])
    if not edges:
        return values
    return np.asarray(values * np.exp(np.mean(np.log(measured / values))))


def _share(edge: Edge) -> float:
    return 1.0 if edge.reduction == "sum" else 1 / edge.steps


def lower_claims(evidence: Evidence) -> Iterator[Claim]:
    """Where the lower edge lies, and what sets it."""
    every = lower_edges(evidence)
    edges = {name: edge for name, edge in every.items() if edge is not None}
    experiments = (
        *("weight-0.001", "weight-0.005", "trial-length-2", "trial-length-4", "trial-length-6"),
        *("mean", "held-out"),
    )
    yield Claim(
        "claim.edges-measured",
        "conditions in which there is a lower edge to measure",
        Estimate(len(edges), math.nan, math.nan),
        10,
        len(every),
        experiments,
        0,
    )
    if not edges:
        return
    measured = np.stack([edge.measured for edge in edges.values()])  # (conditions, 1 + resamples)
    for rival, low, high in (
        ("law", 1.0, 1.4),
        ("steps", 1.4, 10.0),
        ("noise", 1.4, 10.0),
        ("fixed", 1.4, 10.0),
    ):
        values = rival_edges(list(edges.values()), rival)
        apart = np.exp(np.sqrt(np.mean(np.log(measured / values[:, None]) ** 2, axis=0)))
        least, most = np.quantile(apart[1:], [0.025, 0.975])
        yield Claim(
            f"claim.edges-{rival}",
            "factor by which measured edges differ from this rival's (root mean square)",
            Estimate(float(apart[0]), float(least), float(most)),
            low,
            high,
            experiments,
        )
    for name, of, sizes, low, high in (
        ("steps", [f"{n} steps, 0.001" for n in (6, 15, 30)], (6, 15, 30), 0.4, 1.1),
        ("trial", [f"trial of {n}" for n in (2, 4, 6)], (2, 4, 6), 1.5, 3.0),
    ):
        slope = Estimate(math.nan, math.nan, math.nan)
        if set(of) <= set(edges):
            logs = np.log([edges[part].measured for part in of])
            slopes = np.polyfit(np.log(sizes), logs, 1)[0]
            least, most = np.quantile(slopes[1:], [0.025, 0.975])
            slope = Estimate(float(slopes[0]), float(least), float(most))
        yield Claim(
            f"claim.exponent-{name}",
            "the edge rises as this power of the length",
            slope,
            low,
            high,
            experiments,
        )
    yield from _first_claims(edges)
    yield from _third_claims(evidence, every)


FIRST = {
    "steps 6": "6 steps, 0.005",
    "steps 30": "30 steps, 0.005",
    "steps 120": "120 steps, 0.005",
    "trial length 2": "trial of 2",
    "trial length 4": "trial of 4",
    "trial length 6": "trial of 6",
    "mean, 15 steps": "mean, 15 steps",
}
"""Conditions of the first set of predictions."""


def _first_claims(edges: Mapping[str, Edge]) -> Iterator[Claim]:
    """What was predicted first, w = 0.107 c T."""
    predicted = predictions()["lower_edge"]
    right = 0
    for first, name in FIRST.items():
        if first == "steps 120":  # where no weight has enough seeds learn
            continue
        known = name in edges
        estimate = edges[name].estimate if known else Estimate(math.nan, math.nan, math.nan)
        within = 1 / FACTOR <= estimate.value / predicted[first] <= FACTOR
        right += within
        fails = first == "trial length 6"
        yield Claim(
            "claim.first-" + first.replace(",", "").replace(" ", "-"),
            f"lower edge, predicted first as {predicted[first]}" + (", wrongly" if fails else ""),
            estimate,
            predicted[first] * (FACTOR if fails else 1 / FACTOR),
            predicted[first] * (5 if fails else FACTOR),
            ("weight-0.005", "trial-length-2", "trial-length-4", "trial-length-6", "mean"),
        )
    yield Claim(
        "claim.first-right",
        "of the first seven predicted edges, this many were right",
        Estimate(right, math.nan, math.nan),
        5,
        5,
        ("weight-0.005", "trial-length-2", "trial-length-4", "trial-length-6", "mean"),
        0,
    )


def _third_claims(evidence: Evidence, edges: Mapping[str, Edge | None]) -> Iterator[Claim]:
    """What was predicted of lengths and a learning rate that no fit had seen."""
    predicted = predictions()["third"]
    runs = evidence.of("held-out")
    attached, detached = (runs.at(loss__baseline=kind) for kind in ("attached", "detached"))
    for first, value in predicted["lower_edge"].items():
        edge = edges[f"{first.removeprefix('steps ')} steps, held out"]
        nothing = Estimate(math.nan, math.nan, math.nan)
        yield Claim(
            "claim.third-lower-" + first.removeprefix("steps "),
            f"lower edge at {first}, predicted {value} before the runs",
            nothing if edge is None else edge.estimate,
            value / FACTOR,
            value * FACTOR,
            ("held-out",),
        )
    part = detached.at(task__episode_length=90)
    value = predicted["upper_edge"]["steps 90"]
    yield Claim(
        "claim.third-upper-90",
        f"upper edge at 90 steps, detached, predicted {value} before the runs",
        upper_edge(part.weights, part.learned, np.random.default_rng(0)),
        value / FACTOR,
        value * FACTOR,
        ("held-out",),
        0,
    )
    yield Claim(
        "claim.third-heavy-45",
        "detached at 45 steps, success at weight 100, where an edge at 68 was predicted: wrongly",
        as_estimate(rate_of(detached.at(task__episode_length=45, critic_weight=100.0).learned)),
        0.5,
        1,
        ("held-out",),
    )
    part = attached.at(task__episode_length=90)
    best = part.learned[int(np.argmax(part.rate()))]
    yield Claim(
        "claim.third-most-90",
        "attached at 90 steps, success at the best weight, predicted to be below one half",
        as_estimate(rate_of(best)),
        0,
        0.5,
        ("held-out",),
    )
    for steps in (9, 24):
        yield Claim(
            f"claim.third-heavy-{steps}",
            f"detached at {steps} steps, success at weight 100, predicted to be one half or more",
            as_estimate(
                rate_of(detached.at(task__episode_length=steps, critic_weight=100.0).learned)
            ),
            0.5,
            1,
            ("held-out",),
        )


def upper_claims(evidence: Evidence) -> Iterator[Claim]:
    """The upper edge: where it is, and that it is one of speed."""
    for steps, low, high in ((60, 10, 35), (120, 1.5, 10)):
        part = evidence.of("weight-0.001").at(task__episode_length=steps, loss__baseline="detached")
        yield Claim(
            f"claim.upper-{steps}",
            f"detached, the upper edge at {steps} steps and learning rate 0.001",
            upper_edge(part.weights, part.learned, np.random.default_rng(0)),
            low,
            high,
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
    for weight, least, most in ((1.0, 0.8, 1.0), (0.5, 0.5, 1.0)):
        many = rate_of(evidence.of("budget-lower").at(critic_weight=weight).learned)
        yield Claim(
            f"claim.lower-budget-{weight:g}",
            "below the lower edge five times the episodes bring this fraction of seeds there",
            as_estimate(many),
            least,
            most,
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
