"""Claims about time: how much longer learning takes with a leak and with a heavy critic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.conditions import Condition, conditions
from pwm.analysis.estimates import Estimate, over_seeds
from pwm.analysis.gradients import reference_times
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.predictions import fitted_law
from pwm.analysis.times import median_time, noise_constant
from pwm.claims.claim import Claim, right, too_low

CONSTANTS = (
    *("lengths-6", "lengths-15", "lengths-30", "trial-2", "trial-4", "trial-6"),
    *("held-out-9", "held-out-24", "held-out-45"),
)
"""Conditions at learning rates up to 0.002 whose times determine the constant of the noise."""
BEST_WEIGHTS = ("lengths-6", "lengths-15", "lengths-30", "trial-2", "trial-4", "trial-6")
BEST_WEIGHT_FAILS = {"trial-6"}
"""Conditions in which the law predicts too low a best weight."""
HEAVY = 5.0  # from this critic weight on, the critic's gradient dominates the trunk's
BEYOND_SHARING = {15: (0.7, 1.3), 60: (1.3, 4.0), 120: (1.3, 4.0)}
"""Bands of the slowdown over the law's, by steps; in long episodes the law explains too little."""


def noise_claims(evidence: Evidence) -> Iterator[Claim]:
    """The leak acts as noise: attached runs learn as detached ones do, but more slowly."""
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
        errors.append(condition.errors(condition.slowed(condition.noise)))
    yield Claim(
        name="error-separate",
        says="separate networks: mean error of predicted success, with nothing fitted",
        estimate=Estimate(float(np.mean(errors))),
        band=(0, 0.1),
        experiments=("separate",),
    )


def _noise_constant(condition: Condition) -> Estimate:
    """`noise_constant` of a condition."""
    attached, detached = condition.attached.time, condition.detached.time

    def constant(seeds: NDArray[np.intp]) -> NDArray[np.float64]:
        times = attached[:, seeds], detached[:, seeds]
        return noise_constant(condition.runs.weights, *times, condition.noise)

    return over_seeds(constant, attached.shape[-1])


def best_weight_claims(evidence: Evidence) -> Iterator[Claim]:
    """The best weight of an attached critic, where the leak's noise and sharing cost the same.

    The law puts it at its `noise_weight`, where the leak alone slows learning by sqrt(2).
    """
    for name in BEST_WEIGHTS:
        condition = conditions(evidence)[name]
        best = condition.runs.weights[median_time(condition.attached.time).argmin()]
        predicted = fitted_law().noise_constant * condition.noise
        yield Claim(
            name=f"best-weight-{name}",
            says=f"weight at which attached runs learn fastest, predicted at {predicted:.1f}",
            estimate=Estimate(best),
            band=too_low(predicted) if name in BEST_WEIGHT_FAILS else right(predicted),
            experiments=(condition.experiment,),
            digits=0,
        )


def sharing_claims(evidence: Evidence) -> Iterator[Claim]:
    """A heavy critic slows learning because it shares the trunk with the policy."""
    runs = evidence.of("weight-0.001")
    for steps in (6, 15, 60):
        yield Claim(
            name=f"exponent-sharing-{steps}",
            says="detached, time to learn grows as this power of the weight, from weight 5 on",
            estimate=_exponent(runs.at(episode_length=steps, baseline="detached")),
            band=(0.3, 0.7),
            experiments=("weight-0.001",),
        )
    for steps, band in BEYOND_SHARING.items():
        yield Claim(
            name=f"beyond-sharing-{steps}",
            says="detached, slowdown at weight 3, measured over predicted from the shared trunk",
            estimate=_beyond_sharing(runs.at(episode_length=steps)),
            band=band,
            experiments=("weight-0.001",),
        )


def _exponent(detached: Outcomes) -> Estimate:
    """Slope of the logarithm of the median time against that of the weight, heavy critics.

    Weights at which fewer than half of the seeds learned are left out.
    """
    heavy = [weight for weight in detached.weights if weight >= HEAVY]
    times, logs = detached.at(critic_weight=heavy).time, np.log(heavy)[:, None]

    def slope(seeds: NDArray[np.intp]) -> NDArray[np.float64]:
        medians = median_time(times[:, seeds])  # (heavy weights, B)
        known = np.isfinite(medians)
        x = logs - (known * logs).sum(axis=0) / known.sum(axis=0)
        y = np.log(np.where(known, medians, 1.0))
        return np.asarray((known * x * y).sum(axis=0) / (known * x**2).sum(axis=0))

    return over_seeds(slope, times.shape[-1])


def _beyond_sharing(runs: Outcomes) -> Estimate:
    """Slowdown of detached runs at weight 3 relative to small weights, over the law's."""
    times = runs.at(baseline="detached", critic_weight=3.0).time
    light = reference_times(runs)
    predicted = fitted_law().sharing(3.0)

    def ratio(seeds: NDArray[np.intp]) -> NDArray[np.float64]:
        pooled = np.concatenate(light[:, seeds], axis=-1)  # (B, small weights · S)
        return np.asarray(median_time(times[seeds]) / median_time(pooled) / predicted)

    return over_seeds(ratio, len(times))


GROUPS = (noise_claims, best_weight_claims, sharing_claims)
