"""Claims about collapse, the entropy bonus, the notes' bugs and luck, and choosing the weight."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import Estimate, over_seeds, quantiles, rate, rate_difference
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.times import median_time
from pwm.claims.claim import Claim

COLLAPSES = (60, 0.01)
"""Steps and learning rate at which many runs collapse."""
LOST = {"values": ("values", (0.8, 1.0)), "log_probs": ("log-probabilities", (0.0, 0.1))}
"""Tensors that lose their gradient during collection: name in words, and band of success."""
REGRETS = {0.1: (0.3, 0.7), 1.0: (0.0, 0.35), 20.0: (0.7, 1.0)}
"""Bands of the success lost by one weight for all conditions (`_regret`), by weight."""
AROUND_DEFAULT = {1.0: (0.8, 1.0), 20.0: (0.0, 0.5), 50.0: (0.0, 0.2)}
"""Bands of success at 60 steps, detached, by weight."""


def collapse_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about collapse to one action, and the entropy bonus that prevents it."""
    grid = evidence.of("learning-rate").at(baseline="detached")
    for steps in (15, 60):
        for learning_rate in (0.001, 0.01):
            part = grid.at(episode_length=steps, learning_rate=learning_rate)
            yield Claim(
                name=f"collapsed-{steps}-{learning_rate:g}",
                says=f"detached, {steps} steps, learning rate {learning_rate:g}: fraction that "
                "collapses",
                estimate=rate(part.collapsed),
                band=(0.4, 1) if (steps, learning_rate) == COLLAPSES else (0, 0.15),
                experiments=("learning-rate",),
            )
    steps, learning_rate = COLLAPSES
    part = grid.at(episode_length=steps, learning_rate=learning_rate)
    yield Claim(
        name="collapse-time",
        says=f"detached, {steps} steps, learning rate {learning_rate:g}: episode at which runs "
        "that collapse are first deterministic (median, quartiles)",
        estimate=quantiles(part.collapse[part.collapsed], tail=0.25),
        band=(100, 5000),
        experiments=("learning-rate",),
        digits=0,
    )
    yield from _bonus_claims(
        evidence.of("entropy").at(episode_length=60, baseline="detached", critic_weight=5.0)
    )


def _bonus_claims(runs: Outcomes) -> Iterator[Claim]:
    """Yields claims about the entropy bonus, from detached runs at 60 steps: [bonuses, S]."""
    bonuses, rates = runs.axes["entropy_weight"], runs.rate()
    best = np.flatnonzero(rates == rates.max())
    for name, extreme, place, band in (
        ("least", "smallest", best[0], (0.02, 0.1)),
        ("most", "largest", best[-1], (0.2, 0.5)),
    ):
        yield Claim(
            name=f"bonus-{name}",
            says=f"detached, 60 steps: {extreme} of the entropy weights with the highest success",
            estimate=Estimate(bonuses[place]),
            band=band,
            experiments=("entropy",),
        )
    yield Claim(
        name="bonus-gain",
        says="detached, 60 steps: gain in success from the best of six entropy weights",
        estimate=rate_difference(runs.learned[best[0]], runs.at(entropy_weight=0.0).learned),
        band=(0.2, 1),
        experiments=("entropy",),
    )


def notes_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the notes' bugs, and about how lucky their seeds were."""
    for lost, (noun, band) in LOST.items():
        yield Claim(
            name=f"lost-{lost.replace('_', '-')}",
            says=f"gradients of the {noun} lost: fraction that learns, over all weights",
            estimate=rate(evidence.of("lost").at(lost_gradients=lost).learned),
            band=band,
            experiments=("lost",),
        )
    *fail, learns = evidence.of("eplen60").rate()
    yield Claim(
        name="luck",
        says="probability that, with one seed per weight, only weight 5 learns, as in the notes",
        estimate=Estimate(float(learns * math.prod(1 - success for success in fail))),
        band=(0.02, 0.5),
        experiments=("eplen60",),
    )
    success = float(evidence.of("eplen15").at(critic_weight=2.0).rate())
    yield Claim(
        name="three-seeds",
        says="probability that three independent seeds all learn or all fail at weight 2",
        estimate=Estimate(success**3 + (1 - success) ** 3),
        band=(0, 0.8),
        experiments=("eplen15",),
    )


def practice_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the choice of a weight, and about the cost of an attached baseline."""
    slow, fast = (evidence.of(f"weight-{name}") for name in ("0.001", "0.005"))
    detached = [
        grid.at(episode_length=steps, baseline="detached")
        for grid in (slow, fast)
        for steps in grid.axes["episode_length"]
    ]
    for weight, band in REGRETS.items():
        yield Claim(
            name=f"regret-{weight:g}",
            says=f"detached: most success lost in a condition by choosing weight {weight:g}",
            estimate=_regret(detached, weight),
            band=band,
            experiments=("weight-0.001", "weight-0.005"),
        )
    for weight, band in AROUND_DEFAULT.items():
        cell = slow.at(episode_length=60, baseline="detached", critic_weight=weight)
        yield Claim(
            name=f"around-default-{weight:g}",
            says=f"detached, 60 steps: fraction that learns at weight {weight:g} (30 is a default)",
            estimate=rate(cell.learned),
            band=band,
            experiments=("weight-0.001",),
        )
    for steps in (6, 15, 30):
        yield Claim(
            name=f"cost-{steps}",
            says="time to learn attached, relative to detached, each at its best weight",
            estimate=_cost(slow.at(episode_length=steps)),
            band=(2.0, 10.0),
            experiments=("weight-0.001",),
            digits=1,
        )


def _regret(conditions: list[Outcomes], weight: float) -> Estimate:
    """Success lost, in the worst condition, by one weight for all in place of the best in each."""
    learned = np.stack([runs.learned for runs in conditions])  # (conditions, W, S)
    place = conditions[0].weights.index(weight)

    def loss(seeds: NDArray[np.intp]) -> NDArray[np.float64]:
        """The loss for each selection of seeds: [B] from [B, S]."""
        rates = learned[..., seeds].mean(axis=-1)  # (conditions, W, B)
        return np.asarray((rates.max(axis=1) - rates[:, place]).max(axis=0))

    return over_seeds(loss, learned.shape[-1])


def _cost(runs: Outcomes) -> Estimate:
    """Median time to learn at the best weight, attached over detached."""
    attached, detached = (runs.at(baseline=kind).time for kind in ("attached", "detached"))

    def ratio(seeds: NDArray[np.intp]) -> NDArray[np.float64]:
        """The ratio for each selection of seeds: [B] from [B, S]."""
        best = (median_time(times[:, seeds]).min(axis=0) for times in (attached, detached))
        return np.asarray(np.divide(*best))

    return over_seeds(ratio, attached.shape[-1])


GROUPS = (collapse_claims, notes_claims, practice_claims)
