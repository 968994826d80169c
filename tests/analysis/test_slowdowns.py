"""Slowdowns by hand, where runs finish and where they do not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import ArrayLike

from pwm.analysis.outcomes import Outcomes
from pwm.analysis.slowdowns import (
    LAW,
    Cell,
    by_middle,
    experiments_of,
    fraction_right,
    leaving_one_out,
    measured_over_predicted,
    root_mean_square,
)
from pwm.runs.experiment import Experiment
from pwm.training.config import TrainConfig
from tests.support.outcomes import made_up_outcomes

BUDGET = 10_000
NEVER = float("inf")


def runs(*times: float) -> Outcomes:
    """Runs with these times to learn, in episodes, one per seed."""

    def outcome(_run: TrainConfig) -> Mapping[str, ArrayLike]:
        return {"time": np.array(times)}

    axes = {"seed": range(len(times))}
    return made_up_outcomes(
        Experiment(name="made-up", base=TrainConfig(num_episodes=BUDGET), axes=axes), outcome
    )


def cell(*times: float, condition: str = "one", **predicted: float) -> Cell:
    """Cell with these times to learn; the light critic takes 1,000 episodes."""
    return Cell(
        condition=condition,
        variant="raw",
        weight=1.0,
        runs=runs(*times),
        light=runs(*[1000.0] * len(times)),
        experiments=(condition, "light"),
        predicted=predicted,
    )


def test_a_slowdown_is_the_ratio_of_the_median_times() -> None:
    some = cell(2000, 3000, 9000, law=3.0)
    assert some.slowdowns[0] == 3
    assert set(some.slowdowns) <= {2, 3, 9}  # of resamples
    assert some.finished
    assert some.bounds[0] == 10
    assert (some.least_slowdowns == some.slowdowns).all()


def test_by_the_windows_middle_every_time_is_250_episodes_earlier() -> None:
    known, unknown = by_middle([cell(3000, 3000), cell(NEVER, NEVER)])
    assert known.estimate == (2750 / 750,) * 3
    assert unknown.estimate[0] == unknown.bounds[0] == 9750 / 750
    assert np.isnan(unknown.estimate.low)  # the light critic's interval is not the cell's


def test_where_fewer_than_half_learn_the_slowdown_is_beyond_the_budget() -> None:
    some = cell(2000, NEVER, NEVER, law=3.0)
    assert some.slowdowns[0] == NEVER
    assert not some.finished
    assert some.least_slowdowns[0] == 10


@pytest.mark.parametrize(
    ("times", "predicted", "error"),
    [
        ((3000, 3000, 3000), 2.0, 1.5),
        ((3000, 3000, 3000), 20.0, 0.15),  # predicted not to finish, and did
        ((NEVER, NEVER, NEVER), 4.0, 2.5),  # too low by at least this factor
        ((NEVER, NEVER, NEVER), 25.0, 1.0),  # as predicted
    ],
)
def test_errors_by_hand(times: tuple[float, ...], predicted: float, error: float) -> None:
    some = cell(*times, law=predicted)
    np.testing.assert_allclose(some.errors(), np.log(error))
    assert some.right(1.001 * max(error, 1 / error))
    assert error == 1 or not some.right(0.999 * max(error, 1 / error))


def test_a_light_critic_that_fails_leaves_the_slowdown_open() -> None:
    some = Cell(
        condition="one", variant="raw", weight=1.0, runs=runs(1.0, 2.0), light=runs(NEVER, NEVER),
        experiments=(), predicted={LAW: 2.0},
    )  # fmt: skip
    assert np.isnan(some.errors()).all()
    assert not some.right(1.5)
    assert root_mean_square([some, cell(4000, law=2.0)])[0] == pytest.approx(np.log(2))


def test_the_error_over_cells_is_a_root_mean_square() -> None:
    cells = [cell(4000, law=2.0, rival=4.0), cell(8000, law=1.0, rival=8.0, condition="two")]
    expected = np.sqrt((np.log(2) ** 2 + np.log(8) ** 2) / 2)
    assert root_mean_square(cells)[0] == pytest.approx(expected)
    assert root_mean_square(cells, "rival")[0] == 0
    assert np.isnan(root_mean_square([])).all()
    assert fraction_right(cells, 3.0).value == 0.5
    assert measured_over_predicted(cells)[0] == pytest.approx(4)
    assert np.isnan(measured_over_predicted([])).all()
    assert experiments_of(cells) == ("one", "light", "two")


def test_differences_of_errors_have_the_range_that_leaving_out_a_condition_gives() -> None:
    cells = [cell(4000, law=4.0, rival=2.0), cell(8000, law=8.0, rival=1.0, condition="two")]
    both = np.sqrt((np.log(2) ** 2 + np.log(8) ** 2) / 2)
    expected = (both, np.log(2), np.log(8))
    np.testing.assert_allclose(leaving_one_out(cells, "rival", LAW), expected)
