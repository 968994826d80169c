"""The paper's numbers: constants, and claims with the bands in which their sentences are true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

from pwm.analysis.estimates import Estimate, rounded

Band = tuple[float, float]
"""Smallest and largest value of a number for which the sentence about it is true."""
Number = Mapping[str, Any]
"""An entry of `paper/numbers.json`: the text that the paper prints and usually more fields."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A number that the paper quotes, with the band in which the sentence about it is true."""

    name: str
    """Name of the claim in `paper/numbers.json`, without the prefix "claim."."""
    says: str
    """Description of the number, or a sentence about it."""
    estimate: Estimate
    """The number and its interval, rounded (`pwm.analysis.estimates.rounded`)."""
    band: Band
    """Range in which the sentence is true; it follows from the sentence, not from the number. Bands
    were written after the runs; predictions, made before, are in `paper/predictions.json`."""
    experiments: tuple[str, ...]
    """Names of the experiments whose runs the number is computed from."""
    digits: int = 2
    """Decimal places in print."""

    def __post_init__(self) -> None:
        estimate = Estimate(*map(rounded, self.estimate))
        object.__setattr__(self, "estimate", estimate)  # a frozen class's fields cannot be assigned

    @property
    def holds(self) -> bool:
        """Whether the number lies in its band."""
        low, high = self.band
        return low <= self.estimate.value <= high

    @property
    def text(self) -> str:
        """The number as the paper prints it, with its interval if it has one."""
        # The option z prints 0.0 for -0.0.
        value, low, high = (f"{part:z,.{self.digits}f}" for part in self.estimate)
        return value if isnan(self.estimate.low) else f"{value} [{low}, {high}]"


def slug(phrase: str) -> str:
    """Replaces spaces with hyphens, for a claim's name."""
    return phrase.replace(" ", "-")


def number(value: float, digits: int = 0, text: str = "") -> Number:
    """Entry for a constant, printed as `text` or, if this is empty, to `digits` decimal places."""
    value = rounded(value) if isinstance(value, float) else value
    return {"text": text or f"{value:,.{digits}f}", "value": value}


def unrounded(value: float) -> Number:
    """Entry for a constant of at most six significant digits, which are all printed."""
    return number(value, text=f"{value:g}")
