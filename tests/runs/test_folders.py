"""Folders of saved runs: reserved for one process, and named after the settings."""

from __future__ import annotations

import json
import os
import shutil
import stat
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pwm.core.agent import AgentConfig
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.runs.folders import CONFIG, STATE_FILE, folder_name, reserved, save_configs
from pwm.runs.locks import LOCK
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig
from tests.support.folders import contents

RUNS = (TrainConfig(), TrainConfig(seed=4), TrainConfig(critic_weight=1.0))


def test_a_folder_is_reserved_for_one_process_and_created(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "mine"
    with reserved("out", folder):
        refusal = pytest.raises(InputError, match="in which no other process is training")
        with refusal, reserved("out", folder):
            pass
    assert not any(folder.iterdir())
    with reserved("out", folder):
        pass


def test_a_lock_left_behind_stops_nobody(tmp_path: Path) -> None:
    for mode in (0o777, 0o775, 0o700, 0o070):
        tmp_path.chmod(mode)
        if os.access(tmp_path, os.W_OK):
            with reserved("out", tmp_path):
                others = stat.S_IMODE((tmp_path / LOCK).stat().st_mode) & 0o066
                assert others == mode & 0o066
    tmp_path.chmod(0o700)
    (tmp_path / LOCK).touch()  # left by a killed process
    with reserved("out", tmp_path):
        pass
    assert not any(tmp_path.iterdir())


def test_a_lock_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / LOCK).symlink_to("elsewhere")
    refusal = pytest.raises(InputError, match=r"--out .*: expected a folder that can be written")
    with refusal, reserved("out", tmp_path):
        pass


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    (tmp_path / f".{STATE_FILE}.8xk2").write_bytes(b"half a state")
    (tmp_path / ".mine.8xk2").write_bytes(b"not ours")
    with reserved("out", tmp_path):
        assert set(contents(tmp_path)) == {LOCK, ".mine.8xk2"}


@pytest.mark.parametrize("what", ["removed", "moved", "replaced"])
def test_a_folder_that_is_removed_or_moved_is_noticed(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with reserved("out", folder) as require_reserved:
        require_reserved()
        if what == "moved":
            folder.rename(tmp_path / "elsewhere")
        else:
            shutil.rmtree(folder)
        if what == "replaced":
            folder.mkdir()
            (folder / LOCK).touch()
        with pytest.raises(InputError, match=r"--out .*: expected a folder that is not removed or"):
            require_reserved()
    assert folder.exists() == (what == "replaced")
    assert what != "replaced" or (folder / LOCK).exists()  # the lock of another process


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
    "pwm5-3x60-attached-centred-pcgrad-start-fixed-point-w5-lr0.005": TrainConfig(
        loss=LossConfig(returns="centred", balance="pcgrad"), critic_start="fixed-point"
    ),
    "pwm5-3x60-attached-popart-start-1.5-w5-lr0.005": TrainConfig(
        loss=LossConfig(balance="popart"), critic_start=1.5
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
    expected = json.loads(json.dumps([asdict(run) for run in RUNS]))
    assert json.loads((tmp_path / CONFIG).read_text()) == expected
