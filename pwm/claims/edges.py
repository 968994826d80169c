"""Claims about the edges of the working range: where they lie, what sets them, when they move."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.conditions import RIVALS, Condition, conditions, light_edges
from pwm.analysis.edges import resampled_estimate, resampled_upper_edges, upper_edge
from pwm.analysis.estimates import as_estimate, difference_of_seeds, point, rate_of
from pwm.analysis.outcomes import Evidence
from pwm.analysis.predictions import predictions
from pwm.claims.claim import Claim

FACTOR = 2.0  # within which a predicted edge counts as right
BUDGETS = (10_000, 12_000, 14_000, 17_000, 20_000)
"""Episodes at which the edges are looked at, to see them move."""


def lower_claims(evidence: Evidence) -> Iterator[Claim]:
    """Where the lower edge lies, and what sets it."""
    every = conditions(evidence)
    edges = {name: c.edges for name, c in every.items() if c.edges is not None}
    yield Claim(
        "claim.edges-measured",
        f"conditions, of {len(every)}, in which there is a lower edge to measure",
        point(len(edges)),
        10,
        len(every) - 1,
        _experiments(every.values()),
        0,
    )
    yield from _rival_claims(every, edges)
    yield from _error_claims(every)
    for name, of, sizes, low, high in (
        ("steps", [f"lengths-{n}" for n in (6, 15, 30)], (6, 15, 30), 0.4, 1.1),
        ("trial", [f"trial-{n}" for n in (2, 4, 6)], (2, 4, 6), 1.5, 3.0),
    ):
        slope = point(math.nan)
        if set(of) <= set(edges):
            logs = np.log(np.stack([edges[part] for part in of]))
            slope = resampled_estimate(np.polyfit(np.log(sizes), logs, 1)[0])
        yield Claim(
            f"claim.exponent-{name}",
            "the edge rises as this power of the length",
            slope,
            low,
            high,
            _experiments(every[part] for part in of),
        )
    yield from _first_claims(every)
    yield from _third_claims(evidence, every)


def _rival_claims(
    every: Mapping[str, Condition], edges: Mapping[str, NDArray[np.float64]]
) -> Iterator[Claim]:
    """How wrong each rival is about the edges."""
    experiments = _experiments(every.values())

    def apart(rival: str, names: Collection[str]) -> NDArray[np.float64]:
        """Root mean square of the factor between measured and foretold, and its resamples."""
        if not names:
            return np.full(2, np.nan)
        logs = [np.log(edges[name] / every[name].edges_by(rival)) for name in names]
        return np.asarray(np.exp(np.sqrt(np.mean(np.square(logs), axis=0))))

    factors = {rival: apart(rival, edges) for rival in RIVALS}
    for rival, values in factors.items():
        yield Claim(
            f"claim.edges-{rival}",
            "factor by which measured edges differ from this rival's (root mean square)",
            resampled_estimate(values),
            1.0,
            1.5 if rival == "ratio" else 10.0,
            experiments,
        )
        if rival != "ratio":
            yield Claim(
                f"claim.edges-{rival}-worse",
                "that factor over the one of the ratio of bias to noise, same resamples",
                resampled_estimate(values / factors["ratio"]),
                1.05,
                10.0,
                experiments,
            )
    same_trials = [name for name in edges if every[name].group != "trial"]
    yield Claim(
        "claim.edges-fixed-same-trials",
        "the same for the weight alone, without the conditions of other trial lengths",
        resampled_estimate(apart("fixed", same_trials) / apart("ratio", same_trials)),
        0.8,
        1.25,
        experiments,
    )


def _experiments(some: Iterable[Condition]) -> tuple[str, ...]:
    """Experiments that conditions are of, each once."""
    return tuple(dict.fromkeys(condition.experiment for condition in some))


def _error_claims(every: Mapping[str, Condition]) -> Iterator[Claim]:
    """How wrong each rival is about success, where success is not plain."""
    for group in ("lengths", "fast", "trial", "mean", "held-out"):
        members = [
            condition
            for name, condition in every.items()
            if condition.group == group and name != "lengths-15"  # where all were fitted
        ]
        measured = [np.isfinite(c.attached.time).mean(axis=-1) for c in members]
        said = [[c.foretold(rival).mean(axis=-1) for c in members] for rival in RIVALS]
        rates = np.array([np.concatenate(rows) for rows in (measured, *said)])
        unclear = ~((rates <= 0.05).all(axis=0) | (rates >= 0.95).all(axis=0))
        apart = np.abs(rates[1:] - rates[0])[:, unclear]
        errors = dict(zip(RIVALS, apart.sum(axis=1) / max(unclear.sum(), 1), strict=True))
        for rival, error in errors.items():
            better = (group, rival) == ("mean", "fixed")  # the one place
            yield Claim(
                f"claim.error-{group}-{rival}",
                f"mean error of foretold success at some time, {unclear.sum()} cells not plain"
                + (
                    ""
                    if rival == "ratio"
                    else f"; no {'more' if better else 'less'} than the ratio"
                ),
                point(float(error)),
                0.0 if rival == "ratio" or better else float(errors["ratio"]),
                0.15 if rival == "ratio" else float(errors["ratio"]) if better else 1.0,
                _experiments(members),
            )


FIRST = {
    "steps 6": "fast-6",
    "steps 30": "fast-30",
    "trial length 2": "trial-2",
    "trial length 4": "trial-4",
    "trial length 6": "trial-6",
    "mean, 15 steps": "mean-15",
}
"""Conditions of the first set of predictions."""


def _first_claims(every: Mapping[str, Condition]) -> Iterator[Claim]:
    """What was predicted first, w = 0.107 c T."""
    predicted = predictions()["lower_edge"]
    right = 0
    for first, name in FIRST.items():
        estimate = every[name].edge
        right += 1 / FACTOR <= estimate.value / predicted[first] <= FACTOR
        fails = first == "trial length 6"
        yield Claim(
            "claim.first-" + first.replace(",", "").replace(" ", "-"),
            f"lower edge, predicted first as {predicted[first]}" + (", wrongly" if fails else ""),
            estimate,
            predicted[first] * (FACTOR if fails else 1 / FACTOR),
            math.inf if fails else predicted[first] * FACTOR,
            (every[name].experiment,),
        )
    yield Claim(
        "claim.first-right",
        "of the first seven predicted edges, this many were right",
        point(right),
        5,
        5,
        _experiments(every[name] for name in FIRST.values()),
        0,
    )


def _third_claims(evidence: Evidence, every: Mapping[str, Condition]) -> Iterator[Claim]:
    """What was predicted of lengths and a learning rate that no fit had seen."""
    predicted = predictions()["third"]
    runs = evidence.of("held-out")
    attached, detached = (runs.at(baseline=kind) for kind in ("attached", "detached"))
    for first, value in predicted["lower_edge"].items():
        yield Claim(
            "claim.third-lower-" + first.removeprefix("steps "),
            f"lower edge at {first}, predicted {value} before the runs",
            every[f"held-out-{first.removeprefix('steps ')}"].edge,
            value / FACTOR,
            value * FACTOR,
            ("held-out",),
        )
    part = detached.at(episode_length=90)
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
        "detached at 45 steps, success at weight 100, so that the edge, predicted 68, is beyond",
        as_estimate(rate_of(detached.at(episode_length=45, critic_weight=100.0).learned)),
        0.5,
        1,
        ("held-out",),
    )
    part = attached.at(episode_length=90)
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
            as_estimate(rate_of(detached.at(episode_length=steps, critic_weight=100.0).learned)),
            0.5,
            1,
            ("held-out",),
        )


def upper_claims(evidence: Evidence) -> Iterator[Claim]:
    """The upper edge: where it is, and that it is one of speed."""
    for steps, low, high in ((60, 10, 35), (120, 1.5, 10)):
        part = evidence.of("weight-0.001").at(episode_length=steps, baseline="detached")
        yield Claim(
            f"claim.upper-{steps}",
            f"detached, the upper edge at {steps} steps and learning rate 0.001",
            upper_edge(part.weights, part.learned, np.random.default_rng(0)),
            low,
            high,
            ("weight-0.001",),
            1,
        )
    before = evidence.of("weight-0.001").at(episode_length=60, baseline="detached")
    for weight in (20.0, 50.0):
        few, many = (
            part.at(critic_weight=weight).learned for part in (before, evidence.of("budget-upper"))
        )
        yield Claim(
            f"claim.upper-budget-{weight:g}",
            "above the upper edge five times the episodes bring this fraction of seeds there",
            as_estimate(rate_of(many)),
            0.8,
            1,
            ("budget-upper",),
        )
        yield Claim(
            f"claim.upper-gain-{weight:g}",
            "which is so much more than before",
            difference_of_seeds(many[None], few[None], np.random.default_rng(0)),
            0.2,
            1,
            ("budget-upper", "weight-0.001"),
        )
    attached = evidence.of("weight-0.001").at(episode_length=15, baseline="attached")
    for weight, least, most in ((1.0, 0.8, 1.0), (0.5, 0.5, 1.0)):
        many = evidence.of("budget-lower").at(critic_weight=weight).learned
        yield Claim(
            f"claim.lower-budget-{weight:g}",
            "below the lower edge five times the episodes bring this fraction of seeds there",
            as_estimate(rate_of(many)),
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
    yield from _budget_claims(evidence)


def _budget_claims(evidence: Evidence) -> Iterator[Claim]:
    """How the edges move with the budget: by runs looked at before their end."""
    for name, baseline, steps, edges, low, high in (
        ("lower", "attached", 15, light_edges, -2.0, -0.5),
        ("upper", "detached", 60, resampled_upper_edges, 1.5, 3.0),
    ):
        part = evidence.of("weight-0.001").at(episode_length=steps, baseline=baseline)
        found = [edges(part.weights, part.time <= budget) for budget in BUDGETS]
        slopes = np.polyfit(np.log(BUDGETS), np.log(found), 1)[0]
        yield Claim(
            f"claim.budget-{name}",
            f"the {name} edge moves as this power of the budget",
            resampled_estimate(slopes),
            low,
            high,
            ("weight-0.001",),
            1,
        )
