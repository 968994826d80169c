"""Verdicts on the predictions about rules that balance the two losses.

The predictions are in `paper/predictions.json` (`fourth`, `rules`: `predictions` and `brake`). They
name methods and conditions as `pwm.analysis.rules` does: "raw 10" is a critic of weight 10 that
learns raw returns, "centred equal" the rule `equal` with centred returns. A prediction is right if
all of its parts are met, and wrong otherwise. A part compares a measured number with a bound; only
"better" and "tied" depend on the number's interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Literal, NamedTuple

from pwm.analysis.estimates import Estimate, rate_difference
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.rules import METHODS, Comparison

Verdict = Literal["right", "wrong"]
Side = Callable[[float, float], bool]
"""Comparison of a number with the bound that was predicted for it: `lt`, `le`, `ge` or `gt`."""
SHARING = ("1", "10", "100", "per-loss", "equal", "pcgrad", "uncertainty", "return-scale")
"""Weights and rules with which the critic trains the trunk, the layers shared with the policy."""
APART = ("stop-trunk", "separate")
"""Rules with which the critic trains no layer of the policy."""


class Part(NamedTuple):
    """One number of a prediction, and whether it is as predicted."""

    says: str  # description of the number
    estimate: Estimate
    met: bool


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A prediction, and the measured numbers that decide it."""

    name: str
    says: str
    parts: tuple[Part, ...]

    @property
    def verdict(self) -> Verdict:
        """Verdict "right" if all parts are met, else "wrong"."""
        return "right" if all(part.met for part in self.parts) else "wrong"


def judged_rules(methods: Comparison) -> Iterator[Prediction]:
    """Yields the predictions about the comparison of all methods, in their published order."""
    yield from _on_centring(methods)
    yield from _on_other_methods(methods)
    yield from _on_long_episodes(methods)
    yield Prediction(
        name="held-out",
        says="rank correlation with the held-out conditions of at least 0.7",
        parts=(_bounded("correlation", methods.rank_correlation(), ge, 0.7),),
    )


def _on_centring(methods: Comparison) -> Iterator[Prediction]:
    """Yields the predictions about centred returns."""
    yield Prediction(
        name="winner",
        says="centred at weight 100 is the best or tied with it",
        parts=(_tied(methods, "centred 100", methods.ranking()[0]),),
    )
    centring = []
    for method in METHODS:
        returns, _, rule = method.partition(" ")
        if returns == "raw":
            compare = _tied if rule in APART else _better
            centring.append(compare(methods, f"centred {rule}", method))
    yield Prediction(
        name="centring",
        says="every rule is better centred than raw, but for stop-trunk and separate: tied",
        parts=tuple(centring),
    )
    condition = "120 steps, 0.001"
    sharing = [_success(methods, f"raw {rule}", condition, lt, 0.5) for rule in SHARING]
    apart = [_success(methods, f"raw {rule}", condition, gt, 0.5) for rule in APART]
    yield Prediction(
        name="raw-sharing",
        says=f"raw at {condition}: fewer than half learn if the critic shares the trunk, else more",
        parts=(*sharing, *apart),
    )


def _on_other_methods(methods: Comparison) -> Iterator[Prediction]:
    """Yields the predictions about standardised returns and the usual setting of libraries."""
    yield Prediction(
        name="scaling",
        says="popart is within 0.1 of centred 1, standardised 100 within 0.1 of centred 100",
        parts=(
            _close(methods, "popart", "centred 1", within=0.1),
            _close(methods, "standardised 100", "centred 100", within=0.1),
        ),
    )
    middle = (len(methods.methods) + 1) / 2  # mean of all ranks; the best rank is 1
    yield Prediction(
        name="usual",
        says="usual is among the worse half",
        parts=(_bounded("rank of usual", methods.rank("usual"), gt, middle),),
    )


def _on_long_episodes(methods: Comparison) -> Iterator[Prediction]:
    """Yields the predictions about 240 and 120 steps at learning rate 0.005."""
    longest, heavy = "240 steps, 0.005", ("centred 100", "standardised 100")
    others = [name for name in methods.methods if name not in heavy]
    yield Prediction(
        name="longest",
        says=f"{longest}: no method but {heavy[0]} and {heavy[1]} learns in more than half",
        parts=tuple(_success(methods, name, longest, le, 0.5) for name in others),
    )
    condition = "120 steps, 0.005"
    yield Prediction(
        name="heavy",
        says=f"{condition}: centred 100 learns in at least 0.8, centred 0 in fewer than 0.6",
        parts=(
            _success(methods, "centred 100", condition, ge, 0.8),
            _success(methods, "centred 0", condition, lt, 0.6),
        ),
    )


def judged_brake(runs: Outcomes) -> Prediction:
    """The prediction that a heavy critic only acts as a brake: it slows the shared trunk down.

    If so, about as many seeds learn with a trunk that has no gradient of the critic and a tenth of
    the learning rate.

    Args:
        runs: the runs of the experiment `brake`.
    """
    at_60 = runs.at(episode_length=60, critic_weight=100.0)
    slow_trunk = at_60.at(balance="stop-trunk", trunk_rate=0.1)
    heavy_critic = at_60.at(balance="fixed", trunk_rate=1.0)
    difference = rate_difference(slow_trunk.learned, heavy_critic.learned)
    says = "60 steps, 0.005: stop-trunk with steps a tenth as long, less weight 100"
    return Prediction(
        name="brake",
        says=f"{says}: at least -0.1",
        parts=(_bounded(says, difference, ge, -0.1),),
    )


def _bounded(says: str, estimate: Estimate, side: Side, bound: float) -> Part:
    """Part that is met if the number lies on the predicted side of the bound."""
    return Part(says, estimate, side(estimate.value, bound))


def _success(methods: Comparison, method: str, condition: str, side: Side, bound: float) -> Part:
    """Part that is met if a method's success in a condition is on the given side of the bound."""
    return _bounded(method, methods.success(method, condition), side, bound)


def _better(methods: Comparison, one: str, other: str) -> Part:
    """Part that is met if `one` has more mean success: the difference's interval is above 0."""
    difference = methods.difference(one, other)
    return Part(f"{one} less {other}", difference, difference.low > 0)


def _tied(methods: Comparison, one: str, other: str) -> Part:
    """Part that is met if two methods are tied: the interval of their difference includes 0."""
    return Part(f"{one} less {other}", methods.difference(one, other), methods.tied(one, other))


def _close(methods: Comparison, one: str, other: str, *, within: float) -> Part:
    """Part that is met if the mean success of two methods differs by at most `within`."""
    difference = methods.difference(one, other)
    return Part(f"{one} less {other}", difference, abs(difference.value) <= within)
