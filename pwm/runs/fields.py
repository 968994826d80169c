"""Reads and changes the fields of configurations by name, and converts them to and from JSON.

A configuration is a frozen dataclass, whose fields may be configurations themselves. No two fields
share a name, so a name such as "episode_length" identifies one field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from numbers import Real
from typing import Any

from pwm.core.errors import InputError

ORIGINAL = {
    "stimulus_set", "trial_length", "episode_length", "timeout", "hold_reward",
    "hidden_size", "carry_state", "separate_trunks",
    "baseline", "policy_reduction", "discount", "entropy_weight", "optimism", "lost_gradients",
    "critic_weight", "learning_rate", "num_episodes", "log_every", "probe_episodes", "seed",
}  # fmt: skip
"""Fields that existed when the first runs were published; those that hold configurations are not
listed. All other fields were added later, and their defaults must never change."""


def identity(config: Any) -> dict[str, Any]:
    """The fields that identify a configuration, as nested dictionaries for JSON.

    A field that was added after the `ORIGINAL` ones is left out while it has its default, so shards
    published before it existed keep their keys. In a field annotated `float` or `float | ...`, an
    integer or a number of NumPy becomes a float, so 2 and 2.0 give the same identity.
    """
    content: dict[str, Any] = {}
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            value = identity(value)
        elif item.name not in ORIGINAL and value == item.default:
            continue
        elif isinstance(value, Real) and str(item.type).startswith("float"):  # its source text
            value = float(value)
        content[item.name] = value
    return content


def restored(default: Any, data: Mapping[str, Any]) -> Any:
    """Rebuilds a configuration from nested dictionaries: the inverse of `identity`.

    Args:
        default: a configuration of the same class, which supplies the fields missing from the data.
        data: the result of `identity` or `dataclasses.asdict`, which may have been saved as JSON.
    Raises:
        KeyError: the data have a field that the class lacks.
        ValueError, TypeError, AttributeError: the data have an invalid value.
    """
    defaults = vars(default)
    values: dict[str, Any] = {}
    for name, value in data.items():
        if is_dataclass(defaults[name]):
            values[name] = restored(defaults[name], value)
        else:
            values[name] = tuple(value) if isinstance(value, list) else value  # JSON has no tuples
    return replace(default, **values)


def flat(config: Any) -> dict[str, Any]:
    """Values of all fields by name, with those of nested configurations in their place."""
    values: dict[str, Any] = {}
    for name, value in vars(config).items():
        if is_dataclass(value):
            values |= flat(value)
        else:
            values[name] = value
    return values


def replaced(config: Any, values: Mapping[str, Any]) -> Any:
    """Copies the configuration with new values for some of its fields, at any depth.

    Raises:
        InputError: there is no such field, or a value is invalid.
    """
    current = flat(config)
    for name, value in values.items():
        if name not in current:
            raise InputError(name, value, "a field that exists: one of " + ", ".join(current))
    new: dict[str, Any] = {}
    for name, value in vars(config).items():
        if is_dataclass(value):
            if nested := {key: values[key] for key in flat(value) if key in values}:
                new[name] = replaced(value, nested)
        elif name in values:
            new[name] = values[name]
    return replace(config, **new)
