"""Bad input, reported for the person who typed it."""

from __future__ import annotations

LARGEST = 1e38  # about the largest float32


class InputError(ValueError):
    """A value that cannot be accepted.

    Args:
        name: field that was given the value, shown as a flag; in capitals, a positional argument.
        value: as given.
        accepted: what would have been accepted, in words.
    """

    def __init__(self, name: str, value: object, accepted: str) -> None:
        super().__init__(name, value, accepted)
        self.name, self.value, self.accepted = name, value, accepted

    def __str__(self) -> str:
        shown = self.name if self.name.isupper() else "--" + self.name.replace("_", "-")
        return f"{shown} {self.value}: expected {self.accepted}"


class FileError(InputError):
    """A file that cannot be used: its path, and what would have been accepted, in words."""

    def __init__(self, path: object, accepted: str) -> None:
        super().__init__("FILE", path, accepted)
        self.args = (path, accepted)  # what unpickling calls the class with

    def __str__(self) -> str:
        return f"{self.value}: expected {self.accepted}"


def require(condition: bool, name: str, value: object, accepted: str) -> None:
    """Raises `InputError` unless the condition holds."""
    if not condition:
        raise InputError(name, value, accepted)


def require_finite(name: str, value: float, *, above_zero: bool = False) -> None:
    """Requires a number that is at least 0, or above 0, and finite as a float32."""
    accepted = f"a finite number {'above 0,' if above_zero else 'from 0'} to {LARGEST:g}"
    require(0 <= value <= LARGEST and (value > 0 or not above_zero), name, value, accepted)


def require_integer(name: str, value: int, least: int) -> None:
    """Requires an integer of at least `least`."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    require(is_integer and value >= least, name, value, f"an integer, {least} or above")


def require_file(condition: bool, path: object, accepted: str) -> None:
    """Raises `FileError` unless the condition holds."""
    if not condition:
        raise FileError(path, accepted)
