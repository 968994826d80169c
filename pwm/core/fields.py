"""Fields that were added to a configuration after its runs were published."""

from __future__ import annotations

from dataclasses import field
from typing import TypeVar

Value = TypeVar("Value")
OMIT_IF_EQUAL = "omit if equal"  # key of a field's metadata


def added_later(default: Value) -> Value:
    """Declares a field of a configuration of which runs were published before it had this field.

    For instance `noise: float = added_later(0.0)`. Where such a field has its default, it is left
    out of what identifies a run (`pwm.runs.fields.identity`). Published runs therefore keep their
    names, and the default must never change.
    """
    return field(default=default, metadata={OMIT_IF_EQUAL: default})
