"""Claims about the critic's climb from its start to its fixed point, its cost, and its law.

A critic that starts at 0 must climb to the mean return or, with a leak, above it. On the way the
weights of its head grow, and units of the hidden state that it shares with the policy saturate
(|h| > 0.6), which slows learning. A "raw" critic starts at 0, a "mean" critic at the mean return; a
"centred" critic, which learns returns less their running mean, starts at 0 and need not climb. A
cell is the runs of one setting and critic weight. Its slowdown S is their median time to learn over
that of a light detached critic that starts at the mean return. All learning rates are 0.001.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np

from pwm.analysis.early_probes import STARTS, probe_after, probed_runs
from pwm.analysis.estimates import Estimate, interval, resampled
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.rivals import RIVALS
from pwm.analysis.slowdowns import LAW, root_mean_square
from pwm.analysis.starts import MEAN_RETURN, distance_cells, grid_cells
from pwm.claims.claim import Band, Claim, slug

ARRIVED, LATE = 200, 5000  # episodes: after most of a heavy critic's climb; at the end of training
WEIGHTS = (0.1, 1.0, 10.0, 100.0)
NONE, SOME, HALF = (0.0, 0.02), (0.02, 0.35), (0.35, 0.7)  # bands of the saturated fraction
SATURATED: Mapping[tuple[int, str], Sequence[Band]] = {
    (15, "raw"): (NONE, (0.0, 0.1), NONE, NONE),
    (15, "mean"): (NONE, NONE, NONE, NONE),
    (15, "centred"): (NONE, NONE, NONE, NONE),
    (60, "raw"): (NONE, SOME, HALF, HALF),
    (60, "mean"): (NONE, NONE, NONE, NONE),
    (60, "centred"): (NONE, NONE, NONE, NONE),
}
"""Bands of the fraction of units that are saturated, at each of `WEIGHTS`, by steps and start."""
PROBES: Sequence[tuple[str, str, int, Mapping[str, Band]]] = (
    # diagnostic (`pwm.training.history`), in words, episodes until it is measured, bands by start
    ("activity", "mean |h|", ARRIVED, {"raw": (0.15, 0.7), "mean": (0, 0.25), "centred": (0, 0.2)}),
    (
        "value_weight_norm",
        "norm of the value weights",
        ARRIVED,
        {"raw": (0.85, 1.7), "mean": (0.55, 1.0), "centred": (0.4, 0.65)},
    ),
    (
        "trace",
        "trace of the first stimulus in a trial's last hidden state",
        LATE,
        {"raw": (0.0, 0.01), "mean": (0.01, 0.06), "centred": (0.01, 0.06)},
    ),
)
DISTANCES: Mapping[tuple[float, float], Band] = {
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
"""Bands of the slowdown at 60 steps, by the critic's initial value and weight."""


def probe_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the hidden states and the value head of detached runs during training."""
    for (steps, start), bands in SATURATED.items():
        experiment, _ = STARTS[start]
        for weight, band in zip(WEIGHTS, bands, strict=True):
            yield Claim(
                name=f"climb-saturated-{start}-{steps}-{weight:g}",
                says=f"detached, {start}, {steps} steps, weight {weight:g}, {ARRIVED} episodes: "
                "fraction of units that are saturated",
                estimate=_median(probed_runs(evidence, start, steps, weight), "saturated", ARRIVED),
                band=band,
                experiments=(experiment,),
            )
    for (diagnostic, words, episode, by_start), steps in product(PROBES, (15, 60)):
        for start, band in by_start.items():
            experiment, _ = STARTS[start]
            yield Claim(
                name=f"climb-{diagnostic.replace('_', '-')}-{start}-{steps}",
                says=f"detached, {start}, {steps} steps, weight 10, {episode} episodes: {words}",
                estimate=_median(probed_runs(evidence, start, steps, 10.0), diagnostic, episode),
                band=band,
                experiments=(experiment,),
                digits=3 if diagnostic == "trace" else 2,
            )


def _median(runs: Outcomes, diagnostic: str, episode: int) -> Estimate:
    """Median over the seeds of `probed_runs` of a diagnostic measured after `episode` episodes."""
    values = probe_after(runs, diagnostic, episode)  # (S,)
    return interval(np.median(values[resampled(len(values))], axis=-1))


def distance_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about how the slowdown depends on the start's distance from the mean return."""
    cells = distance_cells(evidence)
    for (start, weight), band in DISTANCES.items():
        cell = cells[start, weight]
        side = "below" if start < MEAN_RETURN else "above"
        yield Claim(
            name=f"distance-{side}-{abs(start - MEAN_RETURN):g}-{weight:g}",
            says=f"detached, 60 steps, weight {weight:g}: slowdown from a start at {start:g} (mean "
            "return: 5.25), or a lower bound if fewer than half learn",
            estimate=cell.estimate,
            band=band,
            experiments=cell.experiments,
            digits=1,
        )


def climb_law_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about how well the law of the climb fits the runs of the grid `weight-0.001`.

    Critics start at 0. The law (`pwm.analysis.climb`) was written after these runs. Its rivals are
    compared with it on detached cells only. Only informative cells count (`Cell.informative`).
    """
    experiments = ("weight-0.001", "start-mean")
    for baseline, band in {"attached": (0.0, 0.4), "detached": (0.0, 0.35)}.items():
        cells = [cell for cell in grid_cells(evidence, baseline) if cell.informative]
        law_error = root_mean_square(cells, LAW)
        yield Claim(
            name=f"climb-law-{baseline}",
            says=f"{baseline}, raw: root mean square error of log S by the law of the climb",
            estimate=interval(law_error),
            band=band,
            experiments=experiments,
        )
        yield Claim(
            name=f"climb-law-{baseline}-cells",
            says=f"{baseline}, raw: cells on which the error of the law is computed",
            estimate=Estimate(len(cells)),
            band=(5, 65),  # of 65 cells (five lengths, 13 weights), at least a few
            experiments=experiments,
            digits=0,
        )
        if baseline == "attached":
            continue  # the rivals make no prediction where there is a leak
        for rival in RIVALS:
            yield Claim(
                name=f"climb-law-margin-{slug(rival)}",
                says=f'detached, raw: error of "{rival}" less that of the law of the climb',
                estimate=interval(root_mean_square(cells, rival) - law_error),
                band=(0.0, 3.0),
                experiments=experiments,
            )


GROUPS = (probe_claims, distance_claims, climb_law_claims)
