"""The error of an invalid argument of a check."""

from __future__ import annotations

from pwm.core.errors import InputError


class ArgumentError(InputError):
    """An invalid argument of a function, named as in its call; `value` may describe it."""

    def __str__(self) -> str:
        return f"{self.name} {self.value}: expected {self.accepted}"


def require_argument(condition: bool, name: str, value: object, accepted: str) -> None:
    """Raises `ArgumentError` unless the condition holds."""
    if not condition:
        raise ArgumentError(name, value, accepted)
