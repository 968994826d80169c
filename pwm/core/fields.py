"""Fields that were added to a configuration after its runs were published."""

from __future__ import annotations

from dataclasses import field
from typing import TypeVar

Value = TypeVar("Value")
OMIT_IF_EQUAL = "omit if equal"  # key of a field's metadata


def added_later(default: Value) -> Value:
    """Declares a field of a configuration whose runs had been published without it.

    For instance `noise: float = added_later(0.0)`. Runs with the default keep their names (see
    `pwm.runs.fields.identity`), so the default must never change.
    """
    return field(default=default, metadata={OMIT_IF_EQUAL: default})
