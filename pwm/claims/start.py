"""Claims about the critic's start at the leak's fixed point, and about the working range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pwm.analysis.estimates import Estimate, interval, rate
from pwm.analysis.fourth_predictions import NEAR_NOISE, fourth_cells, of_variants
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
from pwm.claims.claim import Band, Claim

RANGE = (1.0, 10.0, 100.0)
"""Weights of the working range that were run with raw and with centred returns."""
NONE, SOME, MOST = (0.0, 0.35), (0.15, 0.95), (0.65, 1.0)
"""Bands of success."""
LEAST = {
    ("0.001", "attached", "raw"): (MOST, NONE, NONE, NONE, NONE),
    ("0.001", "attached", "centred"): (MOST, NONE, NONE, NONE, NONE),
    ("0.001", "detached", "raw"): (MOST, MOST, SOME, NONE, NONE),
    ("0.001", "detached", "centred"): (MOST, MOST, MOST, MOST, MOST),
    ("0.005", "attached", "raw"): (MOST, NONE, NONE, NONE, NONE),
    ("0.005", "attached", "centred"): (SOME, NONE, NONE, NONE, NONE),
    ("0.005", "detached", "raw"): (MOST, MOST, SOME, SOME, NONE),
    ("0.005", "detached", "centred"): (MOST, MOST, SOME, SOME, SOME),
}
"""Bands of the least success over `RANGE` at five lengths, by learning rate, baseline, returns."""
LEAST_LONG = {
    ("attached", "raw"): NONE,
    ("attached", "centred"): NONE,
    ("detached", "raw"): NONE,
    ("detached", "centred"): MOST,
}
"""The same for episodes of 240 steps."""
ENDS = (1.0, 100.0)
"""Weights at which learning rates were varied with raw and with centred returns."""
LEAST_RATES = {
    ("raw", 15): (NONE, NONE, MOST, SOME),
    ("raw", 60): (NONE, NONE, NONE, NONE),
    ("centred", 15): (NONE, MOST, MOST, MOST),
    ("centred", 60): (NONE, MOST, MOST, SOME),
}
"""Bands of the least success over `ENDS` at four learning rates, by returns and steps."""
CONSTANT = (0.75, 1.4)
"""Band of the factor on the leak's noise, from its fixed point."""
CONSTANTS = {"120": (0.75, 2.5)}
"""Other bands of it by condition: at 120 steps it rests on two weights."""
FIXED_POINT_ERRORS = {"": (0.0, 0.25), "-fourth": (0.0, 0.45)}
"""Bands of the error of the noise law from the fixed point, by the suffix of the claim's name."""
CLIMB_ERRORS = {"attached": (0.0, 0.4), "detached": (0.0, 0.35)}
"""Bands of the error of the law of the climb in the first study's grid, by baseline."""


def fixed_point_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about attached critics that start at the leak's fixed point."""
    cells = list(fixed_point_cells(evidence))
    yield from _noise_law_claims("", cells)
    yield from _noise_law_claims("-fourth", of_variants(fourth_cells(evidence), "fixed-point"))
    for condition in dict.fromkeys(cell.condition for cell in cells):
        members = [cell for cell in cells if cell.condition == condition]
        yield Claim(
            name=f"fixed-point-constant-{condition}",
            says="factor on the leak's noise that explains its slowdown from the fixed point",
            estimate=interval(leak_constant(members)),
            band=CONSTANTS.get(condition, CONSTANT),
            experiments=experiments_of(members),
        )


def _noise_law_claims(suffix: str, cells: Sequence[Cell]) -> Iterator[Claim]:
    """Yields claims about the noise law, tested on cells that start at the leak's fixed point.

    Args:
        suffix: end of the claims' names.
        cells: the cells, of which the informative ones count.
    """
    informative, experiments = [cell for cell in cells if cell.informative], experiments_of(cells)
    yield Claim(
        name=f"fixed-point-error{suffix}",
        says="from the leak's fixed point: root mean square error of log S, nothing fitted",
        estimate=interval(root_mean_square(informative)),
        band=FIXED_POINT_ERRORS[suffix],
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
    """Yields claims about the law of the climb in the first study's grid, which is older."""
    for baseline, band in CLIMB_ERRORS.items():
        cells = [cell for cell in published_cells(evidence, baseline) if cell.informative]
        experiments = ("weight-0.001", "start-mean")
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
        if baseline == "detached":
            for rival in RIVALS:
                yield Claim(
                    name=f"climb-law-margin-{rival.replace(' ', '-')}",
                    says=f'detached, raw: error of "{rival}" less that of the law of the climb',
                    estimate=interval(
                        root_mean_square(cells, rival) - root_mean_square(cells, LAW)
                    ),
                    band=(0.0, 3.0),
                    experiments=experiments,
                )


def range_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the least success over the working range, raw and centred."""
    for (rate_name, baseline, returns), bands in LEAST.items():
        name = f"{'weight' if returns == 'raw' else 'centred'}-{rate_name}"
        runs = evidence.of(name).at(baseline=baseline)
        for steps, band in zip(runs.axes["episode_length"], bands, strict=True):
            setting = f"{returns}-{baseline}-{steps}-{rate_name}"
            at_steps = runs.at(episode_length=steps)
            yield _least(setting, f"{baseline}, {returns}", name, at_steps, RANGE, band)
    for (baseline, returns), band in LEAST_LONG.items():
        runs = evidence.of("long").at(baseline=baseline, returns=returns)
        setting = f"{returns}-{baseline}-240-0.001"
        yield _least(setting, f"{baseline}, {returns}", "long", runs, RANGE, band)
    rates = evidence.of("centred-learning-rate").axes["learning_rate"]
    for (returns, steps), of_rates in LEAST_RATES.items():
        name = "learning-rate" if returns == "raw" else "centred-learning-rate"
        runs = evidence.of(name).at(baseline="detached", episode_length=steps)
        for learning_rate, band in zip(rates, of_rates, strict=True):
            setting = f"{returns}-{steps}-rate-{learning_rate:g}"
            at_rate = runs.at(learning_rate=learning_rate)
            yield _least(setting, f"detached, {returns}", name, at_rate, ENDS, band)


def _least(
    setting: str,
    says: str,
    experiment: str,
    runs: Outcomes,
    weights: tuple[float, ...],
    band: Band,
) -> Claim:
    """A claim about success at the worst of some weights, with its cell's Wilson interval."""
    *first, last = (f"{weight:g}" for weight in weights)
    learned = runs.at(critic_weight=weights).learned  # (weights, S)
    return Claim(
        name=f"least-{setting}",
        says=f"{says} returns: least success at weights {', '.join(first)} and {last}",
        estimate=rate(learned[learned.mean(axis=-1).argmin()]),
        band=band,
        experiments=(experiment,),
    )


GROUPS = (fixed_point_claims, climb_law_claims, range_claims)
