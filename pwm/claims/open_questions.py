"""Claims about questions that the first study left open, and about the running mean's rate.

Returns are "raw", or "centred": less their running mean. A "mean" critic starts at the mean return,
all others at 0 unless stated. The climb is the change of a critic's value from its start to the
mean return. A slowdown is a median time to learn over that of a light detached critic that starts
at the mean return. The learning rate is 0.001 unless stated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pwm.analysis.estimates import interval, rate, rate_difference
from pwm.analysis.evidence import Evidence
from pwm.analysis.slowdowns import Cell
from pwm.analysis.starts import light_critic
from pwm.claims.claim import Band, Claim
from pwm.claims.leak import FORGETTING

WEIGHT_1: Mapping[str, tuple[str, Mapping[int, Band]]] = {
    "raw": ("weight-0.001", {15: (0.8, 1.5), 60: (1.3, 2.5), 120: (1.5, 5.0)}),
    "mean": ("start-mean", {15: (0.8, 1.3), 60: (0.8, 1.3), 120: (0.7, 1.4)}),
    "centred": ("centred-0.001", {15: (0.8, 1.3), 60: (0.8, 1.3), 120: (0.7, 1.4)}),
}
"""By the critic's start or returns: experiment, and bands of its slowdown at weight 1 by steps."""
HEAD_LEAK: Mapping[tuple[str, float | str], tuple[Band, Band]] = {
    ("raw", 0.0): ((0.8, 1.0), (0.8, 1.0)),
    ("raw", "fixed-point"): ((0.0, 0.2), (0.0, 0.4)),
    ("centred", 0.0): ((0.8, 1.0), (0.6, 1.0)),
    ("centred", "fixed-point"): ((0.0, 0.2), (0.0, 0.4)),
}
"""Bands of the fraction that learns at any time at weights up to 1, and of the fraction that has
learned at the end at weight 5, by returns and the critic's initial value."""
TRACKING_RATES = (0.003, 0.01, 0.03, 0.1, 1.0)  # of the running mean
HALF, MORE, ALL = (0.25, 0.85), (0.5, 0.97), (0.75, 1.0)  # bands of success
TRACKING: Mapping[tuple[int, float], Sequence[Band]] = {
    (60, 10.0): (MORE, MORE, MORE, ALL, ALL),
    (60, 100.0): (HALF, MORE, ALL, ALL, ALL),
    (120, 10.0): (HALF, HALF, HALF, HALF, MORE),
    (120, 100.0): (HALF, HALF, MORE, ALL, ALL),
}
"""Bands of success at each of `TRACKING_RATES`, by steps and critic weight."""


def climb_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims that the climb is what slows learning at weight 1 in long episodes."""
    for start, (experiment, bands) in WEIGHT_1.items():
        at_weight_1 = evidence.of(experiment).at(baseline="detached", critic_weight=1.0)
        for steps, band in bands.items():
            runs = at_weight_1.at(episode_length=steps)
            cell = Cell(
                condition=experiment,
                variant=start,
                weight=1.0,
                runs=runs,
                light=light_critic(evidence, runs.base.task),
                experiments=tuple(dict.fromkeys((experiment, "start-mean"))),
            )
            yield Claim(
                name=f"middling-{start}-{steps}",
                says=f"detached, {start}, {steps} steps, weight 1: slowdown",
                estimate=interval(cell.least_slowdowns),
                band=band,
                experiments=cell.experiments,
            )


def edge_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about what light critics lose to heavy ones even without leak and climb."""
    bands = {6: (-0.1, 0.5), 15: (0.0, 0.7), 30: (0.0, 0.7), 60: (0.1, 0.8), 120: (-0.2, 0.8)}
    for steps, band in bands.items():
        runs = evidence.of("centred-0.005").at(episode_length=steps, baseline="detached")
        heavy, light = runs.at(critic_weight=100.0), runs.at(critic_weight=0.1)
        yield Claim(
            name=f"edge-left-{steps}",
            says=f"detached, centred, {steps} steps, learning rate 0.005: success at weight 100 "
            "less that at 0.1",
            estimate=rate_difference(heavy.learned, light.learned),
            band=band,
            experiments=("centred-0.005",),
        )


def forgetting_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about runs with the leak in the value head alone.

    From 0, runs of weights up to 1 learn and then forget, centred ones too; most of weight 5 do not
    forget. From the leak's fixed point, few runs of weights up to 1 ever learn.
    """
    for (returns, start), (ever, kept_heavier) in HEAD_LEAK.items():
        runs = evidence.of("head-leak").at(returns=returns, critic_start=start)
        lighter = runs.at(critic_weight=FORGETTING)  # 0.2 to 1
        name = f"{returns}-{'zero' if start == 0 else start}"
        says = f"leak in the head alone, 15 steps, {returns}, start {start}"
        yield Claim(
            name=f"head-ever-{name}",
            says=f"{says}, weights 0.2 to 1: fraction that learns at any time",
            estimate=rate(np.isfinite(lighter.time)),
            band=ever,
            experiments=("head-leak",),
        )
        yield Claim(
            name=f"head-kept-{name}",
            says=f"{says}, weights 0.2 to 1: fraction that has learned at the end",
            estimate=rate(lighter.learned),
            band=(0.0, 0.2),
            experiments=("head-leak",),
        )
        yield Claim(
            name=f"head-kept-{name}-5",
            says=f"{says}, weight 5: fraction that has learned at the end",
            estimate=rate(runs.at(critic_weight=5.0).learned),
            band=kept_heavier,
            experiments=("head-leak",),
        )


def tracking_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about success at several rates of the running mean."""
    for (steps, weight), bands in TRACKING.items():
        runs = evidence.of("tracking").at(episode_length=steps, critic_weight=weight)
        for tracking_rate, band in zip(TRACKING_RATES, bands, strict=True):
            yield Claim(
                name=f"tracking-{steps}-{weight:g}-{tracking_rate:g}",
                says=f"detached, centred, {steps} steps, learning rate 0.005, weight {weight:g}, "
                f"running mean of rate {tracking_rate:g}: fraction that learns",
                estimate=rate(runs.at(tracking_rate=tracking_rate).learned),
                band=band,
                experiments=("tracking",),
            )


GROUPS = (climb_claims, edge_claims, forgetting_claims, tracking_claims)
