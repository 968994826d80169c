"""Lists a store, finds its damaged files, and explains why a shard is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pwm.core.diagnostics import DIAGNOSTICS
from pwm.core.errors import FileError, InputError, require, require_file
from pwm.core.trainer import STATE
from pwm.engines import ENGINES
from pwm.io.files import HISTORY, as_history, read_arrays, read_signed
from pwm.runs.experiment import Experiment, Size
from pwm.runs.shards import Shard, plan
from pwm.runs.storage import (
    CONTENT,
    PROVENANCE,
    SESSIONS,
    STORED,
    UNFINISHED,
    Session,
    Store,
)

State = Literal["stored", "in training", "unfinished", "missing", "damaged"]


class Known(NamedTuple):
    """A shard that an experiment plans."""

    experiment: str
    size: Size
    shard: Shard


class Verified(NamedTuple):
    """What the files of a shard say, after their checksums have been verified."""

    content: Mapping[str, Any]
    """Everything that decides its history."""
    sessions: Sequence[Session]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A shard in a store."""

    key: str
    state: State
    experiment: str = ""
    """Name of its experiment; empty if unknown."""
    size: Size | None = None
    """Size of the experiment, if that is one of the known ones."""
    runs: int = 0
    bytes: int = 0
    """Size of its file."""
    sessions: Sequence[Session] = ()


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Whether a shard is stored, and if not, which stored one is most similar."""

    key: str
    state: State
    known: Known | None = None
    """What plans it; None only if it is stored."""
    nearest: str = ""
    """Key of the most similar stored shard; empty if there is none."""
    differences: Mapping[str, tuple[Any, Any]]
    """By field, the value of the shard and of the nearest one, where they differ."""


def known_shards(experiments: Iterable[Experiment]) -> dict[str, Known]:
    """Shards of some experiments by key, in either size and for either engine."""
    sizes: tuple[Size, ...] = get_args(Size)
    return {
        shard.key: Known(experiment.name, size, shard)
        for experiment in experiments
        for engine in ENGINES
        for size in sizes
        for shard in plan(replace(experiment.sized(size), engine=engine))
    }


def verified(store: Store, key: str) -> Verified:
    """Verifies the files of a stored shard.

    Raises:
        FileError: a file is missing, damaged, or that of another shard.
    """
    path = store.folder / (key + STORED)
    arrays = read_arrays(path, [*HISTORY, CONTENT], DIAGNOSTICS)
    as_history(path, arrays)
    content = _content(path, key, arrays)
    path = store.folder / (key + PROVENANCE)
    provenance = read_signed(path)
    require_file(provenance.get("key") == key, path, f"the provenance of {key}")
    return Verified(content, provenance[SESSIONS])


def verified_checkpoint(store: Store, key: str) -> Verified:
    """Verifies the checkpoint of a shard.

    Raises:
        FileError: it is missing, damaged, or that of another shard.
    """
    path = store.folder / (key + UNFINISHED)
    arrays = read_arrays(path, [*STATE, CONTENT, SESSIONS])
    return Verified(_content(path, key, arrays), json.loads(arrays[SESSIONS].item()))


def _content(path: Path, key: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    text = arrays[CONTENT].item()
    digest = hashlib.sha256(text.encode()).hexdigest()
    require_file(digest.startswith(key), path, "a file under its own name")
    content: dict[str, Any] = json.loads(text)
    return content


def entries(store: Store, known: Mapping[str, Known]) -> Iterator[Entry]:
    """Every stored shard, then every unfinished one, each verified.

    Args:
        store: to list.
        known: shards that experiments plan, by key; the provenance names other experiments.
    """
    for key in store.all_keys():
        yield _entry(store, key, STORED, known.get(key))
    for key in store.all_keys(UNFINISHED):
        yield _entry(store, key, UNFINISHED, known.get(key))


def _entry(store: Store, key: str, ending: str, known: Known | None) -> Entry:
    name, size = (known.experiment, known.size) if known else ("", None)
    runs = len(known.shard.members) if known else 0
    try:
        found = (verified if ending == STORED else verified_checkpoint)(store, key)
    except InputError:
        return Entry(key=key, state="damaged", experiment=name, size=size, runs=runs)
    return Entry(
        key=key,
        state="stored" if ending == STORED else "unfinished",
        experiment=name or found.sessions[-1].get("experiment", ""),
        size=size,
        runs=len(found.content["members"]["seed"]),
        bytes=(store.folder / (key + ending)).stat().st_size,
        sessions=found.sessions,
    )


def damaged_files(store: Store) -> list[Path]:
    """Files of a store that are damaged, or missing next to another of their shard."""
    damaged = []
    for key in [*store.all_keys(), *sorted({*store.all_keys(PROVENANCE)} - {*store.all_keys()})]:
        try:
            verified(store, key)
        except FileError as error:
            damaged.append(Path(str(error.value)))
    for key in store.all_keys(UNFINISHED):
        try:
            verified_checkpoint(store, key)
        except FileError as error:
            damaged.append(Path(str(error.value)))
    return damaged


def explain(beginning: str, store: Store, known: Mapping[str, Known]) -> Explanation:
    """Explains why a shard is missing, by comparison with the most similar stored one.

    Args:
        beginning: of the shard's key, long enough to be unique.
        store: to search.
        known: shards that experiments plan, by key.
    Raises:
        InputError: no shard has that key, or several begin like that.
        FileError: the shard is stored, and damaged.
    """
    stored = store.all_keys()
    found = sorted({key for key in (*known, *stored) if key.startswith(beginning)})
    accepted = "the key of a shard, as `python -m pwm.sweep --dry-run --keys` prints it"
    require(len(found) > 0, "KEY", beginning, f"{accepted}; no experiment has this one")
    require(len(found) == 1, "KEY", beginning, f"{accepted}; several begin like this")
    (key,) = found
    if key in stored:
        verified(store, key)
        return Explanation(key=key, state="stored", known=known.get(key), differences={})
    shard = known[key].shard
    state: State = "unfinished" if key in store.all_keys(UNFINISHED) else "missing"
    nearest, differences = _nearest(json.loads(shard.content), store)
    return Explanation(
        key=key,
        state="in training" if store.claimed(shard) else state,
        known=known[key],
        nearest=nearest,
        differences=differences,
    )


def _nearest(content: Mapping[str, Any], store: Store) -> tuple[str, dict[str, tuple[Any, Any]]]:
    """The undamaged stored shard that differs in the fewest fields, and those fields."""
    ours = flattened(content)
    nearest, fewest = "", dict[str, tuple[Any, Any]]()
    for key in store.all_keys():
        try:
            theirs = flattened(verified(store, key).content)
        except FileError:
            continue
        differences = {
            name: (ours.get(name), theirs.get(name))
            for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)
        }
        if not nearest or len(differences) < len(fewest):
            nearest, fewest = key, differences
    return nearest, fewest


def flattened(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, their names joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
