"""Shards: every run once, in order; similar costs; keys that depend on the content alone."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwm.core.agent import AgentConfig
from pwm.core.task import TaskConfig
from pwm.io.files import write_arrays
from pwm.runs import shards as planning
from pwm.runs.experiment import INNER_AXES
from pwm.runs.fields import flat
from pwm.runs.shards import FEWEST_RUNS, MOST_RUNS, SHARD_SECONDS, Member, Shard, plan, planned
from pwm.runs.shards import shard_of as restored
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig
from tests.support.histories import shard_of
from tests.support.sweeps import TINY, experiment
from tests.support.training import history_of

BASE = TINY.base


def runs_of(shards: list[Shard]) -> list[TrainConfig]:
    return [run for shard in shards for run in shard.runs]


# Plans


@pytest.mark.parametrize("bounds", [(1, 1), (7, 7), (FEWEST_RUNS, MOST_RUNS), (1000, 1000)])
def test_a_plan_has_every_run_once_and_in_order(
    bounds: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "FEWEST_RUNS", bounds[0])
    monkeypatch.setattr(planning, "MOST_RUNS", bounds[1])
    grid = {"episode_length": (6, 9), "critic_weight": (1.0, 2.0, 3.0), "seed": range(50)}
    mine = experiment(grid, replace(BASE, num_episodes=20_000))
    shards = list(plan(mine))
    runs = runs_of(shards)
    assert runs == list(mine.runs())
    assert len(set(runs)) == 300
    assert all(0 < len(shard.members) <= bounds[1] for shard in shards)
    assert shards == list(plan(mine))
    assert len({shard.key for shard in shards}) == len(shards)
    assert {shard.experiment for shard in shards} == {"mine"}


AXES = st.fixed_dictionaries(
    {},
    optional={
        "episode_length": st.lists(st.integers(3, 200), min_size=1, max_size=3, unique=True),
        "baseline": st.permutations(["attached", "detached"]),
        "separate_trunks": st.just([False, True]),
        "num_episodes": st.lists(st.integers(1, 10**6), min_size=1, max_size=2, unique=True),
        "learning_rate": st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=3, unique=True),
        "critic_weight": st.lists(st.floats(0.0, 20.0), min_size=1, max_size=3, unique=True),
        "seed": st.lists(st.integers(0, 2**32), min_size=1, max_size=30, unique=True),
    },
)


@given(AXES)
def test_any_grid_is_divided_into_shards_as_equal_as_possible(axes: dict[str, list[Any]]) -> None:
    in_order = sorted(axes, key=INNER_AXES.__contains__)
    mine = experiment({name: tuple(axes[name]) for name in in_order})
    shards = list(plan(mine))
    assert runs_of(shards) == list(mine.runs())
    assert len({shard.key for shard in shards}) == len(shards)
    by_setting: dict[TrainConfig, list[Shard]] = {}
    for shard in shards:
        assert len({run.shared for run in shard.runs}) == 1  # a population that can be trained
        by_setting.setdefault(shard.setting, []).append(shard)
    assert len(by_setting) == mine.num_runs // mine.population_size
    for same_setting in by_setting.values():
        sizes = [len(shard.members) for shard in same_setting]
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= MOST_RUNS
        # No more shards than the smallest size allows.
        assert len(sizes) <= -(-mine.population_size // FEWEST_RUNS)


@pytest.mark.parametrize(
    ("episode_length", "num_episodes", "expected"),
    [
        (240, 100_000, {FEWEST_RUNS}),  # long runs are trained in small shards,
        (15, 200, {MOST_RUNS}),  # short ones in large ones,
        (15, 15_000, set(range(FEWEST_RUNS + 1, MOST_RUNS))),  # others in between, by cost
    ],
)
def test_shards_have_the_intended_cost_within_the_bounds(
    episode_length: int, num_episodes: int, expected: set[int]
) -> None:
    base = TrainConfig(task=TaskConfig(episode_length=episode_length), num_episodes=num_episodes)
    shards = list(plan(experiment({"seed": tuple(range(24 * 96))}, base)))
    assert {len(shard.members) for shard in shards} <= expected
    overhead = replace(shards[0], members=()).seconds
    if MOST_RUNS not in expected and FEWEST_RUNS not in expected:
        for shard in shards:
            assert shard.seconds - overhead == pytest.approx(SHARD_SECONDS[shard.engine], rel=0.1)


def test_the_cost_of_a_shard_grows_with_its_work() -> None:
    shard = shard_of([replace(BASE, seed=seed) for seed in range(30)])
    longer = replace(shard.setting, task=replace(BASE.task, episode_length=60))
    more = replace(shard.setting, num_episodes=120)
    assert replace(shard, members=shard.members[:10]).seconds < shard.seconds
    assert shard.seconds < replace(shard, setting=longer).seconds
    assert 2 * shard.seconds == pytest.approx(replace(shard, setting=more).seconds)
    assert shard.replica_episodes == 30 * 60


def test_the_size_of_a_stored_shard_is_estimated_within_a_factor_of_two(tmp_path: Path) -> None:
    base = TrainConfig(task=TaskConfig(episode_length=15), num_episodes=201, log_every=2)
    shard = shard_of([replace(base, seed=seed) for seed in range(24)])
    write_arrays(tmp_path / "history.npz", history_of(shard.runs).arrays())
    assert 0.5 < (tmp_path / "history.npz").stat().st_size / shard.bytes < 2


def test_a_plan_of_a_billion_runs_starts_at_once() -> None:
    thousand = tuple(range(1, 1001))
    axes = {"critic_weight": thousand, "learning_rate": thousand, "seed": thousand}
    started = time.process_time()
    mine = experiment(axes)
    shards = list(itertools.islice(plan(mine), 3))
    assert time.process_time() - started < 2
    assert mine.num_runs == 10**9
    first = [Member(1, 1, seed) for seed in range(1, 3 * MOST_RUNS + 1)]
    assert [member for shard in shards for member in shard.members] == first


def test_a_shard_of_several_experiments_is_planned_once() -> None:
    mine, more = experiment({"seed": (0, 1)}), experiment({"critic_weight": (1.0,), "seed": (0, 1)})
    assert planned([mine, more, mine]) == [*plan(mine), *plan(more)]


# Keys

RUN = TrainConfig(
    task=TaskConfig(episode_length=6), agent=AgentConfig(hidden_size=3), num_episodes=4, log_every=2
)
TWO = shard_of((RUN, replace(RUN, seed=1)))


def test_a_shards_key_is_the_same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    # If it changed, everything would be trained again.
    monkeypatch.setattr(planning, "SEMANTICS", 1)
    assert shard_of(TWO.runs).key == "9b8bab3973617c501a57405d6e8af933"


MEMBERS = {
    "critic_weight": replace(RUN, critic_weight=4.0),
    "learning_rate": replace(RUN, learning_rate=0.006),
    "seed": replace(RUN, seed=2),
}
SETTINGS = {
    "num_episodes": replace(RUN, num_episodes=5),
    "log_every": replace(RUN, log_every=3),
    "probe_episodes": replace(RUN, probe_episodes=2),
    "probe_at": replace(RUN, probe_episodes=2, probe_at=(0, 3)),
    "stimulus_set": replace(RUN, task=replace(RUN.task, stimulus_set="pwm0")),
    "trial_length": replace(RUN, task=replace(RUN.task, trial_length=2)),
    "episode_length": replace(RUN, task=replace(RUN.task, episode_length=7)),
    "timeout": replace(RUN, task=replace(RUN.task, timeout=True)),
    "hold_reward": replace(RUN, task=replace(RUN.task, hold_reward=0.1)),
    "hidden_size": replace(RUN, agent=AgentConfig(hidden_size=4)),
    "carry_state": replace(RUN, agent=AgentConfig(hidden_size=3, carry_state=True)),
    "separate_trunks": replace(RUN, agent=AgentConfig(hidden_size=3, separate_trunks=True)),
    "baseline": replace(RUN, loss=LossConfig(baseline="detached")),
    "policy_reduction": replace(RUN, loss=LossConfig(policy_reduction="mean")),
    "discount": replace(RUN, loss=LossConfig(discount=0.9)),
    "entropy_weight": replace(RUN, loss=LossConfig(entropy_weight=0.1)),
    "optimism": replace(RUN, loss=LossConfig(optimism=0.1)),
    "lost_gradients": replace(RUN, loss=LossConfig(lost_gradients="values")),
    "reward": replace(RUN, task=replace(RUN.task, reward=2.0)),
    "returns": replace(RUN, loss=LossConfig(returns="centred")),
    "tracking_rate": replace(RUN, loss=LossConfig(tracking_rate=0.5)),
    "trace_decay": replace(RUN, loss=LossConfig(trace_decay=0.9)),
    "leaking_targets": replace(RUN, loss=LossConfig(leaking_targets=True)),
    "return_horizon": replace(RUN, loss=LossConfig(return_horizon="trial")),
    "balance": replace(RUN, loss=LossConfig(balance="equal")),
    "normalise_advantages": replace(RUN, loss=LossConfig(normalise_advantages=True)),
    "clip_gradient": replace(RUN, loss=LossConfig(clip_gradient=0.5)),
    "trunk_rate": replace(RUN, trunk_rate=0.5),
    "critic_start": replace(RUN, critic_start=1.5),
    "optimizer": replace(RUN, optimizer="adam"),
    "square_decay": replace(RUN, square_decay=0.9),
    "momentum_decay": replace(RUN, momentum_decay=0.8),
    "epsilon": replace(RUN, epsilon=1e-5),
    "episodes_per_update": replace(RUN, episodes_per_update=2),
    "value_loss": replace(RUN, loss=LossConfig(value_loss="huber")),
}


def test_a_shards_key_depends_on_every_field_of_every_run_and_on_the_order() -> None:
    fields = {*flat(RUN)}
    assert {*MEMBERS, *SETTINGS} == fields, "add the new field to SETTINGS above"
    assert set(MEMBERS) == set(Member._fields)
    shards = [shard_of((RUN, other)) for other in MEMBERS.values()]
    shards += [shard_of((other, RUN)) for other in MEMBERS.values()]
    shards += [shard_of((other, other)) for other in SETTINGS.values()]
    shards += [shard_of((RUN,)), shard_of((RUN, RUN)), Shard(RUN.shared, ())]
    assert len({shard.key for shard in shards}) == len(shards)


def test_a_shard_has_the_runs_that_it_was_made_from() -> None:
    for other in (*MEMBERS.values(), *SETTINGS.values()):
        assert shard_of((other, replace(other, seed=9))).runs == (other, replace(other, seed=9))


def test_a_shard_is_restored_from_its_content() -> None:
    for other in (*MEMBERS.values(), *SETTINGS.values()):
        shard = shard_of((other, replace(other, seed=9)))
        assert restored(json.loads(shard.content)) == shard
    content = json.loads(TWO.content)
    with pytest.raises(ValueError, match="semantics"):
        restored(content | {"semantics": 0})


def test_the_experiment_is_not_part_of_the_content() -> None:
    named = replace(TWO, experiment="mine")
    assert (named, named.key) == (TWO, TWO.key)


def test_a_change_of_semantics_changes_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = TWO.key
    monkeypatch.setattr(planning, "SEMANTICS", -1)
    assert shard_of(TWO.runs).key != before


def test_a_shard_of_another_engine_has_another_key() -> None:
    # The engines' histories agree up to rounding, not bit for bit.
    by_torch = replace(TWO, engine="torch")
    assert by_torch.key != TWO.key
    mine = replace(experiment({"seed": (0, 1)}), engine="torch")
    assert {shard.engine for shard in plan(mine)} == {"torch"}
    assert {shard.engine for shard in plan(experiment({"seed": (0, 1)}))} == {"fused"}


def test_the_episodes_of_a_shard_are_summed_over_its_runs() -> None:
    assert TWO.replica_episodes == 8
