"""Checks of an actor-critic of your own: its losses, its curves, and the start of its critic.

A name is imported when it is first used: of these modules, only the leak check needs PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pwm.tools.leak import assert_no_leak as assert_no_leak
    from pwm.tools.leak import check_leak as check_leak
    from pwm.tools.logs import check_logs as check_logs
    from pwm.tools.start import check_start as check_start

_MODULES = {
    "assert_no_leak": "pwm.tools.leak",
    "check_leak": "pwm.tools.leak",
    "check_logs": "pwm.tools.logs",
    "check_start": "pwm.tools.start",
}

__all__ = list(_MODULES)

if not TYPE_CHECKING:  # or type checkers would accept any name

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)
