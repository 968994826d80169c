"""Configurations as data: their fields by name, and the fields that identify a run.

A configuration is a frozen dataclass, possibly of further configurations. No two fields share a
name, so that "episode_length" identifies one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass, replace
from typing import Any, TypeVar

from pwm.core.errors import InputError

Value = TypeVar("Value")
OMIT_IF_EQUAL = "omit if equal"  # key of a field's metadata


def added(default: Value) -> Value:
    """Declares a field added after runs were published.

    Write `noise: float = added(0.0)` in its class. `identity` omits the field while it has this
    default, so that published runs keep their names; the default must never change.
    """
    return field(default=default, metadata={OMIT_IF_EQUAL: default})


def identity(config: Any) -> dict[str, Any]:
    """The fields that identify a configuration, as nested dictionaries for JSON.

    In a field whose annotation begins with `float`, 2 and 2.0 are the same.
    """
    content: dict[str, Any] = {}
    for item in fields(config):
        value = getattr(config, item.name)
        if OMIT_IF_EQUAL in item.metadata and value == item.metadata[OMIT_IF_EQUAL]:
            continue
        if is_dataclass(value):
            value = identity(value)
        elif isinstance(value, int) and str(item.type).startswith(("float", "<class 'float'>")):
            value = float(value)
        content[item.name] = value
    return content


def restored(default: Any, data: Mapping[str, Any]) -> Any:
    """The configuration whose `identity`, or `dataclasses.asdict`, is the data.

    Args:
        default: a configuration of the same class; supplies the fields missing from the data,
            except that a missing `added` field takes its published default.
        data: nested dictionaries.
    Raises:
        ValueError: the class lacks a field of the data.
    """
    values = dict(vars(default))
    for item in fields(default):
        values[item.name] = item.metadata.get(OMIT_IF_EQUAL, values[item.name])
    if unknown := data.keys() - values.keys():
        raise ValueError("unknown fields: " + ", ".join(sorted(unknown)))
    for name, value in data.items():
        if is_dataclass(values[name]):
            values[name] = restored(values[name], value)
        else:
            values[name] = tuple(value) if isinstance(value, list) else value  # as JSON writes it
    return replace(default, **values)


def flat(config: Any) -> dict[str, Any]:
    """Values of all fields by name, including those of nested configurations."""
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
    new = {name: values[name] for name in vars(config).keys() & values.keys()}
    for name, value in vars(config).items():
        if is_dataclass(value):
            inner = flat(value).keys() & values.keys()
            new[name] = replaced(value, {key: values[key] for key in inner})
    return replace(config, **new)
