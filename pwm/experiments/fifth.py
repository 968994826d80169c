"""Experiments of the fifth set of predictions: other optimisers, returns, batches and losses.

A group changes the first studies' setting (`pwm.experiments.grids.BASE`) in one respect, and the
learning rate or the number of episodes if needed. Its experiments are named by group, steps per
episode and variant. The variant determines where the critic starts, whether returns are centred,
and through which values the policy loss's gradient reaches the critic (the leak). Times to learn
are compared with those of the `light` critic of the same group and steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pwm.experiments.grids import grid
from pwm.runs.experiment import Experiment

BATCHES = (4, 16, 64, 256)
GROUPS: Mapping[str, Mapping[str, Any]] = {
    "adam-0.99": {"optimizer": "adam"},  # 0.99 is the default of `square_decay`
    "adam-0.999": {"optimizer": "adam", "square_decay": 0.999},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.01, "num_episodes": 40_000},
    "discount": {"discount": 0.95},
    "trial": {"return_horizon": "trial"},
    "gae": {"discount": 0.99, "trace_decay": 0.95},
    "td": {"discount": 0.9, "trace_decay": 0.0},
    "batch-4": {"episodes_per_update": 4, "num_episodes": 40_000},
    "batch-16": {"episodes_per_update": 16, "num_episodes": 80_000},
    "batch-64": {"episodes_per_update": 64, "num_episodes": 153_600},
    "batch-256": {"episodes_per_update": 256, "num_episodes": 307_200},
    "normalised": {"normalise_advantages": True},
    "huber": {"value_loss": "huber"},
    "carried": {"carry_state": True, "num_episodes": 40_000},
}
"""Fields that differ from `BASE`, by group. Every run has a whole number of updates."""
WEIGHTS: Mapping[tuple[str, int], Mapping[str, Sequence[float]]] = {
    ("adam-0.99", 15): {"raw": (10.0, 30.0), "centred": (10.0, 100.0), "own": (2.0, 5.0)},
    ("adam-0.99", 60): {"raw": (1.0, 10.0, 30.0), "centred": (10.0, 100.0), "own": (5.0,)},
    ("adam-0.999", 15): {"raw": (10.0, 30.0), "centred": (10.0, 100.0), "own": (2.0, 5.0)},
    ("adam-0.999", 60): {"raw": (1.0, 10.0, 30.0), "centred": (10.0, 100.0), "own": (5.0,)},
    ("sgd", 15): {"raw": (30.0, 1000.0), "own": (2.0, 5.0)},
    ("discount", 15): {"own": (2.0, 5.0)},
    ("discount", 60): {"raw": (10.0, 30.0), "own": (5.0, 10.0)},
    ("trial", 15): {"own": (5.0, 10.0)},
    ("trial", 60): {"raw": (10.0, 30.0, 100.0), "own": (10.0, 20.0)},
    ("gae", 15): {"own": (2.0, 5.0), "all": (2.0, 5.0)},
    ("gae", 60): {"raw": (10.0, 30.0), "own": (5.0, 10.0), "all": (5.0, 10.0)},
    ("td", 15): {"own": (5.0, 10.0), "all": (5.0, 10.0)},
    ("td", 60): {"raw": (10.0, 30.0), "own": (10.0, 20.0), "all": (10.0, 20.0)},
    **{(f"batch-{size}", 15): {"raw": (10.0,), "own": (2.0,)} for size in BATCHES},
    ("batch-16", 60): {"raw": (10.0,), "own": (5.0,)},
    ("normalised", 15): {"raw": (10.0, 30.0), "own": (0.1, 1.0, 5.0)},
    ("normalised", 60): {"raw": (10.0,), "own": (0.3, 1.0, 5.0)},
    ("huber", 15): {"raw": (10.0,), "own": (2.0, 5.0, 10.0, 20.0)},
    ("carried", 60): {"raw": (1.0, 10.0), "centred": (10.0, 100.0), "own": (10.0, 20.0)},
}
"""Critic weights of each variant except `light`, by group and steps per episode."""
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "light": {"baseline": "detached", "critic_start": "mean"},
    "raw": {"baseline": "detached"},
    "centred": {"baseline": "detached", "returns": "centred"},
    "own": {"baseline": "attached", "critic_start": "fixed-point"},
    "all": {"baseline": "attached", "leaking_targets": True},
}
"""Fields that each variant adds to those of the group.

light: no leak, a small weight; starts at its fixed point ("huber": at the mean return).
raw, centred: no leak; start at 0.
own: a leak through each step's own value; starts at this leak's fixed point, or see `FROM_MEAN`.
all: as `own`, with a leak also through the values in each step's bootstrapped target.
"""
FROM_MEAN = ("normalised", "huber")
"""Groups whose `own` starts at the mean return: the formula for "fixed-point" does not hold."""
STARTS: Mapping[tuple[str, int], Mapping[str, Mapping[float, float]]] = {
    ("gae", 15): {
        "light": {0.1: 1.555},
        "own": {2.0: 6.484, 5.0: 3.527},
        "all": {2.0: 5.113, 5.0: 2.978},
    },
    ("gae", 60): {
        "light": {0.1: 5.379},
        "own": {5.0: 19.97, 10.0: 12.68},
        "all": {5.0: 11.1, 10.0: 8.239},
    },
    ("td", 15): {
        "light": {0.1: 1.084},
        "own": {5.0: 9.816, 10.0: 5.45},
        "all": {5.0: 2.162, 10.0: 1.623},
    },
    ("td", 60): {
        "light": {0.1: 1.469},
        "own": {10.0: 26.5, 20.0: 13.98},
        "all": {10.0: 4.137, 20.0: 2.803},
    },
}
"""Fixed points at which bootstrapped critics start, by group and steps, then variant, then critic
weight. `pwm.analysis.targets` computes them."""
LATER_SETTING: Mapping[str, Any] = {
    "episode_length": 9,
    "timeout": True,
    "carry_state": True,
    "hidden_size": 48,
    "learning_rate": 0.005,
    "num_episodes": 100_000,
    "seeds": 48,
}
"""Setting of the notes' later experiments."""


def fifth_experiments() -> Iterator[Experiment]:
    """Yields the experiments by group, steps and variant, then those of the notes' later setting.

    Where `STARTS` gives the critic's start, each weight has its own experiment, as a grid would
    combine every start with every weight.
    """
    about = "a setting of the fifth set of predictions"
    for (group, steps), variants in WEIGHTS.items():
        # SGD trains the value head in proportion to the weight; the others divide that out.
        light_weight = 1.0 if group == "sgd" else 0.1
        for variant, weights in {"light": (light_weight,), **variants}.items():
            name = f"fifth-{group}-{steps}-{variant}"
            fields: dict[str, Any] = {"episode_length": steps, **GROUPS[group], **VARIANTS[variant]}
            if variant == "own" and group in FROM_MEAN:
                fields["critic_start"] = "mean"
            starts = STARTS.get((group, steps), {}).get(variant)
            if starts is None:
                yield grid(name, about, weights=weights, **fields)
                continue
            for weight in weights:
                ending = "" if variant == "light" else f"-{weight:g}"  # `light` has one weight
                fields["critic_start"] = starts[weight]
                yield grid(name + ending, about, weights=(weight,), **fields)
    about = "three trials, timeouts, state carried: the notes' later setting"
    weights = (0.05, 0.5, 1.0, 2.0, 3.0, 10.0)
    yield grid("later-attached", about, weights, baseline="attached", **LATER_SETTING)
    yield grid("later-detached", about, (0.05, 2.0), baseline="detached", **LATER_SETTING)
    per_loss: dict[str, Any] = {"returns": "centred", "balance": "per-loss"}
    yield grid("later-per-loss", about, (1.0,), baseline="detached", **per_loss, **LATER_SETTING)
