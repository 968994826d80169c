"""`python -m pwm.store`: lists and verifies what is stored, and says why a shard is not found."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import tyro

from pwm.core.diagnostics import DIAGNOSTICS
from pwm.core.errors import InputError, require, require_file
from pwm.core.trainer import STATE
from pwm.engines import ENGINES
from pwm.experiments import EXPERIMENTS
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import HISTORY, as_history, folder_errors, read_arrays, read_signed
from pwm.runs.experiment import Size
from pwm.runs.shards import Shard, flattened, plan
from pwm.runs.storage import CONTENT, SESSIONS, UNFINISHED, Store

SHOWN = 12  # characters of a key; any beginning that is unique is understood
SIZES: tuple[Size, ...] = get_args(Size)
DAMAGED = 1  # exit status


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.store`."""

    action: tyro.conf.Positional[Literal["ls", "verify", "why"]]
    """List what is stored; check every file's checksum; or say why a shard is not found."""
    key: tyro.conf.Positional[str] = ""
    """Of a shard, or its beginning, as ls and `python -m pwm.sweep --dry-run` print it."""
    results: Path = Path("results")
    """Folder that histories are kept in."""


def store_command(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(
        Arguments,
        "python -m pwm.store",
        "Lists and verifies the results that are stored.",
        argv,
    )
    folder = arguments.results
    with errors_in_one_line(), folder_errors("results", folder, "read"):
        require(folder.is_dir(), "results", folder, "a folder that histories are kept in")
        needs_key = arguments.action == "why"
        accepted = "the key of a shard" if needs_key else f"none with {arguments.action}"
        require(bool(arguments.key) == needs_key, "key", arguments.key or "(none)", accepted)
        store = Store(folder)
        if arguments.action == "ls":
            _ls(store)
        elif arguments.action == "verify":
            sys.exit(DAMAGED if _verify(store) else 0)
        else:
            _why(arguments.key, store)


def content_of(folder: Path, key: str) -> dict[str, Any]:
    """What a stored shard is the history of, all of its files having been checked.

    Raises:
        InputError: a file is damaged, not there, or of another shard.
    """
    path = folder / f"{key}.npz"
    arrays = read_arrays(path, [*HISTORY, CONTENT], DIAGNOSTICS)
    as_history(path, arrays)
    _require_named(path, key, arrays)
    provenance = folder / f"{key}.json"
    require_file(read_signed(provenance).get("key") == key, provenance, f"that of {key}")
    content: dict[str, Any] = json.loads(arrays[CONTENT].item())
    return content


def _require_named(path: Path, key: str, arrays: dict[str, Any]) -> None:
    digest = hashlib.sha256(arrays[CONTENT].item().encode()).hexdigest()
    require_file(digest.startswith(key), path, "a file under its own name")


def _planned() -> dict[str, tuple[str, Size, Shard]]:
    """Every shard of every experiment in either size and by either engine, by key."""
    return {
        shard.key: (experiment.name, size, shard)
        for engine in ENGINES
        for size in SIZES
        for experiment in EXPERIMENTS.values()
        for shard in plan(replace(experiment.sized(size), engine=engine))
    }


def _keys(store: Store, ending: str) -> list[str]:
    return sorted(
        name.removesuffix(ending)
        for name in store.names()
        if name.endswith(ending) and "." not in name.removesuffix(ending)
    )


def _ls(store: Store) -> None:
    """A line for each shard that is stored or begun."""
    planned = _planned()

    def of(key: str) -> str:
        if key not in planned:
            return "of no experiment here"
        name, size, shard = planned[key]
        return f"{name} ({size}), {len(shard.members)} runs"

    for key in _keys(store, ".npz"):
        path = store.folder / f"{key}.npz"
        try:
            content_of(store.folder, key)
            sessions = read_signed(path.with_suffix(".json"))[SESSIONS]
            last = sessions[-1]
            seconds = sum(session["wall_seconds"] for session in sessions)
            commit = (last["commit"] or "none")[:7] + ("" if last["clean"] else "+changes")
            said = f"stored    {path.stat().st_size / 1e6:7.2f} MB  {seconds:7.1f} s  {commit}"
        except InputError:
            said = "damaged"
        print(f"{key[:SHOWN]}  {said}  {of(key)}")
    for key in _keys(store, UNFINISHED):
        print(f"{key[:SHOWN]}  unfinished  {of(key)}")


def _verify(store: Store) -> int:
    """Checks every file; prints those that are damaged, and returns how many."""
    damaged = 0
    finished, unfinished = _keys(store, ".npz"), _keys(store, UNFINISHED)
    alone = sorted(set(_keys(store, ".json")) - set(finished))
    for key in [*finished, *alone]:
        try:
            content_of(store.folder, key)
        except InputError as error:
            damaged += 1
            print(f"damaged: {error.value}")
    for key in unfinished:
        path = store.folder / (key + UNFINISHED)
        try:
            _require_named(path, key, read_arrays(path, [*STATE, CONTENT, SESSIONS]))
        except InputError:
            damaged += 1
            print(f"damaged: {path}")
    print(f"{len(finished)} stored, {len(unfinished)} unfinished, {damaged} damaged.")
    return damaged


def _why(beginning: str, store: Store) -> None:
    """Says whether a shard is stored, and if not, what is stored that is most like it."""
    planned, stored = _planned(), _keys(store, ".npz")
    found = sorted({key for key in (*planned, *stored) if key.startswith(beginning)})
    accepted = "the key of a shard, as `python -m pwm.sweep --dry-run` prints it"
    require(len(found) > 0, "key", beginning, f"{accepted}; no experiment plans this one")
    require(len(found) == 1, "key", beginning, f"{accepted}; several begin like this")
    (key,) = found
    if key in stored:
        content_of(store.folder, key)
        print(f"{key} is stored in {store.folder}, undamaged.")
        return
    name, size, shard = planned[key]
    print(f"{key} is not stored in {store.folder}: {name}, {size}, {len(shard.members)} runs.")
    if store.claimed(shard):
        print("It is being trained now.")
    elif key + UNFINISHED in store.names():
        print("It was begun; `python -m pwm.sweep` goes on with it.")
    ours = flattened(json.loads(shard.content))
    nearest: dict[str, str] | None = None
    nearest_key = ""
    for other in stored:
        try:
            theirs = flattened(content_of(store.folder, other))
        except InputError:
            continue
        differing = {
            field: f"{_short(ours.get(field))} here, {_short(theirs.get(field))} stored"
            for field in sorted(ours.keys() | theirs.keys())
            if ours.get(field) != theirs.get(field)
        }
        if nearest is None or len(differing) < len(nearest):
            nearest, nearest_key = differing, other
    if nearest is None:
        print("Nothing undamaged is stored there.")
        return
    print(f"The nearest that is stored is {nearest_key[:SHOWN]}, which differs in")
    for field, said in nearest.items():
        print(f"  {field}: {said}")


def _short(value: object) -> str:
    """A value, a long list by its ends."""
    if isinstance(value, list) and len(value) > 3:
        distinct = list(dict.fromkeys(value))
        shown = distinct if len(distinct) <= 3 else [distinct[0], "...", distinct[-1]]
        return f"{len(value)} runs with {', '.join(map(str, shown))}"
    return str(value)


if __name__ == "__main__":
    store_command()
