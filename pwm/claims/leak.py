"""Claims about the leak: its effect on the critic, the effect of detaching, and where it acts.

With an attached baseline, the policy loss also trains the critic: this gradient is the leak. With
T steps, entropy H and critic weight w, it biases the critic by c T H / (2 w), where c is 1 for a
summed policy loss (`pwm.core.leak`). It acts through the value head and through the trunk, the part
of the network that critic and policy share. A cell is the runs of one setting and critic weight.
The learning rate is 0.001 unless a claim gives another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.conditions import light_edges
from pwm.analysis.estimates import (
    Estimate,
    interval,
    median_ratios,
    quantiles,
    rate,
    rate_difference,
)
from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import fitted_law
from pwm.analysis.theory import noise_weight, slowdown, value_floor
from pwm.claims.claim import Band, Claim
from pwm.core.leak import critic_bias

GRIDS: Mapping[str, str] = {"0.005": "weight-0.005", "0.001": "weight-0.001"}
"""Experiments with all critic weights at five episode lengths, by learning rate."""
LIGHT, MIDDLE = (0.02, 0.05, 0.1), (2.0, 3.0, 5.0)  # critic weights
FORGETTING = (0.2, 0.5, 1.0)  # some critic weights at which a leak in the head makes runs forget
TREND = 0.3  # largest predicted difference in success between middle and light weights, detached
TREND_FAILS: Mapping[str, Band] = {"30-0.005": (TREND, 1.0), "120-0.001": (-1.0, -TREND)}
"""Bands of that difference where the prediction failed, by steps and learning rate."""
LIGHT_LEARN: Mapping[str, Band] = {"0.005": (0.2, 1.0), "0.001": (0.85, 1.0)}
"""Bands of the fraction that learns at light weights, detached, by learning rate."""


def floor_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the value loss of runs that solve the task, relative to its floor.

    They are attached, but hardly explore any more: the leak's bias adds little to the value loss.
    """
    for name in ("eplen15", "eplen60"):
        runs = evidence.of(name)
        task = runs.base.task
        solved = runs.value_loss[runs.reward > 0.99]  # the floor is that of a reward of 1
        floor = value_floor(success=1.0, num_trials=task.num_trials)
        yield Claim(
            name=f"floor-{task.episode_length}",
            says=f"runs that solve the task at {task.episode_length} steps, learning rate 0.005: "
            "value loss over its floor (median, quartiles)",
            estimate=quantiles(solved / floor, tail=0.25),
            band=(0.9, 1.2),
            experiments=(name,),
        )


def bias_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the critic's bias: as predicted if attached, small if detached."""
    for rate_name, name in GRIDS.items():
        yield Claim(
            name=f"bias-{rate_name}",
            says=f"attached, learning rate {rate_name}: measured bias over cTH/2w, median over "
            "cells of weight 1 or more (5% to 95%)",
            estimate=quantiles(_bias_ratios(evidence.of(name).at(baseline="attached")), tail=0.05),
            band=(0.9, 1.1),
            experiments=(name,),
        )
        bias = evidence.of(name).at(baseline="detached").critic_bias  # (lengths, W, S)
        yield Claim(
            name=f"no-bias-{rate_name}",
            says=f"detached, learning rate {rate_name}: largest |mean bias| of a cell, in reward",
            estimate=Estimate(float(np.abs(bias.mean(axis=-1)).max())),
            band=(0, 1),
            experiments=(name,),
        )


def _bias_ratios(attached: Outcomes) -> NDArray[np.float64]:
    """Mean bias over that predicted from mean entropy, by length and weight, from 1 up: [cells].

    Lighter critics may not have reached their fixed point by the end. Cells in which the policy no
    longer explores are left out, too: without entropy, there is no bias.
    """
    ratios = []
    for steps in attached.axes["episode_length"]:
        for weight in attached.weights:
            runs = attached.at(episode_length=steps, critic_weight=weight)
            entropy = float(runs.entropy.mean())
            if weight >= 1 and entropy > 0.01:
                ratios.append(runs.critic_bias.mean() / critic_bias(steps, entropy, weight))
    return np.array(ratios)


def detaching_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about success at light weights and, detached, its gain at middle weights."""
    for rate_name, name in GRIDS.items():
        for steps in evidence.of(name).axes["episode_length"]:
            setting = f"{steps}-{rate_name}"
            words = f"{steps} steps, learning rate {rate_name}"
            runs = evidence.of(name).at(episode_length=steps)
            attached, detached = runs.at(baseline="attached"), runs.at(baseline="detached")
            light, middle = detached.at(critic_weight=LIGHT), detached.at(critic_weight=MIDDLE)
            verdict = ", wrongly" if setting in TREND_FAILS else ""
            yield Claim(
                name=f"trend-{setting}",
                says=f"detached, {words}: success at weights 2 to 5 less that at weights up to "
                f"0.1, predicted to be within {TREND} of 0{verdict}",
                estimate=rate_difference(middle.learned, light.learned),
                band=TREND_FAILS.get(setting, (-TREND, TREND)),
                experiments=(name,),
            )
            yield Claim(
                name=f"low-attached-{setting}",
                says=f"attached, {words}: fraction that learns at weights up to 0.1",
                estimate=rate(attached.at(critic_weight=LIGHT).learned),
                band=(0, 0),
                experiments=(name,),
            )
            yield Claim(
                name=f"low-detached-{setting}",
                says=f"detached, {words}: fraction that learns at weights up to 0.1",
                estimate=rate(light.learned),
                band=LIGHT_LEARN[rate_name],
                experiments=(name,),
            )


def part_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about a leak in the trunk alone and in the head alone, at 15 steps.

    With a leak in the trunk, runs of light critics learn later than without a leak. With a leak in
    the head, the lightest do, too; runs at the weights in `FORGETTING` learn, and then forget.
    """
    detached = evidence.of("weight-0.001").at(episode_length=15, baseline="detached")
    parts = evidence.of("leak-parts")
    weights: Sequence[float]
    for name, part, words, weights, band in (
        ("slow-trunk", "trunk", "weights up to 0.1", LIGHT, (1.5, 4)),
        ("slow-head-heavy", "head", "weights 0.5 to 3", (0.5, 1.0, 2.0, 3.0), (0.8, 1.25)),
        ("slow-head-light", "head", "weight 0.02", (0.02,), (2.0, 10.0)),
    ):
        runs = parts.at(baseline=f"attached_{part}")
        yield Claim(
            name=name,
            says=f"leak in the {part} alone, 15 steps, {words}: time to learn over that detached",
            estimate=_relative_time(runs, detached, weights),
            band=band,
            experiments=("leak-parts", "weight-0.001"),
            digits=1,
        )
    for name, part, words, weights, band in (
        ("low-trunk", "trunk", "weights up to 0.1", LIGHT, (0.5, 1)),
        ("kept-head-light", "head", "weights up to 0.05", (0.02, 0.05), (0.5, 1)),
        ("kept-head", "head", "weights 0.2 to 1", FORGETTING, (0, 0.1)),
    ):
        runs = parts.at(baseline=f"attached_{part}", critic_weight=weights)
        yield Claim(
            name=name,
            says=f"leak in the {part} alone, 15 steps, {words}: fraction that has learned at the "
            "end",
            estimate=rate(runs.learned),
            band=band,
            experiments=("leak-parts",),
        )
    forgetting = parts.at(baseline="attached_head", critic_weight=FORGETTING)
    yield Claim(
        name="ever-head",
        says="leak in the head alone, 15 steps, weights 0.2 to 1: fraction that learns at any time",
        estimate=rate(np.isfinite(forgetting.time)),
        band=(0.9, 1),
        experiments=("leak-parts",),
    )


def _relative_time(runs: Outcomes, reference: Outcomes, weights: Sequence[float]) -> Estimate:
    """Median time to learn over that of `reference` at the same weight, mean over `weights`."""
    slow = runs.at(critic_weight=weights).time  # (W, S)
    fast = reference.at(critic_weight=weights).time  # (W, S)
    return interval(median_ratios(slow, fast).mean(axis=0))  # over weights


def hand_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about a bias added by hand to a detached baseline, at 15 steps.

    The lower edge is the weight below which runs no longer learn. All runs with a bias added by
    hand have critic weight 5. Each of their biases is the one that the leak would cause at one of
    the weights of the other runs. For the edge by hand, this weight is used in place of the bias.
    """
    runs = evidence.of("weight-0.001").at(episode_length=15)
    by_hand = evidence.of("by-hand").at(critic_weight=5.0)  # (biases, S)
    attached_edge = light_edges(runs.weights, runs.at(baseline="attached").learned)
    edge_by_hand = light_edges(runs.weights, by_hand.learned)  # biases in the order of weights
    for name, words, edges, band, experiments in (
        ("attached", "attached", attached_edge, (0.5, 5.0), ("weight-0.001",)),
        ("by-hand", "bias added by hand", edge_by_hand, (0.2, 1.6), ("by-hand",)),
    ):
        yield Claim(
            name=f"edge-{name}",
            says=f"lower edge at 15 steps, {words}",
            estimate=interval(edges),
            band=band,
            experiments=experiments,
        )
    yield Claim(
        name="edge-ratio",
        says="lower edge at 15 steps, attached over by hand, predicted to be at most 2, wrongly",
        estimate=interval(attached_edge / edge_by_hand),
        band=(2.0, 5.0),
        experiments=("weight-0.001", "by-hand"),
    )
    yield Claim(
        name="law-by-hand",
        says="15 steps: slowdown by the biases of weights 1 to 10, added by hand, measured over "
        "predicted",
        estimate=_by_hand_over_law(by_hand, runs.at(baseline="detached")),
        band=(0.8, 1.25),
        experiments=("by-hand", "weight-0.001"),
    )


def _by_hand_over_law(by_hand: Outcomes, detached: Outcomes) -> Estimate:
    """Slowdown by a bias added by hand: measured over predicted, geometric mean over biases.

    Args:
        by_hand: runs of critic weight 5, [W, S]; row i has the bias that the leak would cause at
            15 steps and the i-th weight of `detached`. Only rows for weights 1 to 10 are used: at
            lighter ones, most runs never learn; at heavier ones, the bias hardly slows them.
        detached: runs without a bias, by critic weight and seed, [W, S].
    """
    # The effect of a bias is as in theory; only the share of the critic's gradient is fitted.
    share = 5.0 / fitted_law().share_weight
    rows = [row for row, weight in enumerate(detached.weights) if 1 <= weight <= 10]
    predicted = []
    for row in rows:
        # The leak's bias at this weight, divided by the return's standard deviation.
        bias = noise_weight(15, 3) / detached.weights[row]
        predicted.append(slowdown(bias, share) / slowdown(critic=share))
    slow = by_hand.time[rows]  # (biases, S)
    fast = detached.at(critic_weight=5.0).time  # (S,)
    log_ratios = np.log(median_ratios(slow, fast).T / predicted)  # (1 + resamples, biases)
    return interval(np.exp(log_ratios.mean(axis=-1)))


def separate_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about separate LSTMs for policy and critic: only light attached ones fail."""
    runs = evidence.of("separate")
    for steps, baseline, weight in product((15, 60), ("attached", "detached"), (0.2, 100.0)):
        cell = runs.at(episode_length=steps, baseline=baseline, critic_weight=weight)
        fails = baseline == "attached" and weight == 0.2
        yield Claim(
            name=f"separate-{baseline}-{steps}-{weight:g}",
            says=f"separate LSTMs, {baseline}, {steps} steps, weight {weight:g}: success",
            estimate=rate(cell.learned),
            band=(0.0, 0.2) if fails else (0.8, 1.0),
            experiments=("separate",),
        )


GROUPS = (floor_claims, bias_claims, detaching_claims, part_claims, hand_claims, separate_claims)
