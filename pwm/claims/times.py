"""Claims about the time to learn with a leak.

An attached baseline leaks: the policy loss also trains the critic, which biases it. The bias slows
learning as random noise would whose size is the bias times some factor; theory says 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.conditions import Condition, conditions
from pwm.analysis.estimates import Estimate, over_seeds
from pwm.analysis.outcomes import Evidence
from pwm.analysis.times import noise_constant
from pwm.claims.claim import Claim

LENGTHS = {"lengths": (6, 15, 30), "trial": (2, 4, 6), "held-out": (9, 24, 45)}
"""Lengths at which the factor is measured, at learning rates up to 0.002, by kind."""


def noise_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims that the leak acts as noise: attached runs learn, but more slowly."""
    for kind, lengths in LENGTHS.items():
        for length in lengths:
            condition = conditions(evidence)[f"{kind}-{length}"]
            yield Claim(
                name=f"noise-constant-{kind}-{length}",
                says="shared network: factor on the leak's noise that explains its slowdown",
                estimate=_noise_constant(condition),
                band=(1.25, 2.25),
                experiments=(condition.experiment,),
            )
    errors = []
    for steps in (15, 60):
        runs = evidence.of("separate").at(episode_length=steps)
        condition = Condition(group="separate", experiment="separate", runs=runs)
        yield Claim(
            name=f"noise-constant-separate-{steps}",
            says="separate networks: factor on the leak's noise that explains its slowdown",
            estimate=_noise_constant(condition),
            band=(0.75, 1.25),
            experiments=("separate",),
        )
        errors.append(condition.errors(condition.slowed(condition.noise)))
    yield Claim(
        name="error-separate",
        says="separate networks: mean error of predicted success, with nothing fitted",
        estimate=Estimate(float(np.mean(errors))),
        band=(0, 0.1),
        experiments=("separate",),
    )


def _noise_constant(condition: Condition) -> Estimate:
    """Factor on the leak's noise that explains the slowdown of a condition's attached runs."""
    weights, noise = condition.runs.weights, condition.noise
    attached, detached = condition.attached.time, condition.detached.time

    def constant(seeds: NDArray[np.intp]) -> NDArray[np.float64]:
        """The factor for each selection of seeds: [B] from [B, S]."""
        return noise_constant(weights, attached[:, seeds], detached[:, seeds], noise)

    return over_seeds(constant, attached.shape[-1])


GROUPS = (noise_claims,)
