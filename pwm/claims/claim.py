"""A claim: a number with the band in which the paper's sentence about it is true."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pwm.analysis.estimates import Estimate, rounded

Band = tuple[float, float]
"""Least and greatest value with which a sentence about a number is true."""
FACTOR = 2.0  # a prediction of an edge is right within this factor


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A number that the paper quotes, with a sentence about it and the sentence's band.

    The number and its interval are `rounded`, so that they are the same on every processor.
    """

    name: str
    """Its name in `paper/numbers.json`, without the prefix "claim."."""
    says: str
    """Description of the number; true if the number lies in the band."""
    estimate: Estimate
    band: Band
    """Range in which the sentence is true; it follows from the sentence, not from the number."""
    experiments: tuple[str, ...]
    """Experiments whose runs it rests on."""
    digits: int = 2
    """Decimal places in print."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "estimate", Estimate(*map(rounded, self.estimate)))

    @property
    def holds(self) -> bool:
        """Whether the number lies in its band."""
        low, high = self.band
        return low <= self.estimate.value <= high

    @property
    def text(self) -> str:
        """The number as the paper prints it, with its interval if it has one."""
        rounded = (round(part, self.digits) + 0.0 for part in self.estimate)  # turns -0.0 into 0.0
        value, low, high = (f"{part:,.{self.digits}f}" for part in rounded)
        return value if math.isnan(self.estimate.low) else f"{value} [{low}, {high}]"


def right(predicted: float) -> Band:
    """Band of a number that was predicted correctly: within a factor of `FACTOR`."""
    return predicted / FACTOR, predicted * FACTOR


def too_low(predicted: float) -> Band:
    """Band of a number that was predicted too low: by more than a factor of `FACTOR`."""
    return predicted * FACTOR, math.inf
