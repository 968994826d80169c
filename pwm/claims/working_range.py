"""Claims about the working range, the critic weights with which runs learn.

Returns are "raw", or "centred": less their running mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from pwm.analysis.estimates import Estimate, rate
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.claims.claim import Band, Claim

RANGE = (1.0, 10.0, 100.0)  # weights from 1 that were run with both raw and centred returns
NONE, SOME, MOST = (0.0, 0.35), (0.15, 0.95), (0.65, 1.0)  # bands of success
STEPS = (6, 15, 30, 60, 120)  # per episode
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
ENDS = (1.0, 100.0)  # weights at which learning rates were varied, raw and centred
RATES = (0.0003, 0.001, 0.003, 0.01)  # learning rates
LEAST_RATES: Mapping[tuple[str, int], Sequence[Band]] = {
    ("raw", 15): (NONE, NONE, MOST, SOME),
    ("raw", 60): (NONE, NONE, NONE, NONE),
    ("centred", 15): (NONE, MOST, MOST, MOST),
    ("centred", 60): (NONE, MOST, MOST, SOME),
}
"""Bands of the least success over `ENDS` at each of `RATES`, detached, by returns and steps."""


def grid_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the least success at weights 1, 10 and 100, at 6 to 120 steps."""
    for (rate_name, baseline, returns), bands in LEAST.items():
        experiment = f"{'weight' if returns == 'raw' else 'centred'}-{rate_name}"
        runs = evidence.of(experiment).at(baseline=baseline, critic_weight=RANGE)
        for steps, band in zip(STEPS, bands, strict=True):
            yield Claim(
                name=f"least-{returns}-{baseline}-{steps}-{rate_name}",
                says=f"{baseline}, {returns}, {steps} steps, learning rate {rate_name}: least "
                "success at weights 1, 10 and 100",
                estimate=_least_success(runs.at(episode_length=steps)),
                band=band,
                experiments=(experiment,),
            )


def long_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the least success at weights 1, 10 and 100, at 240 steps."""
    for baseline, returns in product(("attached", "detached"), ("raw", "centred")):
        runs = evidence.of("long").at(baseline=baseline, returns=returns, critic_weight=RANGE)
        yield Claim(
            name=f"least-{returns}-{baseline}-240-0.001",
            says=f"{baseline}, {returns}, 240 steps, learning rate 0.001: least success at weights "
            "1, 10 and 100",
            estimate=_least_success(runs),
            band=MOST if (baseline, returns) == ("detached", "centred") else NONE,
            experiments=("long",),
        )


def learning_rate_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the least success at weights 1 and 100, at several learning rates."""
    for (returns, steps), bands in LEAST_RATES.items():
        experiment = "learning-rate" if returns == "raw" else "centred-learning-rate"
        grid = evidence.of(experiment).at(baseline="detached", critic_weight=ENDS)
        for learning_rate, band in zip(RATES, bands, strict=True):
            runs = grid.at(episode_length=steps, learning_rate=learning_rate)
            yield Claim(
                name=f"least-{returns}-{steps}-rate-{learning_rate:g}",
                says=f"detached, {returns}, {steps} steps, learning rate {learning_rate:g}: least "
                "success at weights 1 and 100",
                estimate=_least_success(runs),
                band=band,
                experiments=(experiment,),
            )


def _least_success(runs: Outcomes) -> Estimate:
    """Success of some runs, [W, S], at the weight where it is lowest."""
    return rate(runs.learned[runs.rate().argmin()])


GROUPS = (grid_claims, long_claims, learning_rate_claims)
