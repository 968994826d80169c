"""Where this project's own folders are: the one place that knows."""

from __future__ import annotations

from pathlib import Path

from pwm.core.errors import InputError

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PAPER = REPOSITORY / "paper"


def published(name: str) -> Path:
    """The path of a file or folder that is published in `paper/`.

    Raises:
        InputError: the package is installed without its repository.
    """
    path = PAPER / name
    if not PAPER.is_dir():
        accepted = "a checkout of the repository to run in; this package is installed without one"
        raise InputError("PAPER", path, accepted)
    return path
