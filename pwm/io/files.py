"""Atomic files, written under a temporary name, flushed to disk, then renamed; and checksums."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from pwm.core.errors import InputError
from pwm.io.errors import FileError

DAMAGE = (ValueError, KeyError, EOFError, TypeError, AttributeError, RuntimeError, OSError,
          zipfile.BadZipFile, zlib.error)  # fmt: skip
"""Exceptions that reading a damaged file may raise."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Error numbers of file systems that cannot lock files, such as some on clusters."""
CHECKSUM = b"sha256:"
COMMENT_SIZE = len(CHECKSUM) + 64  # bytes


@contextmanager
def folder_errors(
    name: str, path: Path, use: str = "written", kind: str = "folder"
) -> Iterator[None]:
    """Turns an `OSError` of the block, except a broken pipe, into an `InputError` about a path.

    Args:
        name: field or flag that holds the path, for the message.
        path: folder or file that the block uses.
        use: "read" or "written", for the message: what the block does with it.
        kind: "folder" or "file", for the message.
    """
    try:
        yield
    except BrokenPipeError:  # from printing, not from the folder
        raise
    except OSError as error:
        needed = "on a disk with locks" if error.errno in NO_LOCKS else f"that can be {use}"
        accepted = f"a {kind} {needed} ({error.strerror or error})"
        raise InputError(name, path, accepted) from error


def make_folder(name: str, folder: Path) -> None:
    """Creates a folder unless it exists, and checks that files can be written there.

    Raises:
        InputError: the folder cannot be created or written; the message names the field `name`.
    """
    with folder_errors(name, folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file, and makes its folder; a power failure leaves all of the old or new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # `Store.clean` and `folders.reserved` remove such files if a process was killed.
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        with temporary.open("xb") as file:  # unlike `tempfile`, obeys the umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_if_changed(path: Path, content: bytes) -> bool:
    """Writes a file, atomically, unless it has this content; returns whether it was written."""
    if path.is_file() and path.read_bytes() == content:
        return False
    write_atomically(path, content)
    return True


def write_json(path: Path, content: object) -> None:
    """Writes indented JSON, atomically."""
    write_atomically(path, _json(content))


def _json(content: object) -> bytes:
    """Converts content to indented JSON that ends with a newline."""
    return (json.dumps(content, indent=2) + "\n").encode()


def write_signed(path: Path, content: Mapping[str, object]) -> None:
    """Writes JSON with a checksum of its content, atomically."""
    write_atomically(path, _with_checksum(content))


def read_signed(path: Path) -> dict[str, Any]:
    """Reads and verifies a file written by `write_signed`; returns the content without checksum.

    Raises:
        FileError: the file is missing or damaged.
    """
    try:
        written = path.read_bytes()
        content: dict[str, Any] = json.loads(written)
        del content["sha256"]
        if written != _with_checksum(content):  # compares every byte, white space included
            raise ValueError("the checksum differs")
    except DAMAGE as error:
        raise FileError(path, "an undamaged file") from error  # `Store.clean` reads the cause
    return content


def _with_checksum(content: Mapping[str, object]) -> bytes:
    """The bytes of a signed file: JSON with the content's checksum as an additional field.

    Files are verified by comparison with these bytes, so a change of format makes all invalid.
    """
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return _json({**content, "sha256": checksum})


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[np.generic]], *, compressed: bool = True
) -> None:
    """Writes an `.npz` file, atomically.

    Its bytes depend on the arrays, their names, order and memory layout, and on the libraries, but
    not on the time. The comment of the zip archive is a checksum of every byte before it.
    """
    buffer = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, allow_pickle=False, **arrays)
    # The last two bytes of a zip file without a comment are the length of the comment, 0.
    archive = buffer.getvalue()[:-2] + COMMENT_SIZE.to_bytes(2, "little")
    write_atomically(path, archive + _checksum(archive))


def read_arrays(
    path: Path, names: Collection[str], *optional: Collection[str]
) -> dict[str, NDArray[Any]]:
    """Reads and verifies a file written by `write_arrays`; returns its arrays by name.

    Args:
        path: path of the file.
        names: names of the arrays that the file must hold.
        optional: groups of names; the file may hold all arrays of one group in addition.
    Raises:
        FileError: the file is missing or damaged, or holds other arrays.
    """
    try:
        content = path.read_bytes()
        if _checksum(content[:-COMMENT_SIZE]) != content[-COMMENT_SIZE:]:
            raise ValueError("the checksum differs")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except FileNotFoundError as error:  # `Store.clean` reads the cause of a `FileError`
        raise FileError(path, "a file that exists") from error
    except DAMAGE as error:
        raise FileError(path, "an undamaged file; delete it to compute it again") from error
    allowed = [set(names), *({*names, *group} for group in optional)]
    if set(arrays) not in allowed:
        raise FileError(path, "a file with the arrays " + ", ".join(names))
    return arrays


def _checksum(content: bytes) -> bytes:
    """Checksum of an archive, as a zip comment of `COMMENT_SIZE` bytes."""
    return CHECKSUM + hashlib.sha256(content).hexdigest().encode()
