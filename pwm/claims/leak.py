"""Claims about the leak: its effect on the critic, the effect of detaching, and where it acts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.conditions import light_edges
from pwm.analysis.estimates import Estimate, interval, over_seeds, quantiles, rate, rate_difference
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.predictions import Law, fitted_law
from pwm.analysis.theory import value_floor
from pwm.analysis.times import median_time
from pwm.claims.claim import Claim
from pwm.core.leak import critic_bias

GRIDS = {"0.005": "weight-0.005", "0.001": "weight-0.001"}
"""Experiments with all critic weights at five lengths, by learning rate."""
LIGHT = (0.02, 0.05, 0.1)
MIDDLE = (2.0, 3.0, 5.0)
TREND = 0.3  # predicted: detached, the middle weights differ from the light ones by at most this
TREND_FAILS = {("0.005", 30): (TREND, 1.0), ("0.001", 120): (-1.0, -TREND)}
"""Bands of the two exceptions to that prediction, by learning rate and steps."""
LIGHT_LEARN = {"0.005": (0.2, 1.0), "0.001": (0.85, 1.0)}
"""Bands of the fraction that learns at light weights, detached, by learning rate."""
HEAD = {"heavy": ((0.5, 1.0, 2.0, 3.0), (0.8, 1.25)), "light": ((0.02,), (2.0, 10.0))}
"""Weights with the leak in the head alone, and the band of their slowdown."""
HEAD_FORGETS = (0.2, 0.5, 1.0)
"""Weights at which runs with the leak in the head alone learn, and then forget."""
EDGES = {
    "attached": ((0.5, 5.0), "lower edge at 15 steps, attached", ("weight-0.001",)),
    "by-hand": ((0.2, 1.6), "lower edge at 15 steps, bias added by hand", ("by-hand",)),
    "ratio": (
        (2.0, 5.0),
        "lower edge attached over lower edge by hand, wrongly predicted to be below 2",
        ("weight-0.001", "by-hand"),
    ),
}
"""Lower edges at 15 steps: bands, sentences and experiments."""
SEPARATE_FAILS = ("attached", 0.2)
"""Baseline and weight with which separate LSTMs do not learn."""


def theory_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the critic's bias and the floor of its loss, measured over predicted."""
    for name in ("eplen15", "eplen60"):
        runs = evidence.of(name)
        task = runs.base.task
        solved = runs.value_loss[runs.reward > 0.99]
        yield Claim(
            name=f"floor-{task.episode_length}",
            says="value loss of runs that solve the task over its floor (median, quartiles)",
            estimate=quantiles(solved / value_floor(1.0, task.num_trials), tail=0.25),
            band=(0.9, 1.2),
            experiments=(name,),
        )
    for rate_name, name in GRIDS.items():
        yield Claim(
            name=f"bias-{rate_name}",
            says="measured bias over cTH/2w, median over cells of weight 1 or more (5% to 95%)",
            estimate=quantiles(_bias_ratios(evidence.of(name).at(baseline="attached")), tail=0.05),
            band=(0.9, 1.1),
            experiments=(name,),
        )
        bias = evidence.of(name).at(baseline="detached").critic_bias
        yield Claim(
            name=f"no-bias-{rate_name}",
            says="largest absolute mean bias of a detached cell, in reward",
            estimate=Estimate(float(np.abs(bias.mean(axis=-1)).max())),
            band=(0, 1),
            experiments=(name,),
        )


def _bias_ratios(attached: Outcomes) -> NDArray[np.float64]:
    """Measured over predicted bias of cells of weight 1 or more that still explore: [cells]."""
    ratios = []
    for steps in attached.axes["episode_length"]:
        for weight in attached.weights:
            cell = attached.at(episode_length=steps, critic_weight=weight)
            entropy = float(cell.entropy.mean())
            if weight >= 1 and entropy > 0.01:
                ratios.append(cell.critic_bias.mean() / critic_bias(steps, entropy, weight))
    return np.array(ratios)


def detaching_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about success with both baselines, at light and at middle weights."""
    for rate_name, name in GRIDS.items():
        for steps in evidence.of(name).axes["episode_length"]:
            runs = evidence.of(name).at(episode_length=steps)
            attached, detached = (runs.at(baseline=kind) for kind in ("attached", "detached"))
            light = detached.at(critic_weight=LIGHT).learned
            middle = detached.at(critic_weight=MIDDLE).learned
            yield Claim(
                name=f"trend-{steps}-{rate_name}",
                says="detached, success at weights 2 to 5 minus success at weights up to 0.1",
                estimate=rate_difference(middle, light),
                band=TREND_FAILS.get((rate_name, steps), (-TREND, TREND)),
                experiments=(name,),
            )
            yield Claim(
                name=f"low-attached-{steps}-{rate_name}",
                says="attached, fraction that learns at weights up to 0.1",
                estimate=rate(attached.at(critic_weight=LIGHT).learned),
                band=(0, 0),
                experiments=(name,),
            )
            yield Claim(
                name=f"low-detached-{steps}-{rate_name}",
                says="detached, fraction that learns at weights up to 0.1",
                estimate=rate(light),
                band=LIGHT_LEARN[rate_name],
                experiments=(name,),
            )


def part_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the leak in the trunk or the head alone, at 15 steps and rate 0.001."""
    detached = evidence.of("weight-0.001").at(episode_length=15, baseline="detached")
    parts = evidence.of("leak-parts")
    yield from _trunk_claims(parts.at(baseline="attached_trunk"), detached)
    yield from _head_claims(parts.at(baseline="attached_head"), detached)


def _trunk_claims(trunk: Outcomes, detached: Outcomes) -> Iterator[Claim]:
    """Yields claims about the leak in the trunk alone: light weights learn, but more slowly."""
    yield Claim(
        name="low-trunk",
        says="leak in the trunk alone: fraction that learns at weights up to 0.1",
        estimate=rate(trunk.at(critic_weight=LIGHT).learned),
        band=(0.5, 1),
        experiments=("leak-parts",),
    )
    yield Claim(
        name="slow-trunk",
        says="leak in the trunk alone, weights up to 0.1: time to learn, relative to detached",
        estimate=_times_as_long(trunk, detached, LIGHT),
        band=(1.5, 4),
        experiments=("leak-parts", "weight-0.001"),
        digits=1,
    )


def _head_claims(head: Outcomes, detached: Outcomes) -> Iterator[Claim]:
    """Yields claims about the leak in the head alone: some weights learn and then forget."""
    for name, (weights, band) in HEAD.items():
        listed = ", ".join(f"{weight:g}" for weight in weights)
        yield Claim(
            name=f"slow-head-{name}",
            says=f"leak in the head alone, weight {listed}: time to learn, relative to detached",
            estimate=_times_as_long(head, detached, weights),
            band=band,
            experiments=("leak-parts", "weight-0.001"),
            digits=1,
        )
    yield Claim(
        name="kept-head-light",
        says="leak in the head alone, weights up to 0.05: fraction that has learned at the end",
        estimate=rate(head.at(critic_weight=head.weights[:2]).learned),
        band=(0.5, 1),
        experiments=("leak-parts",),
    )
    forgetting = head.at(critic_weight=HEAD_FORGETS)
    yield Claim(
        name="ever-head",
        says="leak in the head alone, weights 0.2 to 1: fraction that learns at any time",
        estimate=rate(np.isfinite(forgetting.time)),
        band=(0.9, 1),
        experiments=("leak-parts",),
    )
    yield Claim(
        name="kept-head",
        says="leak in the head alone, weights 0.2 to 1: fraction that has learned at the end",
        estimate=rate(forgetting.learned),
        band=(0, 0.1),
        experiments=("leak-parts",),
    )


def hand_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about a bias that is added by hand to a detached baseline."""
    runs = evidence.of("weight-0.001").at(episode_length=15)
    by_hand = evidence.of("by-hand").at(critic_weight=5.0)  # (biases, seeds)
    edges = {
        "attached": light_edges(runs.weights, runs.at(baseline="attached").learned),
        "by-hand": light_edges(runs.weights, by_hand.learned),
    }
    edges["ratio"] = edges["attached"] / edges["by-hand"]
    for name, (band, says, experiments) in EDGES.items():
        yield Claim(
            name=f"edge-{name}",
            says=says,
            estimate=interval(edges[name]),
            band=band,
            experiments=experiments,
        )
    yield Claim(
        name="law-by-hand",
        says="slowdown by a bias added by hand, measured over predicted, weights 1 to 10",
        estimate=_by_hand_over_law(by_hand, runs.at(baseline="detached")),
        band=(0.8, 1.25),
        experiments=("by-hand", "weight-0.001"),
    )


def separate_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about separate LSTMs for actor and critic."""
    for steps in (15, 60):
        for baseline in ("attached", "detached"):
            for weight in (0.2, 100.0):
                cell = evidence.of("separate").at(
                    episode_length=steps, baseline=baseline, critic_weight=weight
                )
                fails = (baseline, weight) == SEPARATE_FAILS
                yield Claim(
                    name=f"separate-{baseline}-{steps}-{weight:g}",
                    says=f"separate LSTMs, {baseline}, weight {weight:g}: fraction that learns",
                    estimate=rate(cell.learned),
                    band=(0.0, 0.2) if fails else (0.8, 1.0),
                    experiments=("separate",),
                )


def _times_as_long(one: Outcomes, other: Outcomes, weights: tuple[float, ...]) -> Estimate:
    """Ratio of the median times to learn of `one` and `other`, mean over weights."""
    slow, fast = (part.at(critic_weight=weights).time for part in (one, other))  # (W, S)

    def ratio(seeds: NDArray[np.intp]) -> NDArray[np.float64]:
        """The ratio for each selection of seeds: [B] from [B, S]."""
        return np.asarray((median_time(slow[:, seeds]) / median_time(fast[:, seeds])).mean(axis=0))

    return over_seeds(ratio, slow.shape[-1])


def _by_hand_over_law(by_hand: Outcomes, detached: Outcomes) -> Estimate:
    """Slowdown by a bias added by hand, measured over predicted, geometric mean over biases.

    Each bias is the one that the leak would cause at a critic weight; none is fitted.
    """
    law = Law(noise_constant=1.0, share_weight=fitted_law().share_weight)
    kept = [place for place, weight in enumerate(detached.weights) if 1 <= weight <= 10]
    biases = [law.noise_weight(15) / detached.weights[place] for place in kept]
    predicted = np.array([law.sharing(5.0, bias) / law.sharing(5.0) for bias in biases])
    slow, fast = by_hand.time[kept], detached.at(critic_weight=5.0).time

    def ratio(seeds: NDArray[np.intp]) -> NDArray[np.float64]:
        """The ratio for each selection of seeds: [B] from [B, S]."""
        slowed = median_time(slow[:, seeds]) / median_time(fast[seeds])  # (biases, B)
        return np.asarray(np.exp(np.log(slowed.T / predicted).mean(axis=-1)))

    return over_seeds(ratio, len(fast))


GROUPS = (theory_claims, detaching_claims, part_claims, hand_claims, separate_claims)
