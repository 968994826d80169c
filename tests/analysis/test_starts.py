"""Cells by the critic's start: the runs that they compare, and the predictions for them."""

from __future__ import annotations

import numpy as np
import pytest

from pwm.analysis.climb import Setting, climb_slowdown
from pwm.analysis.slowdowns import LAW
from pwm.analysis.starts import (
    distance_cells,
    fixed_point_cells,
    grid_cells,
    leak_constant,
    light_critic,
    setting_of,
)
from pwm.analysis.theory import noise_weight, slowdown
from pwm.core.task import TaskConfig
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig
from tests.claims.worlds import MadeUp, World


def test_cells_from_the_fixed_point_have_the_noise_law_with_nothing_fitted() -> None:
    cells = list(fixed_point_cells(MadeUp()))
    assert len(cells) == 5 * (5 + 3)
    for cell in cells:
        task = cell.runs.base.task
        noise = noise_weight(task.episode_length, task.trial_length)
        assert cell.predicted == {LAW: slowdown(noise / cell.weight)}
        assert cell.runs.base.critic_start == "fixed-point"
        assert cell.light.base.task == task
        assert cell.light.base.loss.baseline == "detached"


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_constant_of_the_noise_is_found(factor: float) -> None:
    def noise(run: TrainConfig) -> float:
        return factor * noise_weight(run.task.episode_length, run.task.trial_length)

    world = World(noise=noise, sharing=0.0)
    cells = [cell for cell in fixed_point_cells(MadeUp(world)) if cell.condition == "15"]
    np.testing.assert_allclose(leak_constant(cells)[0], factor, rtol=0.01)


def test_cells_that_should_have_finished_raise_the_constant_to_their_bound_if_they_count() -> None:
    world = World(noise=lambda run: 6 * noise_weight(run.task.episode_length, 3), sharing=0.0)
    cells = [cell for cell in fixed_point_cells(MadeUp(world)) if cell.condition == "60"]
    assert any(cell.informative and not cell.finished for cell in cells)
    bounds = [cell for cell in cells if not cell.finished]
    assert np.isnan(leak_constant(bounds)[0])
    assert 1 < leak_constant(bounds, at_least=True)[0] < 6


def test_the_light_critic_starts_at_the_mean_of_the_same_task() -> None:
    for task in (TaskConfig(episode_length=30), TaskConfig(episode_length=20, trial_length=4)):
        base = light_critic(MadeUp(), task).base
        assert (base.task, base.critic_start, base.critic_weight) == (task, "mean", 0.1)


def test_a_setting_takes_from_a_run_what_the_law_needs() -> None:
    run = TrainConfig(
        task=TaskConfig(episode_length=22, trial_length=4, reward=2.0),  # 5 whole trials
        loss=LossConfig(baseline="attached"),
        critic_weight=7.0,
        learning_rate=0.002,
    )
    assert setting_of(run, 1.5) == Setting(
        steps=20, critic_weight=7.0, start=1.5, trial_length=4, learning_rate=0.002,
        hidden_size=24, reward=2.0, attached=True,
    )  # fmt: skip


def test_distances_are_of_runs_that_start_there() -> None:
    cells = distance_cells(MadeUp())
    assert {start for start, _ in cells} == {-5.25, 0.0, 2.25, 5.25, 8.25, 10.5, 15.75}
    for (start, weight), cell in cells.items():
        run = cell.runs.base
        assert (run.task.episode_length, run.critic_weight) == (60, weight)
        assert run.critic_start == ("mean" if start == 5.25 else start)
        setting = Setting(steps=60, critic_weight=weight, start=start)
        assert cell.predicted[LAW] == climb_slowdown(setting)


def test_grid_cells_start_at_zero_and_have_rivals_if_detached() -> None:
    evidence = MadeUp()
    for baseline in ("attached", "detached"):
        cells = list(grid_cells(evidence, baseline))
        assert len(cells) == 5 * 13
        assert all(cell.runs.base.loss.baseline == baseline for cell in cells)
        assert all((len(cell.predicted) > 1) == (baseline == "detached") for cell in cells)
