"""Claims about the edges of the working range: their positions, and what these depend on.

The working range is the range of critic weights with which runs learn within their budget of
episodes. At its two edges, success is half of that inside. A condition is a setting that was run
with both baselines and 13 weights. Rival laws differ in what the lower edge depends on
(`pwm.analysis.conditions`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import nan

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.conditions import RIVALS, Condition, conditions, experiments_of, light_edges
from pwm.analysis.edges import upper_edges
from pwm.analysis.estimates import Estimate, interval, rate, rate_difference, slope
from pwm.analysis.evidence import Evidence
from pwm.claims.claim import Band, Claim

POWERS: Sequence[tuple[str, str, Mapping[int, str], Band]] = (
    # name, the length that varies, conditions by that length, band of the exponent
    ("steps", "episode", {6: "lengths-6", 15: "lengths-15", 30: "lengths-30"}, (0.4, 1.1)),
    ("trial", "trial", {2: "trial-2", 4: "trial-4", 6: "trial-6"}, (1.5, 3.0)),
)
"""Lengths with which the lower edge grows as a power. Where trials vary, each episode has five."""
RATIO = "ratio"  # the rival law that, by these claims, has the smallest error
BUDGETS = (10_000, 12_000, 14_000, 17_000, 20_000)  # in episodes; the last is that of the runs


def lower_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the lower edge: how many conditions have one, what determines it."""
    by_name = conditions(evidence)
    measured = {name: each.edges for name, each in by_name.items() if each.edges is not None}
    experiments = experiments_of(by_name.values())
    yield Claim(
        name="edges-measured",
        says=f"conditions, of {len(by_name)}, that have a lower edge to measure",
        estimate=Estimate(len(measured)),
        band=(10, len(by_name) - 1),
        experiments=experiments,
        digits=0,
    )
    errors = {rival: _error(rival, by_name, measured) for rival in RIVALS}
    for rival, error in errors.items():
        yield Claim(
            name=f"edges-{rival}",
            says=f'factor by which the rival "{rival}" misses the lower edges (root mean square)',
            estimate=interval(error),
            band=(1.0, 1.5 if rival == RATIO else 10.0),
            experiments=experiments,
        )
        if rival != RATIO:
            yield Claim(
                name=f"edges-{rival}-worse",
                says=f'factor by which "{rival}" misses the lower edges over that of "{RATIO}"',
                estimate=interval(error / errors[RATIO]),
                band=(1.05, 10.0),
                experiments=experiments,
            )
    for name, length, by_length, band in POWERS:
        exponent = Estimate(nan)  # if an edge could not be measured
        if all(each in measured for each in by_length.values()):
            edges = np.array([measured[each] for each in by_length.values()])  # (3, 1 + resamples)
            exponent = interval(slope(np.log(list(by_length)), np.log(edges)))
        yield Claim(
            name=f"exponent-{name}",
            says="attached, learning rate 0.001: the lower edge grows as this power of the "
            f"length of the {length}",
            estimate=exponent,
            band=band,
            experiments=experiments_of(by_name[each] for each in by_length.values()),
        )


def _error(
    rival: str, by_name: Mapping[str, Condition], measured: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Factor by which a rival misses the lower edges: [1 + resamples]; nan, [2], without edges.

    It is the exponential of the root mean square of log(measured edge / predicted edge). `measured`
    has the lower edges, [1 + resamples], of those conditions in `by_name` that have one.
    """
    if not measured:
        return np.full(2, nan)  # a value and one resample: `interval` needs no more
    logs = [np.log(edges / by_name[name].edges_by(rival)) for name, edges in measured.items()]
    return np.asarray(np.exp(np.sqrt(np.square(logs).mean(axis=0))))


def upper_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the position of the upper edge: detached, learning rate 0.001."""
    for steps, band in {60: (10.0, 35.0), 120: (1.5, 10.0)}.items():
        runs = evidence.of("weight-0.001").at(episode_length=steps, baseline="detached")
        yield Claim(
            name=f"upper-{steps}",
            says=f"upper edge at {steps} steps and learning rate 0.001, detached",
            estimate=interval(upper_edges(runs.weights, runs.learned)),
            band=band,
            experiments=("weight-0.001",),
            digits=1,
        )


def longer_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about success beyond the edges, with the usual budget or five times as much."""
    grid = evidence.of("weight-0.001")  # with the usual budget
    above = grid.at(episode_length=60, baseline="detached")
    above_longer = evidence.of("budget-upper")
    for weight in above_longer.weights:
        usual = above.at(critic_weight=weight).learned
        longer = above_longer.at(critic_weight=weight).learned
        says = f"detached, 60 steps, learning rate 0.001, weight {weight:g}, above the upper edge"
        yield Claim(
            name=f"upper-budget-{weight:g}",
            says=f"{says}: success with five times the budget",
            estimate=rate(longer),
            band=(0.8, 1),
            experiments=("budget-upper",),
        )
        yield Claim(
            name=f"upper-gain-{weight:g}",
            says=f"{says}: gain in success from five times the budget",
            estimate=rate_difference(longer, usual),
            band=(0.2, 1),
            experiments=("budget-upper", "weight-0.001"),
        )
    below = grid.at(episode_length=15, baseline="attached")
    below_longer = evidence.of("budget-lower")
    for weight, band, verdict in (
        (1.0, (0.8, 1.0), ""),
        (0.5, (0.5, 1.0), ", predicted to be below one half, wrongly"),
    ):
        says = f"attached, 15 steps, learning rate 0.001, weight {weight:g}, below the lower edge"
        yield Claim(
            name=f"lower-budget-{weight:g}",
            says=f"{says}: success with five times the budget{verdict}",
            estimate=rate(below_longer.at(critic_weight=weight).learned),
            band=band,
            experiments=("budget-lower",),
        )
        yield Claim(
            name=f"lower-before-{weight:g}",
            says=f"{says}: success with the usual budget",
            estimate=rate(below.at(critic_weight=weight).learned),
            band=(0, 0.2),
            experiments=("weight-0.001",),
        )


def budget_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the edges' shift with the budget, computed from times to learn."""
    for edge, baseline, steps, find_edges, band in (
        ("lower", "attached", 15, light_edges, (-2.0, -0.5)),
        ("upper", "detached", 60, upper_edges, (1.5, 3.0)),
    ):
        runs = evidence.of("weight-0.001").at(episode_length=steps, baseline=baseline)
        # Runs count that learned within the budget, even if they forgot later.
        edges = [find_edges(runs.weights, runs.time <= budget) for budget in BUDGETS]
        yield Claim(
            name=f"budget-{edge}",
            says=f"{baseline}, {steps} steps, learning rate 0.001: the {edge} edge moves as this "
            "power of the budget",
            estimate=interval(slope(np.log(BUDGETS), np.log(edges))),
            band=band,
            experiments=("weight-0.001",),
            digits=1,
        )


GROUPS = (lower_claims, upper_claims, longer_claims, budget_claims)
