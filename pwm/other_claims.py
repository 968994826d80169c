"""Claims about what else was found: collapse, bonus, other settings, the notes' bugs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pwm.evidence import Claim, Evidence, as_estimate, rate_of
from pwm.stats import Estimate, rate_difference


def other_claims(evidence: Evidence) -> Iterator[Claim]:
    """Collapse, bonus, other settings, the notes' bugs."""
    grid = evidence.of("learning-rate").at(loss__baseline="detached")
    for steps in (15, 60):
        for rate in (0.001, 0.01):
            part = grid.at(task__episode_length=steps, learning_rate=rate)
            yield Claim(
                f"claim.collapsed-{steps}-{rate:g}",
                f"detached, {steps} steps, learning rate {rate:g}: fraction that collapses",
                as_estimate(rate_of(part.collapsed)),
                0,
                0.1 if rate < 0.01 else 1,
                ("learning-rate",),
            )
    bonus = evidence.of("entropy").at(
        task__episode_length=60, loss__baseline="detached", critic_weight=5.0
    )
    rates = [rate_of(row) for row in bonus.learned]
    best = int(np.argmax([rate.successes for rate in rates]))
    yield Claim(
        "claim.bonus-weight",
        "best weight of an entropy bonus at 60 steps and learning rate 0.005",
        Estimate(bonus.axes["loss.entropy_weight"][best], math.nan, math.nan),
        0.01,
        2,
        ("entropy",),
    )
    yield Claim(
        "claim.bonus-gain",
        "what that bonus adds to success; chosen as the best of six, so it flatters",
        rate_difference(rates[best], rates[0]),
        0.2,
        1,
        ("entropy",),
    )
    for value in ("values", "log_probs"):
        lost = evidence.of("lost").at(loss__lost_gradients=value)
        yield Claim(
            f"claim.lost-{value.replace('_', '-')}",
            f"the {value} lose their gradient: fraction of seeds that learn at any weight",
            as_estimate(rate_of(lost.learned)),
            0,
            1,
            ("lost",),
        )
    runs = evidence.of("eplen60")
    chances = [float(runs.at(critic_weight=weight).learned.mean()) for weight in runs.weights]
    pattern = chances[-1] * math.prod(1 - chance for chance in chances[:-1])
    yield Claim(
        "claim.luck",
        "chance that of one seed at each weight only that at weight 5 learns, as in the notes",
        Estimate(pattern, math.nan, math.nan),
        0.02,
        0.5,
        ("eplen60",),
    )
