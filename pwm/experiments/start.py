"""Experiments on the critic's initial value, and on returns minus their running mean (centred)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pwm.experiments.grids import LENGTHS, TRIAL_LENGTHS, grid
from pwm.runs.experiment import Experiment

DECADES = (0.1, 1.0, 10.0, 100.0)  # critic weights
EARLY = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # episodes after which to probe


def start_experiments() -> Iterator[Experiment]:
    """Yields the experiments on the critic's initial value and on centred returns."""
    for rate, episodes in ((0.005, 10_000), (0.001, 20_000)):
        yield grid(
            f"centred-{rate:g}",
            f"part of the grid of weight-{rate:g}, with centred returns",
            weights=DECADES,
            learning_rate=rate,
            num_episodes=episodes,
            episode_length=LENGTHS,
            returns="centred",
        )
    yield grid(
        "long",
        "episodes of 240 steps, raw and centred",
        weights=DECADES,
        episode_length=240,
        returns=("raw", "centred"),
    )
    yield grid(
        "centred-learning-rate",
        "part of the grid of learning-rate, detached, with centred returns",
        num_episodes=10_000,
        weights=(1.0, 100.0),
        baseline="detached",
        episode_length=(15, 60),
        returns="centred",
        learning_rate=(0.0003, 0.001, 0.003, 0.01),
    )
    mean: dict[str, Any] = {"baseline": "detached", "critic_start": "mean"}
    fixed_point: dict[str, Any] = {
        "weights": (1.0, 2.0, 3.0, 5.0, 10.0),
        "baseline": "attached",
        "critic_start": "fixed-point",
    }
    about = "a detached critic that starts at the mean return"
    yield grid("start-mean", about, DECADES, episode_length=LENGTHS, **mean)
    about = "an attached critic that starts at the leak's fixed point"
    yield grid("start-fixed-point", about, episode_length=LENGTHS, **fixed_point)
    for trial_length in TRIAL_LENGTHS:
        task: dict[str, Any] = {"episode_length": 5 * trial_length, "trial_length": trial_length}
        about = "start-mean at weight 0.1, with shorter or longer trials, five per episode"
        yield grid(f"start-mean-trial-{trial_length}", about, (0.1,), **task, **mean)
        about = "the grid of start-fixed-point, with shorter or longer trials, five per episode"
        yield grid(f"start-fixed-point-trial-{trial_length}", about, **task, **fixed_point)
    yield grid(
        "distance",
        "a detached critic that starts below or above the mean return of 5.25",
        weights=(1.0, 10.0, 30.0),
        baseline="detached",
        episode_length=60,
        critic_start=(-5.25, 2.25, 8.25, 10.5, 15.75),
    )
    # Critics of climb-raw, which despite its name has both raw and centred returns, start at zero;
    # with raw returns, their values rise to the mean return. Those of climb-start start there.
    from_zero: dict[str, Any] = {"returns": ("raw", "centred")}
    for name, fields in (("raw", from_zero), ("start", {"critic_start": "mean"})):
        yield grid(
            f"climb-{name}",
            "early probes of the hidden state while the critic finds the mean return",
            num_episodes=5000,
            probe_episodes=64,
            probe_at=(EARLY,),  # one value, itself a tuple: `grid` makes it an axis
            weights=DECADES,
            baseline="detached",
            episode_length=(15, 60),
            **fields,
        )
    yield grid(
        "tracking",
        "how fast the running mean should follow the return",
        weights=(10.0, 100.0),
        seeds=48,
        num_episodes=10_000,
        learning_rate=0.005,
        baseline="detached",
        returns="centred",
        episode_length=(60, 120),
        tracking_rate=(0.003, 0.01, 0.03, 0.1, 1.0),
    )
    yield grid(
        "head-leak",
        "the leak into the value head alone, from 0 or its fixed point, raw or centred",
        weights=(0.2, 0.5, 1.0, 5.0),
        baseline="attached_head",
        returns=("raw", "centred"),
        critic_start=(0.0, "fixed-point"),
    )
