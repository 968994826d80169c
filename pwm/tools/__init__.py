"""Checks of an actor-critic of your own: its losses, its curves, and the start of its critic."""

from pwm.tools.leak import assert_no_leak, check_leak
from pwm.tools.logs import check_logs
from pwm.tools.start import check_start

__all__ = ["assert_no_leak", "check_leak", "check_logs", "check_start"]
