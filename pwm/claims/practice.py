"""Claims about collapse, the entropy bonus, the notes' bugs and luck, and choosing the weight.

A run collapses if, at its end, the policy is deterministic and has not learned the task. The notes
are the public notes that this study began with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from pwm.analysis.estimates import (
    Estimate,
    interval,
    quantiles,
    rate,
    rate_difference,
    resampled_means,
    resampled_medians,
)
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.claims.claim import Claim


def collapse_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about how many runs collapse, and when."""
    grid = evidence.of("learning-rate").at(baseline="detached")
    for steps, learning_rate in product((15, 60), (0.001, 0.01)):
        runs = grid.at(episode_length=steps, learning_rate=learning_rate)
        often = steps == 60 and learning_rate == 0.01
        yield Claim(
            name=f"collapsed-{steps}-{learning_rate:g}",
            says=f"detached, {steps} steps, learning rate {learning_rate:g}: collapsed fraction",
            estimate=rate(runs.collapsed),
            band=(0.4, 1) if often else (0, 0.15),
            experiments=("learning-rate",),
        )
    runs = grid.at(episode_length=60, learning_rate=0.01)
    yield Claim(
        name="collapse-time",
        says="detached, 60 steps, learning rate 0.01: episode at which runs that collapse are "
        "first deterministic (median, quartiles)",
        estimate=quantiles(runs.collapse[runs.collapsed], tail=0.25),
        band=(100, 5000),
        experiments=("learning-rate",),
        digits=0,
    )


def bonus_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the weight of the entropy bonus, at critic weight 5 and 60 steps."""
    runs = evidence.of("entropy").at(episode_length=60, baseline="detached", critic_weight=5.0)
    bonuses, rates = runs.axes["entropy_weight"], runs.rate()
    best = np.flatnonzero(rates == rates.max())  # indices of the bonuses with the highest success
    setting = "detached, 60 steps, learning rate 0.005, weight 5"
    for name, words, index, band in (
        ("least", "smallest", best[0], (0.02, 0.1)),
        ("most", "largest", best[-1], (0.2, 0.5)),
    ):
        yield Claim(
            name=f"bonus-{name}",
            says=f"{setting}: {words} entropy weight with the highest success",
            estimate=Estimate(bonuses[index]),
            band=band,
            experiments=("entropy",),
        )
    yield Claim(
        name="bonus-gain",
        says=f"{setting}: gain in success from the best of six entropy weights",
        estimate=rate_difference(runs.learned[best[0]], runs.at(entropy_weight=0.0).learned),
        band=(0.2, 1),
        experiments=("entropy",),
    )


def notes_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the notes' bugs, and about the luck of one seed per weight."""
    for lost, band in {"values": (0.8, 1.0), "log_probs": (0.0, 0.1)}.items():
        words = lost.replace("_", "-")
        yield Claim(
            name=f"lost-{words}",
            says=f"15 steps, gradients of the {words} lost: fraction that learns, all weights",
            estimate=rate(evidence.of("lost").at(lost_gradients=lost).learned),
            band=band,
            experiments=("lost",),
        )
    *lighter, weight_5 = evidence.of("eplen60").rate()  # at weights 2, 3, 4 and 5
    only_weight_5 = weight_5 * math.prod(1 - success for success in lighter)
    yield Claim(
        name="luck",
        says="60 steps, weights 2 to 5, a seed per weight: probability that only weight 5 learns, "
        "as in the notes",
        estimate=Estimate(float(only_weight_5)),
        band=(0.02, 0.5),
        experiments=("eplen60",),
    )
    # The notes' three seeds drew the same random numbers (a bug). Would independent ones agree?
    weight_2 = float(evidence.of("eplen15").at(critic_weight=2.0).rate())
    yield Claim(
        name="three-seeds",
        says="15 steps, weight 2: probability that three independent seeds all learn or all fail",
        estimate=Estimate(weight_2**3 + (1 - weight_2) ** 3),
        band=(0, 0.8),
        experiments=("eplen15",),
    )


def practice_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the choice of a weight, and the cost of an attached baseline."""
    slow, fast = evidence.of("weight-0.001"), evidence.of("weight-0.005")
    conditions = []
    for grid in (slow, fast):
        detached = grid.at(baseline="detached")
        conditions += [detached.at(episode_length=steps) for steps in grid.axes["episode_length"]]
    for weight, band in {0.1: (0.3, 0.7), 1.0: (0.0, 0.35), 20.0: (0.7, 1.0)}.items():
        yield Claim(
            name=f"regret-{weight:g}",
            says="detached, 6 to 120 steps, learning rates 0.001 and 0.005: largest loss of "
            f"success in a condition by choosing weight {weight:g}",
            estimate=_most_lost(conditions, weight),
            band=band,
            experiments=("weight-0.001", "weight-0.005"),
        )
    for weight, band in {1.0: (0.8, 1.0), 20.0: (0.0, 0.5), 50.0: (0.0, 0.2)}.items():
        cell = slow.at(episode_length=60, baseline="detached", critic_weight=weight)
        yield Claim(
            name=f"around-default-{weight:g}",
            says=f"detached, 60 steps, learning rate 0.001, weight {weight:g} (libraries' default: "
            "30): success",
            estimate=rate(cell.learned),
            band=band,
            experiments=("weight-0.001",),
        )
    for steps in (6, 15, 30):  # in longer episodes, few attached runs learn
        yield Claim(
            name=f"cost-{steps}",
            says=f"{steps} steps, learning rate 0.001: time to learn attached over detached, each "
            "at its best weight",
            estimate=_cost_of_attaching(slow.at(episode_length=steps)),
            band=(2.0, 10.0),
            experiments=("weight-0.001",),
            digits=1,
        )


def _most_lost(conditions: Sequence[Outcomes], weight: float) -> Estimate:
    """Largest loss of success in any condition from using `weight`, not the best weight there."""
    learned = np.stack([runs.learned for runs in conditions])  # (conditions, W, S)
    rates = resampled_means(learned)  # (conditions, W, 1 + resamples)
    index = conditions[0].weights.index(weight)
    lost = rates.max(axis=1) - rates[:, index]  # (conditions, 1 + resamples)
    return interval(lost.max(axis=0))


def _cost_of_attaching(runs: Outcomes) -> Estimate:
    """Median time to learn, attached over detached, each at the weight where it is shortest."""
    attached = resampled_medians(runs.at(baseline="attached").time)  # (W, 1 + resamples)
    detached = resampled_medians(runs.at(baseline="detached").time)
    with np.errstate(invalid="ignore"):  # nan where all medians are infinite
        return interval(attached.min(axis=0) / detached.min(axis=0))


GROUPS = (collapse_claims, bonus_claims, notes_claims, practice_claims)
