"""`python -m pwm.train --extend`: a longer run, bit for bit; refusals; kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pytest

import pwm.figures.training
from pwm.io.files import read_arrays
from pwm.runs.fields import flat
from pwm.runs.folders import FILES, reserved
from pwm.runs.saved import load_run
from pwm.train import NOT_SETTINGS, Arguments, train_command
from pwm.training.config import TrainConfig
from pwm.training.history import History
from pwm.training.trainer import OPTIONAL, STATE, Trainer
from tests.support.folders import contents
from tests.support.histories import read_history, same
from tests.support.refusals import assert_refused

ROOT = Path(pwm.__file__).resolve().parent.parent
SETTING = [
    *("--episode-length", "6", "--hidden-size", "4", "--log-every", "10"),
    *("--critic-weight", "5", "1", "--seeds", "0", "3"),
]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes the number of windows instead of a picture of the curves."""

    def blank(_runs: Sequence[TrainConfig], history: History, path: Path) -> None:
        path.write_text(f"{len(history.episode)} windows")

    monkeypatch.setattr(pwm.figures.training, "training_curves", blank)


def train(*flags: str, status: int = 0) -> None:
    with pytest.raises(SystemExit) as stop:
        train_command(flags)
    assert stop.value.code == status


def trained(num_episodes: int, folder: str, *flags: str) -> None:
    train(*SETTING, "--num-episodes", str(num_episodes), "--out", folder, *flags)


def assert_same_run(one: str, other: str) -> None:
    """Asserts that configurations, histories, states and curves of two runs are bit-identical."""
    assert Path(one, "config.json").read_bytes() == Path(other, "config.json").read_bytes()
    assert same(*(read_history(Path(folder, "history.npz")) for folder in (one, other)))
    ours, theirs = (
        read_arrays(Path(folder, "state.npz"), STATE, *OPTIONAL) for folder in (one, other)
    )
    assert ours.keys() == theirs.keys()
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)
    assert Path(one, "curves.png").read_bytes() == Path(other, "curves.png").read_bytes()


PROBED = ["--probe-episodes", "2", "--probe-at", "0", "7", "33"]


@pytest.mark.parametrize("flags", [[], ["--engine", "torch"], ["--probe-episodes", "2"], PROBED])
def test_an_extended_run_is_the_longer_run(flags: list[str]) -> None:
    engine = flags if "torch" in flags else []
    trained(77, "longer", *flags)
    trained(33, "mine", *flags)  # with an unfinished window at its end
    train("--extend", "mine", "--num-episodes", "58", *engine)
    train("--extend", "mine", "--num-episodes", "77", *engine)
    assert_same_run("mine", "longer")


def test_with_out_the_original_is_kept() -> None:
    trained(33, "mine")
    before = contents(Path("mine"))
    train("--extend", "mine", "--num-episodes", "77", "--out", "longer")
    assert contents(Path("mine")) == before
    assert contents(Path("longer")).keys() == set(FILES)
    trained(77, "whole")
    assert_same_run("longer", "whole")


def test_out_may_name_the_same_folder() -> None:
    trained(33, "mine")
    train("--extend", "mine", "--num-episodes", "77", "--out", "../" + Path.cwd().name + "/mine")
    assert load_run("mine").episodes_done == 77


def test_provenance_keeps_that_of_the_run_before() -> None:
    trained(33, "mine")
    first = json.loads(Path("mine/provenance.json").read_text())
    train("--extend", "mine", "--num-episodes", "77")
    second = json.loads(Path("mine/provenance.json").read_text())
    assert (second["engine"], second["first_episode"]) == ("fused", 34)
    assert second["earlier_sessions"] == [first]
    assert second["wall_seconds"] >= 0


@pytest.mark.parametrize("length", [[], ["--num-episodes", "77"]])
def test_an_interrupted_run_is_finished(length: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    advance = Trainer.advance

    def interrupted(trainer: Trainer, num_episodes: int) -> None:
        advance(trainer, num_episodes)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", interrupted)
        train(*SETTING, "--num-episodes", "77", "--out", "mine", status=130)
    assert load_run("mine").episodes_done == 50
    train("--extend", "mine", *length)
    trained(77, "whole")
    assert_same_run("mine", "whole")


def test_a_run_that_is_killed_at_any_moment_is_finished() -> None:
    trained(2500, "whole")
    trained(33, "mine")
    patched = (
        "from pwm import train; from pwm.runs import training; "
        "training.SAVE_EVERY = training.SHOW_EVERY = 0.0; train.train_command()"
    )
    flags = ["--extend", "mine", "--num-episodes", "2500"]
    kills = 0
    for moment in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", patched, *flags],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        before = Path("mine/state.npz").stat().st_ino
        while process.poll() is None and Path("mine/state.npz").stat().st_ino == before:
            time.sleep(0.001)
        time.sleep(0.003 * (moment % 5))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        if kills == 3 or process.returncode == 0:
            break
    assert kills > 0
    if load_run("mine").episodes_done < 2500:
        train(*flags)
    assert_same_run("mine", "whole")
    assert {name for name in contents(Path("mine")) if not name.startswith(".")} == set(FILES)


# Refusals


def test_every_setting_next_to_extend_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    trained(33, "mine")
    capsys.readouterr()
    before = contents(Path("mine"))
    changed = {
        "critic_weight": "3",
        "learning_rate": "0.01",
        "seeds": "1",
        "log_every": "7",
        "probe_episodes": "2",
        "probe_at": "3",
        "stimulus_set": "pwm0",
        "trial_length": "4",
        "episode_length": "15",
        "hold_reward": "0.5",
        "hidden_size": "8",
        "baseline": "detached",
        "policy_reduction": "mean",
        "discount": "0.5",
        "entropy_weight": "0.5",
        "optimism": "0.5",
        "lost_gradients": "values",
        "timeout": "",
        "carry_state": "",
        "separate_trunks": "",
        "reward": "2",
        "returns": "centred",
        "tracking_rate": "0.5",
        "balance": "equal",
        "normalise_advantages": "",
        "clip_gradient": "0.5",
        "trunk_rate": "0.5",
        "critic_start": "mean",
        "optimizer": "adam",
        "square_decay": "0.9",
        "momentum_decay": "0.5",
        "epsilon": "0.001",
        "episodes_per_update": "11",
        "value_loss": "huber",
        "trace_decay": "0.5",
        "leaking_targets": "",
        "return_horizon": "trial",
    }
    assert changed.keys() == flat(Arguments()).keys() - set(NOT_SETTINGS)
    for name, value in changed.items():
        flag = "--" + name.replace("_", "-")
        flags = ["--extend", "mine", "--num-episodes", "77", flag, *([value] if value else [])]
        assert_refused(train_command, flags, capsys, f"{flag} {value}", "next to --extend")
    assert contents(Path("mine")) == before


def test_flags_that_are_not_settings_are_named() -> None:
    assert set(NOT_SETTINGS) <= {field.name for field in fields(Arguments)}


@pytest.mark.parametrize(
    ("flags", "mentioned"),
    [
        ("", "--num-episodes 33: expected more than the 33 episodes"),
        ("--num-episodes 33", "--num-episodes 33: expected more than the 33 episodes"),
        ("--num-episodes 20", "--num-episodes 20: expected more than the 33 episodes"),
        ("--num-episodes 77 --engine torch", "--engine torch: expected fused"),
        ("--num-episodes 77 --device cuda", "--device cuda: expected"),
        ("--num-episodes 77 --out other", "--out other: expected a folder that holds no run yet"),
        ("--num-episodes 77 --extend nothing", "--extend nothing: expected a folder that holds"),
        ("--num-episodes 77 --extend bare", "--extend bare: expected a folder that holds"),
        ("--num-episodes 77 --extend damaged", "damaged/state.npz: expected"),
    ],
)
def test_what_cannot_be_extended_is_refused_and_left_as_it_is(
    flags: str, mentioned: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(33, "mine")
    trained(1, "other")
    shutil.copytree("mine", "bare")
    Path("bare/state.npz").unlink()
    shutil.copytree("mine", "damaged")
    Path("damaged/state.npz").write_bytes(b"damage")
    capsys.readouterr()
    folders = [Path(name) for name in ("mine", "other", "bare", "damaged")]
    before = [contents(folder) for folder in folders]
    extend = [] if "--extend" in flags else ["--extend", "mine"]
    assert_refused(train_command, [*extend, *flags.split()], capsys, mentioned)
    assert [contents(folder) for folder in folders] == before
    assert len(list(Path.cwd().iterdir())) == len(folders)


def test_the_engine_that_trained_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    trained(3, "mine", "--engine", "torch")
    capsys.readouterr()
    flags = ["--extend", "mine", "--num-episodes", "9"]
    assert_refused(train_command, flags, capsys, "--engine fused: expected torch")


def test_a_run_in_training_is_not_extended(capsys: pytest.CaptureFixture[str]) -> None:
    trained(33, "mine")
    capsys.readouterr()
    flags = ["--extend", "mine", "--num-episodes", "77"]
    with reserved("extend", Path("mine")):
        assert_refused(train_command, flags, capsys, "--extend mine", "no other process")
