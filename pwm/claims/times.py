"""Claims about the time to learn with a leak."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.conditions import Condition, conditions
from pwm.analysis.estimates import Estimate, over_seeds
from pwm.analysis.outcomes import Evidence
from pwm.analysis.times import noise_constant
from pwm.claims.claim import Claim

CONSTANTS = (
    *("lengths-6", "lengths-15", "lengths-30", "trial-2", "trial-4", "trial-6"),
    *("held-out-9", "held-out-24", "held-out-45"),
)
"""Conditions, at learning rates up to 0.002, whose times give the factor on the leak's noise."""


def noise_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims that the leak acts as noise: attached runs learn, but more slowly."""
    for name in CONSTANTS:
        condition = conditions(evidence)[name]
        yield Claim(
            name=f"noise-constant-{name}",
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
        errors.append(condition.errors(condition.learned_if_slowed(condition.noise_weight)))
    yield Claim(
        name="error-separate",
        says="separate networks: mean error of predicted success, with nothing fitted",
        estimate=Estimate(float(np.mean(errors))),
        band=(0, 0.1),
        experiments=("separate",),
    )


def _noise_constant(condition: Condition) -> Estimate:
    """Factor on the leak's noise that explains a condition's slowdown, by `noise_constant`."""
    attached, detached = condition.attached.time, condition.detached.time

    def constant(seeds: NDArray[np.intp]) -> NDArray[np.float64]:
        """The factor for each selection of seeds: [B] from [B, S]."""
        times = attached[:, seeds], detached[:, seeds]
        return noise_constant(condition.runs.weights, *times, condition.noise_weight)

    return over_seeds(constant, attached.shape[-1])


GROUPS = (noise_claims,)
