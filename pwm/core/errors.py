"""Exceptions for invalid input, which commands print on one line, and checks that raise them."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

LARGEST = 1e38  # a round number below the largest float32


class InputError(ValueError):
    """An invalid value of a field.

    Args:
        name: name of the field, printed as its flag; a name in upper case, such as a positional
            argument's, is printed as it is.
        value: the invalid value.
        accepted: description of valid values.
    """

    def __init__(self, name: str, value: object, accepted: str) -> None:
        super().__init__(name, value, accepted)  # pickle rebuilds the exception from these
        self.name, self.value, self.accepted = name, value, accepted

    def __str__(self) -> str:
        shown = self.name if self.name.isupper() else "--" + self.name.replace("_", "-")
        return f"{shown} {self.value}: expected {self.accepted}"


def require(condition: bool, name: str, value: object, accepted: str) -> None:
    """Raises `InputError` unless the condition holds."""
    if not condition:
        raise InputError(name, value, accepted)


def require_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raises `InputError` unless the value is one of the choices."""
    choices = list(choices)
    require(value in choices, name, value, "one of " + ", ".join(choices))


def is_number(value: Any, least: float = -LARGEST, most: float = LARGEST) -> bool:
    """Whether a value is a real number (also NumPy's, but not a bool) from `least` to `most`."""
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and bool(least <= value <= most)


def require_between(name: str, value: float, least: float, most: float) -> None:
    """Raises `InputError` unless the value is from `least` to `most`, both included."""
    is_valid = is_number(value, least, most)
    require(is_valid, name, value, f"a number from {least:g} to {most:g}")


def require_non_negative(name: str, value: float) -> None:
    """Raises `InputError` unless the value is from 0 to `LARGEST`."""
    require(is_number(value, 0), name, value, f"a finite number from 0 to {LARGEST:g}")


def require_positive(name: str, value: float) -> None:
    """Raises `InputError` unless the value is above 0, and at most `LARGEST`."""
    is_valid = is_number(value, 0) and value > 0
    require(is_valid, name, value, f"a finite number above 0 and at most {LARGEST:g}")


def require_integer(name: str, value: int, least: int) -> None:
    """Raises `InputError` unless the value is an `int`, not a bool or NumPy's, from `least`."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    require(is_integer and value >= least, name, value, f"an integer, {least} or above")
