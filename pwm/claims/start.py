"""Claims about the critic's start at the leak's fixed point, and about the working range.

The leak's fixed point is the mean return plus the leak's bias: an attached critic that starts there
has nothing to climb. The slowdown S of a cell, the runs of one setting and weight, is its median
time to learn over that of a light detached critic that starts at the mean return. A cell is
informative if half of its seeds learned, or should have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pwm.analysis.estimates import Estimate, interval, rate
from pwm.analysis.fourth import NEAR_NOISE, fourth_cells, of_variants
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.rivals import RIVALS
from pwm.analysis.slowdowns import (
    LAW,
    Cell,
    experiments_of,
    measured_over_predicted,
    root_mean_square,
)
from pwm.analysis.starts import fixed_point_cells, leak_constant, published_cells
from pwm.claims.claim import Band, Claim, slug

RANGE = (1.0, 10.0, 100.0)
"""Weights of the working range, at which runs should learn, run with raw and centred returns."""
NONE, SOME, MOST = (0.0, 0.35), (0.15, 0.95), (0.65, 1.0)
"""Bands of success."""
STEPS = (6, 15, 30, 60, 120)
LEAST: Mapping[tuple[str, str, str], Sequence[Band]] = {
    ("0.001", "attached", "raw"): (MOST, NONE, NONE, NONE, NONE),
    ("0.001", "attached", "centred"): (MOST, NONE, NONE, NONE, NONE),
    ("0.001", "detached", "raw"): (MOST, MOST, SOME, NONE, NONE),
    ("0.001", "detached", "centred"): (MOST, MOST, MOST, MOST, MOST),
    ("0.005", "attached", "raw"): (MOST, NONE, NONE, NONE, NONE),
    ("0.005", "attached", "centred"): (SOME, NONE, NONE, NONE, NONE),
    ("0.005", "detached", "raw"): (MOST, MOST, SOME, SOME, NONE),
    ("0.005", "detached", "centred"): (MOST, MOST, SOME, SOME, SOME),
}
"""Bands of the least success over `RANGE` at each of `STEPS`, by learning rate, baseline and
returns."""
LEAST_LONG: Mapping[tuple[str, str], Band] = {
    ("attached", "raw"): NONE,
    ("attached", "centred"): NONE,
    ("detached", "raw"): NONE,
    ("detached", "centred"): MOST,
}
"""Bands of the same at 240 steps and learning rate 0.001, by baseline and returns."""
ENDS = (1.0, 100.0)
"""Weights at which learning rates were varied with raw and with centred returns."""
RATES = (0.0003, 0.001, 0.003, 0.01)
LEAST_RATES: Mapping[tuple[str, int], Sequence[Band]] = {
    ("raw", 15): (NONE, NONE, MOST, SOME),
    ("raw", 60): (NONE, NONE, NONE, NONE),
    ("centred", 15): (NONE, MOST, MOST, MOST),
    ("centred", 60): (NONE, MOST, MOST, SOME),
}
"""Bands of the least success over `ENDS` at each of `RATES`, detached, by returns and steps."""


def fixed_point_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about attached critics that start at the leak's fixed point."""
    cells = list(fixed_point_cells(evidence))
    yield from _noise_law_claims("", cells, error=(0.0, 0.25))
    fourth = of_variants(fourth_cells(evidence), "fixed-point")
    yield from _noise_law_claims("-fourth", fourth, error=(0.0, 0.45))
    for condition in dict.fromkeys(cell.condition for cell in cells):
        members = [cell for cell in cells if cell.condition == condition]
        yield Claim(
            name=f"fixed-point-constant-{condition}",
            says="factor on the leak's noise that explains its slowdown from the fixed point",
            estimate=interval(leak_constant(members)),
            band=(0.75, 2.5 if condition == "120" else 1.4),  # at 120 steps, only of two weights
            experiments=experiments_of(members),
        )


def _noise_law_claims(suffix: str, cells: Sequence[Cell], error: Band) -> Iterator[Claim]:
    """Yields claims about the noise law, tested on cells that start at the leak's fixed point.

    The law says that the leak's bias slows learning as much as random noise of its size.

    Args:
        suffix: end of the claims' names.
        cells: the cells, of which the informative ones count.
        error: band of the law's error.
    """
    informative = [cell for cell in cells if cell.informative]
    experiments = experiments_of(cells)
    yield Claim(
        name=f"fixed-point-error{suffix}",
        says="from the leak's fixed point: root mean square error of log S, nothing fitted",
        estimate=interval(root_mean_square(informative)),
        band=error,
        experiments=experiments,
    )
    yield Claim(
        name=f"fixed-point-cells{suffix}",
        says="from the leak's fixed point: cells of which half learned, or should have",
        estimate=Estimate(len(informative)),
        band=(len(cells) / 2, len(cells)),
        experiments=experiments,
        digits=0,
    )
    yield Claim(
        name=f"fixed-point-mean{suffix}",
        says="from the leak's fixed point: slowdown over predicted, geometric mean over cells",
        estimate=interval(measured_over_predicted(informative)),
        band=(0.85, 1.25),
        experiments=experiments,
    )
    yield Claim(
        name=f"fixed-point-within{suffix}",
        says=f"cells within a factor of {NEAR_NOISE} of the noise law, of {len(informative)}",
        estimate=Estimate(sum(cell.right(NEAR_NOISE) for cell in informative)),
        band=(len(informative) / 3, len(informative)),
        experiments=experiments,
        digits=0,
    )


def climb_law_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the law of the climb in the first study's grid, which is older than it.

    In that grid critics start at 0, so that they climb to the mean return. The law says how much
    that slows learning (`pwm.analysis.climb`); its rivals say something else.
    """
    experiments = ("weight-0.001", "start-mean")
    for baseline, band in {"attached": (0.0, 0.4), "detached": (0.0, 0.35)}.items():
        cells = [cell for cell in published_cells(evidence, baseline) if cell.informative]
        yield Claim(
            name=f"climb-law-{baseline}",
            says=f"{baseline}, raw: root mean square error of log S by the law of the climb",
            estimate=interval(root_mean_square(cells)),
            band=band,
            experiments=experiments,
        )
        yield Claim(
            name=f"climb-law-{baseline}-cells",
            says=f"{baseline}, raw: cells that this rests on",
            estimate=Estimate(len(cells)),
            band=(5, 65),
            experiments=experiments,
            digits=0,
        )
        if baseline == "detached":  # the rivals predict no leak
            for rival in RIVALS:
                margin = root_mean_square(cells, rival) - root_mean_square(cells, LAW)
                yield Claim(
                    name=f"climb-law-margin-{slug(rival)}",
                    says=f'detached, raw: error of "{rival}" less that of the law of the climb',
                    estimate=interval(margin),
                    band=(0.0, 3.0),
                    experiments=experiments,
                )


def range_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the least success over the working range, raw and centred."""
    for (rate_name, baseline, returns), bands in LEAST.items():
        experiment = f"{'weight' if returns == 'raw' else 'centred'}-{rate_name}"
        runs = evidence.of(experiment).at(baseline=baseline, critic_weight=RANGE)
        says = f"{baseline}, {returns} returns: least success at weights 1, 10 and 100"
        for steps, band in zip(STEPS, bands, strict=True):
            name = f"least-{returns}-{baseline}-{steps}-{rate_name}"
            yield _least_success(name, says, runs.at(episode_length=steps), band, experiment)
    for (baseline, returns), band in LEAST_LONG.items():
        runs = evidence.of("long").at(baseline=baseline, returns=returns, critic_weight=RANGE)
        says = f"{baseline}, {returns} returns: least success at weights 1, 10 and 100"
        name = f"least-{returns}-{baseline}-240-0.001"
        yield _least_success(name, says, runs, band, "long")
    for (returns, steps), bands in LEAST_RATES.items():
        experiment = "learning-rate" if returns == "raw" else "centred-learning-rate"
        grid = evidence.of(experiment).at(baseline="detached", critic_weight=ENDS)
        says = f"detached, {returns} returns: least success at weights 1 and 100"
        for learning_rate, band in zip(RATES, bands, strict=True):
            name = f"least-{returns}-{steps}-rate-{learning_rate:g}"
            runs = grid.at(episode_length=steps, learning_rate=learning_rate)
            yield _least_success(name, says, runs, band, experiment)


def _least_success(name: str, says: str, runs: Outcomes, band: Band, experiment: str) -> Claim:
    """A claim about success at the worst weight of some runs, [W, S]."""
    worst = runs.rate().argmin()  # place of the weight
    return Claim(
        name=name,
        says=says,
        estimate=rate(runs.learned[worst]),
        band=band,
        experiments=(experiment,),
    )


GROUPS = (fixed_point_claims, climb_law_claims, range_claims)
