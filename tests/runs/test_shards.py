"""Plans: every run once, in order, in shards of similar cost, whoever carries them out."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.errors import InputError
from pwm.core.losses import LossConfig
from pwm.core.task import TaskConfig
from pwm.core.trainer import train
from pwm.experiments import EXPERIMENTS, chosen
from pwm.io.files import write_history
from pwm.runs import shards as planning
from pwm.runs.experiment import MEMBER_AXES, Experiment, Size
from pwm.runs.shards import (
    LARGEST,
    SHARD_SECONDS,
    SMALLEST,
    Member,
    Shard,
    flattened,
    plan,
    planned,
)
from tests.support.histories import shard_of

BASE = TrainConfig(
    task=TaskConfig(episode_length=6),
    agent=AgentConfig(hidden_size=3),
    num_episodes=60,
    log_every=20,
)


def experiment(axes: Mapping[str, tuple[Any, ...]], base: TrainConfig = BASE) -> Experiment:
    return Experiment(name="mine", about="a grid of the tests", base=base, axes=axes, notes_seeds=1)


def runs_of(shards: list[Shard]) -> list[TrainConfig]:
    return [run for shard in shards for run in shard.runs]


# Experiments


GRID: dict[str, tuple[Any, ...]] = {
    "task.episode_length": (6, 9),
    "loss.baseline": ("attached", "detached"),
    "critic_weight": (2.0, 3.0),
    "seed": (7, 1),
}


def test_the_runs_of_an_experiment_are_all_combinations_the_last_axis_fastest() -> None:
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
    assert [shard.runs for shard in plan(experiment({}))] == [(BASE,)]


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"seed": (0, 1), "task.episode_length": (6, 9)}, "come last"),
        ({"learning_rate": (0.1,), "log_every": (1, 2), "seed": (0,)}, "come last"),
        ({"critic_weight": (1.0, 2.0, 1.0)}, "critic_weight: .* all different"),
        ({"loss.baseline": ("attached", "attached")}, "loss.baseline: .* all different"),
        ({"seed": ()}, "seed: .* one value or more"),
        ({"task.trial_length": (), "seed": (0,)}, "task.trial_length: .* one value or more"),
    ],
)
def test_axes_that_make_no_grid_are_refused(axes: dict[str, tuple[Any, ...]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        experiment(axes)


@pytest.mark.parametrize(
    ("axis", "value", "good"),
    [
        ("seed", -1, 0),
        ("learning_rate", 0.0, 0.1),
        ("critic_weight", float("nan"), 1.0),
        ("num_episodes", 0, 1),
        ("task.stimulus_set", "pwm6", "pwm5"),
        ("task.episode_length", 2, 3),
        ("loss.baseline", "none", "attached"),
        ("agent.hidden_size", 0, 1),
    ],
)
def test_a_value_that_no_run_can_have_is_refused_where_the_experiment_is_made(
    axis: str, value: object, good: object
) -> None:
    with pytest.raises(InputError) as caught:
        experiment({axis: (good, value)})
    assert caught.value.name == axis.rpartition(".")[2]


def test_the_smoke_size_has_the_first_seeds_and_few_episodes() -> None:
    mine = experiment(GRID | {"seed": (9, 8, 7, 6, 5)}, replace(BASE, num_episodes=30_000))
    smoke = mine.sized("smoke")
    assert dict(smoke.axes) == GRID | {"seed": (9, 8, 7)}
    assert list(smoke.axes) == list(GRID)
    assert smoke.base == replace(BASE, num_episodes=200)
    assert mine.sized("paper") is mine
    assert replace(smoke, axes=mine.axes, base=mine.base) == mine
    assert experiment({"critic_weight": (1.0, 2.0)}).sized("smoke").num_runs == 2


def test_experiments_are_chosen_by_name_in_a_size() -> None:
    assert chosen((), "paper") == tuple(EXPERIMENTS.values())
    two = chosen(("pwm0", "success", "eplen15"), "smoke", also=("success",))
    assert two == tuple(EXPERIMENTS[name].sized("smoke") for name in ("pwm0", "eplen15"))
    with pytest.raises(InputError, match=r"success.*expected some of eplen60, "):
        chosen(("pwm0", "success"), "paper")


# Plans


@pytest.mark.parametrize("bounds", [(1, 1), (7, 7), (SMALLEST, LARGEST), (1000, 1000)])
@pytest.mark.parametrize("size", ["paper", "smoke"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_plan_has_every_run_once_and_in_order(
    name: str, size: Size, bounds: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "SMALLEST", bounds[0])
    monkeypatch.setattr(planning, "LARGEST", bounds[1])
    sized = EXPERIMENTS[name].sized(size)
    shards = list(plan(sized))
    runs = runs_of(shards)
    assert runs == list(sized.runs())
    assert set(Counter(runs).values()) == {1}
    assert all(0 < len(shard.members) <= bounds[1] for shard in shards)
    assert shards == list(plan(sized))
    assert len({shard.key for shard in shards}) == len(shards)


AXES = st.fixed_dictionaries(
    {},
    optional={
        "task.episode_length": st.lists(st.integers(3, 200), min_size=1, max_size=3, unique=True),
        "loss.baseline": st.permutations(["attached", "detached"]),
        "agent.separate_trunks": st.just([False, True]),
        "num_episodes": st.lists(st.integers(1, 10**6), min_size=1, max_size=2, unique=True),
        "learning_rate": st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=3, unique=True),
        "critic_weight": st.lists(st.floats(0.0, 20.0), min_size=1, max_size=3, unique=True),
        "seed": st.lists(st.integers(0, 2**32), min_size=1, max_size=30, unique=True),
    },
)


@given(AXES)
def test_any_grid_is_cut_into_shards_as_equal_as_can_be(axes: dict[str, list[Any]]) -> None:
    in_order = sorted(axes, key=MEMBER_AXES.__contains__)
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
        assert max(sizes) <= LARGEST
        # No more of them than the smallest size asks for.
        assert len(sizes) <= -(-mine.population_size // SMALLEST)


@pytest.mark.parametrize(
    ("episode_length", "num_episodes", "expected"),
    [
        (240, 100_000, {SMALLEST}),  # long runs are trained in small shards,
        (15, 200, {LARGEST}),  # short ones in large ones,
        (15, 15_000, set(range(SMALLEST + 1, LARGEST))),  # and between them by what they cost
    ],
)
def test_shards_cost_what_they_should_between_the_bounds(
    episode_length: int, num_episodes: int, expected: set[int]
) -> None:
    base = TrainConfig(task=TaskConfig(episode_length=episode_length), num_episodes=num_episodes)
    shards = list(plan(experiment({"seed": tuple(range(24 * 96))}, base)))
    assert {len(shard.members) for shard in shards} <= expected
    overhead = replace(shards[0], members=()).seconds
    if LARGEST not in expected and SMALLEST not in expected:
        for shard in shards:
            assert shard.seconds - overhead == pytest.approx(SHARD_SECONDS, rel=0.1)


def test_what_a_shard_costs_grows_with_its_work() -> None:
    shard = shard_of([replace(BASE, seed=seed) for seed in range(30)])
    longer = replace(shard.setting, task=replace(BASE.task, episode_length=60))
    more = replace(shard.setting, num_episodes=120)
    assert replace(shard, members=shard.members[:10]).seconds < shard.seconds
    assert shard.seconds < replace(shard, setting=longer).seconds
    assert 2 * shard.seconds == pytest.approx(replace(shard, setting=more).seconds)
    assert shard.num_episodes == 30 * 60


def test_the_disk_that_a_shard_takes_is_known_within_a_factor_of_two(tmp_path: Path) -> None:
    base = TrainConfig(task=TaskConfig(episode_length=15), num_episodes=201, log_every=2)
    shard = shard_of([replace(base, seed=seed) for seed in range(24)])
    write_history(tmp_path / "history.npz", train(shard.runs))
    assert 0.5 < (tmp_path / "history.npz").stat().st_size / shard.bytes < 2


def test_the_first_shard_of_a_plan_of_a_billion_runs_comes_at_once() -> None:
    thousand = tuple(range(1, 1001))
    axes = {"critic_weight": thousand, "learning_rate": thousand, "seed": thousand}
    begun = time.monotonic()
    mine = experiment(axes)
    shards = list(itertools.islice(plan(mine), 3))
    assert time.monotonic() - begun < 2
    assert mine.num_runs == 10**9
    first = [Member(1, 1, seed) for seed in range(1, 3 * LARGEST + 1)]
    assert [member for shard in shards for member in shard.members] == first


def test_a_shard_that_several_experiments_have_is_planned_once() -> None:
    mine, more = experiment({"seed": (0, 1)}), experiment({"critic_weight": (1.0,), "seed": (0, 1)})
    assert planned([mine, more, mine]) == [*plan(mine), *plan(more)]


# Keys

RUN = TrainConfig(
    task=TaskConfig(episode_length=6), agent=AgentConfig(hidden_size=3), num_episodes=4, log_every=2
)
TWO = shard_of((RUN, replace(RUN, seed=1)))


def test_a_shards_key_is_the_same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    # Everything stored would be trained again if it changed.
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
    "task.stimulus_set": replace(RUN, task=replace(RUN.task, stimulus_set="pwm0")),
    "task.trial_length": replace(RUN, task=replace(RUN.task, trial_length=2)),
    "task.episode_length": replace(RUN, task=replace(RUN.task, episode_length=7)),
    "task.timeout": replace(RUN, task=replace(RUN.task, timeout=True)),
    "task.hold_reward": replace(RUN, task=replace(RUN.task, hold_reward=0.1)),
    "agent.hidden_size": replace(RUN, agent=AgentConfig(hidden_size=4)),
    "agent.carry_state": replace(RUN, agent=AgentConfig(hidden_size=3, carry_state=True)),
    "agent.separate_trunks": replace(RUN, agent=AgentConfig(hidden_size=3, separate_trunks=True)),
    "loss.baseline": replace(RUN, loss=LossConfig(baseline="detached")),
    "loss.policy_reduction": replace(RUN, loss=LossConfig(policy_reduction="mean")),
    "loss.discount": replace(RUN, loss=LossConfig(discount=0.9)),
    "loss.entropy_weight": replace(RUN, loss=LossConfig(entropy_weight=0.1)),
    "loss.optimism": replace(RUN, loss=LossConfig(optimism=0.1)),
    "loss.lost_gradients": replace(RUN, loss=LossConfig(lost_gradients="values")),
}


def test_a_shards_key_depends_on_every_field_of_every_run_and_on_the_order() -> None:
    fields = {
        name
        for config in (RUN, RUN.task, RUN.agent, RUN.loss)
        for name in config.__dataclass_fields__
    }
    changed = {name.split(".")[-1] for name in (*MEMBERS, *SETTINGS)}
    assert changed | {"task", "agent", "loss"} == fields
    assert set(MEMBERS) == set(Member._fields)
    shards = [shard_of((RUN, other)) for other in MEMBERS.values()]
    shards += [shard_of((other, RUN)) for other in MEMBERS.values()]
    shards += [shard_of((other, other)) for other in SETTINGS.values()]
    shards += [shard_of((RUN,)), shard_of((RUN, RUN)), Shard(RUN.shape, ())]
    assert len({shard.key for shard in shards}) == len(shards)


def test_the_runs_of_a_shard_are_the_runs_that_it_was_made_of() -> None:
    for other in (*MEMBERS.values(), *SETTINGS.values()):
        assert shard_of((other, replace(other, seed=9))).runs == (other, replace(other, seed=9))


def test_the_content_of_a_shard_names_every_field() -> None:
    content = flattened(json.loads(TWO.content))
    names = {*SETTINGS, *(f"members.{name}" for name in MEMBERS), "semantics", "engine"}
    assert {name.removeprefix("setting.") for name in content} == names
    assert content["members.seed"] == [0, 1]
    assert content["setting.task.episode_length"] == 6


def test_a_change_of_what_runs_mean_changes_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = TWO.key
    monkeypatch.setattr(planning, "SEMANTICS", -1)
    assert shard_of(TWO.runs).key != before


def test_a_shard_of_another_engine_has_another_key() -> None:
    # Their histories agree to rounding, not in every bit.
    by_torch = replace(TWO, engine="torch")
    assert by_torch.key != TWO.key
    mine = replace(experiment({"seed": (0, 1)}), engine="torch")
    assert {shard.engine for shard in plan(mine)} == {"torch"}
    assert {shard.engine for shard in plan(experiment({"seed": (0, 1)}))} == {"fused"}


def test_a_shards_work_is_counted_in_replica_episodes() -> None:
    assert TWO.num_episodes == 8


def test_axes_are_judged_together() -> None:
    lengths = {"task.trial_length": (3, 20), "task.episode_length": (60, 20)}
    assert experiment(lengths).num_runs == 4  # the base has episodes of 15 steps
    with pytest.raises(InputError):
        experiment({**lengths, "task.episode_length": (60, 19)})
