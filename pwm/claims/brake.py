"""Claims about why a heavy critic helps, and what helps more in the longest episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

import numpy as np

from pwm.analysis.estimates import over_seeds, rate, rate_difference
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.rule_predictions import judged_brake
from pwm.analysis.times import median_time
from pwm.claims.claim import Band, Claim

BRAKES: Mapping[tuple[str, float], tuple[Band, Band]] = {
    ("fixed", 1.0): ((0.9, 1), (500, 2000)),
    ("fixed", 0.1): ((0.9, 1), (2500, 6000)),
    ("stop-trunk", 1.0): ((0.1, 0.5), (2000, inf)),
    ("stop-trunk", 0.3): ((0.75, 1), (1500, 3000)),
    ("stop-trunk", 0.1): ((0.75, 1), (2500, 6000)),
    ("stop-trunk", 0.03): ((0.75, 1), (6000, 10_000)),
}
"""Bands of success and of the median time to learn, at 60 steps and weight 100, by rule and by the
factor on the trunk's steps."""
BRAKE: Band = (-0.25, -0.1)
"""Band of the success with a tenth of the trunk's steps, minus that with a heavy critic."""
UNCHANGED: Mapping[str, float] = {"critic_weight": 100.0, "entropy_weight": 0.0, "discount": 1.0}
"""Fields of the centred critic of weight 100."""
CHANGES: Mapping[str, Mapping[str, float]] = {
    "no change": {},
    "weight 1000": {"critic_weight": 1000.0},
    "entropy": {"entropy_weight": 0.1},
    "discount": {"discount": 0.9},
    "light discount": {"critic_weight": 10.0, "discount": 0.9},
}
"""Changes to `UNCHANGED`, by name."""
LIMITS: Mapping[str, tuple[Band, Band, Band]] = {
    "no change": ((0.5, 0.85), (0.9, 1), (1500, 3000)),
    "weight 1000": ((0.5, 0.85), (0.9, 1), (1500, 3000)),
    "entropy": ((0.9, 1), (0.9, 1), (1500, 3000)),
    "discount": ((0.9, 1), (0.9, 1), (500, 600)),
    "light discount": ((0.9, 1), (0.9, 1), (500, 600)),
}
"""Bands at 240 steps, by change: success after 10,000 episodes, success at any time, and the median
time to learn."""
HELPS: Mapping[str, Band] = {
    "weight 1000": (-0.15, 0.15),
    "entropy": (0.15, 0.5),
    "discount": (0.15, 0.5),
}
"""Bands of the success that a change adds at 240 steps."""


def brake_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about small steps of the trunk as a substitute for a heavy critic."""
    runs = evidence.of("brake")
    heavy = runs.at(episode_length=60, critic_weight=100.0)
    for (balance, factor), bands in BRAKES.items():
        cell = heavy.at(balance=balance, trunk_rate=factor)
        says = f"{balance}, 60 steps, trunk's steps times {factor:g}"
        yield from _cell(f"brake-{balance}-{factor:g}", says, cell, bands, "brake")
    (difference,) = judged_brake(runs).parts
    yield Claim(
        name="brake-difference",
        says=difference.says,
        estimate=difference.estimate,
        band=BRAKE,
        experiments=("brake",),
    )


def limit_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about changes that may help a centred critic of weight 100 at 240 steps."""
    runs = evidence.of("limits").at(episode_length=240)
    usual = runs.at(**UNCHANGED)
    for change, (learned, ever, time) in LIMITS.items():
        cell = runs.at(**{**UNCHANGED, **CHANGES[change]})
        name = f"limits-{change.replace(' ', '-')}"
        says = f"centred 100, 240 steps, learning rate 0.005, {change}"
        yield from _cell(name, says, cell, (learned, time), "limits")
        yield Claim(
            name=f"{name}-ever",
            says=f"{says}: fraction that learns at any time",
            estimate=rate(np.isfinite(cell.time)),
            band=ever,
            experiments=("limits",),
        )
        if change in HELPS:
            yield Claim(
                name=f"{name}-gain",
                says=f"{says}: success gained",
                estimate=rate_difference(cell.learned, usual.learned),
                band=HELPS[change],
                experiments=("limits",),
            )
    yield Claim(
        name="limits-collapsed",
        says="centred 10 to 1000, 240 steps, learning rate 0.005: fraction that collapses",
        estimate=rate(runs.at(entropy_weight=0.0, discount=1.0).collapsed),
        band=(0, 0.05),
        experiments=("limits",),
    )


def _cell(
    name: str, says: str, cell: Outcomes, bands: tuple[Band, Band], experiment: str
) -> Iterator[Claim]:
    """Yields claims about the success and the median time to learn of the runs of one cell."""
    success, time = bands
    yield Claim(
        name=name,
        says=f"{says}: fraction that learns",
        estimate=rate(cell.learned),
        band=success,
        experiments=(experiment,),
    )
    yield Claim(
        name=f"{name}-time",
        says=f"{says}: median episodes to learn",
        estimate=over_seeds(lambda seeds: median_time(cell.time[seeds]), len(cell.time)),
        band=time,
        experiments=(experiment,),
        digits=0,
    )


GROUPS = (brake_claims, limit_claims)
