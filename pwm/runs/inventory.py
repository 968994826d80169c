"""Lists stored shards (groups of runs), finds damaged files and explains why a shard is missing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

from pwm.core.errors import require
from pwm.io.errors import FileError
from pwm.io.inherited import counted
from pwm.runs.engines import ENGINES
from pwm.runs.experiment import Experiment, Size
from pwm.runs.locks import is_locked
from pwm.runs.shards import Shard, plan
from pwm.runs.storage import PROVENANCE, STORED, UNFINISHED, Store

SHOWN = 12  # characters of a key that are printed
LINE = "{:12}  {:10}  {:>7}  {:>8}  {:15}  {}"
HEADER = LINE.format("key", "state", "MB", "seconds", "commit", "runs")
Known = Mapping[str, tuple[Shard, str]]
"""Shards by key, each with a description: the last experiment that has it, size, number of runs."""


def known_shards(experiments: Iterable[Experiment]) -> Known:
    """All shards of some experiments, in both sizes (paper if equal) and for both engines."""
    known = {}
    for experiment, engine, size in itertools.product(experiments, ENGINES, get_args(Size)[::-1]):
        for shard in plan(replace(experiment.sized(size), engine=engine)):
            num_runs = counted(len(shard.members), "run")
            known[shard.key] = shard, f"{experiment.name} ({size}), {num_runs}"
    return known


def listed(store: Store, known: Known) -> Iterator[str]:
    """Yields a header, then a line per stored or unfinished shard, whose files it verifies.

    Shards that are not in `known` are described by their provenance, if undamaged.
    """
    yield HEADER
    for ending in (STORED, UNFINISHED):
        for key in store.all_keys(ending):
            yield _line(store, key, ending, known)


def _line(store: Store, key: str, ending: str, known: Known) -> str:
    """Line about a stored or unfinished shard: `ending` is `STORED` or `UNFINISHED`."""
    short = key[:SHOWN]
    description = known[key][1] if key in known else "unknown experiment"
    try:
        verified = store.read(key) if ending == STORED else store.read_checkpoint(key)
    except FileError:
        return LINE.format(short, "damaged", "", "", "", description)
    last = verified.sessions[-1]
    if key not in known:
        num_runs = len(verified.content["members"]["seed"])  # one seed per run
        description = f"{last.get('experiment') or description}, {counted(num_runs, 'run')}"
    if ending == UNFINISHED:
        return LINE.format(short, "unfinished", "", "", "", description)
    megabytes = (store.folder / (key + ending)).stat().st_size / 1e6
    seconds = sum(session["wall_seconds"] for session in verified.sessions)
    commit = (last["commit"] or "unknown")[:7]
    if last["commit"] and last["clean"] is False:
        commit += "+changes"
    return LINE.format(short, "stored", f"{megabytes:.2f}", f"{seconds:.1f}", commit, description)


def damaged_files(store: Store) -> list[object]:
    """Paths of damaged files, and of a missing history or provenance if the other exists."""
    stored = sorted({*store.all_keys(STORED), *store.all_keys(PROVENANCE)})  # by either file
    unfinished = store.all_keys(UNFINISHED)
    # `store.read` stops at a damaged history, before the provenance.
    checks = ((store.read, stored), (store.provenance, stored), (store.read_checkpoint, unfinished))
    paths = []
    for read, keys in checks:
        for key in keys:
            try:
                read(key)
            except FileError as error:
                paths.append(error.value)
    return list(dict.fromkeys(paths))  # each once


def explain(prefix: str, store: Store, known: Known) -> Iterator[str]:
    """Yields lines that explain why a shard is missing and how the most similar stored one differs.

    Of the keys in `known` and of stored shards, exactly one must begin with `prefix`. If its shard
    is stored, a line says so.

    Raises:
        InputError: no key begins with `prefix`, or several do.
        FileError: the shard is stored, but damaged.
    """
    stored = store.all_keys()
    matching = sorted({key for key in (*known, *stored) if key.startswith(prefix)})
    accepted = "the key of a shard, as `python -m pwm.sweep --dry-run --keys` prints it"
    require(len(matching) > 0, "KEY", prefix, f"{accepted}; no experiment has this one")
    require(len(matching) == 1, "KEY", prefix, f"{accepted}; several begin like this")
    (key,) = matching
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
    missing = _flattened(json.loads(shard.content))
    differences: dict[str, dict[str, tuple[Any, Any]]] = {}  # by key of a stored shard
    for stored_key in stored:
        with suppress(FileError):
            content = _flattened(store.read(stored_key).content)
            differences[stored_key] = _differences(missing, content)
    if not differences:
        yield "Nothing undamaged is stored there."
        return
    most_similar = min(differences, key=lambda stored_key: len(differences[stored_key]))
    yield f"The most similar stored shard is {most_similar[:SHOWN]}, which differs in"
    for field, (in_missing, in_stored) in differences[most_similar].items():
        yield f"  {field}: {_short(in_missing)} here, {_short(in_stored)} stored"


def _differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Both values of each field in which two flattened contents differ; None if one lacks it."""
    return {
        name: (left.get(name), right.get(name))
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    }


def _short(value: object) -> str:
    """Converts a value to text; abridges a list of more than 3 items."""
    if isinstance(value, list) and len(value) > 3:
        distinct = list(dict.fromkeys(value))
        shown = distinct if len(distinct) <= 3 else [distinct[0], "...", distinct[-1]]
        return f"{len(value)} values ({', '.join(map(str, shown))})"
    return str(value)


def _flattened(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested dictionaries: {"a": {"b": 1}} becomes {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= _flattened(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
