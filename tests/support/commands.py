"""Runs commands in this process: starting Python would take longer than most of them."""

from __future__ import annotations

import shlex
from importlib import import_module


def call(command: str) -> int:
    """Runs a command such as `python -m pwm.train --seeds 1`; returns its exit status."""
    python, option, module, *flags = shlex.split(command)
    assert (python, option) == ("python", "-m")
    if hasattr(import_module(module), "__path__"):  # a package
        module += ".__main__"
    main = getattr(import_module(module), "train_command" if module == "pwm.train" else "main")
    try:
        main(flags)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
