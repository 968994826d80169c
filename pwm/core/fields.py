"""Configurations as data: their fields by name, and what of them identifies a run.

A configuration is a frozen dataclass whose nested dataclasses hold further fields. Every field
has a name of its own, so that "episode_length" is enough to say which one is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass, replace
from typing import Any, TypeVar

from pwm.core.errors import InputError

Value = TypeVar("Value")
OMITTED = "omitted at"


def added(default: Value) -> Value:
    """A field that was added after runs were published.

    At this default, `identity` leaves the field out, so that the runs made before it was added
    keep their names. The default of a published field must not change.
    """
    return field(default=default, metadata={OMITTED: default})  # type: ignore[no-any-return]


def identity(config: Any) -> dict[str, Any]:
    """What identifies a configuration, as nested dictionaries for JSON; 2 and 2.0 are the same."""
    return {
        part.name: identity(value)
        if is_dataclass(value)
        else (float(value) if part.type == "float" else value)
        for part in fields(config)
        for value in [getattr(config, part.name)]
        if OMITTED not in part.metadata or value != part.metadata[OMITTED]
    }


def flat(config: Any) -> dict[str, Any]:
    """Every field's value by name, those of nested configurations included."""
    values: dict[str, Any] = {}
    for part in fields(config):
        value = getattr(config, part.name)
        values |= flat(value) if is_dataclass(value) else {part.name: value}
    return values


def replaced(config: Any, values: Mapping[str, Any]) -> Any:
    """The configuration with some fields, its own or nested ones, at other values.

    Raises:
        InputError: there is no such field, or it cannot have that value.
    """
    known = flat(config)
    for name, value in values.items():
        if name not in known:
            raise InputError(name, value, "a field that exists: one of " + ", ".join(known))
    own = {}
    for part in fields(config):
        inner = getattr(config, part.name)
        if is_dataclass(inner):
            inside = {name: value for name, value in values.items() if name in flat(inner)}
            if inside:
                own[part.name] = replaced(inner, inside)
        elif part.name in values:
            own[part.name] = values[part.name]
    return replace(config, **own) if own else config


def restored(default: Any, data: Mapping[str, Any]) -> Any:
    """The configuration whose fields, nested as dictionaries, are `data`.

    Args:
        default: a configuration of that class.
        data: from `identity` or `dataclasses.asdict`.
    Raises:
        ValueError: the data have a field that the class has not.
    """
    known = {part.name: part for part in fields(default)}
    if unknown := data.keys() - known.keys():
        raise ValueError("unknown fields: " + ", ".join(sorted(unknown)))
    values = {}
    for name, part in known.items():
        value = getattr(default, name)
        if name not in data:
            value = part.metadata.get(OMITTED, value)
        elif is_dataclass(value):
            value = restored(value, data[name])
        else:
            value = data[name]
        values[name] = value
    return replace(default, **values)
