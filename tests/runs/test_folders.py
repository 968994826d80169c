"""Folders of training runs: reserved for one process, never overwritten, named after settings."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.errors import InputError
from pwm.core.losses import LossConfig
from pwm.core.task import TaskConfig
from pwm.runs.folders import CONFIG, FILES, HISTORY, PROVENANCE, folder_name, reserved, save_configs

RUNS = (TrainConfig(), TrainConfig(seed=4), TrainConfig(critic_weight=1.0))


def test_a_folder_is_reserved_for_one_process_and_created(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "mine"
    with reserved("out", folder):
        for extends in (False, True):
            refusal = pytest.raises(InputError, match="in which no other process is training")
            with refusal, reserved("out", folder, extends=extends):
                pass
    assert not any(folder.iterdir())
    with reserved("out", folder):
        pass


@pytest.mark.parametrize("file", FILES)
def test_a_folder_with_any_file_of_a_run_is_refused_but_for_extension(
    file: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_text("an earlier run")
    refusal = pytest.raises(InputError, match=rf"holds no run yet \(there is {file}\)")
    with refusal, reserved("out", tmp_path):
        pass
    with reserved("extend", tmp_path, extends=True):
        pass
    assert (tmp_path / file).read_text() == "an earlier run"


def test_a_folder_with_configurations_alone_holds_no_run(tmp_path: Path) -> None:
    save_configs(tmp_path, RUNS)
    with reserved("out", tmp_path):
        pass
    (tmp_path / PROVENANCE).write_text("{}")  # killed within its first save
    with reserved("out", tmp_path):
        pass
    (tmp_path / HISTORY).write_text("history")
    with pytest.raises(InputError), reserved("out", tmp_path):
        pass


# Names

SETTINGS = {
    "pwm5-3x60-attached-w5-lr0.005": TrainConfig(),
    "pwm0-4x60-attached-w5-lr0.005": TrainConfig(
        task=TaskConfig(stimulus_set="pwm0", trial_length=4)
    ),
    "pwm5-3x15-detached-w0.5-lr0.01": TrainConfig(
        task=TaskConfig(episode_length=15),
        loss=LossConfig(baseline="detached"),
        critic_weight=0.5,
        learning_rate=0.01,
    ),
    "pwm5-3x60-attached-mean-discount0.9-w5-lr0.005": TrainConfig(
        loss=LossConfig(policy_reduction="mean", discount=0.9)
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_folder_is_named_after_its_settings(name: str) -> None:
    stem, _, digest = folder_name([SETTINGS[name]], "fused").rpartition("-")
    assert stem == name
    assert len(digest) == 8


def test_a_folder_name_counts_seeds_and_lists_a_few_weights() -> None:
    def runs(*weights: float) -> list[TrainConfig]:
        return [
            TrainConfig(critic_weight=weight, seed=seed) for weight in weights for seed in (0, 1)
        ]

    few, many = runs(1, 3, 10), runs(1, 2, 3, 4, 5.5)
    assert folder_name(few, "fused").startswith("pwm5-3x60-attached-w1-3-10-lr0.005-2seeds-")
    assert folder_name(many, "fused").startswith("pwm5-3x60-attached-w1-to-5.5-lr0.005-2seeds-")


def test_a_folder_name_tells_every_setting_and_engine_apart() -> None:
    names = [folder_name([config], "fused") for config in SETTINGS.values()]
    names += [folder_name([TrainConfig()], "torch"), folder_name([TrainConfig(seed=1)], "fused")]
    names += [folder_name([TrainConfig(), TrainConfig(seed=seed)], "fused") for seed in (1, 2)]
    names += [folder_name([TrainConfig(num_episodes=5)], "fused")]
    names += [folder_name([TrainConfig(agent=AgentConfig(hidden_size=8))], "fused")]
    assert len(set(names)) == len(names)
    same_settings = replace(TrainConfig(), critic_weight=5)
    assert folder_name([same_settings], "fused") == names[0]


def test_configurations_are_written_in_full(tmp_path: Path) -> None:
    save_configs(tmp_path, RUNS)
    assert json.loads((tmp_path / CONFIG).read_text()) == [asdict(run) for run in RUNS]
