"""Statements of a set of predictions, each with the measured number that decides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from pwm.analysis.estimates import Estimate


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A predicted statement: the measured number, and the values with which it is right."""

    name: str
    says: str
    """Description of the number."""
    estimate: Estimate
    region: tuple[float, float]
    """Least and greatest value with which the statement is right."""
    experiments: tuple[str, ...]
    otherwise: bool = False
    """Whether the statement's alternative holds, which makes it right in any case."""

    @property
    def right(self) -> bool:
        """Whether the number lies in the region, or the alternative holds."""
        return self.otherwise or self.region[0] <= self.estimate.value <= self.region[1]

    @property
    def wrong_region(self) -> tuple[float, float]:
        """Least and greatest value with which the statement is wrong."""
        low, high = self.region
        return (high, inf) if high < inf else (-inf, low)


def predicted_statement(
    name: str, said: Mapping[str, Any], estimate: Estimate, experiments: tuple[str, ...] = ()
) -> Statement:
    """A statement from its entry `said` in `paper/predictions.json`, and the measured number.

    The entry has a description of the number (`measured`), and the least and greatest value with
    which the statement is right (`right`; null for no limit).
    """
    low, high = said["right"]
    return Statement(
        name=name,
        says=said["measured"],
        estimate=estimate,
        region=(-inf if low is None else low, inf if high is None else high),
        experiments=experiments,
    )
