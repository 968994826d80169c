"""Conditions with both baselines, and the attached runs that rival laws predict for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from pwm.analysis.conditions import RIVALS, Condition, conditions, experiments_of, light_edges
from pwm.analysis.edges import lower_edges
from pwm.analysis.estimates import interval
from pwm.analysis.predictions import fitted_law
from pwm.analysis.theory import noise_weight, slowdown
from pwm.experiments import EXPERIMENTS
from pwm.experiments.grids import WEIGHTS
from pwm.runs.experiment import Experiment
from pwm.runs.fields import replaced
from pwm.training.config import TrainConfig
from tests.claims.worlds import MadeUp
from tests.support.outcomes import made_up_outcomes

GRID = Experiment(
    name="grid",
    base=TrainConfig(num_episodes=20_000),
    axes={
        "baseline": ("attached", "detached"),
        "critic_weight": WEIGHTS,
        "seed": tuple(range(24)),
    },
)
FAST = np.geomspace(1000.0, 4000.0, 24)


def condition(noise: float, **fields: Any) -> Condition:
    """Condition whose attached runs are detached ones slowed by a leak of noise weight `noise`."""

    def outcome(run: TrainConfig) -> Mapping[str, ArrayLike]:
        slow = slowdown(noise / run.critic_weight) if run.loss.baseline == "attached" else 1.0
        times = FAST * slow
        times[times > run.num_episodes] = np.inf
        return {"time": times, "learned": np.isfinite(times)}

    experiment = replace(GRID, base=replaced(GRID.base, {"episode_length": 15} | fields))
    if experiment.base.loss.policy_reduction == "mean":
        weights = tuple(weight / 20 for weight in WEIGHTS)
        experiment = replace(experiment, axes={**GRID.axes, "critic_weight": weights})
    runs = made_up_outcomes(experiment, outcome)
    return Condition(experiment="grid", runs=runs)


CONSTANT = fitted_law().noise_constant
FITTED = CONSTANT * noise_weight(15, 3)


@pytest.mark.parametrize(
    ("fields", "ratio", "steps", "fixed"),
    [
        # All are fitted at 15 steps and trials of 3 steps, so they agree there.
        ({}, FITTED, FITTED, FITTED),
        ({"episode_length": 60}, CONSTANT * noise_weight(60, 3), 4 * FITTED, FITTED),
        (
            {"episode_length": 10, "trial_length": 2},
            CONSTANT * noise_weight(10, 2),
            FITTED * 10 / 15,
            FITTED,
        ),
        # A mean policy loss divides the leak by the number of steps.
        (
            {"episode_length": 60, "policy_reduction": "mean"},
            CONSTANT * noise_weight(60, 3) / 60,
            FITTED / 15,
            FITTED / 60,
        ),
    ],
)
def test_rivals_differ_in_what_determines_the_noise_weight(
    fields: dict[str, Any], ratio: float, steps: float, fixed: float
) -> None:
    found = condition(5.0, **fields)
    expected = {"ratio": ratio, "steps": steps, "fixed": fixed}
    assert found.rival_noise_weights == pytest.approx(expected)
    assert tuple(found.rival_noise_weights) == RIVALS


def test_a_rival_predicts_attached_runs_from_detached_ones() -> None:
    found = condition(FITTED)
    assert found.edges is not None
    for rival in RIVALS:
        assert np.array_equal(found.predicted(rival), found.attached.learned)
        assert np.array_equal(found.edges_by(rival), found.edges)
        assert not found.errors(found.predicted(rival)).any()
    assert np.array_equal(found.learned_if_slowed(0.0), found.detached.learned)
    assert not np.array_equal(found.learned_if_slowed(3 * FITTED), found.attached.learned)


def test_rivals_part_where_only_one_is_right() -> None:
    # At 60 steps, the leak is made to slow learning as "ratio" predicts.
    found = condition(CONSTANT * noise_weight(60, 3), episode_length=60)
    errors = {rival: found.errors(found.predicted(rival)).max() for rival in RIVALS}
    assert errors["ratio"] == 0
    assert errors["steps"] > 0.5
    assert errors["fixed"] > 0.1
    ratio, steps, fixed = (found.edges_by(rival)[0] for rival in RIVALS)
    assert fixed < ratio == found.edge.value < steps


def test_an_error_is_a_difference_of_fractions_of_seeds() -> None:
    found = condition(FITTED)
    wrong = found.attached.learned.copy()
    wrong[-1, :6] = False
    assert found.errors(wrong).tolist() == [0.0] * 12 + [0.25]
    none = np.zeros_like(wrong)
    assert found.errors(none).tolist() == found.attached.rate().tolist()


def test_properties_are_those_of_the_runs() -> None:
    found = condition(5.0, episode_length=12, trial_length=4)
    assert (found.steps, found.policy_factor) == (12, 1)
    assert found.noise_weight == noise_weight(12, 4)
    mean = condition(5.0, episode_length=60, policy_reduction="mean")
    assert (mean.steps, mean.policy_factor) == (60, 1 / 60)
    assert mean.noise_weight == pytest.approx(noise_weight(60, 3) / 60)
    assert {run.loss.baseline for run in mean.attached.configs} == {"attached"}
    assert {run.loss.baseline for run in mean.detached.configs} == {"detached"}


def test_the_lower_edge_is_sought_below_the_upper_one() -> None:
    # Success at weights up to 20, then none: the upper edge must not matter.
    learned = np.zeros((13, 24), bool)
    learned[6:11] = True
    assert WEIGHTS[10] == 20
    expected = lower_edges(WEIGHTS[:11], learned[:11])
    assert np.array_equal(light_edges(WEIGHTS, learned), expected)
    scaled = [weight / 15 for weight in WEIGHTS]
    np.testing.assert_allclose(light_edges(scaled, learned, 1 / 15), expected / 15)


def test_there_is_no_edge_where_hardly_any_run_learns() -> None:
    assert condition(1e4).edges is None
    assert np.isnan(condition(1e4).edge.value)
    found = condition(5.0)
    assert found.edges is not None
    assert found.edge == interval(found.edges)
    assert found.edge.low < found.edge.value < found.edge.high


def test_every_condition_is_one_setting_with_both_baselines() -> None:
    every = conditions(MadeUp())
    assert len(every) == 19
    for name, found in every.items():
        group, _, size = name.rpartition("-")
        base = found.runs.base
        assert int(size) == (base.task.trial_length if group == "trial" else found.steps)
        assert list(found.runs.axes) == ["baseline", "critic_weight", "seed"]
        assert set(found.runs.configs) <= set(EXPERIMENTS[found.experiment].runs())
    assert experiments_of([every["fast-6"], every["fast-15"], every["trial-2"]]) == (
        "weight-0.005",
        "trial-length-2",
    )
