"""Provenance, and the repository's folders."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pwm
from pwm.io import provenance as module
from pwm.io import repository
from pwm.io.errors import FileError
from pwm.io.provenance import current_provenance
from pwm.io.repository import REPOSITORY, published


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Makes the package seem to be installed without its repository."""
    monkeypatch.setattr(module, "REPOSITORY", tmp_path)
    monkeypatch.setattr(repository, "PAPER", tmp_path / "paper")
    module._environment.cache_clear()
    yield tmp_path
    module._environment.cache_clear()


def test_provenance_names_code_versions_machine_command_and_time() -> None:
    found = current_provenance(1.23456, "some command")
    assert found["command"] == "some command"
    assert found["wall_seconds"] == 1.23
    assert {"commit", "clean", "versions", "host", "cpu", "instruction_set", "threads"} < set(found)


def test_the_command_is_the_one_that_started_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["/a/python", "-m", "pwm.sweep", "two words"])
    assert current_provenance(0)["command"] == "python -m pwm.sweep " + shlex.quote("two words")


@pytest.mark.usefixtures("nowhere")
def test_outside_a_repository_there_is_no_commit() -> None:
    assert current_provenance(0)["commit"] is None
    assert current_provenance(0)["clean"] is None


def test_the_repository_holds_the_package_and_what_is_published() -> None:
    assert Path(pwm.__file__).parent == REPOSITORY / "pwm"
    assert published("outcomes.npz").is_file()


def test_outside_a_repository_nothing_is_published(nowhere: Path) -> None:
    path = nowhere / "paper" / "outcomes.npz"
    with pytest.raises(FileError) as caught:
        published("outcomes.npz")
    assert str(caught.value).startswith(f"{path}: expected a checkout of the repository")


def test_a_repository_that_git_refuses_or_without_git_is_unknown_rather_than_changed(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet", nowhere], check=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert current_provenance(0).items() >= {"commit": None, "clean": None}.items()
    module._environment.cache_clear()
    monkeypatch.setenv("PATH", str(nowhere))
    assert current_provenance(0).items() >= {"commit": None, "clean": None}.items()


@pytest.mark.parametrize(
    ("name", "path"),
    [("GIT_DIR", ".git"), ("GIT_INDEX_FILE", ".git/index"), ("GIT_WORK_TREE", "tests")],
)
def test_another_repository_in_the_environment_is_ignored(
    name: str, path: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet", nowhere], check=True)
    monkeypatch.setenv(name, str(REPOSITORY / path))
    assert current_provenance(0).items() >= {"commit": None, "clean": True}.items()
