"""Contents of folders, for tests of code that writes files."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file in a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def histories(folder: Path) -> dict[str, bytes]:
    """The bytes of every stored history in a folder, by name."""
    return {name: content for name, content in contents(folder).items() if is_history(name)}


def is_history(name: str) -> bool:
    """Whether a file of a store is a history, rather than a checkpoint or a temporary file."""
    return name.endswith(".npz") and "." not in name.removesuffix(".npz")


def times(folder: Path) -> dict[str, int]:
    """Modification time of every file in a folder, in nanoseconds, by name."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def flipped(content: bytes, bit: int) -> bytes:
    """Returns the content with one bit flipped; bit 0 is the lowest of the first byte."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """Limits the files that this process writes to `num_bytes`; longer writes fail.

    They fail partway through the file, as on a full disk.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
