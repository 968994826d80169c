"""Lists a store, finds its damaged files, and explains why a shard is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

SHOWN = 12  # characters of a key
Known = Mapping[str, tuple[Shard, str]]
"""Shards that experiments plan, by key, each with its experiment, size and number of runs."""


class Entry(NamedTuple):
    """A shard in a store."""

    key: str
    state: str
    """"stored", "unfinished" or "damaged"."""
    runs: str
    """Its experiment and number of runs, as far as they are known."""
    bytes: int = 0
    sessions: Sequence[Session] = ()


def known_shards(experiments: Iterable[Experiment]) -> Known:
    """Shards of some experiments, in either size and for either engine."""
    sizes: tuple[Size, ...] = get_args(Size)
    return {
        shard.key: (shard, f"{shard.experiment} ({size}), {counted(len(shard.members), 'run')}")
        for experiment in experiments
        for engine in ENGINES
        for size in sizes
        for shard in plan(replace(experiment.sized(size), engine=engine))
    }


def entries(store: Store, known: Known) -> Iterator[Entry]:
    """Yields every stored shard, then every unfinished one, each verified.

    Args:
        store: to list.
        known: shards with a description; others are named by their provenance.
    """
    reads = {STORED: store.read, UNFINISHED: store.read_checkpoint}
    for ending, read in reads.items():
        for key in store.all_keys(ending):
            _, runs = known.get(key, (None, "unknown experiment"))
            try:
                _, content, sessions = read(key)
            except FileError:
                yield Entry(key, "damaged", runs)
                continue
            if key not in known:
                name = sessions[-1].get("experiment") or runs
                runs = f"{name}, {counted(len(content['members']['seed']), 'run')}"
            size = (store.folder / (key + ending)).stat().st_size
            yield Entry(key, "stored" if ending == STORED else "unfinished", runs, size, sessions)


def damaged_files(store: Store) -> list[Path]:
    """Files of a store that are damaged, or missing next to another of their shard."""
    damaged = []
    finished = sorted({*store.all_keys(STORED), *store.all_keys(PROVENANCE)})
    reads = {store.read: finished, store.read_checkpoint: store.all_keys(UNFINISHED)}
    for read, keys in reads.items():
        for key in keys:
            try:
                read(key)
            except FileError as error:
                damaged.append(Path(str(error.value)))
    return damaged


def explain(beginning: str, store: Store, known: Known) -> Iterator[str]:
    """Explains why a shard is missing, by comparison with the most similar stored one.

    Args:
        beginning: of the shard's key, long enough to be unique.
        store: to search.
        known: shards that may be missing.
    Yields:
        The lines of the explanation.
    Raises:
        InputError: no shard has that key, or several begin like that.
        FileError: the shard is stored, but damaged.
    """
    stored = store.all_keys()
    found = sorted({key for key in (*known, *stored) if key.startswith(beginning)})
    accepted = "the key of a shard, as `python -m pwm.sweep --dry-run --keys` prints it"
    require(len(found) > 0, "KEY", beginning, f"{accepted}; no experiment has this one")
    require(len(found) == 1, "KEY", beginning, f"{accepted}; several begin like this")
    (key,) = found
    if key in stored:
        store.read(key)
        yield f"{key} is stored in {store.folder}, undamaged."
        return
    shard, runs = known[key]
    yield f"{key} is not stored in {store.folder}: {runs}."
    if is_locked(store, shard):
        yield "It is being trained now."
    elif key in store.all_keys(UNFINISHED):
        yield "It is unfinished; `python -m pwm.sweep` continues it."
    nearest, differences = _nearest(_flattened(json.loads(shard.content)), store)
    if not nearest:
        yield "Nothing undamaged is stored there."
        return
    yield f"The most similar stored shard is {nearest[:SHOWN]}, which differs in"
    for field, (here, theirs) in differences.items():
        yield f"  {field}: {_short(here)} here, {_short(theirs)} stored"


def _short(value: object) -> str:
    """A value in words; of a long list, its length and some of its values."""
    if isinstance(value, list) and len(value) > 3:
        distinct = list(dict.fromkeys(value))
        shown = distinct if len(distinct) <= 3 else [distinct[0], "...", distinct[-1]]
        return f"{len(value)} runs with {', '.join(map(str, shown))}"
    return str(value)


def _nearest(ours: Mapping[str, Any], store: Store) -> tuple[str, dict[str, tuple[Any, Any]]]:
    """The undamaged stored shard that differs in the fewest fields, and those fields."""
    nearest, fewest = "", dict[str, tuple[Any, Any]]()
    for key in store.all_keys():
        with suppress(FileError):
            theirs = _flattened(store.read(key).content)
            differences = {
                name: (ours.get(name), theirs.get(name))
                for name in sorted(ours.keys() | theirs.keys())
                if ours.get(name) != theirs.get(name)
            }
            if not nearest or len(differences) < len(fewest):
                nearest, fewest = key, differences
    return nearest, fewest


def _flattened(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, their names joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        nested = isinstance(value, dict)
        flat |= _flattened(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return flat
