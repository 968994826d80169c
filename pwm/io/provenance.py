"""Where a result came from."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parent.parent


def provenance(wall_seconds: float, command: str | None = None) -> dict[str, object]:
    """What made a result: code, versions, machine, command and time.

    Args:
        wall_seconds: that it took.
        command: that was typed; this process's own if not given.
    """
    return {
        "command": command or typed_command(),
        **_surroundings(),
        "wall_seconds": round(wall_seconds, 2),
    }


def typed_command() -> str:
    """The command that started this process."""
    return shlex.join([Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]])


@lru_cache(maxsize=1)
def _surroundings() -> dict[str, object]:
    """What stays the same while a process lives; git is asked once."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "clean": _git("status", "--porcelain", "--untracked-files=no") == "",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "numba")},
        },
        "host": platform.node(),
        "cpu": cpu_model(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": 1,
    }


def cpu_model() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(*arguments: str) -> str | None:
    """What git prints about this repository; None where there is none."""
    if not (REPOSITORY / ".git").exists():  # installed elsewhere, perhaps inside another one
        return None
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
