"""Claims about questions that the first study left open, and about the running mean's rate.

One such question, the constant of the leak's noise, is in `pwm.claims.start`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pwm.analysis.estimates import interval, rate, rate_difference
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.slowdowns import Cell
from pwm.analysis.starts import light_critic
from pwm.claims.claim import Claim

MIDDLING = {
    "raw": ("weight-0.001", {15: (0.8, 1.5), 60: (1.3, 2.5), 120: (1.5, 5.0)}),
    "mean": ("start-mean", {15: (0.8, 1.3), 60: (0.8, 1.3), 120: (0.7, 1.4)}),
    "centred": ("centred-0.001", {15: (0.8, 1.3), 60: (0.8, 1.3), 120: (0.7, 1.4)}),
}
"""Experiment, and bands of the slowdown at weight 1 by steps; by the critic's start."""
EDGE_REMAINING = {6: (-0.1, 0.5), 15: (0.0, 0.7), 30: (0.0, 0.7), 60: (0.1, 0.8), 120: (-0.2, 0.8)}
"""Bands of success at weight 100 minus that at 0.1, the lower edge that remains, by steps."""
UNLEARNED = (0.2, 0.5, 1.0)
"""Weights at which runs with the leak in the head alone, started at 0, learn and then forget."""
HEAVIER = 5.0
FEW, NEARLY_ALL = (0.0, 0.2), (0.8, 1.0)
HEAD = {
    ("raw", 0.0): (NEARLY_ALL, FEW, NEARLY_ALL),
    ("raw", "fixed-point"): (FEW, FEW, (0.0, 0.4)),
    ("centred", 0.0): (NEARLY_ALL, FEW, (0.6, 1.0)),
    ("centred", "fixed-point"): (FEW, FEW, (0.0, 0.4)),
}
"""Bands of the fractions that learn at any time, that have learned at the end, and that have at the
end at weight 5, by returns and start. Centring does not prevent forgetting, and from the fixed
point nothing is learned."""
HALF, MORE, ALL = (0.25, 0.85), (0.5, 0.97), (0.75, 1.0)
TRACKING = {
    (60, 10.0): (MORE, MORE, MORE, ALL, ALL),
    (60, 100.0): (HALF, MORE, ALL, ALL, ALL),
    (120, 10.0): (HALF, HALF, HALF, HALF, MORE),
    (120, 100.0): (HALF, HALF, MORE, ALL, ALL),
}
"""Bands of success by steps, weight and the running mean's rate."""


def middling_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims that it is the climb that slows intermediate weights in long episodes."""
    for start, (name, bands) in MIDDLING.items():
        for steps, band in bands.items():
            runs = evidence.of(name).at(episode_length=steps, baseline="detached")
            cell = _slowdown(evidence, name, runs.at(critic_weight=1.0))
            yield Claim(
                name=f"middling-{start}-{steps}",
                says=f"detached, {start}, weight 1: slowdown relative to a light critic",
                estimate=interval(cell.least_slowdowns),
                band=band,
                experiments=cell.experiments,
            )


def _slowdown(evidence: Evidence, name: str, runs: Outcomes) -> Cell:
    """The cell of some runs of one weight, with the light critic of their setting."""
    return Cell(
        condition=name,
        variant="",
        weight=runs.base.critic_weight,
        runs=runs,
        light=light_critic(evidence, runs.base.task),
        experiments=(name, "start-mean"),
    )


def edge_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the lower edge that remains once leak and climb are removed."""
    for steps, band in EDGE_REMAINING.items():
        runs = evidence.of("centred-0.005").at(episode_length=steps, baseline="detached")
        heavy, light = (runs.at(critic_weight=weight).learned for weight in (100.0, 0.1))
        yield Claim(
            name=f"edge-left-{steps}",
            says="centred, detached, learning rate 0.005: success at weight 100 less that at 0.1",
            estimate=rate_difference(heavy, light),
            band=band,
            experiments=("centred-0.005",),
        )


def unlearning_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about runs that forget: the leak in the head alone, by returns and start."""
    runs = evidence.of("head-leak")
    for (returns, start), bands in HEAD.items():
        part = runs.at(returns=returns, critic_start=start)
        forgetting = part.at(critic_weight=UNLEARNED)
        named = f"{returns}-{start if isinstance(start, str) else 'zero'}"
        for name, says, learned, band in zip(
            (f"head-ever-{named}", f"head-kept-{named}", f"head-kept-{named}-{HEAVIER:g}"),
            ("learns at any time", "has learned at the end", "has learned at the end, weight 5"),
            (
                np.isfinite(forgetting.time),
                forgetting.learned,
                part.at(critic_weight=HEAVIER).learned,
            ),
            bands,
            strict=True,
        ):
            yield Claim(
                name=name,
                says=f"leak in the head, {returns}, start {start}: fraction that {says}",
                estimate=rate(learned),
                band=band,
                experiments=("head-leak",),
            )


def tracking_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about success by the rate of the running mean, at learning rate 0.005."""
    runs = evidence.of("tracking")
    for steps in runs.axes["episode_length"]:
        for weight in runs.weights:
            rates, bands = runs.axes["tracking_rate"], TRACKING[steps, weight]
            for tracking_rate, band in zip(rates, bands, strict=True):
                cell = runs.at(
                    episode_length=steps, critic_weight=weight, tracking_rate=tracking_rate
                )
                yield Claim(
                    name=f"tracking-{steps}-{weight:g}-{tracking_rate:g}",
                    says=f"running mean of rate {tracking_rate:g}: fraction that learns",
                    estimate=rate(cell.learned),
                    band=band,
                    experiments=("tracking",),
                )


GROUPS = (middling_claims, edge_claims, unlearning_claims, tracking_claims)
