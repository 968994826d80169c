"""Checks of your own actor-critic: its losses, its training curves, and its critic's start."""

from pwm.tools.leak import assert_no_leak, check_leak
from pwm.tools.logs import check_logs
from pwm.tools.start import check_start

__all__ = ["assert_no_leak", "check_leak", "check_logs", "check_start"]
