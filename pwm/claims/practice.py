"""Claims about what else was found: collapse, bonus, other settings, the notes' bugs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import (
    as_estimate,
    difference_of_seeds,
    median,
    of_resampled_seeds,
    point,
    rate_of,
    rate_over_cells,
)
from pwm.analysis.outcomes import Evidence
from pwm.analysis.times import median_time
from pwm.claims.claim import Claim


def collapse_claims(evidence: Evidence) -> Iterator[Claim]:
    """Collapse to one action, and the bonus that cures it."""
    grid = evidence.of("learning-rate").at(baseline="detached")
    for steps in (15, 60):
        for rate in (0.001, 0.01):
            part = grid.at(episode_length=steps, learning_rate=rate)
            yield Claim(
                f"claim.collapsed-{steps}-{rate:g}",
                f"detached, {steps} steps, learning rate {rate:g}: fraction that collapses",
                rate_over_cells(part.collapsed),
                0.4 if (steps, rate) == (60, 0.01) else 0,
                1 if (steps, rate) == (60, 0.01) else 0.15,
                ("learning-rate",),
            )
    part = grid.at(episode_length=60, learning_rate=0.01)
    collapsed = part.collapse[part.collapsed]
    yield Claim(
        "claim.collapse-time",
        "when those runs were first deterministic, in episodes (median, quartiles)",
        median(collapsed, 0.25),
        100,
        5000,
        ("learning-rate",),
        0,
    )
    bonus = evidence.of("entropy").at(episode_length=60, baseline="detached", critic_weight=5.0)
    rates = [rate_of(row) for row in bonus.learned]
    most = max(rate.successes for rate in rates)
    best = [place for place, rate in enumerate(rates) if rate.successes == most]
    weights = bonus.axes["entropy_weight"]
    for name, place, low, high in (("least", best[0], 0.02, 0.1), ("most", best[-1], 0.2, 0.5)):
        yield Claim(
            f"claim.bonus-{name}",
            f"{name} of the bonuses that do best at 60 steps and learning rate 0.005, detached",
            point(weights[place]),
            low,
            high,
            ("entropy",),
        )
    yield Claim(
        "claim.bonus-gain",
        "what they add to success; chosen as the best of six, so it flatters",
        difference_of_seeds(
            bonus.learned[best[0]][None], bonus.learned[0][None], np.random.default_rng(0)
        ),
        0.2,
        1,
        ("entropy",),
    )


def notes_claims(evidence: Evidence) -> Iterator[Claim]:
    """The notes' bugs, and their luck."""
    for value in ("values", "log_probs"):
        lost = evidence.of("lost").at(lost_gradients=value)
        yield Claim(
            f"claim.lost-{value.replace('_', '-')}",
            f"the {value} lose their gradient: fraction of seeds that learn at any weight",
            rate_over_cells(lost.learned),
            0.8 if value == "values" else 0,
            1 if value == "values" else 0.1,
            ("lost",),
        )
    runs = evidence.of("eplen60")
    chances = [float(runs.at(critic_weight=weight).learned.mean()) for weight in runs.weights]
    pattern = chances[-1] * math.prod(1 - chance for chance in chances[:-1])
    yield Claim(
        "claim.luck",
        "chance that of one seed at each weight only that at weight 5 learns, as in the notes",
        point(pattern),
        0.02,
        0.5,
        ("eplen60",),
    )
    chance = float(evidence.of("eplen15").at(critic_weight=2.0).learned.mean())
    yield Claim(
        "claim.three-seeds",
        "chance that three seeds agree on whether weight 2 learns; one state makes it certain",
        point(chance**3 + (1 - chance) ** 3),
        0,
        0.8,
        ("eplen15",),
    )


def practice_claims(evidence: Evidence) -> Iterator[Claim]:
    """What a detached critic's weight should be, over five lengths and two learning rates."""
    grids = [evidence.of(f"weight-{rate}") for rate in ("0.001", "0.005")]
    parts = [
        grid.at(episode_length=steps, baseline="detached")
        for grid in grids
        for steps in grid.axes["episode_length"]
    ]
    for weight, low, high in ((0.1, 0.3, 0.7), (1.0, 0.0, 0.35), (20.0, 0.7, 1.0)):

        def regret(seeds: NDArray[np.intp], weight: float = weight) -> float:
            found = []
            for part in parts:
                rates = part.learned[:, seeds].mean(axis=-1)
                found.append(float(rates.max() - rates[part.weights.index(weight)]))
            return max(found)

        yield Claim(
            f"claim.regret-{weight:g}",
            f"detached, most that weight {weight:g} loses to the best weight of any condition",
            of_resampled_seeds(regret, parts[0].learned.shape[-1], np.random.default_rng(0)),
            low,
            high,
            ("weight-0.001", "weight-0.005"),
        )
    slow = grids[0].at(episode_length=60, baseline="detached")
    for weight, low, high in ((1.0, 0.8, 1.0), (20.0, 0.0, 0.5), (50.0, 0.0, 0.2)):
        yield Claim(
            f"claim.around-default-{weight:g}",
            "detached at 60 steps, where 30 is a library's default: fraction that learns",
            as_estimate(rate_of(slow.at(critic_weight=weight).learned)),
            low,
            high,
            ("weight-0.001",),
        )
    for steps in (6, 15, 30):
        part = grids[0].at(episode_length=steps)
        attached, detached = (part.at(baseline=kind).time for kind in ("attached", "detached"))

        def cost(
            seeds: NDArray[np.intp],
            attached: NDArray[np.float64] = attached,
            detached: NDArray[np.float64] = detached,
        ) -> float:
            best = [median_time(times[:, seeds]).min() for times in (attached, detached)]
            return float(best[0] / best[1])

        yield Claim(
            f"claim.cost-{steps}",
            "attached at its best weight learns so many times as slowly as detached at its best",
            of_resampled_seeds(cost, attached.shape[-1], np.random.default_rng(0)),
            2.0,
            10.0,
            ("weight-0.001",),
            1,
        )
