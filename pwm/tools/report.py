"""Result of the leak check: its verdict, the evidence, and the expected cost of a leak."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pwm.tools.reductions import EXACT, Losses

Verdict = Literal["leak", "no leak", "cannot tell"]

MEND = """\
To mend it, detach the advantages in the policy loss, for instance
    policy_loss = -(log_probs * advantages.detach()).mean()  # or .sum(), as it was
and leave the value loss as it is."""
RETURNS = """\
The values that you passed are detached already: another output of the critic leaks. If that is the
bootstrap value, the returns carry a gradient: compute the bootstrap value under torch.no_grad()."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Expected cost of a leak, where targets are returns of whole episodes."""

    bias: float
    """Expected bias of the values, in reward; 0 if normalised advantages cancel it."""
    bias_error: float
    """Standard error of `bias`, treating the batch's steps as independent."""
    scatter: float
    """Standard deviation of the returns around the values, in reward."""
    slowdown: float | None
    """Factor by which learning takes longer; None if unknown."""

    def rows(self) -> dict[str, str]:
        """Findings in words, by name."""
        if self.bias == 0:
            return {"bias": "none: it cancels"}
        bias = f"{self.bias:+.3g}"
        if self.bias_error > EXACT * abs(self.bias):
            bias += f" ± {self.bias_error:.2g}"
        bias += f" expected in the values; returns scatter by {self.scatter:.3g} around the values"
        if self.slowdown is None:
            return {"bias": bias}
        slow = f"up to about {self.slowdown:.2g} times the episodes, with RMSprop and returns of "
        return {"bias": bias, "slowdown": slow + "whole episodes; from this batch alone"}


@dataclass(frozen=True, kw_only=True)
class LeakReport:
    """Findings of `check_leak`; `print` shows them."""

    verdict: Verdict
    reason: str = ""
    """Obstacle and remedy, if the verdict is "cannot tell"."""
    head: tuple[str, ...] = ()
    """Parameters of the critic alone that the policy loss trains."""
    trunk: tuple[str, ...] = ()
    """Parameters shared by critic and policy that the policy loss trains through the critic."""
    other: tuple[str, ...] = ()
    """Parameters that the advantages depend on, but not the values that were passed."""
    values_used: bool = True
    """Whether the value loss, or the sum of both, was computed from the values passed."""
    through_values: bool = True
    """Whether the leak is through the values passed, not only through another critic output."""
    losses: Losses = field(default_factory=Losses)
    cost: Cost | None = None
    """Expected cost of the leak; None without a leak, or if unknown."""

    def __str__(self) -> str:
        if self.verdict == "cannot tell":
            return f"CANNOT TELL: {self.reason}."
        parts = {"head": self.head, "trunk": self.trunk, "other": self.other}
        rows = {part: ", ".join(names) for part, names in parts.items() if names}
        if not self.values_used:
            rows["values"] = (
                "some rows below cannot tell: pass the very tensor of values that the losses used"
            )
        rows |= self.losses.rows()
        if self.cost is not None:
            rows |= self.cost.rows()
        lines = [f"  {name:<12} {text}" for name, text in rows.items()]
        if self.verdict == "no leak":
            return "\n".join(["NO LEAK: the policy loss does not train the critic.", *lines])
        lines = ["LEAK: the policy loss trains the critic.", *lines, MEND]
        if self.values_used and not self.through_values:
            lines.append(RETURNS)
        return "\n".join(lines)
