"""Claims about the edges of the working range: where they lie, what determines and moves them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import nan

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.conditions import (
    RIVALS,
    Condition,
    conditions,
    experiments_of,
    light_edges,
)
from pwm.analysis.edges import upper_edges
from pwm.analysis.estimates import Estimate, interval, rate, rate_difference, slope
from pwm.analysis.evidence import Evidence
from pwm.claims.claim import Claim

EXPONENTS = {
    "steps": ("episode", {6: "lengths-6", 15: "lengths-15", 30: "lengths-30"}, (0.4, 1.1)),
    "trial": ("trial", {2: "trial-2", 4: "trial-4", 6: "trial-6"}, (1.5, 3.0)),
}
"""Length that varies, conditions by that length, and the band of the lower edge's power of it."""
RATIO = "ratio"  # the rival that should miss least
UPPER = {60: (10.0, 35.0), 120: (1.5, 10.0)}
"""Bands of the upper edge by steps, detached, learning rate 0.001."""
LONGER_LOWER = {1.0: (0.8, 1.0), 0.5: (0.5, 1.0)}
"""Bands of success with five times the budget, by weight below the lower edge."""
BUDGETS = (10_000, 12_000, 14_000, 17_000, 20_000)
"""Episodes after which the edges are measured, to see them move."""


def lower_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the lower edge: its position and what determines it."""
    every = conditions(evidence)
    measured = {name: each.edges for name, each in every.items() if each.edges is not None}
    yield Claim(
        name="edges-measured",
        says=f"conditions, of {len(every)}, that have a lower edge to measure",
        estimate=Estimate(len(measured)),
        band=(10, len(every) - 1),
        experiments=experiments_of(every.values()),
        digits=0,
    )
    yield from _rival_claims(every, measured)
    for name, (length, names, band) in EXPONENTS.items():
        power = Estimate(nan)
        if set(names.values()) <= set(measured):
            logs = np.log([measured[each] for each in names.values()])
            power = interval(slope(np.log(list(names)), logs))
        yield Claim(
            name=f"exponent-{name}",
            says=f"the lower edge grows as this power of the length of the {length}",
            estimate=power,
            band=band,
            experiments=experiments_of(every[each] for each in names.values()),
        )


def _rival_claims(
    every: Mapping[str, Condition], measured: Mapping[str, NDArray[np.float64]]
) -> Iterator[Claim]:
    """Yields claims about the error of each rival law of the lower edge."""
    misses = {rival: _miss(rival, every, measured) for rival in RIVALS}
    for rival, miss in misses.items():
        yield Claim(
            name=f"edges-{rival}",
            says=f'factor by which the rival "{rival}" misses the lower edges (root mean square)',
            estimate=interval(miss),
            band=(1.0, 1.5 if rival == RATIO else 10.0),
            experiments=experiments_of(every.values()),
        )
        if rival != RATIO:
            yield Claim(
                name=f"edges-{rival}-worse",
                says=f'factor by which "{rival}" misses the lower edges over that of "{RATIO}"',
                estimate=interval(miss / misses[RATIO]),
                band=(1.05, 10.0),
                experiments=experiments_of(every.values()),
            )


def _miss(
    rival: str, every: Mapping[str, Condition], measured: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Factor by which a rival misses the measured edges, root mean square: [1 + resamples]."""
    if not measured:
        return np.full(2, nan)
    logs = [np.log(edges / every[name].edges_by(rival)) for name, edges in measured.items()]
    return np.asarray(np.exp(np.sqrt(np.square(logs).mean(axis=0))))


def upper_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the upper edge, and about a budget that moves both edges."""
    for steps, band in UPPER.items():
        part = evidence.of("weight-0.001").at(episode_length=steps, baseline="detached")
        yield Claim(
            name=f"upper-{steps}",
            says=f"upper edge at {steps} steps and learning rate 0.001, detached",
            estimate=interval(upper_edges(part.weights, part.learned)),
            band=band,
            experiments=("weight-0.001",),
            digits=1,
        )
    yield from _above_claims(evidence)
    yield from _below_claims(evidence)
    yield from _budget_claims(evidence)


def _above_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about success above the upper edge with five times the budget, at 60 steps."""
    usual = evidence.of("weight-0.001").at(episode_length=60, baseline="detached")
    longer = evidence.of("budget-upper")
    for weight in longer.weights:
        before = usual.at(critic_weight=weight).learned
        after = longer.at(critic_weight=weight).learned
        yield Claim(
            name=f"upper-budget-{weight:g}",
            says=f"five times the budget, weight {weight:g}, above the upper edge: success",
            estimate=rate(after),
            band=(0.8, 1),
            experiments=("budget-upper",),
        )
        yield Claim(
            name=f"upper-gain-{weight:g}",
            says=f"five times the budget, weight {weight:g}, above the upper edge: gain in success",
            estimate=rate_difference(after, before),
            band=(0.2, 1),
            experiments=("budget-upper", "weight-0.001"),
        )


def _below_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about success below the lower edge with five times the budget, at 15 steps."""
    usual = evidence.of("weight-0.001").at(episode_length=15, baseline="attached")
    for weight, band in LONGER_LOWER.items():
        yield Claim(
            name=f"lower-budget-{weight:g}",
            says=f"five times the budget, weight {weight:g}, below the lower edge: success",
            estimate=rate(evidence.of("budget-lower").at(critic_weight=weight).learned),
            band=band,
            experiments=("budget-lower",),
        )
        yield Claim(
            name=f"lower-before-{weight:g}",
            says=f"usual budget, weight {weight:g}, below the lower edge: success",
            estimate=rate(usual.at(critic_weight=weight).learned),
            band=(0, 0.2),
            experiments=("weight-0.001",),
        )


def _budget_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the edges at smaller budgets, from the same runs cut short."""
    for name, baseline, steps, edges, band in (
        ("lower", "attached", 15, light_edges, (-2.0, -0.5)),
        ("upper", "detached", 60, upper_edges, (1.5, 3.0)),
    ):
        part = evidence.of("weight-0.001").at(episode_length=steps, baseline=baseline)
        found = [edges(part.weights, part.time <= budget) for budget in BUDGETS]
        yield Claim(
            name=f"budget-{name}",
            says=f"the {name} edge moves as this power of the budget",
            estimate=interval(slope(np.log(BUDGETS), np.log(found))),
            band=band,
            experiments=("weight-0.001",),
            digits=1,
        )


GROUPS = (lower_claims, upper_claims)
