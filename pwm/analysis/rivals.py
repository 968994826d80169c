"""Rival laws of the slowdown by a heavy critic that starts away from the mean return.

Each has one constant. It was fitted as the law's own (`pwm.analysis.climb.SHARE`) was: to the same
42 cells of 15 steps at learning rate 0.001, before the fourth set of predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pwm.analysis.climb import ARRIVED, Setting, climb, critic_share, mean_gain
from pwm.analysis.theory import slowdown

RIVALS: Mapping[str, Callable[[Setting], float]] = MappingProxyType(
    {
        "weight": lambda setting: slowdown(0.0, 0.436 * setting.critic_weight),
        "weight per step": lambda setting: slowdown(
            0.0, 6.54 * setting.critic_weight / setting.steps
        ),
        "share": lambda setting: slowdown(0.0, 0.995 * critic_share(setting)),
        "saturation": lambda setting: mean_gain(climb(setting, ARRIVED)[-1], setting) ** -3.407,
    }
)
"""Slowdown that each rival predicts, relative to a light critic that starts at the mean return."""
