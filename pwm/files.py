"""Files that are whole or not there: written aside, flushed, then renamed."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.errors import InputError
from pwm.train import History

DAMAGE = (ValueError, KeyError, EOFError, TypeError, AttributeError, RuntimeError, OSError,
          zipfile.BadZipFile, zlib.error)  # fmt: skip
"""What reading a damaged archive raises, found by damaging some."""


def make_folder(name: str, folder: Path) -> None:
    """Makes a folder, if it is not there, in which files can be written.

    Args:
        name: of the field that says which folder.
        folder: to be made.
    Raises:
        InputError: it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        accepted = f"a folder that can be written ({error.strerror})"
        raise InputError(name, folder, accepted) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that a kill at any moment leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as aside:
        try:
            aside.write(content)
            aside.flush()
            os.fsync(aside.fileno())
            Path(aside.name).chmod(0o644)
            Path(aside.name).replace(path)
        except BaseException:
            Path(aside.name).unlink(missing_ok=True)
            raise


def write_json(path: Path, content: object) -> None:
    """Writes JSON for people, atomically."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Writes arrays by name, compressed; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Reads what `write_arrays` wrote.

    Raises:
        InputError: the file is not there, is damaged, or holds other names.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except DAMAGE as error:
        raise InputError(
            "history", path, "an undamaged file; delete it to have it computed again"
        ) from error
    if arrays.keys() != set(names):
        raise InputError("history", path, "a file of " + ", ".join(names))
    return arrays


def write_history(path: Path, history: History) -> None:
    """Writes a history."""
    write_arrays(path, history.arrays())


def read_history(path: Path) -> History:
    """Reads what `write_history` wrote; raises as `read_arrays`."""
    arrays: dict[str, Any] = read_arrays(path, [item.name for item in fields(History)])
    try:
        return History(**arrays)
    except ValueError as error:
        raise InputError("history", path, str(error)) from error
