"""Made-up outcomes of the fifth set's experiments, in several worlds."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.elsewhere import NOTHING
from pwm.analysis.fixed_points import huber_bias
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import LAW
from pwm.analysis.theory import value_floor
from pwm.core.leak import critic_bias, start_entropy
from pwm.training.config import TrainConfig

Elsewhere = Literal["found", "as predicted", "nothing changes", "slower", "none", "all"]
"""Worlds: as the real runs found; as every prediction says; as if no setting changed anything; with
longer times and larger slowdowns; where no run learns; and where all runs learn at once."""
FIFTH = predictions()["fifth"]
FACTORS: Mapping[str, float] = {
    "adam-0.999-60-raw 10": 1.8,
    "sgd-15-own 2": 3.4,
    "batch-16-60-raw 10": 1.8,
    "batch-256-15-own 2": 0.6,
    "batch-256-15-light 0.1": 1.6,
    "normalised-15-light 0.1": 2.8,
    "normalised-60-light 0.1": 2.3,
    "normalised-15-own 1": 3.0,
    "normalised-15-own 5": 2.2,
    "normalised-60-own 0.3": 1.7,
    "normalised-60-own 1": 2.5,
}
"""Measured over predicted times of light critics, or slowdowns of others, in the world "found"."""
LATER: Mapping[str, tuple[float, float]] = {"attached 2": (0.35, 0.6), "detached 2": (0.02, 0.9)}
"""Success found and predicted in the notes' later setting. Where none is given, 0 was found, and 0
predicted if attached, else 0.9."""
BEGINS = ("fifth-", "later-")
"""Prefixes of these experiments' names."""


def elsewhere_outcome(
    name: str, run: TrainConfig, seeds: int, world: Elsewhere
) -> dict[str, NDArray[Any]]:
    """Outcomes of the seeds of one setting in the experiment `name`, by field: [S] each."""
    times = _times(name, run, seeds, world)
    learned = np.isfinite(times)
    off = world in ("nothing changes", "none")
    blind = value_floor(1.0, run.task.num_trials)
    return {
        "learned": learned,
        "time": times,
        "reward": np.where(learned, 1.0, _unlearned(name, run, world)),
        "value_loss": np.full(seeds, blind if off else 0.01 * blind),
        "entropy": np.full(seeds, 0.5),
        "critic_bias": np.full(seeds, _bias(name, run, float(learned.mean()), off)),
    }


def _unlearned(name: str, run: TrainConfig, world: Elsewhere) -> float:
    """Reward of a run that did not learn."""
    lost = name == "later-attached" and run.critic_weight < 0.1 and world == "found"
    return 0.1 if lost else 0.5


def _times(name: str, run: TrainConfig, seeds: int, world: Elsewhere) -> NDArray[np.float64]:
    """Episodes until each seed learns: [S]."""
    if world in ("none", "all"):
        return np.full(seeds, inf if world == "none" else 500.0)
    if name.startswith("later-"):
        which = f"{name.removeprefix('later-')} {run.critic_weight:g}"
        found, predicted = LATER.get(which, (0.0, 0.0 if "attached" in name else 0.9))
        success = predicted if world == "as predicted" else found
        if world == "nothing changes" and "detached" in which:
            success = 0.9
        return np.where(np.arange(seeds) < success * seeds, 50_000.0, inf)
    if world == "found" and name == "fifth-carried-60-centred" and run.critic_weight == 100:
        return np.where(np.arange(seeds) < 0.2 * seeds, 30_000.0, inf)
    typical = _typical(name.removeprefix("fifth-"), run, world)
    times: NDArray[np.float64] = typical * np.geomspace(1 / 1.1, 1.1, seeds)
    times[times > run.num_episodes] = inf
    return times


def _typical(name: str, run: TrainConfig, world: Elsewhere) -> float:
    """Episodes until the typical seed learns."""
    weight = f"{run.critic_weight:g}"
    conditions = (*FIFTH["light"], "sgd-15", "carried-60")
    condition = next(each for each in conditions if name.startswith(f"{each}-"))
    variant = name.removeprefix(f"{condition}-").split("-")[0]  # a weight may follow it
    account = NOTHING if world == "nothing changes" else LAW
    time = FIFTH["light"].get(condition, {}).get(account, 6000.0)
    slowed = FIFTH["slowdown"].get(f"fifth-{name}", {}).get(weight, {}).get(account, 1.0)
    if world != "nothing changes":
        if condition == "sgd-15" and weight == "1000":
            slowed = inf
        elif condition == "carried-60" and variant == "centred":
            slowed = 2.0
        elif condition == "carried-60" and variant != "light":
            slowed = 2.5 if world == "found" else 5.0
    if world == "slower":
        time *= 1.7
        slowed **= 3
        if variant != "light":
            slowed += 1.0
    if world == "found":
        time *= FACTORS.get(f"{condition}-light 0.1", 1.0)
        if variant != "light":
            slowed *= FACTORS.get(f"{condition}-{variant} {weight}", 1.0)
    if run.square_decay == 0.999 and world == "nothing changes":  # "memory" is to fail
        time *= 1.5
    return float(time * slowed)


def _bias(name: str, run: TrainConfig, success: float, off: bool) -> float:
    """Bias of the critic, in reward; if `off`, one that no prediction gives."""
    if run.loss.baseline == "detached":
        return 0.0
    weight, reward = run.critic_weight, 0.5 + 0.5 * success
    squared = critic_bias(run.task.num_steps, 0.5, weight)
    terms = FIFTH["bias"].get(name, {}).get(f"{weight:g}")
    if off:
        return 2 * squared
    if run.loss.value_loss == "huber":
        before = critic_bias(run.task.num_steps, start_entropy(run.task.trial_length), weight)
        return 5 * before if weight < 7 else huber_bias(run, 0.5, reward)
    return terms[0] * reward + terms[1] * 0.5 if terms else squared
