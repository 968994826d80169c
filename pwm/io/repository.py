"""Paths of the repository and its published results."""

from __future__ import annotations

from pathlib import Path

from pwm.io.errors import require_file

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PAPER = REPOSITORY / "paper"


def published(name: str) -> Path:
    """Path of a file or folder in `paper/`, which need not exist.

    Raises:
        FileError: the package is installed outside a checkout of the repository.
    """
    path = PAPER / name
    accepted = "a checkout of the repository; the package is installed without one"
    require_file(PAPER.is_dir(), path, accepted)
    return path
