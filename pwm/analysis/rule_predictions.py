"""Verdicts on the predictions about rules that balance the two losses.

The predictions are in `paper/predictions.json` (`fourth`, `rules`: `predictions` and `brake`). They
name methods and conditions as `pwm.analysis.rules` does: "raw 10" is a critic of weight 10 that
learns raw returns, "centred equal" the rule `equal` with centred returns. A prediction compares
measured numbers with bounds; "better" and "tied" compare a difference's interval with zero.
"""

from __future__ import annotations

from pwm.analysis.estimates import Estimate, rate_difference
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.rules import Comparison

SHARING = ("1", "10", "100", "per-loss", "equal", "pcgrad", "uncertainty", "return-scale")
"""Weights and rules with which the critic trains the trunk, the layers shared with the policy."""
APART = ("stop-trunk", "separate")  # rules with which the critic trains no layer of the policy


def judged_rules(comparison: Comparison) -> dict[str, bool]:
    """Whether each prediction about the comparison of all methods is right, in published order."""

    def success(method: str, condition: str) -> float:
        """Fraction of seeds that learned with a method in a condition."""
        return comparison.success(method, condition).value

    def close(one: str, other: str) -> bool:
        """Whether the mean success of two methods differs by at most 0.1."""
        return abs(comparison.difference(one, other).value) <= 0.1

    def gain(rule: str) -> Estimate:
        """Mean success of a rule or weight with centred returns minus that with raw returns."""
        return comparison.difference(f"centred {rule}", f"raw {rule}")

    heavy = ("centred 100", "standardised 100")
    others = [name for name in comparison.methods if name not in heavy]
    return {
        # Centred at weight 100 is the best or tied with it.
        "winner": comparison.tied("centred 100", comparison.ranking()[0]),
        # Every rule is better centred than raw, but for stop-trunk and separate: tied.
        "centring": all(gain(rule).low > 0 for rule in ("0", *SHARING))
        and all(comparison.tied(f"centred {rule}", f"raw {rule}") for rule in APART),
        # Raw, fewer than half learn with each of `SHARING`, more than half with each of `APART`.
        "raw-sharing": all(success(f"raw {rule}", "120 steps, 0.001") < 0.5 for rule in SHARING)
        and all(success(f"raw {rule}", "120 steps, 0.001") > 0.5 for rule in APART),
        # popart is within 0.1 of centred 1, standardised 100 within 0.1 of centred 100.
        "scaling": close("popart", "centred 1") and close("standardised 100", "centred 100"),
        # usual is among the worse half: its rank, 1 for the best, exceeds the mean of all ranks.
        "usual": comparison.rank("usual") > (len(comparison.methods) + 1) / 2,
        # No method but centred 100 and standardised 100 learns in more than half.
        "longest": all(success(name, "240 steps, 0.005") <= 0.5 for name in others),
        # Centred 100 learns in at least 0.8, centred 0 in fewer than 0.6.
        "heavy": success("centred 100", "120 steps, 0.005") >= 0.8
        and success("centred 0", "120 steps, 0.005") < 0.6,
        # Ranks correlate with those in the held-out conditions by at least 0.7.
        "held-out": comparison.rank_correlation().value >= 0.7,
    }


def judged_brake(runs: Outcomes) -> bool:
    """Whether the prediction is right that a heavy critic helps only by slowing the trunk."""
    return brake_difference(runs).value >= -0.1


def brake_difference(runs: Outcomes) -> Estimate:
    """Success with a slow trunk that the critic does not train, minus that with a heavy critic.

    The slow trunk has a tenth of the learning rate. If a heavy critic helps only by slowing the
    trunk, about as many seeds learn either way. `runs`: the experiment `brake`, read at 60 steps.
    """
    at_60 = runs.at(episode_length=60, critic_weight=100.0)
    slow_trunk = at_60.at(balance="stop-trunk", trunk_rate=0.1)
    heavy_critic = at_60.at(balance="fixed", trunk_rate=1.0)
    return rate_difference(slow_trunk.learned, heavy_critic.learned)
