"""Configurations by field: identities survive added fields, and JSON restores every run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwm.core.agent import AgentConfig
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.experiments import EXPERIMENTS
from pwm.runs.experiment import Experiment
from pwm.runs.fields import flat, identity, replaced, restored
from pwm.runs.shards import Shard, plan
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig
from tests.support.training import settings_of_runs


@dataclass(frozen=True, kw_only=True)
class ExtendedTask(TaskConfig):
    distractors: int = 0


@dataclass(frozen=True, kw_only=True)
class ExtendedAgent(AgentConfig):
    leaky: bool = False


@dataclass(frozen=True, kw_only=True)
class ExtendedLoss(LossConfig):
    clip: float = 0.5


@dataclass(frozen=True, kw_only=True)
class ExtendedTrain(TrainConfig):
    schedule: str = "constant"


def extended(run: TrainConfig, **values: Any) -> TrainConfig:
    """The run with a field added to every configuration."""
    parts = {
        "task": ExtendedTask(**vars(run.task)),
        "agent": ExtendedAgent(**vars(run.agent)),
        "loss": ExtendedLoss(**vars(run.loss)),
    }
    changed: TrainConfig = replaced(ExtendedTrain(**(vars(run) | parts)), values)
    return changed


OTHER_VALUES = {"distractors": 2, "leaky": True, "clip": 1, "schedule": "linear"}


@pytest.fixture(scope="module")
def shards() -> list[Shard]:
    return [shard for experiment in EXPERIMENTS.values() for shard in plan(experiment)]


def test_an_added_field_renames_no_shard_of_any_experiment(shards: list[Shard]) -> None:
    assert len(shards) > 500
    for shard in shards:
        with_fields = replace(shard, setting=extended(shard.setting))
        assert flat(with_fields.setting).keys() == {*flat(shard.setting), *OTHER_VALUES}
        assert with_fields.key == shard.key


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_another_value_of_an_added_field_renames_every_shard(
    name: str, shards: list[Shard]
) -> None:
    keys = {shard.key for shard in shards}
    value = OTHER_VALUES[name]
    renamed = {
        replace(shard, setting=extended(shard.setting, **{name: value})).key for shard in shards
    }
    assert len(renamed) == len(keys)
    assert not renamed & keys


@st.composite
def runs(draw: st.DrawFn) -> TrainConfig:
    """Arbitrary runs, with integers for some floats."""
    setting = draw(settings_of_runs(most_trials=50, most_units=100))
    return replace(
        setting,
        critic_weight=draw(st.one_of(st.floats(0, 1e38), st.integers(0, 100))),
        learning_rate=draw(st.floats(0, 1e38, exclude_min=True)),
        num_episodes=setting.episodes_per_update * draw(st.integers(1, 10**9)),
        log_every=draw(st.integers(1, 10**9)),
        seed=draw(st.integers(0, 2**70)),
    )


@given(runs(), st.sampled_from([{}, OTHER_VALUES]))
def test_json_restores_every_run(run: TrainConfig, values: dict[str, Any]) -> None:
    assert restored(TrainConfig(), json.loads(json.dumps(identity(run)))) == run
    run = extended(run, **values)
    assert restored(extended(TrainConfig()), json.loads(json.dumps(identity(run)))) == run


def test_json_restores_a_tuple() -> None:
    run = TrainConfig(probe_episodes=2, probe_at=(0, 10))
    assert restored(TrainConfig(), json.loads(json.dumps(identity(run)))) == run
    assert restored(TrainConfig(), json.loads(json.dumps(asdict(run)))) == run


def test_data_with_an_unknown_field_are_refused() -> None:
    with pytest.raises(KeyError, match="clip"):
        restored(TrainConfig(), identity(extended(TrainConfig(), clip=1.0)))


def test_integers_and_floats_are_the_same_in_an_identity() -> None:
    integers = replaced(TrainConfig(), {"critic_weight": 2, "hold_reward": 1, "discount": 0})
    floats = replaced(TrainConfig(), {"critic_weight": 2.0, "hold_reward": 1.0, "discount": 0.0})
    assert json.dumps(identity(integers)) == json.dumps(identity(floats))
    numpys: dict[str, Any] = {
        "critic_weight": np.float32(2), "hold_reward": np.int64(1), "discount": np.float64(0)
    }  # fmt: skip
    assert json.dumps(identity(replaced(TrainConfig(), numpys))) == json.dumps(identity(floats))
    start: Any = np.int64(1)
    experiment = Experiment(name="mine", axes={"critic_start": (start,), "seed": (0,)})
    assert [shard.key for shard in plan(experiment)]  # made from JSON
    assert json.dumps(identity(extended(integers, clip=2))) == (
        json.dumps(identity(extended(floats, clip=2.0)))
    )


def names(config: Any) -> list[str]:
    """Names of all fields at any depth, also of those that hold configurations."""
    found = []
    for part in fields(config):
        value = getattr(config, part.name)
        found += [part.name, *(names(value) if is_dataclass(value) else ())]
    return found


def test_no_two_fields_share_a_name() -> None:
    assert len(names(TrainConfig())) == len(set(names(TrainConfig()))) > 15


@pytest.mark.parametrize("config", [TaskConfig, AgentConfig, LossConfig, TrainConfig])
def test_configurations_take_keywords_only(config: type[Any]) -> None:
    assert all(part.kw_only for part in fields(config))
    with pytest.raises(TypeError, match="positional"):
        config(next(iter(vars(config()).values())))


def test_fields_are_replaced_by_name_wherever_they_are() -> None:
    run = replaced(TrainConfig(), {"episode_length": 15, "baseline": "detached", "seed": 3})
    assert run == TrainConfig(
        task=TaskConfig(episode_length=15), loss=LossConfig(baseline="detached"), seed=3
    )
    assert flat(run)["episode_length"] == 15
    # Valid together, although a trial length of 20 alone is not.
    assert replaced(run, {"trial_length": 20, "episode_length": 40}).task.num_trials == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epsiode_length": 15}, "--epsiode-length 15: expected a field that exists: one of stim"),
        ({"baseline": "none"}, "--baseline none: expected one of attached, detached"),
    ],
)
def test_unknown_fields_and_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replaced(TrainConfig(), values)
