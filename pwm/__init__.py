"""The weight of the critic's loss relative to the policy's: a reproducible study.

The names in `__all__` are the public interface; `docs/train.md` and `docs/grid.md` show how to use
them. Everything else may change. A name's module is imported when the name is first used, so
`import pwm` is fast.
"""

from __future__ import annotations

import sys as _sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pwm.analysis.conventions import convert_weight as convert_weight
    from pwm.analysis.learning import learned as learned
    from pwm.analysis.learning import times_to_learn as times_to_learn
    from pwm.analysis.levels import reward_levels as reward_levels
    from pwm.analysis.outcomes import Outcomes as Outcomes
    from pwm.analysis.theory import noise_weight as noise_weight
    from pwm.core.agent import AgentConfig as AgentConfig
    from pwm.core.errors import InputError as InputError
    from pwm.core.leak import critic_bias as critic_bias
    from pwm.core.rollout import Episode as Episode
    from pwm.core.task import TaskConfig as TaskConfig
    from pwm.runs.engines import make_trainer as make_trainer
    from pwm.runs.experiment import Experiment as Experiment
    from pwm.runs.saved import SavedRun as SavedRun
    from pwm.runs.saved import load_run as load_run
    from pwm.training.config import TrainConfig as TrainConfig
    from pwm.training.history import History as History
    from pwm.training.loss_config import LossConfig as LossConfig
    from pwm.training.trainer import Trainer as Trainer

__version__ = "0.1.0"

_MODULES = {
    "AgentConfig": "pwm.core.agent",
    "Episode": "pwm.core.rollout",
    "Experiment": "pwm.runs.experiment",
    "History": "pwm.training.history",
    "InputError": "pwm.core.errors",
    "LossConfig": "pwm.training.loss_config",
    "Outcomes": "pwm.analysis.outcomes",
    "SavedRun": "pwm.runs.saved",
    "TaskConfig": "pwm.core.task",
    "TrainConfig": "pwm.training.config",
    "Trainer": "pwm.training.trainer",
    "convert_weight": "pwm.analysis.conventions",
    "critic_bias": "pwm.core.leak",
    "learned": "pwm.analysis.learning",
    "load_run": "pwm.runs.saved",
    "make_trainer": "pwm.runs.engines",
    "noise_weight": "pwm.analysis.theory",
    "reward_levels": "pwm.analysis.levels",
    "times_to_learn": "pwm.analysis.learning",
}
"""Module of each public name."""

__all__ = list(_MODULES)


if not TYPE_CHECKING:  # otherwise type checkers would accept any name

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """All names; the public ones are never stored in the module, so Python would not list them."""
    return sorted({*globals(), *__all__})


if _sys.argv[:1] == ["-m"]:  # while Python looks for the module of `python -m pwm.NAME`
    from pwm.io.start import start_command

    start_command()
