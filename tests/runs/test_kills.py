"""A sweep that is killed repeatedly: a short run of `python -m tests.tools.kills`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pwm.io.files import read_signed, write_signed
from tests.tools import kills

EPISODES = 20


def test_a_sweep_survives_kills_of_a_worker_and_of_the_parent(tmp_path: Path) -> None:
    for seed in (1, 2, 3):  # on a busy machine, a kill may come before the first checkpoint
        num_episodes = 20_000 * 2**seed
        toll = kills.survive(tmp_path / str(seed), kills=2, num_episodes=num_episodes, seed=seed)
        assert (toll.workers, toll.parents) == (1, 1)
        if toll.sessions > 4:  # more than one for some of the four shards
            return
    raise AssertionError("no kill came after a checkpoint")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of an undisturbed sweep."""
    folder = tmp_path_factory.mktemp("undisturbed")
    kills.train_into(folder, EPISODES)
    return folder


def lose_a_history(folder: Path) -> None:
    next(folder.glob("*.npz")).unlink()


def change_a_history(folder: Path) -> None:
    one, other = sorted(folder.glob("*.npz"))[:2]
    one.write_bytes(other.read_bytes())


def leave_a_lock(folder: Path) -> None:
    (folder / f"{next(folder.glob('*.npz')).stem}.lock").touch()


def change_a_session(folder: Path, index: int, field: str, episode: int) -> None:
    provenance = next(folder.glob("*.json"))
    content = read_signed(provenance)
    content["sessions"][index][field] = episode
    write_signed(provenance, content)


def leave_a_gap(folder: Path) -> None:
    change_a_session(folder, 0, "first_episode", 5)


def stop_early(folder: Path) -> None:
    change_a_session(folder, -1, "last_episode", EPISODES - 1)


def test_an_undisturbed_sweep_passes_the_check(undisturbed: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(undisturbed, tmp_path / "copy"))
    assert kills.check(copy, undisturbed, EPISODES) == 4
    sessions = json.loads(next(copy.glob("*.json")).read_text())["sessions"]
    assert [session["command"] for session in sessions] == ["tests.tools.kills"]


@pytest.mark.parametrize(
    "damage", [lose_a_history, change_a_history, leave_a_lock, leave_a_gap, stop_early]
)
def test_the_check_fails_on_damage(
    damage: Callable[[Path], None], undisturbed: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(undisturbed, tmp_path / "copy"))
    damage(copy)
    with pytest.raises((AssertionError, FileNotFoundError)):
        kills.check(copy, undisturbed, EPISODES)
