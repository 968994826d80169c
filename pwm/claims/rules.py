"""Claims about rules that balance the two losses: scores, failures, candidates, and predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pwm.analysis.estimates import Estimate, rate, rate_difference
from pwm.analysis.outcomes import Evidence
from pwm.analysis.rule_predictions import Prediction, judged_brake, judged_rules
from pwm.analysis.rules import CONDITIONS, candidates, compared
from pwm.claims.claim import Claim
from pwm.experiments import EXPERIMENTS

Band = tuple[float, float]
ALL = tuple(name for name in EXPERIMENTS if name.startswith("rules-"))
"""Experiments of the comparison of all methods."""
FEW = tuple(name for name in EXPERIMENTS if name.startswith("candidates-"))
"""Experiments of the candidates."""
SCORES: Mapping[str, Band] = {
    "centred 100": (0, 1),
    "centred 10": (0, 1),
    "centred 1": (0, 1),
    "centred 0": (0, 1),
    "centred per-loss": (0, 1),
    "centred stop-trunk": (0, 1),
    "centred separate": (0, 1),
    "standardised 100": (0, 1),
    "popart": (0, 1),
    "usual": (0, 1),
    "raw 1": (0, 1),
    "raw 10": (0, 1),
    "raw 100": (0, 1),
    "raw per-loss": (0, 1),
    "raw stop-trunk": (0, 1),
}
"""Bands of mean success over the twelve conditions, by method."""
GAINS: Mapping[str, Band] = {
    "0": (-1, 1),
    "1": (-1, 1),
    "10": (-1, 1),
    "100": (-1, 1),
    "stop-trunk": (-1, 1),
    "per-loss": (-1, 1),
    "equal": (-1, 1),
    "pcgrad": (-1, 1),
    "uncertainty": (-1, 1),
    "return-scale": (-1, 1),
    "separate": (-1, 1),
}
"""Bands of what centring adds to mean success, by rule."""
BEHIND: Mapping[str, Band] = {"centred 100": (-1, 1), "centred per-loss": (-1, 1)}
"""Bands of the mean success lost to the best method."""
FAILURES: Mapping[str, Band] = {
    "centred 0": (0, 14),
    "centred 10": (0, 14),
    "centred 100": (0, 14),
    "centred per-loss": (0, 14),
    "centred separate": (0, 14),
    "usual": (0, 14),
}
"""Bands of the number of conditions in which fewer than half of the seeds learn, by candidate."""
ENOUGH = 0.9  # success
TRIED: Mapping[str, Mapping[int, Band]] = {
    name: {15: (0, 1), 60: (0, 1), 120: (0, 1)} for name in FAILURES
}
"""Bands of success at learning rate 0.005, by candidate and steps."""
VERDICTS: Mapping[str, Band] = {"right": (0, 9), "wrong": (0, 9), "undecided": (0, 9)}
"""Bands of the number of predictions with a verdict, of nine."""
BRAKES: Mapping[tuple[str, float], Band] = {
    ("fixed", 1.0): (0, 1),
    ("stop-trunk", 1.0): (0, 1),
    ("stop-trunk", 0.3): (0, 1),
    ("stop-trunk", 0.1): (0, 1),
    ("stop-trunk", 0.03): (0, 1),
}
"""Bands of success at 60 steps and weight 100, by rule and factor on the trunk's steps."""
BRAKE: Band = (-1, 1)
"""Band of the success that a tenth of the steps brings, less that of a heavy critic."""
LEADER = "centred 100"
LEADS: Mapping[tuple[str, int], Band] = {
    (name, steps): (-1, 1) for name in TRIED for steps in (60, 120) if name != LEADER
}
"""Bands of the success of the leader less that of another, by candidate and steps."""
SLOWER: Mapping[tuple[str, int], Band] = {
    (name, steps): (0, 9) for name in TRIED for steps in (15, 60) if name != LEADER
}
"""Bands of the ratio of times to learn, to the leader's, by candidate and steps."""
UNCHANGED: Mapping[str, float] = {
    "critic_weight": 100.0,
    "entropy_weight": 0.0,
    "discount": 1.0,
}
CHANGES: Mapping[str, Mapping[str, float]] = {
    "no change": {},
    "weight 1000": {"critic_weight": 1000.0},
    "entropy": {"entropy_weight": 0.1},
    "discount": {"discount": 0.9},
}
"""Changes to a centred critic of weight 100."""
LIMITS: Mapping[int, Mapping[str, tuple[Band, Band]]] = {
    steps: dict.fromkeys(CHANGES, ((0, 1), (0, 1))) for steps in (120, 240)
}
"""Bands of success and of collapse by steps and change."""
HELPS: Mapping[int, Mapping[str, Band]] = {
    steps: {name: (-1, 1) for name in CHANGES if name != "no change"} for steps in (120, 240)
}
"""Bands of the success that a change adds."""


def rule_claims(evidence: Evidence) -> Iterator[Claim]:
    """The comparison of all methods, and its predictions."""
    methods = compared(evidence)
    best = methods.ranking()[0]
    for name, band in SCORES.items():
        says = f"{name}: mean success over the twelve conditions"
        yield _all(f"score-{_slug(name)}", says, methods.success(name), band)
    for rule, band in GAINS.items():
        gain = methods.difference(f"centred {rule}", f"raw {rule}")
        yield _all(f"gain-{rule}", f"{rule}: mean success centred less raw", gain, band)
    for name, band in BEHIND.items():
        loss = methods.difference(best, name)
        says = f"{name}: mean success lost to the best method"
        yield _all(f"behind-{_slug(name)}", says, loss, band)
    tied = sum(methods.tied(best, name) for name in methods.methods) - 1
    yield _count("tied", "methods tied with the best", tied, (0, 24))
    for name, band in FAILURES.items():
        says = f"{name}: conditions of {len(CONDITIONS)} in which fewer than half learn"
        yield _count(f"failures-{_slug(name)}", says, len(methods.failures(name)), band)
    yield _all(
        "correlation",
        "rank correlation of the methods with the held-out conditions",
        methods.rank_correlation(),
        (0.7, 1),
    )
    yield from _verdicts([*judged_rules(methods), judged_brake(evidence.of("brake"))])


def _verdicts(predictions: list[Prediction]) -> Iterator[Claim]:
    """The number of predictions with each verdict."""
    found = Counter[str](each.verdict for each in predictions)
    for verdict, band in VERDICTS.items():
        yield Claim(
            name=f"rules-{verdict}",
            says=f"predictions about rules, of {len(predictions)}, that are {verdict}",
            estimate=Estimate(found[verdict]),
            band=band,
            experiments=(*ALL, "brake"),
            digits=0,
        )


def candidate_claims(evidence: Evidence) -> Iterator[Claim]:
    """Candidates for the recommendation, with 96 seeds."""
    methods = candidates(evidence)
    for name, bands in TRIED.items():
        for steps, band in bands.items():
            yield Claim(
                name=f"candidates-{_slug(name)}-{steps}",
                says=f"{name}, {steps} steps, learning rate 0.005: fraction that learns",
                estimate=methods.success(name, f"{steps} steps"),
                band=band,
                experiments=FEW,
            )
    for (name, steps), band in LEADS.items():
        yield Claim(
            name=f"candidates-lead-{_slug(name)}-{steps}",
            says=f"{LEADER}, {steps} steps, learning rate 0.005: success less that of {name}",
            estimate=methods.difference(LEADER, name, f"{steps} steps"),
            band=band,
            experiments=FEW,
        )
    for (name, steps), band in SLOWER.items():
        yield Claim(
            name=f"candidates-time-{_slug(name)}-{steps}",
            says=f"{name}, {steps} steps: median time to learn relative to {LEADER}",
            estimate=methods.time_ratio(name, LEADER, f"{steps} steps"),
            band=band,
            experiments=FEW,
        )


def brake_claims(evidence: Evidence) -> Iterator[Claim]:
    """Small steps of the trunk in place of a heavy critic, at 60 steps and weight 100."""
    runs = evidence.of("brake")
    heavy = runs.at(episode_length=60, critic_weight=100.0)
    for (balance, factor), band in BRAKES.items():
        yield Claim(
            name=f"brake-{balance}-{factor:g}",
            says=f"{balance}, 60 steps, trunk's steps times {factor:g}: fraction that learns",
            estimate=rate(heavy.at(balance=balance, trunk_rate=factor).learned),
            band=band,
            experiments=("brake",),
        )
    (difference,) = judged_brake(runs).parts
    yield Claim(
        name="brake-difference",
        says=difference.says,
        estimate=difference.estimate,
        band=BRAKE,
        experiments=("brake",),
    )


def limit_claims(evidence: Evidence) -> Iterator[Claim]:
    """Changes that may help a centred critic of weight 100 in long episodes."""
    grid = evidence.of("limits")
    for steps, bands in LIMITS.items():
        runs = grid.at(episode_length=steps)
        usual = runs.at(**UNCHANGED)
        for name, (learned, collapsed) in bands.items():
            changed = runs.at(**{**UNCHANGED, **CHANGES[name]})
            says = f"centred 100, {steps} steps, {name}: fraction that"
            for what, fraction, band in (
                ("success", changed.learned, learned),
                ("collapsed", changed.collapsed, collapsed),
            ):
                yield Claim(
                    name=f"limits-{what}-{_slug(name)}-{steps}",
                    says=f"{says} {'learns' if what == 'success' else 'collapses'}",
                    estimate=rate(fraction),
                    band=band,
                    experiments=("limits",),
                )
        for name, band in HELPS[steps].items():
            changed = runs.at(**{**UNCHANGED, **CHANGES[name]})
            yield Claim(
                name=f"limits-gain-{_slug(name)}-{steps}",
                says=f"centred 100, {steps} steps: success gained by {name}",
                estimate=rate_difference(changed.learned, usual.learned),
                band=band,
                experiments=("limits",),
            )


def _slug(method: str) -> str:
    return method.replace(" ", "-")


def _all(name: str, says: str, estimate: Estimate, band: Band) -> Claim:
    """A claim about the comparison of all methods."""
    return Claim(name=f"rules-{name}", says=says, estimate=estimate, band=band, experiments=ALL)


def _count(name: str, says: str, number: int, band: Band) -> Claim:
    return replace(_all(name, says, Estimate(number), band), digits=0)


GROUPS = (rule_claims, candidate_claims, brake_claims, limit_claims)
