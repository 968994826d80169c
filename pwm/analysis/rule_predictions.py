"""The predictions about rules that balance the two losses, each judged by its own words.

They stand in `paper/predictions.json` (`fourth`, `rules`: `predictions` and `brake`). A prediction
is right if each of its parts is met by the measured number, whatever its interval, and else wrong.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pwm.analysis.estimates import Estimate, rate_difference
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.rules import METHODS, Comparison, compared

Verdict = Literal["right", "wrong"]
SHARING = ("1", "10", "100", "per-loss", "equal", "pcgrad", "uncertainty", "return-scale")
"""Rules that let the critic share the trunk, without their returns."""
APART = ("stop-trunk", "separate")
"""Rules that do not."""


class Part(NamedTuple):
    """A number that a prediction speaks of."""

    says: str
    estimate: Estimate
    met: bool


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A prediction with its parts as measured."""

    name: str
    says: str
    parts: tuple[Part, ...]

    @property
    def missed(self) -> tuple[Part, ...]:
        """Parts that are not met."""
        return tuple(part for part in self.parts if not part.met)

    @property
    def verdict(self) -> Verdict:
        """Right if all parts are met."""
        return "wrong" if self.missed else "right"


def judged(evidence: Evidence) -> Iterator[Prediction]:
    """Every prediction in order; the last is that of the brake."""
    yield from judged_rules(compared(evidence))
    yield judged_brake(evidence.of("brake"))


def judged_rules(methods: Comparison) -> Iterator[Prediction]:
    """Those about the comparison of all methods."""
    best = methods.ranking()[0]
    yield Prediction(
        name="winner",
        says="centred at weight 100 is the best or tied with it",
        parts=(_tied(methods, "centred 100", best),),
    )
    both = [name.removeprefix("raw ") for name in METHODS if name.startswith("raw ")]
    yield Prediction(
        name="centring",
        says="every rule is better centred than raw, but for stop-trunk and separate: tied",
        parts=tuple(
            (_tied if rule in APART else _better)(methods, f"centred {rule}", f"raw {rule}")
            for rule in both
        ),
    )
    cell = "120 steps, 0.001"
    yield Prediction(
        name="raw-sharing",
        says=f"raw at {cell}: fewer than half learn if the critic shares the trunk, else more",
        parts=tuple(
            _number(f"raw {rule}", methods.success(f"raw {rule}", cell), side, 0.5)
            for rules, side in ((SHARING, operator.lt), (APART, operator.gt))
            for rule in rules
        ),
    )
    yield Prediction(
        name="scaling",
        says="popart is within 0.1 of centred 1, standardised 100 within 0.1 of centred 100",
        parts=(
            _close(methods, "popart", "centred 1"),
            _close(methods, "standardised 100", "centred 100"),
        ),
    )
    middle = (len(methods.methods) + 1) / 2
    yield Prediction(
        name="usual",
        says="usual is among the worse half",
        parts=(_number("rank of usual", methods.rank("usual"), operator.gt, middle),),
    )
    cell, heavy = "240 steps, 0.005", ("centred 100", "standardised 100")
    yield Prediction(
        name="longest",
        says=f"{cell}: no method but {heavy[0]} and {heavy[1]} learns in more than half",
        parts=tuple(
            _number(name, methods.success(name, cell), operator.le, 0.5)
            for name in methods.methods
            if name not in heavy
        ),
    )
    cell = "120 steps, 0.005"
    yield Prediction(
        name="heavy",
        says=f"{cell}: centred 100 learns in at least 0.8, centred 0 in fewer than 0.6",
        parts=(
            _number("centred 100", methods.success("centred 100", cell), operator.ge, 0.8),
            _number("centred 0", methods.success("centred 0", cell), operator.lt, 0.6),
        ),
    )
    yield Prediction(
        name="held-out",
        says="rank correlation with the held-out conditions of at least 0.7",
        parts=(_number("correlation", methods.rank_correlation(), operator.ge, 0.7),),
    )


def judged_brake(runs: Outcomes) -> Prediction:
    """That small steps of the trunk do for a stop-gradient trunk what a heavy critic does."""
    at_60 = runs.at(episode_length=60, critic_weight=100.0)
    braked = at_60.at(balance="stop-trunk", trunk_rate=0.1)
    heavy = at_60.at(balance="fixed", trunk_rate=1.0)
    says = "60 steps, 0.005: stop-trunk with steps a tenth as long, less weight 100"
    return Prediction(
        name="brake",
        says=f"{says}: at least -0.1",
        parts=(_number(says, rate_difference(braked.learned, heavy.learned), operator.ge, -0.1),),
    )


def _number(
    says: str, estimate: Estimate, side: Callable[[float, float], bool], bound: float
) -> Part:
    """A number that should lie on one side of a bound."""
    return Part(says, estimate, side(estimate.value, bound))


def _better(methods: Comparison, one: str, other: str) -> Part:
    """Met if one method beats another and they are not tied."""
    difference = methods.difference(one, other)
    return Part(f"{one} less {other}", difference, difference.low > 0)


def _tied(methods: Comparison, one: str, other: str) -> Part:
    return Part(f"{one} less {other}", methods.difference(one, other), methods.tied(one, other))


def _close(methods: Comparison, one: str, other: str, within: float = 0.1) -> Part:
    """Met if the means differ by no more than a bound."""
    difference = methods.difference(one, other)
    return Part(f"{one} less {other}", difference, abs(difference.value) <= within)
