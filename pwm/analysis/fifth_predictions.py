"""Statements of the fifth set of predictions: the measured number and the verdict of each.

The statements are listed in `paper/predictions.json` (`fifth`). A cell is the runs of one group,
episode length, variant and weight. `pwm.experiments.fifth` explains groups, such as "gae", and
variants: "raw" and "centred" have no leak, "own" a leak through the value of each step itself, and
"all" also through the values in its target. Measured numbers are arrays [1 + resamples]: for the
original seeds, then for each resample. Fractions of cells are for the original seeds alone.
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
    log_bias_ratio,
    median_times,
    of_groups,
    predicted_biases,
    the_cell,
)
from pwm.analysis.fixed_points import huber_bias
from pwm.analysis.fourth_predictions import NEAR
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import LAW, Cell, experiments_of, fraction_right, root_mean_square
from pwm.analysis.statements import Statement, predicted_statement
from pwm.analysis.theory import value_floor
from pwm.core.leak import critic_bias, leak_temperature, start_entropy
from pwm.experiments.fifth import WEIGHTS

CARRIED_WEIGHT = 10.0  # critic weight at which runs that carry the state are compared
# Groups of the fifth set, by the kind of change
TARGETS = ("discount", "trial", "gae", "td")  # the critic learns another return
BOOTSTRAPPED = ("gae", "td")
OPTIMISERS = ("adam-0.99", "adam-0.999")
BATCHES = ("batch-4", "batch-16", "batch-64", "batch-256")


def statements(evidence: Evidence) -> Iterator[Statement]:
    """Yields all statements, in the order of `paper/predictions.json`."""
    cells = fifth_cells(evidence)
    yield _error_difference("error", cells, NOTHING)
    yield from _on_optimisers(evidence, cells)
    yield from _on_targets(evidence, cells)
    yield from _on_batches(evidence, cells)
    yield from _on_normalised_advantages(evidence, cells)
    yield from _on_huber(evidence, cells)
    yield from _on_carried_states(evidence)
    yield from _on_the_later_notes(evidence)


def _statement(name: str, estimate: Estimate, experiments: Iterable[str]) -> Statement:
    """Statement `name`, with its measured number and the experiments it is measured on."""
    entry = predictions()["fifth"]["statements"][name]
    return predicted_statement(name, entry, estimate, tuple(dict.fromkeys(experiments)))


def _error_difference(name: str, cells: Sequence[Cell], rival: str) -> Statement:
    """Statement on the law's error minus a rival account's, over the cells that both predict."""
    both = [cell for cell in cells if rival in cell.predicted]
    difference = root_mean_square(both, LAW) - root_mean_square(both, rival)
    return _statement(name, interval(difference), experiments_of(both))


def _cells_right(name: str, cells: Sequence[Cell]) -> Statement:
    """Statement on the fraction of cells that the law predicts within `NEAR` (`Cell.right`)."""
    return _statement(name, fraction_right(cells, NEAR), experiments_of(cells))


def _light_times_right(name: str, evidence: Evidence, groups: Sequence[str]) -> Statement:
    """Statement on light critics: the fraction whose median time the law predicts within `NEAR`."""
    conditions = [f"{group}-{steps}" for group, steps in WEIGHTS if group in groups]
    experiments = [f"fifth-{condition}-light" for condition in conditions]
    right = []
    for condition, experiment in zip(conditions, experiments, strict=True):
        measured = median_times(evidence.of(experiment))[0]
        predicted = predictions()["fifth"]["light"][condition][LAW]
        right.append(abs(np.log(measured / predicted)) <= np.log(NEAR))
    return _statement(name, Estimate(float(np.mean(right))), experiments)


def _slowdown(name: str, cell: Cell) -> Statement:
    """Statement on a cell's slowdown, or its lower bound if unknown; with an interval for both."""
    return _statement(name, interval(cell.least_slowdowns), cell.experiments)


def _mean_ratio(
    name: str, log_ratios: Sequence[NDArray[np.float64]], experiments: Iterable[str]
) -> Statement:
    """Statement on the geometric mean of ratios, given their logarithms, [1 + resamples] each."""
    return _statement(name, interval(np.exp(np.mean(log_ratios, axis=0))), experiments)


def _own_experiments(cells: Iterable[Cell]) -> list[str]:
    """Experiment of each cell's own runs, not of its light critic's."""
    return [cell.experiments[0] for cell in cells]


def _capped_time(runs: Outcomes) -> NDArray[np.float64]:
    """Median time to learn, or the run's length if fewer than half ever did: [1 + resamples]."""
    return np.minimum(median_times(runs), runs.base.num_episodes)


def _on_optimisers(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Statement]:
    """Yields the statements on Adam and SGD."""
    yield _cells_right("adam", of_groups(cells, OPTIMISERS))
    # Memory of the mean square (`square_decay`)
    short_memory = of_groups(cells, ("adam-0.99",), "raw")
    long_memory = of_groups(cells, ("adam-0.999",), "raw")
    log_ratios = [
        np.log(_capped_time(long.runs) / _capped_time(short.runs))
        for short, long in zip(short_memory, long_memory, strict=True)
    ]
    yield _mean_ratio("memory", log_ratios, _own_experiments([*short_memory, *long_memory]))
    centred = of_groups(cells, OPTIMISERS, "centred")
    worst = min(centred, key=lambda cell: float(cell.runs.rate()))
    yield _statement("adam-centred", rate(worst.runs.learned), _own_experiments(centred))
    yield _slowdown("sgd-leak", the_cell(evidence, "sgd-15", "own", 2.0))
    yield _slowdown("sgd-climb", the_cell(evidence, "sgd-15", "raw", 30.0))
    unstable = the_cell(evidence, "sgd-15", "raw", 1000.0)
    yield _statement("sgd-unstable", rate(unstable.runs.learned), _own_experiments([unstable]))


def _on_targets(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Statement]:
    """Yields the statements on discounted, bootstrapped and single-trial returns."""
    for name, groups, variant in (
        ("bias-own", BOOTSTRAPPED, "own"),
        ("bias-all", BOOTSTRAPPED, "all"),
        ("bias-whole", ("discount", "trial"), "own"),
    ):
        leaking = of_groups(cells, groups, variant)
        log_ratios = [
            log_bias_ratio(cell.runs.critic_bias, predicted_biases(cell)) for cell in leaking
        ]
        yield _mean_ratio(name, log_ratios, _own_experiments(leaking))
    yield _cells_right("targets", of_groups(cells, TARGETS))
    yield _error_difference("targets-error", of_groups(cells, BOOTSTRAPPED, "own", "all"), BIAS)
    yield _light_times_right("targets-light", evidence, TARGETS)
    yield _slowdown("trial-climb", the_cell(evidence, "trial-60", "raw", 30.0))
    bootstrapped = the_cell(evidence, "gae-60", "raw", 10.0)
    whole_returns = evidence.of("weight-0.001").at(baseline="detached", critic_weight=10.0)
    ratio = _capped_time(bootstrapped.runs) / _capped_time(whole_returns.at(episode_length=60))
    yield _statement("gae-climb", interval(ratio), (bootstrapped.experiments[0], "weight-0.001"))


def _on_batches(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Statement]:
    """Yields the statements on batches of several episodes per update."""
    yield _light_times_right("batch-light", evidence, BATCHES)
    yield _cells_right("batch", of_groups(cells, BATCHES))
    yield _slowdown("batch-leak", the_cell(evidence, "batch-256-15", "own", 2.0))


def _on_normalised_advantages(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Statement]:
    """Yields the statements on normalised advantages: leak, climb and the light critic's time."""
    yield _cells_right("normalised-leak", of_groups(cells, ("normalised",), "own"))
    yield _cells_right("normalised-climb", of_groups(cells, ("normalised",), "raw"))
    yield _light_times_right("normalised-light", evidence, ("normalised",))


def _on_huber(evidence: Evidence, cells: Sequence[Cell]) -> Iterator[Statement]:
    """Yields the statements on the Huber loss: leak without and with a fixed point, and climb."""
    runaway = [the_cell(evidence, "huber-15", "own", weight) for weight in (2.0, 5.0)]
    ratios = []  # of the bias to that with a squared loss before learning, c T H / (2 w)
    for cell in runaway:
        task = cell.runs.base.task
        squared = critic_bias(task.num_steps, start_entropy(task.trial_length), cell.weight)
        ratios.append(resampled_means(cell.runs.critic_bias) / squared)
    yield _statement("huber-runaway", interval(np.min(ratios, axis=0)), _own_experiments(runaway))
    at_rest = [the_cell(evidence, "huber-15", "own", weight) for weight in (10.0, 20.0)]
    log_ratios = []  # of the bias to `huber_bias` at each seed's final entropy and reward
    for cell in at_rest:
        seeds = zip(cell.runs.entropy, cell.runs.reward, strict=True)
        predicted = [huber_bias(cell.runs.base, entropy, success) for entropy, success in seeds]
        log_ratios.append(log_bias_ratio(cell.runs.critic_bias, np.array(predicted)))
    yield _mean_ratio("huber-rest", log_ratios, _own_experiments(at_rest))
    yield _cells_right("huber-climb", of_groups(cells, ("huber",), "raw"))


def _on_carried_states(evidence: Evidence) -> Iterator[Statement]:
    """Yields the statements on a carried LSTM state, which can encode the index of the trial."""
    name = "fifth-carried-60-light"  # a detached critic of weight 0.1
    light = evidence.of(name).at(critic_weight=0.1)
    # Of a critic that does not know its trial, once every trial is rewarded
    floor = value_floor(1.0, light.base.task.num_trials)
    value_losses = light.value_loss  # (S,)
    medians = np.median(value_losses[resampled(len(value_losses))], axis=-1)
    yield _statement("carried-floor", interval(medians / floor), (name,))
    own = the_cell(evidence, "carried-60", "own", CARRIED_WEIGHT)
    centred = the_cell(evidence, "carried-60", "centred", CARRIED_WEIGHT)
    ratio = _capped_time(own.runs) / _capped_time(centred.runs)
    yield _statement("carried-leak", interval(ratio), _own_experiments([own, centred]))
    yield _slowdown("carried-centred", centred)


def _on_the_later_notes(evidence: Evidence) -> Iterator[Statement]:
    """Yields the statements on the public notes' later setting (`fifth.LATER_SETTING`)."""
    attached, detached, per_loss = "later-attached", "later-detached", "later-per-loss"

    def learned(name: str, weight: float) -> NDArray[np.bool_]:
        """Whether each seed of an experiment learned at a critic weight: [S]."""
        return evidence.of(name).at(critic_weight=weight).learned

    attached_light, attached_at_2 = learned(attached, 0.05), learned(attached, 2.0)
    detached_light, detached_at_2 = learned(detached, 0.05), learned(detached, 2.0)
    yield _statement("later-light", rate(attached_light), [attached])
    yield _statement("later-two", rate(attached_at_2), [attached])
    for name, better, worse, experiments in (
        ("later-rise", attached_at_2, attached_light, [attached]),
        ("later-detached", detached_light, attached_light, [attached, detached]),
        ("later-gain", detached_at_2, attached_at_2, [attached, detached]),
        ("later-per-loss", learned(per_loss, 1.0), detached_at_2, [detached, per_loss]),
    ):
        yield _statement(name, rate_difference(better, worse), experiments)
    log_ratios = []  # of the bias to the predicted one, α H
    for weight in (1.0, 2.0, 3.0):
        runs = evidence.of(attached).at(critic_weight=weight)
        temperature = leak_temperature(runs.base.task.num_steps, weight)  # α = c T / (2 w)
        log_ratios.append(log_bias_ratio(runs.critic_bias, temperature * runs.entropy))
    yield _mean_ratio("later-bias", log_ratios, (attached,))
