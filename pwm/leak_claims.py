"""Claims about the leak: what it does to the critic, what detaching does, and where it acts."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pwm.edges import lower_edge
from pwm.evidence import (
    LOW_WEIGHTS,
    MIDDLE_WEIGHTS,
    Claim,
    Evidence,
    as_estimate,
    at_weights,
    difference_of_seeds,
    median,
    rate_of,
)
from pwm.experiments import WEIGHTS
from pwm.outcomes import Outcomes
from pwm.stats import Estimate
from pwm.theory import critic_bias, value_floor


def theory_claims(evidence: Evidence) -> Iterator[Claim]:
    """The critic's bias and floor against their closed forms."""
    for name, steps in (("eplen15", 15), ("eplen60", 60)):
        runs = evidence.of(name)
        solved = runs.reward > 0.99
        ratio = runs.value_loss[solved] / value_floor(1.0, steps // 3)
        yield Claim(
            f"claim.floor-{steps}",
            "solved seeds settle at the floor under the value loss (median, quartiles)",
            median(ratio, 0.25),
            0.9,
            1.2,
            (name,),
        )
    for name in ("weight-0.005", "weight-0.001"):
        attached = evidence.of(name).at(loss__baseline="attached")
        yield Claim(
            f"claim.bias-{name.removeprefix('weight-')}",
            "measured bias over cTH/2w, median over cells with weights from 1 on (5% to 95%)",
            median(_bias_ratios(attached), 0.05),
            0.9,
            1.1,
            (name,),
        )
        detached = evidence.of(name).at(loss__baseline="detached")
        worst = float(np.max(np.abs(np.mean(detached.critic_bias, axis=-1))))
        yield Claim(
            f"claim.no-bias-{name.removeprefix('weight-')}",
            "largest mean bias of any detached cell, in rewards",
            Estimate(worst, math.nan, math.nan),
            0,
            1,
            (name,),
        )


def _bias_ratios(attached: Outcomes) -> NDArray[np.float64]:
    """Measured over predicted bias of each cell of episode length and weight that explores."""
    ratios = []
    for steps in attached.axes["task.episode_length"]:
        for weight in attached.weights:
            cell = attached.at(task__episode_length=steps, critic_weight=weight)
            entropy = float(cell.entropy.mean())
            if weight >= 1 and entropy > 0.01:
                ratios.append(float(cell.critic_bias.mean()) / critic_bias(steps, entropy, weight))
    return np.array(ratios)


def detaching_claims(evidence: Evidence) -> Iterator[Claim]:
    """What detaching does, and what it leaves."""
    for name in ("weight-0.005", "weight-0.001"):
        rate = name.removeprefix("weight-")
        for steps in (6, 15, 30, 60, 120):
            runs = evidence.of(name).at(task__episode_length=steps)
            low, middle = (
                {
                    baseline: at_weights(runs.at(loss__baseline=baseline), weights)
                    for baseline in ("attached", "detached")
                }
                for weights in (LOW_WEIGHTS, MIDDLE_WEIGHTS)
            )
            random = np.random.default_rng(0)
            yield Claim(
                f"claim.trend-{steps}-{rate}",
                "detached, weights from 2 to 5 gain this much over weights up to 0.1",
                difference_of_seeds(middle["detached"], low["detached"], random),
                -0.3,
                0.3,
                (name,),
            )
            attached = as_estimate(rate_of(low["attached"]))
            yield Claim(
                f"claim.low-attached-{steps}-{rate}",
                "attached, this fraction learns at weights up to 0.1",
                attached,
                0,
                0.05,
                (name,),
            )
            detached = as_estimate(rate_of(low["detached"]))
            yield Claim(
                f"claim.low-detached-{steps}-{rate}",
                "detached, this fraction learns at weights up to 0.1",
                detached,
                0.1,
                1,
                (name,),
            )


def place_claims(evidence: Evidence) -> Iterator[Claim]:
    """Where the leak acts."""
    parts = evidence.of("leak-parts")
    for baseline in ("attached_head", "attached_trunk"):
        part = parts.at(loss__baseline=baseline)
        name = baseline.removeprefix("attached_")
        yield Claim(
            f"claim.low-{name}",
            f"the leak let into the {name} alone: this fraction learns at weights up to 0.1",
            as_estimate(rate_of(at_weights(part, LOW_WEIGHTS))),
            0,
            1,
            ("leak-parts",),
        )
        few = [weight for weight in part.weights if weight <= 20]
        yield Claim(
            f"claim.edge-{name}",
            f"the lower edge with the leak let into the {name} alone",
            lower_edge(few, at_weights(part, few), np.random.default_rng(0)),
            0,
            math.inf,
            ("leak-parts",),
        )
    for name, runs, weights in (
        ("attached", evidence.of("weight-0.001").at(
            task__episode_length=15, loss__baseline="attached"), WEIGHTS),
        ("by-hand", evidence.of("by-hand").at(critic_weight=5.0), WEIGHTS),
    ):  # fmt: skip
        few = [weight for weight in weights if weight <= 20]
        learned = runs.learned[: len(few)]
        yield Claim(
            f"claim.edge-{name}",
            f"the lower edge, {name}, at 15 steps and learning rate 0.001",
            lower_edge(few, learned, np.random.default_rng(0)),
            0,
            math.inf,
            ("weight-0.001", "by-hand"),
        )
    for steps in (15, 60):
        separate = evidence.of("separate").at(task__episode_length=steps)
        for baseline in ("attached", "detached"):
            part = separate.at(loss__baseline=baseline)
            for weight in (0.2, 100.0):
                yield Claim(
                    f"claim.separate-{baseline}-{steps}-{weight:g}",
                    f"separate LSTMs, {baseline}: fraction that learns at weight {weight:g}",
                    as_estimate(rate_of(part.at(critic_weight=weight).learned)),
                    0,
                    1 if baseline == "detached" or weight > 1 else 0.2,
                    ("separate",),
                )
