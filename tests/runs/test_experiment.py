"""Experiments: grids of runs; invalid axes and values are refused."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from pwm.core.errors import InputError
from pwm.runs.experiment import Experiment
from pwm.training.config import TrainConfig
from tests.support.sweeps import TINY, experiment

BASE = TINY.base


GRID: dict[str, tuple[Any, ...]] = {
    "episode_length": (6, 9),
    "baseline": ("attached", "detached"),
    "critic_weight": (2.0, 3.0),
    "seed": (7, 1),
}


def test_an_experiment_has_every_combination_with_the_last_axis_fastest() -> None:
    expected = [
        replace(
            BASE,
            task=replace(BASE.task, episode_length=episode_length),
            loss=replace(BASE.loss, baseline=baseline),
            critic_weight=weight,
            seed=seed,
        )
        for episode_length, baseline, weight, seed in itertools.product(*GRID.values())
    ]
    mine = experiment(GRID)
    assert list(mine.runs()) == expected
    assert mine.num_runs == 16
    assert mine.population_size == 4
    assert list(mine.settings()) == [
        replace(run, critic_weight=5.0, seed=0) for run in expected[::4]
    ]


def test_an_experiment_without_axes_is_one_run() -> None:
    assert experiment({}).runs() == (BASE,)


def test_axes_can_be_tuples_lists_or_ranges_of_any_mapping() -> None:
    axes = {"episode_length": [6, 9], "seed": range(24)}
    mine = experiment(axes)
    assert mine.axes == {"episode_length": (6, 9), "seed": tuple(range(24))}
    assert mine == experiment(MappingProxyType({"episode_length": (6, 9), "seed": range(24)}))
    axes["seed"] = range(2)
    assert mine.num_runs == 48  # the experiment holds a copy
    with pytest.raises(TypeError):
        mine.axes["seed"] = (0,)  # type: ignore[index]


def test_a_name_and_axes_are_enough() -> None:
    mine = Experiment(name="mine", axes={"seed": (0,)})
    assert mine.runs() == (TrainConfig(),)
    assert (mine.about, mine.notes_seeds, mine.engine) == ("", 0, "fused")


def test_the_order_of_values_cannot_be_confused() -> None:
    with pytest.raises(TypeError):
        Experiment("mine", "about", BASE, {})  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"seed": (0, 1), "episode_length": (6, 9)}, "seed after all other axes"),
        ({"learning_rate": (0.1,), "log_every": (1, 2), "seed": (0,)}, "seed after all other axes"),
        ({"critic_weight": (1.0, 2.0, 1.0)}, "--critic-weight .* different values"),
        ({"baseline": ("attached", "attached")}, "--baseline .* different values"),
        ({"stimulus_set": "pwm5"}, "--stimulus-set pwm5: expected a tuple, list or range"),
        ({"seed": 3}, "--seed 3: expected a tuple, list or range"),
        ({"probe_at": ([0, 1], [5])}, "--probe-at .* none of them a list"),
        ({"seed": ()}, "--seed .* one or more different values"),
        ({"trial_length": (), "seed": (0,)}, "--trial-length .* one or more different values"),
        ({"critic_wieght": (1.0,), "seed": (0,)}, "--critic-wieght .* critic_weight"),
    ],
)
def test_axes_that_are_not_a_grid_are_refused(axes: Mapping[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        experiment(axes)


@pytest.mark.parametrize(
    ("axis", "value", "good"),
    [
        ("seed", -1, 0),
        ("learning_rate", 0.0, 0.1),
        ("critic_weight", float("nan"), 1.0),
        ("num_episodes", 0, 1),
        ("stimulus_set", "pwm6", "pwm5"),
        ("episode_length", 2, 3),
        ("baseline", "none", "attached"),
        ("hidden_size", 0, 1),
    ],
)
def test_a_value_that_no_run_can_have_is_refused_by_the_experiment(
    axis: str, value: object, good: object
) -> None:
    with pytest.raises(InputError) as caught:
        experiment({axis: (good, value)})
    assert caught.value.name == axis


def test_the_smoke_size_has_the_first_seeds_and_few_episodes() -> None:
    mine = experiment({**GRID, "seed": (9, 8, 7, 6, 5)}, replace(BASE, num_episodes=30_000))
    smoke = mine.sized("smoke")
    assert dict(smoke.axes) == GRID | {"seed": (9, 8, 7)}
    assert list(smoke.axes) == list(GRID)
    assert smoke.base == replace(BASE, num_episodes=200)
    assert mine.sized("paper") is mine
    assert replace(smoke, axes=mine.axes, base=mine.base) == mine
    assert experiment({"critic_weight": (1.0, 2.0)}).sized("smoke").num_runs == 2
    short = replace(BASE, num_episodes=50)
    assert experiment(GRID, short).sized("smoke").base == short


def test_the_smoke_size_probes_within_its_budget() -> None:
    base = replace(BASE, num_episodes=30_000, probe_episodes=2, probe_at=(0, 200, 201))
    assert experiment(GRID, base).sized("smoke").base.probe_at == (0, 200)
    scheduled = experiment({"probe_at": ((5, 900), (7,)), **GRID}, base)
    assert scheduled.sized("smoke").axes["probe_at"] == ((5, 200), (7,))
    late = experiment({"probe_at": ((0, 900), (0, 1000)), **GRID}, base)
    assert late.sized("smoke").axes["probe_at"] == ((0, 200),)  # not twice
    updates = replace(BASE, num_episodes=3200, log_every=1600, episodes_per_update=16)
    beyond = experiment(GRID, replace(updates, probe_episodes=2, probe_at=(1600,))).sized("smoke")
    assert beyond.base.probe_at == (beyond.base.num_episodes,) == (208,)


def test_axes_are_validated_together() -> None:
    lengths = {"trial_length": (3, 20), "episode_length": (60, 20)}
    assert experiment(lengths).num_runs == 4  # alone, 20 would exceed the base's 6 steps
    with pytest.raises(InputError):
        experiment({**lengths, "episode_length": (60, 19)})
