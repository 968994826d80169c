"""Fields that were added to a configuration after its runs were published."""

from __future__ import annotations

from dataclasses import field
from typing import TypeVar

Value = TypeVar("Value")
OMIT_IF_EQUAL = "omit if equal"  # key of a field's metadata


def added_later(default: Value) -> Value:
    """Declares a field added to a configuration after runs of it were published.

    For instance `noise: float = added_later(0.0)`. The name of a stored run is a hash of its
    configuration. A field added later is left out of the hash while it has its
    default (`pwm.runs.fields.identity`), so published runs keep their names; the default must never
    change.
    """
    return field(default=default, metadata={OMIT_IF_EQUAL: default})
