"""A sweep that is killed again and again: `python -m tests.tools.kills`, in short."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pwm.io.files import read_signed, write_signed
from tests import kills

EPISODES = 20


def test_a_sweep_survives_kills_of_a_worker_and_of_the_parent(tmp_path: Path) -> None:
    for seed in (1, 2, 3):  # on a busy machine a kill may strike where nothing has been kept
        toll = kills.survive(tmp_path / str(seed), kills=2, num_episodes=40_000, seed=seed)
        assert (toll.workers, toll.parents) == (1, 1)
        if toll.sessions > 4:  # there are four shards; some took more than one
            return
    raise AssertionError("no kill struck a shard that had been kept")


@pytest.fixture(scope="module")
def peaceful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that nobody killed."""
    folder = tmp_path_factory.mktemp("peaceful")
    kills.sweep_into(folder, EPISODES)
    return folder


def lost(folder: Path) -> None:
    next(folder.glob("*.npz")).unlink()


def different(folder: Path) -> None:
    one, other = sorted(folder.glob("*.npz"))[:2]
    one.write_bytes(other.read_bytes())


def left_over(folder: Path) -> None:
    (folder / f"{next(folder.glob('*.npz')).stem}.lock").touch()


def a_gap(folder: Path) -> None:
    provenance = next(folder.glob("*.json"))
    content = read_signed(provenance)
    content["sessions"][0]["first_episode"] = 5
    write_signed(provenance, content)


def unfinished(folder: Path) -> None:
    provenance = next(folder.glob("*.json"))
    content = read_signed(provenance)
    content["sessions"][-1]["last_episode"] = EPISODES - 1
    write_signed(provenance, content)


def test_a_sweep_in_peace_passes(peaceful: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(peaceful, tmp_path / "copy"))
    assert kills.check(copy, peaceful, EPISODES) == 4
    sessions = json.loads(next(copy.glob("*.json")).read_text())["sessions"]
    assert [session["command"] for session in sessions] == ["tests.tools.kills"]


@pytest.mark.parametrize("damage", [lost, different, left_over, a_gap, unfinished])
def test_the_check_notices(damage: Callable[[Path], None], peaceful: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(peaceful, tmp_path / "copy"))
    damage(copy)
    with pytest.raises((AssertionError, FileNotFoundError)):
        kills.check(copy, peaceful, EPISODES)
