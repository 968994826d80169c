"""Files that are whole or not there: written aside, flushed, then renamed."""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import fields
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np

from pwm.errors import InputError
from pwm.train import History


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


def write_history(path: Path, history: History) -> None:
    """Writes a history as compressed NumPy arrays; equal histories give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **history.arrays())
    write_atomically(path, buffer.getvalue())


def read_history(path: Path) -> History:
    """Reads what `write_history` wrote.

    Raises:
        InputError: the file is not there, is damaged, or is something else.
    """
    names = [item.name for item in fields(History)]
    try:
        with np.load(path, allow_pickle=False) as stored:
            return History(**{name: stored[name] for name in names})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        accepted = "an undamaged history; delete the file to have it computed again"
        raise InputError("history", path, accepted) from error
