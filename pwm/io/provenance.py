"""Provenance of a result: code, versions, machine, command and wall time."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch

from pwm.io.repository import REPOSITORY


def current_provenance(wall_seconds: float, command: str | None = None) -> dict[str, object]:
    """Provenance of a result that took `wall_seconds`, as a dictionary for JSON.

    By default, `command` is the one that started this process. The commit, and whether the checkout
    is clean, are read at the first call.
    """
    return {
        "command": command or typed_command(),
        **_environment(),
        "wall_seconds": round(wall_seconds, 2),
    }


def typed_command() -> str:
    """The command that started this process, quoted for a shell, without Python's folder."""
    return shlex.join([Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]])


@lru_cache(maxsize=1)
def _environment() -> dict[str, object]:
    """The part of the provenance that is read once per process; an unknown commit is None."""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": _git("rev-parse", "HEAD"),
        "clean": None if changes is None else changes == "",  # untracked files do not count
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "numba")},
        },
        "host": platform.node(),
        "cpu": cpu_model(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": 1,  # that train, in each process
    }


def cpu_model() -> str:
    """Model name of the processor, or its architecture if the system does not give a name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(*arguments: str) -> str | None:
    """Output of a git command in this repository; None if it fails, such as outside a checkout."""
    if not (REPOSITORY / ".git").exists():  # git would look for a repository in the parent folders
        return None
    # A caller, such as a git hook, may have set these for another repository.
    elsewhere = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE")
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
