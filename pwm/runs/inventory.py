"""Lists a store, finds its damaged files, and explains why a shard is missing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pwm.core.errors import FileError, require
from pwm.engines import ENGINES
from pwm.io.inherited import counted
from pwm.runs.experiment import Experiment, Size
from pwm.runs.locks import is_locked
from pwm.runs.shards import Shard, plan
from pwm.runs.storage import PROVENANCE, STORED, UNFINISHED, Session, Store

SHOWN = 12  # characters of a key that are printed
Differences = dict[str, tuple[Any, Any]]
"""Values of a field in a missing and in a stored shard, by the name of the field that differs."""
Known = Mapping[str, tuple[Shard, str]]
"""Shards by key, each with a description: its experiment, size and number of runs."""


class Entry(NamedTuple):
    """A shard in a store, as listed by `python -m pwm.store ls`."""

    key: str
    state: str
    """"stored", "unfinished" or "damaged"."""
    description: str
    """Experiment and number of runs, as far as they are known."""
    bytes: int = 0
    """Size of the file; 0 if damaged."""
    sessions: Sequence[Session] = ()
    """Provenance; empty if damaged."""


def known_shards(experiments: Iterable[Experiment]) -> Known:
    """All shards of some experiments, in both sizes and for both engines, with descriptions."""
    sizes: tuple[Size, ...] = get_args(Size)
    known = {}
    for experiment, engine, size in itertools.product(experiments, ENGINES, sizes):
        for shard in plan(replace(experiment.sized(size), engine=engine)):
            num_runs = counted(len(shard.members), "run")
            known[shard.key] = shard, f"{experiment.name} ({size}), {num_runs}"
    return known


def entries(store: Store, known: Known) -> Iterator[Entry]:
    """Yields every stored shard of a store, then every unfinished shard, each verified.

    Shards that are not in `known` are described by their provenance.
    """
    for ending in (STORED, UNFINISHED):
        for key in store.all_keys(ending):
            yield _entry(store, key, ending, known)


def _entry(store: Store, key: str, ending: str, known: Known) -> Entry:
    """Verifies and describes a shard whose file has the ending `STORED` or `UNFINISHED`."""
    description = known[key][1] if key in known else "unknown experiment"
    try:
        found = store.read(key) if ending == STORED else store.read_checkpoint(key)
    except FileError:
        return Entry(key, "damaged", description)
    if key not in known:
        name = found.sessions[-1].get("experiment") or description
        num_runs = len(found.content["members"]["seed"])  # one seed per run
        description = f"{name}, {counted(num_runs, 'run')}"
    state = "stored" if ending == STORED else "unfinished"
    size = (store.folder / (key + ending)).stat().st_size
    return Entry(key, state, description, size, found.sessions)


def damaged_files(store: Store) -> list[Path]:
    """Paths of damaged files, and of a missing history or provenance if the other file exists."""
    finished = {*store.all_keys(STORED), *store.all_keys(PROVENANCE)}  # keys that have either file
    reads: list[tuple[Callable[[str], object], str]] = [
        *((store.read, key) for key in sorted(finished)),
        *((store.read_checkpoint, key) for key in store.all_keys(UNFINISHED)),
    ]
    damaged = []
    for read, key in reads:
        try:
            read(key)
        except FileError as error:
            damaged.append(Path(str(error.value)))  # `value` is the path of the file
    return damaged


def explain(prefix: str, store: Store, known: Known) -> Iterator[str]:
    """Yields lines that explain why a shard is missing, by comparison with the most similar one.

    Args:
        prefix: beginning of the shard's key, long enough to be unique.
        store: store that lacks the shard.
        known: shards that may be missing.
    Raises:
        InputError: no shard's key begins like this, or several do.
        FileError: the shard is stored, but damaged.
    """
    stored = store.all_keys()
    found = sorted({key for key in (*known, *stored) if key.startswith(prefix)})
    accepted = "the key of a shard, as `python -m pwm.sweep --dry-run --keys` prints it"
    require(len(found) > 0, "KEY", prefix, f"{accepted}; no experiment has this one")
    require(len(found) == 1, "KEY", prefix, f"{accepted}; several begin like this")
    (key,) = found
    if key in stored:
        store.read(key)
        yield f"{key} is stored in {store.folder}, undamaged."
        return
    shard, description = known[key]
    yield f"{key} is not stored in {store.folder}: {description}."
    if is_locked(store, shard):
        yield "It is being trained now."
    elif key in store.all_keys(UNFINISHED):
        yield "It is unfinished; `python -m pwm.sweep` continues it."
    content = _flattened(json.loads(shard.content))
    nearest, differences = _nearest(content, store)
    if not nearest:
        yield "Nothing undamaged is stored there."
        return
    yield f"The most similar stored shard is {nearest[:SHOWN]}, which differs in"
    for field, (in_missing, in_stored) in differences.items():
        yield f"  {field}: {_short(in_missing)} here, {_short(in_stored)} stored"


def _short(value: object) -> str:
    """Converts a value to text; abridges a list (one item per run) of more than 3 items."""
    if isinstance(value, list) and len(value) > 3:
        distinct = list(dict.fromkeys(value))
        shown = distinct if len(distinct) <= 3 else [distinct[0], "...", distinct[-1]]
        return f"{len(value)} runs with {', '.join(map(str, shown))}"
    return str(value)


def _nearest(content: Mapping[str, Any], store: Store) -> tuple[str, Differences]:
    """Finds the undamaged stored shard whose content differs in the fewest fields.

    Args:
        content: content of a missing shard, flattened.
        store: store to search.
    Returns:
        The key of the stored shard and its differences; both are empty if nothing is stored.
    """
    found: dict[str, Differences] = {}
    for key in store.all_keys():
        with suppress(FileError):
            stored = _flattened(store.read(key).content)
            found[key] = {
                name: (content.get(name), stored.get(name))
                for name in sorted(content.keys() | stored.keys())
                if content.get(name) != stored.get(name)
            }
    nearest = min(found, key=lambda key: len(found[key]), default="")
    return nearest, found.get(nearest, {})


def _flattened(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested dictionaries: {"a": {"b": 1}} becomes {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= _flattened(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
