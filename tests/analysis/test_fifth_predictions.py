"""The fifth set of predictions: its cells, and the verdicts on its statements."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from pwm.analysis.fifth_cells import fifth_cells, log_bias_ratio, of_groups, the_cell
from pwm.analysis.fifth_predictions import OPTIMISERS, statements
from pwm.analysis.predictions import predictions
from pwm.claims.fifth import FAILS
from pwm.experiments.fifth import WEIGHTS
from tests.claims.fifth_world import Elsewhere
from tests.claims.worlds import MadeUp, World

pytestmark = pytest.mark.usefixtures("few_resamples")
FIFTH = predictions()["fifth"]


def wrong(world: Elsewhere) -> set[str]:
    """Names of the statements that are wrong if made-up runs follow the laws of `world`."""
    return {one.name for one in statements(MadeUp(World(elsewhere=world))) if not one.right}


def test_every_statement_of_the_file_is_judged_in_its_order() -> None:
    found = list(statements(MadeUp()))
    assert [one.name for one in found] == list(FIFTH["statements"])
    for one in found:
        low, high = FIFTH["statements"][one.name]["right"]
        assert one.region == (-inf if low is None else low, inf if high is None else high)


def test_every_cell_with_a_prediction_is_measured() -> None:
    cells = fifth_cells(MadeUp())
    assert sum(bool(cell.predicted) for cell in cells) == sum(map(len, FIFTH["slowdown"].values()))
    assert len(cells) == sum(len(row) for groups in WEIGHTS.values() for row in groups.values())
    for cell in cells:
        group = cell.condition.rpartition("-")[0]
        assert cell.light.base.critic_weight == (1.0 if group == "sgd" else 0.1)
        assert cell.light.base.loss.baseline == "detached"
        assert cell.runs.base.critic_weight == cell.weight
        leaking = cell.runs.base.loss.leaking_targets
        assert leaking == (cell.variant == "all")
        attached = cell.runs.base.loss.baseline == "attached"
        assert attached == (cell.variant in ("own", "all"))
    assert {cell.condition for cell in of_groups(cells, OPTIMISERS, "centred")} == {
        f"{group}-{steps}" for group in OPTIMISERS for steps in (15, 60)
    }


def test_in_a_world_as_predicted_every_statement_is_right_but_one_that_two_accounts_share() -> None:
    assert wrong("as predicted") <= {"targets-error", "batch-leak"}
    assert wrong("found") == set(FAILS)


def test_verdicts_notice_a_world_in_which_nothing_changes() -> None:
    assert wrong("nothing changes") >= {
        *("error", "sgd-leak", "sgd-climb", "bias-own", "targets", "targets-light", "trial-climb"),
        *("batch-light", "normalised-leak", "huber-runaway", "carried-floor"),
    }
    assert wrong("none") >= {"adam-centred", "later-two", "later-rise"}


def test_light_critics_are_timed_against_the_law() -> None:
    found = {one.name: one for one in statements(MadeUp())}
    names = ("batch-4-15", "batch-16-15", "batch-64-15", "batch-256-15", "batch-16-60")
    assert found["batch-light"].experiments == tuple(f"fifth-{name}-light" for name in names)
    assert found["batch-light"].estimate.value == 0.8  # 256 episodes take 1.6 times as long
    assert found["targets-light"].estimate.value == 1
    assert found["normalised-light"].estimate.value == 0


def test_biases_are_compared_by_their_means() -> None:
    measured, predicted = np.array([1.0, 3.0, -1.0]), np.array([1.0, 0.5, 0.5])
    assert log_bias_ratio(measured, predicted)[0] == pytest.approx(np.log(1.5))
    assert log_bias_ratio(-measured, predicted)[0] < -10


def test_a_cell_is_found_by_its_names() -> None:
    cell = the_cell(MadeUp(), "td-60", "all", 20.0)
    assert cell.experiments == ("fifth-td-60-all-20", "fifth-td-60-light")
