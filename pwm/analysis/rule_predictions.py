"""Verdicts on the predictions about rules that balance the two losses.

The predictions are in `paper/predictions.json` (`fourth`, `rules`: `predictions` and `brake`). They
name methods and conditions as `pwm.analysis.rules` does: "raw 10" is a critic of weight 10 that
learns raw returns, "centred equal" the rule `equal` with centred returns. A prediction compares
measured numbers with bounds; "better" and "tied" compare a difference's interval with zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pwm.analysis.estimates import Estimate, rate_difference
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.rules import Comparison

SHARING = ("1", "10", "100", "per-loss", "equal", "pcgrad", "uncertainty", "return-scale")
"""Weights and rules with which the critic trains the trunk, the layers shared with the policy."""
APART = ("stop-trunk", "separate")  # rules with which the critic trains no layer of the policy


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A prediction that was compared with the runs."""

    name: str
    says: str  # the prediction, in words
    right: bool  # whether the runs confirm all parts of it


def judged_rules(comparison: Comparison) -> Iterator[Prediction]:
    """Yields the judged predictions about the comparison of all methods, in published order."""

    def success(method: str, condition: str) -> float:
        """Fraction of seeds that learned with a method in a condition."""
        return comparison.success(method, condition).value

    def gain(rule: str) -> Estimate:
        """Mean success of a rule or weight with centred returns minus that with raw returns."""
        return comparison.difference(f"centred {rule}", f"raw {rule}")

    def close(one: str, other: str) -> bool:
        """Whether the mean success of two methods differs by at most 0.1."""
        return abs(comparison.difference(one, other).value) <= 0.1

    yield Prediction(
        name="winner",
        says="centred at weight 100 is the best or tied with it",
        right=comparison.tied("centred 100", comparison.ranking()[0]),
    )
    yield Prediction(
        name="centring",
        says="every rule is better centred than raw, but for stop-trunk and separate: tied",
        right=all(gain(rule).low > 0 for rule in ("0", *SHARING))  # 0: untrained critic
        and all(comparison.tied(f"centred {rule}", f"raw {rule}") for rule in APART),
    )
    condition = "120 steps, 0.001"
    yield Prediction(
        name="raw-sharing",
        says=f"raw at {condition}: fewer than half learn if the critic shares the trunk, else more",
        right=all(success(f"raw {rule}", condition) < 0.5 for rule in SHARING)
        and all(success(f"raw {rule}", condition) > 0.5 for rule in APART),
    )
    yield Prediction(
        name="scaling",
        says="popart is within 0.1 of centred 1, standardised 100 within 0.1 of centred 100",
        right=close("popart", "centred 1") and close("standardised 100", "centred 100"),
    )
    middle = (len(comparison.methods) + 1) / 2  # mean of all ranks; the best rank is 1
    yield Prediction(
        name="usual",
        says="usual is among the worse half",
        right=comparison.rank("usual") > middle,
    )
    condition, heavy = "240 steps, 0.005", ("centred 100", "standardised 100")
    others = [name for name in comparison.methods if name not in heavy]
    yield Prediction(
        name="longest",
        says=f"{condition}: no method but {heavy[0]} and {heavy[1]} learns in more than half",
        right=all(success(name, condition) <= 0.5 for name in others),
    )
    condition = "120 steps, 0.005"
    yield Prediction(
        name="heavy",
        says=f"{condition}: centred 100 learns in at least 0.8, centred 0 in fewer than 0.6",
        right=success("centred 100", condition) >= 0.8 and success("centred 0", condition) < 0.6,
    )
    yield Prediction(
        name="held-out",
        says="rank correlation with the held-out conditions of at least 0.7",
        right=comparison.rank_correlation().value >= 0.7,
    )


def judged_brake(runs: Outcomes) -> Prediction:
    """Judges the prediction that a heavy critic helps only by slowing the trunk."""
    return Prediction(
        name="brake",
        says="60 steps, 0.005: stop-trunk, steps a tenth as long, minus weight 100: at least -0.1",
        right=brake_difference(runs).value >= -0.1,
    )


def brake_difference(runs: Outcomes) -> Estimate:
    """Success with a slow trunk that the critic does not train, minus that with a heavy critic.

    The slow trunk has a tenth of the learning rate. If a heavy critic helps only by slowing the
    trunk, about as many seeds learn either way. `runs` are those of the experiment `brake`; those
    at 60 steps are compared.
    """
    at_60 = runs.at(episode_length=60, critic_weight=100.0)
    slow_trunk = at_60.at(balance="stop-trunk", trunk_rate=0.1)
    heavy_critic = at_60.at(balance="fixed", trunk_rate=1.0)
    return rate_difference(slow_trunk.learned, heavy_critic.learned)
