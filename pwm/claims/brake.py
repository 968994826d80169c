"""Claims about why a heavy critic helps, and what helps more in episodes of 240 steps.

The trunk is the part of the network that policy and critic share. The gradients of a heavy critic
make the policy's steps in the trunk small. The experiment `brake` tests whether this is all that a
heavy critic does: the trunk's learning rate is scaled, with the critic's gradients in the trunk
(the rule "fixed") and without them ("stop-trunk"). Critics are "centred": they learn returns less
their running mean. A run collapses if its last policy is deterministic and has not learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf

import numpy as np

from pwm.analysis.estimates import interval, rate, rate_difference, resampled_medians
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.rule_predictions import brake_difference
from pwm.claims.claim import Band, Claim, slug

BRAKES: Mapping[tuple[str, float], tuple[Band, Band]] = {
    ("fixed", 1.0): ((0.9, 1), (500, 2000)),
    ("fixed", 0.1): ((0.9, 1), (2500, 6000)),
    ("stop-trunk", 1.0): ((0.1, 0.5), (2000, inf)),
    ("stop-trunk", 0.3): ((0.75, 1), (1500, 3000)),
    ("stop-trunk", 0.1): ((0.75, 1), (2500, 6000)),
    ("stop-trunk", 0.03): ((0.75, 1), (6000, 10_000)),
}
"""Bands of success and of the median episodes to learn, at 60 steps and weight 100, by rule and
factor on the trunk's learning rate."""
UNCHANGED: Mapping[str, float] = {"critic_weight": 100.0, "entropy_weight": 0.0, "discount": 1.0}
"""Fields of the unchanged runs: critic weight 100, no entropy bonus and no discount."""
CHANGES: Sequence[tuple[str, Mapping[str, float], Band, Band, Band | None]] = (
    # change, its fields, bands: success, median episodes to learn (500 is the least), gain
    ("no change", {}, (0.5, 0.85), (1500, 3000), None),
    ("weight 1000", {"critic_weight": 1000.0}, (0.5, 0.85), (1500, 3000), (-0.15, 0.15)),
    ("entropy", {"entropy_weight": 0.1}, (0.9, 1), (1500, 3000), (0.15, 0.5)),
    ("discount", {"discount": 0.9}, (0.9, 1), (500, 600), (0.15, 0.5)),
    ("light discount", {"critic_weight": 10.0, "discount": 0.9}, (0.9, 1), (500, 600), None),
)
"""Changes to `UNCHANGED`, with bands at 240 steps; the gain is in success, or None: no claim."""


def brake_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about a slowly trained trunk as a substitute for a heavy critic."""
    runs = evidence.of("brake")
    heavy = runs.at(episode_length=60, critic_weight=100.0)
    for (rule, factor), (success, time) in BRAKES.items():
        yield from _learning_claims(
            name=f"brake-{rule}-{factor:g}",
            says=f"centred 100, {rule}, 60 steps, learning rate 0.005 (trunk: times {factor:g})",
            runs=heavy.at(balance=rule, trunk_rate=factor),
            success=success,
            time=time,
            experiment="brake",
        )
    yield Claim(
        name="brake-difference",
        says="centred 100, 60 steps, learning rate 0.005: success with stop-trunk (trunk: times "
        "0.1) less that with fixed (trunk: times 1), predicted to be at least -0.1, wrongly",
        estimate=brake_difference(runs),
        band=(-0.25, -0.1),
        experiments=("brake",),
    )


def limit_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims on changes that may help centred critics at 240 steps, and on collapses."""
    runs = evidence.of("limits").at(episode_length=240)
    unchanged = runs.at(**UNCHANGED)
    for change, fields, success, time, gain in CHANGES:
        values = {**UNCHANGED, **fields}
        changed = runs.at(**values)
        name = f"limits-{slug(change)}"
        words = ", ".join(f"{field.replace('_', ' ')} {value:g}" for field, value in values.items())
        says = f"centred, 240 steps, learning rate 0.005, {words}"
        yield from _learning_claims(name, says, changed, success, time, "limits")
        yield Claim(
            name=f"{name}-ever",
            says=f"{says}: fraction that learns at any time",
            estimate=rate(np.isfinite(changed.time)),
            band=(0.9, 1),
            experiments=("limits",),
        )
        if gain is not None:
            yield Claim(
                name=f"{name}-gain",
                says=f"{says}: gain in success over critic weight 100 alone",
                estimate=rate_difference(changed.learned, unchanged.learned),
                band=gain,
                experiments=("limits",),
            )
    yield Claim(
        name="limits-collapsed",
        says="centred 10, 100 and 1000, 240 steps, learning rate 0.005: fraction that collapses",
        estimate=rate(runs.at(entropy_weight=0.0, discount=1.0).collapsed),
        band=(0, 0.05),
        experiments=("limits",),
    )


def _learning_claims(
    name: str, says: str, runs: Outcomes, success: Band, time: Band, experiment: str
) -> Iterator[Claim]:
    """Yields claims about runs of one setting, [S]: their success and median time to learn."""
    yield Claim(
        name=name,
        says=f"{says}: fraction that learns",
        estimate=rate(runs.learned),
        band=success,
        experiments=(experiment,),
    )
    yield Claim(
        name=f"{name}-time",
        says=f"{says}: median episodes to learn",
        estimate=interval(resampled_medians(runs.time)),
        band=time,
        experiments=(experiment,),
        digits=0,
    )


GROUPS = (brake_claims, limit_claims)
