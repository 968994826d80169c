"""Configurations as data: fields by name, and the part of them that identifies a run.

A configuration is a frozen dataclass, which may hold others. No two fields share a name, so that
"episode_length" is enough to say which one is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass, replace
from typing import Any, TypeVar

from pwm.core.errors import InputError

Value = TypeVar("Value")
OMITTED = "omitted at"


def added(default: Value) -> Value:
    """A field added after runs were published.

    `identity` omits the field while it has this default, so that the runs published before keep
    their names. The default of a published field must never change.
    """
    return field(default=default, metadata={OMITTED: default})


def identity(config: Any) -> dict[str, Any]:
    """The fields that identify a configuration, as nested dictionaries for JSON.

    In a field annotated as `float`, 2 and 2.0 are the same.
    """
    content: dict[str, Any] = {}
    for part in fields(config):
        value = getattr(config, part.name)
        if OMITTED in part.metadata and value == part.metadata[OMITTED]:
            continue
        if is_dataclass(value):
            value = identity(value)
        elif part.type in ("float", float):
            value = float(value)
        content[part.name] = value
    return content


def restored(default: Any, data: Mapping[str, Any]) -> Any:
    """The configuration whose `identity`, or `dataclasses.asdict`, is the data.

    Args:
        default: a configuration of the same class; supplies the fields missing from the data.
        data: nested dictionaries.
    Raises:
        ValueError: the class lacks a field of the data.
    """
    omitted = {part.name: part.metadata[OMITTED] for part in fields(default) if part.metadata}
    values = vars(default) | omitted
    if unknown := data.keys() - values.keys():
        raise ValueError("unknown fields: " + ", ".join(sorted(unknown)))
    for name, value in data.items():
        values[name] = restored(values[name], value) if is_dataclass(values[name]) else value
    return replace(default, **values)


def flat(config: Any) -> dict[str, Any]:
    """Values of all fields by name, those of nested configurations included."""
    values: dict[str, Any] = {}
    for name, value in vars(config).items():
        values |= flat(value) if is_dataclass(value) else {name: value}
    return values


def replaced(config: Any, values: Mapping[str, Any]) -> Any:
    """A copy of the configuration with new values of some fields, its own or nested ones.

    Raises:
        InputError: there is no such field, or it cannot have that value.
    """
    known = flat(config)
    for name, value in values.items():
        if name not in known:
            raise InputError(name, value, "a field that exists: one of " + ", ".join(known))
    new = {}
    for name, value in vars(config).items():
        if is_dataclass(value):
            inner = {key: values[key] for key in flat(value).keys() & values.keys()}
            new[name] = replaced(value, inner)
        elif name in values:
            new[name] = values[name]
    return replace(config, **new)
