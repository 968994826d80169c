"""The statements of the fifth set of predictions: what was measured, and the verdict on each.

Each statement, with the least and the greatest number with which it is right, is in
`paper/predictions.json` (`fifth`, `statements`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.elsewhere import BIAS, NOTHING
from pwm.analysis.estimates import Estimate, interval, rate, rate_difference, resampled
from pwm.analysis.fifth_cells import (
    bias_ratio,
    fifth_cells,
    light_times,
    means,
    median,
    of_groups,
    predicted_bias,
    the_cell,
)
from pwm.analysis.fixed_points import huber_bias
from pwm.analysis.fourth_predictions import NEAR, Statement
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import Cell, experiments_of, fraction_right, root_mean_square
from pwm.analysis.theory import value_floor
from pwm.core.leak import critic_bias, start_entropy

TARGETS = ("discount", "trial", "gae", "td")
BOOTSTRAPPED = ("gae", "td")
OPTIMISERS = ("adam-0.99", "adam-0.999")
BATCHES = ("batch-4", "batch-16", "batch-64", "batch-256")


class Measured(NamedTuple):
    """The measured number of a statement."""

    name: str
    estimate: Estimate
    experiments: tuple[str, ...]


def statements(evidence: Evidence) -> Iterator[Statement]:
    """Yields the statements in the order of the file."""
    said = predictions()["fifth"]["statements"]
    for name, estimate, experiments in measured(evidence):
        low, high = said[name]["right"]
        yield Statement(
            name=name,
            says=said[name]["measured"],
            estimate=estimate,
            region=(-inf if low is None else low, inf if high is None else high),
            experiments=experiments,
        )


def measured(evidence: Evidence) -> Iterator[Measured]:
    """Yields the numbers that the statements are about."""
    cells = fifth_cells(evidence)
    yield _less_error("error", cells, NOTHING)
    yield from _on_optimisers(evidence, cells)
    yield from _on_targets(evidence, cells)
    yield from _on_batches(evidence, cells)
    yield from _on_losses(evidence, cells)
    yield from _on_carried_states(evidence)
    yield from _on_the_later_notes(evidence)


def _less_error(name: str, cells: Sequence[Cell], rival: str) -> Measured:
    """The law's error minus a rival's, over the cells for which both have a prediction."""
    kept = [cell for cell in cells if rival in cell.predicted]
    less = root_mean_square(kept) - root_mean_square(kept, rival)
    return Measured(name, interval(less), experiments_of(kept))


def _right(name: str, cells: Sequence[Cell]) -> Measured:
    """The fraction of cells for which the law is right within a factor of `NEAR`."""
    return Measured(name, fraction_right(cells, NEAR), experiments_of(cells))


def _times(name: str, evidence: Evidence, groups: Sequence[str]) -> Measured:
    """The fraction of light critics whose times the law predicts within a factor of `NEAR`."""
    found = light_times(evidence, groups)
    near = [abs(np.log(ratio[0])) <= np.log(NEAR) for ratio in found.values()]
    experiments = tuple(f"fifth-{each}-light" for each in found)
    return Measured(name, Estimate(float(np.mean(near))), experiments)


def _slowdown(name: str, cell: Cell) -> Measured:
    """A cell's slowdown."""
    return Measured(name, interval(cell.least), cell.experiments)


def _mean_ratio(
    name: str, logs: Sequence[NDArray[np.float64]], experiments: Iterable[str]
) -> Measured:
    """A geometric mean of ratios, from their logarithms."""
    mean = np.exp(np.mean(logs, axis=0))
    return Measured(name, interval(mean), tuple(dict.fromkeys(experiments)))


def _on_optimisers(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Measured]:
    """Yields the numbers on Adam and SGD."""
    yield _right("adam", of_groups(cells, OPTIMISERS))
    soon, late = (of_groups(cells, (group,), "raw") for group in OPTIMISERS)
    logs = [np.log(_time(long) / _time(short)) for short, long in zip(soon, late, strict=True)]
    yield _mean_ratio("memory", logs, (cell.experiments[0] for cell in (*soon, *late)))
    centred = of_groups(cells, OPTIMISERS, "centred")
    worst = min(centred, key=lambda cell: float(cell.runs.rate()))
    experiments = tuple(dict.fromkeys(cell.experiments[0] for cell in centred))
    yield Measured("adam-centred", rate(worst.runs.learned), experiments)
    yield _slowdown("sgd-leak", the_cell(evidence, "sgd-15", "own", 2.0))
    yield _slowdown("sgd-climb", the_cell(evidence, "sgd-15", "raw", 30.0))
    unstable = the_cell(evidence, "sgd-15", "raw", 1000.0)
    yield Measured("sgd-unstable", rate(unstable.runs.learned), unstable.experiments[:1])


def _time(cell: Cell) -> NDArray[np.float64]:
    """Median time to learn, or the budget if fewer than half learned: [1 + resamples]."""
    return np.minimum(median(cell.runs), cell.runs.base.num_episodes)


def _on_targets(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Measured]:
    """Yields the numbers on discounted and bootstrapped returns, and on those of trials."""
    for name, groups, variant in (
        ("bias-own", BOOTSTRAPPED, "own"),
        ("bias-all", BOOTSTRAPPED, "all"),
        ("bias-whole", ("discount", "trial"), "own"),
    ):
        found = of_groups(cells, groups, variant)
        logs = [bias_ratio(cell.runs.critic_bias, predicted_bias(cell)) for cell in found]
        yield _mean_ratio(name, logs, (cell.experiments[0] for cell in found))
    yield _right("targets", of_groups(cells, TARGETS))
    yield _less_error("targets-error", of_groups(cells, BOOTSTRAPPED, "own", "all"), BIAS)
    yield _times("targets-light", evidence, TARGETS)
    yield _slowdown("trial-climb", the_cell(evidence, "trial-60", "raw", 30.0))
    heavy = the_cell(evidence, "gae-60", "raw", 10.0)
    whole = evidence.of("weight-0.001").at(
        episode_length=60, baseline="detached", critic_weight=10.0
    )
    ratio = _time(heavy) / np.minimum(median(whole), whole.base.num_episodes)
    yield Measured("gae-climb", interval(ratio), (heavy.experiments[0], "weight-0.001"))


def _on_batches(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Measured]:
    """Yields the numbers on several episodes per update."""
    yield _times("batch-light", evidence, BATCHES)
    yield _right("batch", of_groups(cells, BATCHES))
    yield _slowdown("batch-leak", the_cell(evidence, "batch-256-15", "own", 2.0))


def _on_losses(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Measured]:
    """Yields the numbers on normalised advantages and Huber's loss."""
    yield _right("normalised-leak", of_groups(cells, ("normalised",), "own"))
    yield _right("normalised-climb", of_groups(cells, ("normalised",), "raw"))
    yield _times("normalised-light", evidence, ("normalised",))
    name, *_ = the_cell(evidence, "huber-15", "own", 2.0).experiments
    light, heavy = (
        [the_cell(evidence, "huber-15", "own", weight) for weight in weights]
        for weights in ((2.0, 5.0), (10.0, 20.0))
    )
    excess = np.min([_over_squared(cell) for cell in light], axis=0)
    yield Measured("huber-runaway", interval(excess), (name,))
    yield _mean_ratio("huber-rest", [_over_huber(cell) for cell in heavy], (name,))
    yield _right("huber-climb", of_groups(cells, ("huber",), "raw"))


def _over_squared(cell: Cell) -> NDArray[np.float64]:
    """Mean bias over c T H / 2w at the entropy before learning: [1 + resamples]."""
    task = cell.runs.base.task
    squared = critic_bias(task.num_steps, start_entropy(task.trial_length), cell.weight)
    return means(cell.runs.critic_bias) / squared


def _over_huber(cell: Cell) -> NDArray[np.float64]:
    """Logarithm of the bias over that by `huber_bias` from the seeds' outcomes: [1 + resamples]."""
    pairs = zip(cell.runs.entropy, cell.runs.reward, strict=True)
    predicted = np.array([huber_bias(cell.runs.base, *pair) for pair in pairs])
    return bias_ratio(cell.runs.critic_bias, predicted)


def _on_carried_states(evidence: Evidence) -> Iterator[Measured]:
    """Yields the numbers on a carried state, with which the critic can know its position."""
    name = "fifth-carried-60-light"
    light = evidence.of(name).at(critic_weight=0.1)
    blind = value_floor(1.0, light.base.task.num_trials)
    losses = light.value_loss[resampled(len(light.value_loss))]
    yield Measured("carried-floor", interval(np.median(losses, axis=-1) / blind), (name,))
    own, centred = (
        the_cell(evidence, "carried-60", variant, 10.0) for variant in ("own", "centred")
    )
    experiments = (own.experiments[0], centred.experiments[0])
    yield Measured("carried-leak", interval(_time(own) / _time(centred)), experiments)
    yield _slowdown("carried-centred", centred)


def _on_the_later_notes(evidence: Evidence) -> Iterator[Measured]:
    """Yields the numbers on the notes' later setting."""
    attached, detached, per_loss = names = (
        "later-attached", "later-detached", "later-per-loss",
    )  # fmt: skip
    runs = {name: evidence.of(name) for name in names}
    light, two = (runs[attached].at(critic_weight=weight).learned for weight in (0.05, 2.0))
    free, free_two = (runs[detached].at(critic_weight=weight).learned for weight in (0.05, 2.0))
    apart = runs[per_loss].at(critic_weight=1.0).learned
    yield Measured("later-light", rate(light), (attached,))
    yield Measured("later-two", rate(two), (attached,))
    yield Measured("later-rise", rate_difference(two, light), (attached,))
    yield Measured("later-detached", rate_difference(free, light), (attached, detached))
    yield Measured("later-gain", rate_difference(free_two, two), (attached, detached))
    yield Measured("later-per-loss", rate_difference(apart, free_two), (detached, per_loss))
    logs = [_later_bias(runs[attached].at(critic_weight=weight)) for weight in (1.0, 2.0, 3.0)]
    yield _mean_ratio("later-bias", logs, (attached,))


def _later_bias(runs: Outcomes) -> NDArray[np.float64]:
    """Logarithm of the measured bias over c T H / 2w: [1 + resamples]."""
    predicted = runs.entropy * critic_bias(runs.base.task.num_steps, 1.0, runs.base.critic_weight)
    return bias_ratio(runs.critic_bias, predicted)
