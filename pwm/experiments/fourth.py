"""Experiments of the fourth set of predictions, in conditions that had not been run before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pwm.experiments.grids import grid
from pwm.runs.experiment import Experiment

CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "21-steps": {"episode_length": 21},
    "75-steps": {"episode_length": 75},
    "180-steps": {"episode_length": 180},
    "trial-8": {"episode_length": 40, "trial_length": 8},
    "slow": {"episode_length": 45, "learning_rate": 0.0005},
    "fast": {"episode_length": 45, "learning_rate": 0.0015},
    "12-units": {"episode_length": 60, "hidden_size": 12},
    "48-units": {"episode_length": 60, "hidden_size": 48},
    "reward-0.1": {"episode_length": 60, "reward": 0.1},
    "reward-10": {"episode_length": 15, "reward": 10.0},
    "carried": {"episode_length": 36, "carry_state": True},
}
"""Fields set in place of the first studies' (`pwm.experiments.grids.BASE`), by condition."""
ATTACHED = ("21-steps", "75-steps", "trial-8")  # conditions that are also run with attached critics
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "raw": {"weights": (1.0, 10.0, 30.0), "baseline": "detached"},
    "mean": {"weights": (0.1, 30.0), "baseline": "detached", "critic_start": "mean"},
    "centred": {"weights": (10.0, 100.0), "baseline": "detached", "returns": "centred"},
    "attached": {"weights": (3.0, 5.0, 10.0), "baseline": "attached"},
    "fixed-point": {
        "weights": (3.0, 5.0, 10.0),
        "baseline": "attached",
        "critic_start": "fixed-point",
    },
}
"""Critic weights and other fields that each variant adds to a condition."""


def fourth_experiments() -> Iterator[Experiment]:
    """Yields the experiments by condition and variant, then one of starts above the mean return."""
    about = "a condition of the fourth set of predictions"
    for name, setting in CONDITIONS.items():
        for variant, fields in VARIANTS.items():
            if fields["baseline"] == "detached" or name in ATTACHED:
                yield grid(f"fourth-{name}-{variant}", about, **setting, **fields)
    yield grid(
        "fourth-above",
        "a critic that starts above the mean return",
        weights=(3.0, 10.0),
        baseline="detached",
        episode_length=60,
        critic_start=(7.5, 9.0),  # the mean return is 5.25
    )
