"""Predicted statements, each with the measured number that decides whether it is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isnan
from typing import Any

from pwm.analysis.estimates import Estimate


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement about a number, right if the measured number lies in a given region."""

    name: str
    says: str
    """Description of the number."""
    estimate: Estimate
    region: tuple[float, float]
    """Smallest and largest number for which the statement is right."""
    experiments: tuple[str, ...]  # whose runs give the number
    otherwise: bool = False
    """Whether another condition is met that makes the statement right whatever the number is."""

    @property
    def right(self) -> bool:
        """Whether the number lies in the region, or the other condition is met."""
        return self.otherwise or self.region[0] <= self.estimate.value <= self.region[1]

    @property
    def unsure(self) -> bool:
        """Whether the number lies in the region, but its interval leaves it; not if `otherwise`."""
        _, low, high = self.estimate
        inside = self.region[0] <= low and high <= self.region[1]
        return self.right and not (isnan(low) or inside or self.otherwise)


def predicted_statement(
    name: str, entry: Mapping[str, Any], estimate: Estimate, experiments: tuple[str, ...] = ()
) -> Statement:
    """Makes a statement from its entry in `paper/predictions.json` and the measured number.

    The entry describes the number (`measured`), and gives the smallest and the largest value for
    which the statement is right (`right`; null for no limit).
    """
    low, high = entry["right"]
    return Statement(
        name=name,
        says=entry["measured"],
        estimate=estimate,
        region=(-inf if low is None else low, inf if high is None else high),
        experiments=experiments,
    )
