"""The numbers behind the figures, and their tables as CSV."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import SuccessRate, interquartile_mean, rate_difference, success_rate
from pwm.analysis.learning import (
    final_reward,
    final_value_loss,
    learned,
    median_time_to_learn,
    times_to_learn,
)
from pwm.core.history import METRICS, History
from pwm.core.task import TaskConfig

COLUMNS = {"value_loss": "value loss", "policy_loss": "policy loss", "reward": "reward"}
"""The panels of a row, and what they are called."""
SOLVED = 0.95  # final reward
SEED_WINDOWS = 10  # windows averaged for the faint curve of a single seed
FAINT_SEEDS = 24  # seeds that get one


@dataclass(frozen=True)
class Row:
    """One row of panels: the replicas that share a critic weight."""

    critic_weight: float
    history: History
    task: TaskConfig
    has_floor: bool = True
    """Whether `value_floor` holds: state reset, returns undiscounted, decisions alone paid."""


def success(row: Row) -> SuccessRate:
    """Fraction of a row's replicas that learned."""
    outcome = learned(row.history, row.task)
    return success_rate(int(outcome.sum()), len(outcome))


def quartiles(curves: NDArray[np.float32]) -> NDArray[np.float64]:
    """Quartiles over replicas of each window, ignoring what diverged: [R, K] to [3, K]."""
    finite = np.where(np.isfinite(curves), curves.astype(np.float64), np.nan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanquantile(finite, [0.25, 0.5, 0.75], axis=0)


def coarsened(history: History, windows: int) -> History:
    """The history averaged over groups of that many windows; a rest too short is left out."""
    groups = max(len(history.episode) // windows, 1)
    windows = min(windows, len(history.episode))
    kept = groups * windows
    curves = (getattr(history, name)[:, :kept] for name in METRICS)
    return History(
        history.episode[windows - 1 : kept : windows],
        *(np.mean(curve.reshape(len(curve), groups, windows), axis=2) for curve in curves),
    )


def faint_curves(history: History) -> History:
    """The first seeds, coarsened."""
    few = history.select(range(min(FAINT_SEEDS, len(history.reward))))
    return coarsened(few, SEED_WINDOWS)


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.5g}"


def _csv(source: str, header: str, lines: Iterable[Sequence[float]]) -> bytes:
    rows = [",".join(map(_number, line)) for line in lines]
    return "\n".join([f"# {source}", header, *rows, ""]).encode()


def curves_table(rows: Sequence[Row], source: str) -> bytes:
    """Mean over replicas of every window, as CSV that names its source."""
    header = ",".join(["critic_weight", "episode", *COLUMNS])
    lines = (
        (row.critic_weight, episode, *means)
        for row in rows
        for episode, *means in zip(
            row.history.episode,
            *(getattr(row.history, name).mean(axis=0) for name in COLUMNS),
            strict=True,
        )
    )
    return _csv(source, header, lines)


def quartiles_table(rows: Sequence[Row], source: str) -> bytes:
    """Quartiles over replicas of every window."""
    names = [f"{name}_{part}" for name in COLUMNS for part in ("q25", "median", "q75")]
    lines = (
        (row.critic_weight, *values)
        for row in rows
        for values in zip(
            row.history.episode,
            *(part for name in COLUMNS for part in quartiles(getattr(row.history, name))),
            strict=True,
        )
    )
    return _csv(source, ",".join(["critic_weight", "episode", *names]), lines)


def seeds_table(rows: Sequence[Row], source: str) -> bytes:
    """The seeds that are drawn, as coarse as they are drawn."""
    lines = (
        (row.critic_weight, seed, *values)
        for row in rows
        for coarse in [faint_curves(row.history)]
        for seed in range(len(coarse.reward))
        for values in zip(
            coarse.episode, *(getattr(coarse, name)[seed] for name in COLUMNS), strict=True
        )
    )
    return _csv(source, ",".join(["critic_weight", "seed", "episode", *COLUMNS]), lines)


def learned_table(rows: Sequence[Row], source: str) -> bytes:
    """How many replicas of each row learned, when, and what became of the value loss.

    After the success rate with its Wilson interval: how much higher it is than the row's before,
    with the interval of that; the interquartile mean of the final reward and the median episode
    by which a replica had learned, with their intervals; the highest window of the value loss,
    median over replicas; how many replicas end above a reward of 0.95, and their final value
    loss, median over them (nan if there are none).
    """
    lines, before = [], None
    for row in rows:
        rate, random = success(row), np.random.default_rng(0)
        change = (np.nan,) * 3 if before is None else rate_difference(rate, before)
        reward = interquartile_mean(final_reward(row.history), random)
        time = median_time_to_learn(times_to_learn(row.history, row.task))
        peaks = quartiles(row.history.value_loss.max(axis=1, keepdims=True))
        solved = final_reward(row.history) > SOLVED
        final = final_value_loss(row.history)[solved]
        settled = float(np.median(final)) if len(final) else np.nan
        of_loss = (peaks[1, 0], solved.sum(), settled)
        lines.append((row.critic_weight, *rate, *change, *reward, *time, *of_loss))
        before = rate
    intervals = (f"{name},{name}_low,{name}_high" for name in ("change", "reward", "episodes"))
    header = (
        f"critic_weight,learned,seeds,rate,wilson_low,wilson_high,{','.join(intervals)},"
        "peak_value_loss,solved,solved_value_loss"
    )
    return _csv(source, header, lines)


def success_table(series: Mapping[str, Sequence[Row]], source: str) -> bytes:
    """How many replicas learned, by series and critic weight."""
    lines = [
        ",".join([f'"{name}"', *map(_number, (row.critic_weight, *success(row)))])
        for name, rows in series.items()
        for row in rows
    ]
    header = "series,critic_weight,learned,seeds,rate,wilson_low,wilson_high"
    return "\n".join([f"# {source}", header, *lines, ""]).encode()
