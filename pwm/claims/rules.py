"""Claims about rules that balance the two losses: scores, failures, candidates, and predictions.

Most methods (`pwm.analysis.rules`) are named by their returns, raw or centred (less their running
mean), and their rule: a fixed critic weight, such as "centred 100"; an optimiser state for each
loss ("per-loss"); in the shared network, the critic's gradient scaled to the norm of the policy's
("equal"), or none ("stop-trunk"); separate networks ("separate"); and so on. "usual" takes means of
both losses, normalises advantages within the episode, clips gradients, and has weight 0.5. A
condition is a task and a learning rate. Methods are ranked by their mean success over twelve
conditions; two held-out conditions test the ranking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

from pwm.analysis.estimates import Estimate
from pwm.analysis.evidence import Evidence
from pwm.analysis.rule_predictions import judged_brake, judged_rules
from pwm.analysis.rules import CONDITIONS, Comparison, candidates, compared
from pwm.claims.claim import Band, Claim, slug
from pwm.experiments import EXPERIMENTS

COMPARED = tuple(name for name in EXPERIMENTS if name.startswith("rules-"))
"""Experiments that compare all methods."""
CANDIDATES = tuple(name for name in EXPERIMENTS if name.startswith("candidates-"))
"""Experiments that compare candidates for the recommended method, with more seeds."""
SCORES: Mapping[str, Band] = {
    "centred per-loss": (0.9, 1),
    "centred equal": (0.9, 1),
    "standardised 100": (0.85, 1),
    "centred 100": (0.85, 1),
    "centred 10": (0.7, 0.85),
    "centred 1": (0.65, 0.8),
    "centred 0": (0.6, 0.75),
    "centred stop-trunk": (0.6, 0.75),
    "centred separate": (0.6, 0.75),
    "popart": (0.6, 0.75),
    "raw 1": (0.2, 0.5),
    "raw 10": (0.2, 0.5),
    "raw 100": (0.1, 0.5),
    "raw per-loss": (0.2, 0.5),
    "raw equal": (0.2, 0.5),
    "usual": (0.1, 0.25),
}
"""Bands of mean success over the twelve conditions, by method."""
SOLVING: Mapping[float, Band] = {0.9: (0.0, 0.75), 0.95: (0.0, 0.6)}
"""Bands of the fraction of runs that end above a level of reward, by level."""
SOLVING_LEADS: Mapping[tuple[str, str], Band] = {
    ("standardised 100", "centred per-loss"): (0.02, 0.2),
    ("centred per-loss", "centred 100"): (-0.05, 0.05),
}
"""Bands of the fraction of runs that end above a reward of 0.9 with one method, less that with
another: the first pair differs, the second is tied."""
GAINING = ("0", "1", "10", "100", "per-loss", "equal", "pcgrad", "uncertainty", "return-scale")
GAINS: Mapping[str, Band] = {
    **dict.fromkeys(GAINING, (0.2, 0.7)),
    **dict.fromkeys(("stop-trunk", "separate"), (-0.1, 0.1)),
}
"""Bands of the gain in mean success by centring, by rule."""
BEHIND: Mapping[str, Band] = {"centred equal": (0, 0.05), "centred 100": (0.005, 0.1)}
"""Bands of the mean success of the method that ranks first less that of another, by the other."""
FAILURES: Mapping[str, Band] = {
    "centred per-loss": (0, 0),
    "centred equal": (0, 0),
    "centred 100": (1, 1),
    "centred 10": (1, 1),
    "centred 0": (3, 5),
    "centred separate": (2, 4),
    "usual": (11, 14),  # of fourteen, the held-out ones included
}
"""Bands of the number of conditions in which fewer than half of the seeds learn, by method."""
CARRIED: Mapping[str, Band] = {
    "centred per-loss": (0.5, 0.85),
    "centred equal": (0.5, 0.95),
    "centred 100": (0, 0.1),
    "centred 0": (0.35, 0.75),
    **dict.fromkeys(("centred 1", "centred separate"), (0.55, 0.95)),
    "centred pcgrad": (0.75, 1),
}
"""Bands of success where the LSTM's state is carried across trials, by method."""
UNCARRIED: Mapping[str, Band] = {"centred 100": (0.9, 1), "centred per-loss": (0.9, 1)}
"""Bands of mean success over the ranked conditions without a carried state, by method."""
LONGEST: Mapping[str, Band] = {"centred 100": (0.85, 1), "centred per-loss": (0.5, 0.95)}
"""Bands of success at 240 steps and learning rate 0.005, by method."""
VERDICTS: Mapping[str, Band] = {"right": (6, 6), "wrong": (3, 3)}
"""Bands of the number of predictions, out of nine, by verdict."""
TRIED: Mapping[str, Mapping[int, Band]] = {
    "centred 100": {15: (0.9, 1), 60: (0.9, 1), 120: (0.9, 1)},
    "centred per-loss": {15: (0.9, 1), 60: (0.9, 1), 120: (0.8, 0.95)},
    "centred 10": {15: (0.9, 1), 60: (0.8, 1), 120: (0.5, 0.85)},
    "centred 0": {15: (0.5, 0.95), 60: (0.3, 0.7), 120: (0.1, 0.5)},
    "centred separate": {15: (0.3, 0.8), 60: (0.3, 0.7), 120: (0.1, 0.5)},
    "usual": {15: (0.5, 0.95), 60: (0, 0.2), 120: (0, 0.1)},
}
"""Bands of success at learning rate 0.005, by candidate and steps."""
LEADER = "centred 100"  # the candidate that all others are compared with
LEADS: Mapping[tuple[str, int], Band] = {
    ("centred per-loss", 60): (-0.1, 0.05),
    ("centred per-loss", 120): (0.03, 0.2),
    ("centred 0", 60): (0.3, 0.7),
    ("centred 0", 120): (0.4, 0.9),
    ("centred separate", 120): (0.4, 0.9),
}
"""Bands of the success of `LEADER` minus that of a candidate, by candidate and steps."""
TIME_RATIOS: Mapping[tuple[str, int], Band] = {
    ("centred per-loss", 15): (0.5, 0.95),
    ("centred per-loss", 120): (1.01, 1.5),
    ("centred 0", 60): (1.5, inf),
}
"""Bands of a candidate's median time to learn over that of `LEADER`, by candidate and steps."""


def rule_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the comparison of all methods, and the verdicts on predictions."""
    comparison = compared(evidence)
    yield from _score_claims(comparison)
    for name, band in FAILURES.items():
        yield Claim(
            name=f"rules-failures-{slug(name)}",
            says=f"{name}: conditions of {len(CONDITIONS)} in which fewer than half learn",
            estimate=Estimate(len(comparison.failed_conditions(name))),
            band=band,
            experiments=COMPARED,
            digits=0,
        )
    yield from _carried_claims(comparison)
    for name, band in LONGEST.items():
        verdict = ", predicted to be at most one half, wrongly" if name != "centred 100" else ""
        yield Claim(
            name=f"rules-longest-{slug(name)}",
            says=f"{name}, 240 steps, learning rate 0.005: success after 8,000 episodes{verdict}",
            estimate=comparison.success(name, "240 steps, 0.005"),
            band=band,
            experiments=COMPARED,
        )
    yield Claim(
        name="rules-correlation",
        says="correlation of the methods' ranks in the twelve and in the held-out conditions",
        estimate=comparison.rank_correlation(),
        band=(0.7, 1),
        experiments=COMPARED,
    )
    # One prediction, that a heavy critic helps only by slowing the trunk, is tested by `brake`.
    are_right = [*judged_rules(comparison).values(), judged_brake(evidence.of("brake"))]
    counts = {"right": are_right.count(True), "wrong": are_right.count(False)}
    for verdict, band in VERDICTS.items():
        yield Claim(
            name=f"rules-{verdict}",
            says=f"predictions about rules, of {len(are_right)}, that are {verdict}",
            estimate=Estimate(counts[verdict]),
            band=band,
            experiments=(*COMPARED, "brake"),
            digits=0,
        )


def _score_claims(comparison: Comparison) -> Iterator[Claim]:
    """Yields claims about mean success, gains from centring, high rewards, and the best method."""
    for name, band in SCORES.items():
        yield Claim(
            name=f"rules-score-{slug(name)}",
            says=f"{name}: mean success over the twelve conditions",
            estimate=comparison.success(name),
            band=band,
            experiments=COMPARED,
        )
    for rule, band in GAINS.items():
        label = f"weight {rule}" if rule.isdigit() else rule
        yield Claim(
            name=f"rules-gain-{rule}",
            says=f"{label}: mean success over the twelve conditions, centred less raw",
            estimate=comparison.difference(f"centred {rule}", f"raw {rule}"),
            band=band,
            experiments=COMPARED,
        )
    # Of the raw rules, the paper gives only mean success.
    not_raw = [name for name in SCORES if not name.startswith("raw")]
    for level, band in SOLVING.items():
        solving = comparison.ending_above(level)
        for name in not_raw:
            yield Claim(
                name=f"rules-above-{level:g}-{slug(name)}",
                says=f"{name}: fraction that ends above a reward of {level:g}, twelve conditions",
                estimate=solving.success(name),
                band=band,
                experiments=COMPARED,
            )
    for (one, other), band in SOLVING_LEADS.items():
        yield Claim(
            name=f"rules-above-lead-{slug(one)}",
            says=f"{one} less {other}: fraction that ends above a reward of 0.9, twelve conditions",
            estimate=comparison.ending_above(0.9).difference(one, other),
            band=band,
            experiments=COMPARED,
        )
    best = comparison.ranking()[0]
    for name, band in BEHIND.items():
        yield Claim(
            name=f"rules-behind-{slug(name)}",
            says=f"{name}: mean success over the twelve conditions, subtracted from that of the "
            "best method",
            estimate=comparison.difference(best, name),
            band=band,
            experiments=COMPARED,
        )
    tied = [name for name in comparison.methods if name != best and comparison.tied(best, name)]
    yield Claim(
        name="rules-tied",
        says=f"methods tied with the best by mean success over the twelve conditions, {best}",
        estimate=Estimate(len(tied)),
        band=(1, 1),
        experiments=COMPARED,
        digits=0,
    )


def _carried_claims(comparison: Comparison) -> Iterator[Claim]:
    """Yields claims about success with a carried state, and in the ranked conditions without it."""
    for name, band in CARRIED.items():
        yield Claim(
            name=f"rules-carried-{slug(name)}",
            says=f"{name}, state carried, 60 steps, learning rate 0.002: success",
            estimate=comparison.success(name, "carried"),
            band=band,
            experiments=COMPARED,
        )
    others = [name for name in comparison.ranked_conditions if name != "carried"]
    for name, band in UNCARRIED.items():
        yield Claim(
            name=f"rules-uncarried-{slug(name)}",
            says=f"{name}: mean success over the eleven conditions without a carried state",
            estimate=comparison.success(name, *others),
            band=band,
            experiments=COMPARED,
        )
    yield Claim(
        name="rules-uncarried-lead",
        says="mean success over the eleven conditions without a carried state: centred 100 less "
        "centred per-loss",
        estimate=comparison.difference("centred 100", "centred per-loss", *others),
        band=(-0.01, 0.1),
        experiments=COMPARED,
    )


def candidate_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the candidates for the recommended method, with 96 seeds."""
    comparison = candidates(evidence)
    for name, bands in TRIED.items():
        for steps, band in bands.items():
            yield Claim(
                name=f"candidates-{slug(name)}-{steps}",
                says=f"{name}, {steps} steps, learning rate 0.005: fraction that learns",
                estimate=comparison.success(name, f"{steps} steps"),
                band=band,
                experiments=CANDIDATES,
            )
    for (name, steps), band in LEADS.items():
        yield Claim(
            name=f"candidates-lead-{slug(name)}-{steps}",
            says=f"{LEADER}, {steps} steps, learning rate 0.005: success less that of {name}",
            estimate=comparison.difference(LEADER, name, f"{steps} steps"),
            band=band,
            experiments=CANDIDATES,
        )
    for (name, steps), band in TIME_RATIOS.items():
        yield Claim(
            name=f"candidates-time-{slug(name)}-{steps}",
            says=f"{name}, {steps} steps, learning rate 0.005: median time to learn relative to "
            f"{LEADER}",
            estimate=comparison.time_ratio(name, LEADER, f"{steps} steps"),
            band=band,
            experiments=CANDIDATES,
        )


GROUPS = (rule_claims, candidate_claims)
