"""Claims about the critic's climb from its start to the mean return, and its cost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pwm.analysis.early_probes import probe_after, probed
from pwm.analysis.estimates import Estimate, interval, over_seeds
from pwm.analysis.outcomes import Evidence
from pwm.analysis.starts import distance_cells
from pwm.claims.claim import Claim

ARRIVED, LATE = 200, 5000
"""Episodes by which a heavy critic has climbed, and at the last probe."""
NO_UNITS, SOME_UNITS, HALF = (0.0, 0.02), (0.02, 0.35), (0.35, 0.7)
"""Bands of the fraction of units that are saturated."""
SATURATED = {
    15: {"raw": (NO_UNITS, (0.0, 0.1), NO_UNITS, NO_UNITS)},
    60: {"raw": (NO_UNITS, SOME_UNITS, HALF, HALF)},
}
"""Bands of that fraction by steps, start, and weight of `WEIGHTS`; `NO_UNITS` for other starts."""
WEIGHTS = (0.1, 1.0, 10.0, 100.0)
MEASURES = {
    "activity": ("mean |h|", ARRIVED, {"raw": (0.15, 0.7), "mean": (0, 0.25), "centred": (0, 0.2)}),
    "value_weight_norm": (
        "norm of the value weights",
        ARRIVED,
        {"raw": (0.85, 1.7), "mean": (0.55, 1.0), "centred": (0.4, 0.65)},
    ),
    "trace": (
        "the first stimulus' trace in the last hidden state",
        LATE,
        {"raw": (0.0, 0.01), "mean": (0.01, 0.06), "centred": (0.01, 0.06)},
    ),
}
"""Diagnostics at weight 10: description, episode of the probe, and bands by start."""
DISTANCES = {
    (-5.25, 1.0): (2.0, 10.0),
    (-5.25, 10.0): (4.0, 10.0),
    (0.0, 1.0): (1.3, 2.5),
    (0.0, 10.0): (2.5, 6.0),
    (2.25, 1.0): (0.9, 2.0),
    (2.25, 10.0): (1.3, 3.5),
    (5.25, 1.0): (0.7, 1.3),
    (5.25, 10.0): (0.9, 1.6),
    (8.25, 1.0): (0.9, 2.5),
    (8.25, 10.0): (1.5, 5.0),
    (10.5, 1.0): (1.3, 5.0),
    (10.5, 10.0): (2.5, 10.0),
    (15.75, 1.0): (2.0, 10.0),
    (15.75, 10.0): (4.0, 10.0),
}
"""Bands of the slowdown at 60 steps, by start and weight."""
MEAN_RETURN = 5.25  # at 60 steps


def probe_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about hidden states and value head early in training, by the critic's start."""
    for steps, bands in SATURATED.items():
        for start in ("raw", "mean", "centred"):
            for weight, band in zip(WEIGHTS, bands.get(start, (NO_UNITS,) * 4), strict=True):
                yield Claim(
                    name=f"climb-saturated-{start}-{steps}-{weight:g}",
                    says=f"detached, {start}: fraction of units saturated after {ARRIVED} episodes",
                    estimate=_median(evidence, "saturated", start, steps, weight, ARRIVED),
                    band=band,
                    experiments=(_experiment(start),),
                )
    for name, (words, episode, starts) in MEASURES.items():
        for steps in SATURATED:
            for start, band in starts.items():
                yield Claim(
                    name=f"climb-{name.replace('_', '-')}-{start}-{steps}",
                    says=f"detached, {start}, weight 10: {words} after {episode} episodes",
                    estimate=_median(evidence, name, start, steps, 10.0, episode),
                    band=band,
                    experiments=(_experiment(start),),
                    digits=3 if name == "trace" else 2,
                )


def _experiment(start: str) -> str:
    """Name of the experiment whose critics have that start."""
    return "climb-start" if start == "mean" else "climb-raw"


def _median(
    evidence: Evidence, name: str, start: str, steps: int, weight: float, episode: int
) -> Estimate:
    """Median over seeds of a diagnostic after some episodes."""
    values = probe_after(probed(evidence, start, steps, weight), name, episode)
    return over_seeds(lambda seeds: np.median(values[seeds], axis=-1), len(values))


def distance_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the slowdown by the distance from the start to the mean return."""
    cells = distance_cells(evidence)
    for (start, weight), band in DISTANCES.items():
        cell = cells[start, weight]
        distance = start - MEAN_RETURN
        side = "below" if distance < 0 else "above"
        yield Claim(
            name=f"distance-{side}-{abs(distance):g}-{weight:g}",
            says=f"60 steps, weight {weight:g}: slowdown if the critic starts {abs(distance):g} "
            f"{side} the mean return (at least this, if fewer than half learn)",
            estimate=interval(cell.least),
            band=band,
            experiments=cell.experiments,
            digits=1,
        )


GROUPS = (probe_claims, distance_claims)
