"""The statements of the fifth set of predictions: what was measured, and the verdict on each.

The statements are those of `fifth` in `paper/predictions.json`, in order. As stated there, a cell
of which fewer than half of the runs learned is right if the law's time exceeds the budget. Groups
and variants, such as "gae" and "own", are explained in `pwm.experiments.fifth`. Measured numbers
are arrays [1 + resamples]: for the seeds as they are, then for each resample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.elsewhere import BIAS, NOTHING
from pwm.analysis.estimates import (
    Estimate,
    interval,
    rate,
    rate_difference,
    resampled,
    resampled_means,
)
from pwm.analysis.evidence import Evidence
from pwm.analysis.fifth_cells import (
    fifth_cells,
    light_time_ratios,
    log_bias_ratio,
    median_times,
    of_groups,
    predicted_bias,
    the_cell,
)
from pwm.analysis.fixed_points import huber_bias
from pwm.analysis.fourth_predictions import NEAR
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import Cell, experiments_of, fraction_right, root_mean_square
from pwm.analysis.statements import Statement, predicted_statement
from pwm.analysis.theory import value_floor
from pwm.core.leak import critic_bias, start_entropy

TARGETS = ("discount", "trial", "gae", "td")
BOOTSTRAPPED = ("gae", "td")
OPTIMISERS = ("adam-0.99", "adam-0.999")
BATCHES = ("batch-4", "batch-16", "batch-64", "batch-256")


def statements(evidence: Evidence) -> Iterator[Statement]:
    """Yields the statements in the order of the file."""
    cells = fifth_cells(evidence)
    yield _error_difference("error", cells, NOTHING)
    yield from _on_optimisers(evidence, cells)
    yield from _on_targets(evidence, cells)
    yield from _on_batches(evidence, cells)
    yield from _on_losses(evidence, cells)
    yield from _on_carried_states(evidence)
    yield from _on_the_later_notes(evidence)


def _statement(name: str, estimate: Estimate, experiments: Iterable[str]) -> Statement:
    """The statement of a name, with the measured number and the experiments behind it."""
    said = predictions()["fifth"]["statements"][name]
    return predicted_statement(name, said, estimate, tuple(dict.fromkeys(experiments)))


def _error_difference(name: str, cells: Sequence[Cell], rival: str) -> Statement:
    """A statement on the law's error minus a rival's, over the cells that both predict."""
    both = [cell for cell in cells if rival in cell.predicted]
    difference = root_mean_square(both) - root_mean_square(both, rival)
    return _statement(name, interval(difference), experiments_of(both))


def _cells_right(name: str, cells: Sequence[Cell]) -> Statement:
    """A statement on the fraction of cells for which the law is right within a factor of `NEAR`."""
    return _statement(name, fraction_right(cells, NEAR), experiments_of(cells))


def _light_times_right(name: str, evidence: Evidence, groups: Sequence[str]) -> Statement:
    """A statement on the fraction of light critics whose times are right within `NEAR`."""
    ratios = light_time_ratios(evidence, groups)
    near = [abs(np.log(ratio[0])) <= np.log(NEAR) for ratio in ratios.values()]
    experiments = [f"fifth-{condition}-light" for condition in ratios]
    return _statement(name, Estimate(float(np.mean(near))), experiments)


def _slowdown(name: str, cell: Cell) -> Statement:
    """A statement on the slowdown of a cell."""
    return _statement(name, interval(cell.least_slowdowns), cell.experiments)


def _mean_ratio(
    name: str, logs: Sequence[NDArray[np.float64]], experiments: Iterable[str]
) -> Statement:
    """A statement on a geometric mean of ratios, given their logarithms."""
    return _statement(name, interval(np.exp(np.mean(logs, axis=0))), experiments)


def _capped_time(runs: Outcomes) -> NDArray[np.float64]:
    """Median time to learn, or the budget if fewer than half learned: [1 + resamples]."""
    return np.minimum(median_times(runs), runs.base.num_episodes)


def _on_optimisers(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Statement]:
    """Yields the statements on Adam and SGD."""
    yield _cells_right("adam", of_groups(cells, OPTIMISERS))
    short_memory, long_memory = (of_groups(cells, (group,), "raw") for group in OPTIMISERS)
    logs = [
        np.log(_capped_time(long.runs) / _capped_time(short.runs))
        for short, long in zip(short_memory, long_memory, strict=True)
    ]
    experiments = [cell.experiments[0] for cell in (*short_memory, *long_memory)]
    yield _mean_ratio("memory", logs, experiments)
    centred = of_groups(cells, OPTIMISERS, "centred")
    worst = min(centred, key=lambda cell: float(cell.runs.rate()))
    experiments = [cell.experiments[0] for cell in centred]
    yield _statement("adam-centred", rate(worst.runs.learned), experiments)
    yield _slowdown("sgd-leak", the_cell(evidence, "sgd-15", "own", 2.0))
    yield _slowdown("sgd-climb", the_cell(evidence, "sgd-15", "raw", 30.0))
    unstable = the_cell(evidence, "sgd-15", "raw", 1000.0)
    yield _statement("sgd-unstable", rate(unstable.runs.learned), unstable.experiments[:1])


def _on_targets(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Statement]:
    """Yields the statements on discounted and bootstrapped returns, and on returns of trials."""
    for name, groups, variant in (
        ("bias-own", BOOTSTRAPPED, "own"),
        ("bias-all", BOOTSTRAPPED, "all"),
        ("bias-whole", ("discount", "trial"), "own"),
    ):
        found = of_groups(cells, groups, variant)
        logs = [log_bias_ratio(cell.runs.critic_bias, predicted_bias(cell)) for cell in found]
        yield _mean_ratio(name, logs, [cell.experiments[0] for cell in found])
    yield _cells_right("targets", of_groups(cells, TARGETS))
    yield _error_difference("targets-error", of_groups(cells, BOOTSTRAPPED, "own", "all"), BIAS)
    yield _light_times_right("targets-light", evidence, TARGETS)
    yield _slowdown("trial-climb", the_cell(evidence, "trial-60", "raw", 30.0))
    bootstrapped = the_cell(evidence, "gae-60", "raw", 10.0)
    whole_returns = evidence.of("weight-0.001").at(
        episode_length=60, baseline="detached", critic_weight=10.0
    )
    ratio = _capped_time(bootstrapped.runs) / _capped_time(whole_returns)
    experiments = (bootstrapped.experiments[0], "weight-0.001")
    yield _statement("gae-climb", interval(ratio), experiments)


def _on_batches(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Statement]:
    """Yields the statements on several episodes per update."""
    yield _light_times_right("batch-light", evidence, BATCHES)
    yield _cells_right("batch", of_groups(cells, BATCHES))
    yield _slowdown("batch-leak", the_cell(evidence, "batch-256-15", "own", 2.0))


def _on_losses(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Statement]:
    """Yields the statements on normalised advantages and Huber's loss."""
    yield _cells_right("normalised-leak", of_groups(cells, ("normalised",), "own"))
    yield _cells_right("normalised-climb", of_groups(cells, ("normalised",), "raw"))
    yield _light_times_right("normalised-light", evidence, ("normalised",))
    light = [the_cell(evidence, "huber-15", "own", weight) for weight in (2.0, 5.0)]
    heavy = [the_cell(evidence, "huber-15", "own", weight) for weight in (10.0, 20.0)]
    experiments = light[0].experiments[:1]
    smaller = np.min([_bias_over_squared(cell) for cell in light], axis=0)
    yield _statement("huber-runaway", interval(smaller), experiments)
    yield _mean_ratio("huber-rest", [_log_bias_over_huber(cell) for cell in heavy], experiments)
    yield _cells_right("huber-climb", of_groups(cells, ("huber",), "raw"))


def _bias_over_squared(cell: Cell) -> NDArray[np.float64]:
    """Mean bias over that with squared errors before learning, c T H / 2w: [1 + resamples]."""
    task = cell.runs.base.task
    squared = critic_bias(task.num_steps, start_entropy(task.trial_length), cell.weight)
    return resampled_means(cell.runs.critic_bias) / squared


def _log_bias_over_huber(cell: Cell) -> NDArray[np.float64]:
    """Logarithm of the bias over that by `huber_bias` from the seeds' outcomes: [1 + resamples]."""
    runs = cell.runs
    predicted = [
        huber_bias(runs.base, entropy, success)
        for entropy, success in zip(runs.entropy, runs.reward, strict=True)
    ]
    return log_bias_ratio(runs.critic_bias, np.array(predicted))


def _on_carried_states(evidence: Evidence) -> Iterator[Statement]:
    """Yields the statements on a carried state, with which the critic can know the trial."""
    name = "fifth-carried-60-light"
    light = evidence.of(name).at(critic_weight=0.1)
    floor = value_floor(1.0, light.base.task.num_trials)  # of a critic that does not know the trial
    losses = np.median(light.value_loss[resampled(len(light.value_loss))], axis=-1)
    yield _statement("carried-floor", interval(losses / floor), (name,))
    own = the_cell(evidence, "carried-60", "own", 10.0)
    centred = the_cell(evidence, "carried-60", "centred", 10.0)
    ratio = _capped_time(own.runs) / _capped_time(centred.runs)
    experiments = (own.experiments[0], centred.experiments[0])
    yield _statement("carried-leak", interval(ratio), experiments)
    yield _slowdown("carried-centred", centred)


def _on_the_later_notes(evidence: Evidence) -> Iterator[Statement]:
    """Yields the statements on the notes' later setting."""
    attached, detached, per_loss = "later-attached", "later-detached", "later-per-loss"

    def learned(name: str, weight: float) -> NDArray[np.bool_]:
        """Whether each seed of an experiment learned at a weight: [S]."""
        return evidence.of(name).at(critic_weight=weight).learned

    light, two = learned(attached, 0.05), learned(attached, 2.0)
    detached_two = learned(detached, 2.0)
    yield _statement("later-light", rate(light), [attached])
    yield _statement("later-two", rate(two), [attached])
    yield _statement("later-rise", rate_difference(two, light), [attached])
    gain = rate_difference(learned(detached, 0.05), light)
    yield _statement("later-detached", gain, [attached, detached])
    yield _statement("later-gain", rate_difference(detached_two, two), [attached, detached])
    gain = rate_difference(learned(per_loss, 1.0), detached_two)
    yield _statement("later-per-loss", gain, [detached, per_loss])
    logs = []
    for weight in (1.0, 2.0, 3.0):
        runs = evidence.of(attached).at(critic_weight=weight)
        predicted = runs.entropy * critic_bias(runs.base.task.num_steps, 1.0, weight)  # c T H / 2w
        logs.append(log_bias_ratio(runs.critic_bias, predicted))
    yield _mean_ratio("later-bias", logs, (attached,))
