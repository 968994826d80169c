"""Claims that the leak slows learning as random noise of the size of the critic's bias would.

An attached baseline leaks: the policy loss also trains the critic, which biases it. Some claims
give the factor on this bias that explains the measured slowdown. In theory, it is 1; for critics
that start at 0 in a shared network, it is larger, as they also climb to their fixed point. This is
the mean return plus the bias: a critic that starts there does not climb. S is the slowdown of a
cell, the runs of one setting and weight: their median time to learn over that of a light detached
critic that starts at the mean return.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pwm.analysis.conditions import Condition, conditions
from pwm.analysis.estimates import Estimate, interval, resampled
from pwm.analysis.evidence import Evidence
from pwm.analysis.fourth_predictions import NEAR_NOISE, fourth_cells, of_variants
from pwm.analysis.slowdowns import (
    Cell,
    by_middle,
    experiments_of,
    measured_over_predicted,
    root_mean_square,
)
from pwm.analysis.starts import fixed_point_cells, leak_constant
from pwm.analysis.times import noise_constant
from pwm.claims.claim import Band, Claim

LENGTHS = {"lengths": (6, 15, 30), "trial": (2, 4, 6), "held-out": (9, 24, 45)}
"""Steps per episode or ("trial") per trial, by kind, at which enough attached runs learn."""
FACTOR = "factor on the leak's noise that explains the slowdown"


def noise_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims that the leak acts as noise: attached runs learn, later than detached ones."""
    for kind, lengths in LENGTHS.items():
        units = "trials" if kind == "trial" else "episodes"
        for length in lengths:
            condition = conditions(evidence)[f"{kind}-{length}"]
            yield Claim(
                name=f"noise-constant-{kind}-{length}",
                says=f"shared network, {units} of {length} steps, start 0: {FACTOR}",
                estimate=_noise_constant(condition),
                band=(1.25, 2.25),  # above 1, and about 1.6
                experiments=(condition.experiment,),
            )
    errors = []
    for steps in (15, 60):
        runs = evidence.of("separate").at(episode_length=steps)
        condition = Condition(experiment="separate", runs=runs)
        yield Claim(
            name=f"noise-constant-separate-{steps}",
            says=f"separate networks, {steps} steps, start 0: {FACTOR}",
            estimate=_noise_constant(condition),
            band=(0.75, 1.25),  # about 1
            experiments=("separate",),
        )
        # Whether detached runs would learn within the budget if slowed by the law: (W, S)
        predicted = condition.learned_if_slowed(condition.noise_weight)
        errors.append(condition.errors(predicted))
    yield Claim(
        name="error-separate",
        says="separate networks, 15 and 60 steps: mean error of predicted success, nothing fitted",
        estimate=Estimate(float(np.mean(errors))),
        band=(0, 0.1),
        experiments=("separate",),
    )


def _noise_constant(condition: Condition) -> Estimate:
    """Factor on the leak's noise that explains why attached runs learn later than detached ones.

    It is computed from median times at equal critic weights (`pwm.analysis.times.noise_constant`).
    """
    weights, noise = condition.runs.weights, condition.noise_weight
    attached, detached = condition.attached.time, condition.detached.time  # (W, S) each
    seeds = resampled(attached.shape[-1])  # (1 + resamples, S)
    return interval(noise_constant(weights, attached[:, seeds], detached[:, seeds], noise))


def fixed_point_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about attached critics that start at the leak's fixed point."""
    cells = list(fixed_point_cells(evidence))
    yield from _law_claims("first studies", "", cells, error=(0.0, 0.25))
    fourth = of_variants(fourth_cells(evidence), "fixed-point")
    yield from _law_claims("fourth set", "-fourth", fourth, error=(0.0, 0.45))
    for condition in dict.fromkeys(cell.condition for cell in cells):
        members = [cell for cell in cells if cell.condition == condition]
        length = condition.replace("-", "s of ")  # "15" stays, "trial-4" becomes "trials of 4"
        says = f"first studies, from the leak's fixed point, {length} steps: {FACTOR}"
        for suffix, addition, at_least in (
            ("", "", False),
            ("-least", ", unfinished cells at their lower bound", True),
        ):
            yield Claim(
                name=f"fixed-point-constant-{condition}{suffix}",
                says=says + addition,
                estimate=interval(leak_constant(members, at_least=at_least)),
                # At 120 steps, the slowdown is known at two weights only.
                band=(0.75, 2.5 if condition == "120" else 1.4),
                experiments=experiments_of(members),
            )
    yield Claim(
        name="fixed-point-mean-middle",
        says="first studies, from the leak's fixed point: slowdown over predicted, geometric mean "
        "over cells, with times to the middle of the window that meets the criterion",
        estimate=interval(measured_over_predicted([c for c in by_middle(cells) if c.informative])),
        band=(0.85, 1.35),
        experiments=experiments_of(cells),
    )


def _law_claims(study: str, suffix: str, cells: Sequence[Cell], error: Band) -> Iterator[Claim]:
    """Yields claims, whose names end with `suffix`, about a study's critics from the fixed point.

    They test the law that the factor is 1. Only informative cells are used: those in which at least
    half of the seeds learned, or in which the law's predicted time to learn is within the budget.
    `error` is the band of the law's error.
    """
    says = f"{study}, from the leak's fixed point"
    informative = [cell for cell in cells if cell.informative]
    experiments = experiments_of(cells)
    yield Claim(
        name=f"fixed-point-error{suffix}",
        says=f"{says}: root mean square error of log S, nothing fitted",
        estimate=interval(root_mean_square(informative)),
        band=error,
        experiments=experiments,
    )
    yield Claim(
        name=f"fixed-point-cells{suffix}",
        says=f"{says}: cells, of {len(cells)}, in which half of the seeds learned, or should have",
        estimate=Estimate(len(informative)),
        band=(len(cells) / 2, len(cells)),
        experiments=experiments,
        digits=0,
    )
    yield Claim(
        name=f"fixed-point-mean{suffix}",
        says=f"{says}: slowdown over predicted, geometric mean over cells",
        estimate=interval(measured_over_predicted(informative)),
        band=(0.85, 1.25),
        experiments=experiments,
    )
    yield Claim(
        name=f"fixed-point-within{suffix}",
        says=f"{says}: cells, of {len(informative)}, within a factor of {NEAR_NOISE} of the law",
        estimate=Estimate(sum(cell.right(NEAR_NOISE) for cell in informative)),
        band=(len(informative) / 3, len(informative)),
        experiments=experiments,
        digits=0,
    )


GROUPS = (noise_claims, fixed_point_claims)
