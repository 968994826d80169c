"""Claims about the first three sets of predictions in `paper/predictions.json`.

They predict edges, the ends of the range of critic weights with which runs learn (at the lower or
upper edge, success is half of what it is inside), and the success of runs at single weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.conditions import conditions, experiments_of, light_edges
from pwm.analysis.edges import upper_edges
from pwm.analysis.estimates import Estimate, interval, rate
from pwm.analysis.evidence import Evidence
from pwm.analysis.gradients import before_learning, known_median, share_weight, undisturbed_times
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import Law, predictions
from pwm.claims.claim import Band, Claim, slug

FACTOR = 2.0
"""Largest factor between a measured edge and its prediction with which the prediction is right."""
FIRST: Mapping[str, str] = {
    "steps 6": "fast-6",
    "steps 30": "fast-30",
    "trial length 2": "trial-2",
    "trial length 4": "trial-4",
    "trial length 6": "trial-6",
    "mean, 15 steps": "mean-15",
}
"""Conditions of the first set, by their name in it; in a seventh, of 120 steps, too few runs learn
for there to be an edge."""
FIRST_FAILS = ("trial length 6",)
"""Conditions whose edge the first set predicted too low."""
SECOND = ("weight-0.001", "gradients")
"""Experiments of the second set."""
SECOND_EDGES: Mapping[tuple[str, int], Band] = {
    ("attached", 15): (2.0, 10.0),
    ("attached", 30): (2.0, 10.0),
    ("detached", 60): (0.5, 2.0),
    ("detached", 120): (0.5, 2.0),
}
"""Bands of the measured edge over the second set's, by baseline and steps: of attached runs the
lower edge, for which the set failed, and of detached runs the upper one."""
THIRD_HEAVY: Mapping[int, str] = {
    45: "so that the upper edge, predicted at 68, lies beyond the weights tried",
    9: "predicted to be one half or more",
    24: "predicted to be one half or more",
}
"""End of the claim's sentence, by steps at which detached runs of weight 100 were to learn."""


def if_right(predicted: float) -> Band:
    """Band of an edge that was predicted correctly: within a factor of `FACTOR`."""
    return predicted / FACTOR, predicted * FACTOR


def if_too_low(predicted: float) -> Band:
    """Band of an edge that was predicted too low: by more than a factor of `FACTOR`."""
    return predicted * FACTOR, inf


def first_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the first set, which predicts the lower edge at w = 0.107 c T."""
    every, predicted = conditions(evidence), predictions()["lower_edge"]
    num_right = 0
    for setting, name in FIRST.items():
        edge, said, fails = every[name].edge, predicted[setting], setting in FIRST_FAILS
        low, high = if_right(said)
        num_right += low <= edge.value <= high
        yield Claim(
            name=f"first-{slug(setting.replace(',', ''))}",
            says=f"lower edge, first predicted at {said}" + (", wrongly" if fails else ""),
            estimate=edge,
            band=if_too_low(said) if fails else (low, high),
            experiments=(every[name].experiment,),
        )
    yield Claim(
        name="first-right",
        says="of the first seven predicted lower edges, this many were right",
        estimate=Estimate(num_right),
        band=(5, 5),
        experiments=experiments_of(every[name] for name in FIRST.values()),
        digits=0,
    )


def second_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the second set: the law as first written, with nothing fitted."""
    runs = evidence.of("weight-0.001")
    probed = evidence.of("gradients").at(baseline="detached", critic_weight=0.1)
    errors = []
    for steps in runs.axes["episode_length"]:
        part, light = runs.at(episode_length=steps), probed.at(episode_length=steps)
        for baseline, predicted in _law_as_first_written(part, light).items():
            measured = part.at(baseline=baseline).learned
            errors.append(np.abs(predicted.mean(axis=-1) - measured.mean(axis=-1)))
            if (baseline, steps) in SECOND_EDGES:
                edges = light_edges if baseline == "attached" else upper_edges
                predicted_edge, *_ = edges(part.weights, predicted)  # without its resamples
                yield Claim(
                    name=f"second-{baseline}-{steps}",
                    says=f"{baseline}, {steps} steps: edge over the law's as first written",
                    estimate=interval(edges(part.weights, measured) / predicted_edge),
                    band=SECOND_EDGES[baseline, steps],
                    experiments=SECOND,
                )
    yield Claim(
        name="second-law-error",
        says="mean error of success by the law as first written, predicted to be at most 0.15",
        estimate=Estimate(float(np.mean(errors))),
        band=(0.15, 0.3),
        experiments=SECOND,
    )


def _law_as_first_written(runs: Outcomes, probed: Outcomes) -> dict[str, NDArray[np.bool_]]:
    """Whether each of R reference runs should learn at each weight: [W, R], by baseline.

    The reference runs are detached runs of small weights, which nothing slows. By the law, a
    critic multiplies their times to learn by its slowdown; a run learns if that is within the
    budget.

    Args:
        runs: runs of one episode length, by baseline, weight and seed.
        probed: light detached runs of that length with diagnosed gradients.
    """
    share = known_median(before_learning(probed, share_weight(probed)))
    law = Law(noise_constant=1.0, share_weight=share)
    steps = runs.base.task.episode_length
    # The law later took a root of this slowdown.
    detached = np.array([law.trunk_slowdown(weight) ** 2 for weight in runs.weights])
    attached = detached * [law.leak_slowdown(weight, steps) for weight in runs.weights]
    times, budget = undisturbed_times(runs).ravel(), runs.base.num_episodes
    return {
        "attached": times * attached[:, None] <= budget,
        "detached": times * detached[:, None] <= budget,
    }


def third_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the third set: lengths and a learning rate that no fit had used."""
    yield from _third_edges(evidence)
    yield from _third_success(evidence)


def _third_edges(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the edges that the third set predicts."""
    predicted = predictions()["third"]
    for setting, edge in predicted["lower_edge"].items():
        steps = setting.removeprefix("steps ")
        condition = conditions(evidence)[f"held-out-{steps}"]
        yield Claim(
            name=f"third-lower-{steps}",
            says=f"lower edge at {steps} steps, predicted at {edge} before the runs",
            estimate=condition.edge,
            band=if_right(edge),
            experiments=("held-out",),
        )
    edge = predicted["upper_edge"]["steps 90"]
    detached = evidence.of("held-out").at(baseline="detached", episode_length=90)
    yield Claim(
        name="third-upper-90",
        says=f"upper edge at 90 steps, detached, predicted at {edge} before the runs",
        estimate=interval(upper_edges(detached.weights, detached.learned)),
        band=if_right(edge),
        experiments=("held-out",),
        digits=0,
    )


def _third_success(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the success that the third set predicts."""
    runs = evidence.of("held-out")
    attached, detached = runs.at(baseline="attached"), runs.at(baseline="detached")
    for steps, verdict in THIRD_HEAVY.items():
        yield Claim(
            name=f"third-heavy-{steps}",
            says=f"detached, {steps} steps: success at weight 100, {verdict}",
            estimate=rate(detached.at(episode_length=steps, critic_weight=100.0).learned),
            band=(0.5, 1),
            experiments=("held-out",),
        )
    longest = attached.at(episode_length=90)
    best = longest.rate().argmax()  # place of the weight with the highest success
    yield Claim(
        name="third-most-90",
        says="attached, 90 steps: success at the best weight, predicted to be below one half",
        estimate=rate(longest.learned[best]),
        band=(0, 0.5),
        experiments=("held-out",),
    )
    held_out = [each for each in conditions(evidence).values() if each.group == "held-out"]
    errors = [each.errors(each.predicted("ratio")) for each in held_out]
    yield Claim(
        name="third-error",
        says="mean error of success over the held-out attached cells, predicted to be at most 0.1",
        estimate=Estimate(float(np.mean(errors))),
        band=(0, 0.1),
        experiments=("held-out",),
    )


GROUPS = (first_claims, second_claims, third_claims)
