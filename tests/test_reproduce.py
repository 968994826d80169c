"""`reproduce.sh` sets itself up where it should, and touches nothing that is not its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STUB = """#!/usr/bin/env bash
# Stands in for Python: makes an "environment" whose interpreter is this script, and agrees to all.
case "$*" in
  *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *--version*) echo "Python 3.12.0" ;;
  *) echo "$(basename "$0") $*" >> "$(pwd)/calls" ;;
esac
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a space in its name that holds the script and a lock."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    shutil.copy(ROOT / "reproduce.sh", folder)
    (folder / "requirements.lock").write_text("numpy==2.4.6\n")
    stub = folder / "my python"
    stub.write_text(STUB)
    stub.chmod(0o755)
    return folder


def run(
    place: Path, mode: str = "setup", script: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(script or place / "reproduce.sh"), mode],
        cwd=place.parent,
        env={**os.environ, "PYTHON": str(place / "my python"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def assert_refused(done: subprocess.CompletedProcess[str], mentioned: str) -> None:
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert mentioned in done.stderr


def installs(place: Path) -> int:
    return (place / "calls").read_text().count("--requirement requirements.lock")


def test_it_sets_up_once(place: Path) -> None:
    for _ in range(2):
        assert run(place).returncode == 0
    assert installs(place) == 1


def test_it_sets_up_again_when_the_lock_has_changed(place: Path) -> None:
    run(place)
    (place / "requirements.lock").write_text("numpy==2.4.7\n")
    assert run(place).returncode == 0
    assert installs(place) == 2


def test_it_sets_up_again_when_the_interpreter_is_gone(place: Path) -> None:
    run(place)
    (place / ".venv/bin/python").unlink()
    assert run(place).returncode == 0
    assert installs(place) == 2


def test_it_sets_up_again_when_the_folder_has_moved(place: Path) -> None:
    run(place)
    moved = place.parent / "elsewhere"
    place.rename(moved)
    assert run(moved).returncode == 0
    assert installs(moved) == 2


def test_it_sets_up_again_when_it_was_interrupted(place: Path) -> None:
    assert run(place).returncode == 0
    (place / ".venv/made-by-reproduce.sh").write_text("")  # as it is until all is installed
    assert run(place).returncode == 0
    assert installs(place) == 2


def test_an_environment_of_someone_else_is_left_alone(place: Path) -> None:
    theirs = place / ".venv/bin/python"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    assert_refused(run(place), ".venv")
    assert theirs.read_text() == "theirs"


def test_through_a_link_it_finds_its_own_folder(place: Path) -> None:
    elsewhere = place.parent / "bin"
    elsewhere.mkdir()
    (elsewhere / "first").symlink_to(place / "reproduce.sh")
    (elsewhere / "second").symlink_to("first")  # a relative link to a link
    assert run(place, script=elsewhere / "second").returncode == 0
    assert (place / ".venv/bin/python").exists()
    assert not (elsewhere / ".venv").exists()


def test_the_packages_do_not_see_the_settings_of_the_shell(place: Path) -> None:
    stub = place / "my python"
    stub.write_text(STUB.replace("*) echo", '*) [ -z "${PYTHONPATH:-}${MPLBACKEND:-}" ] && echo'))
    done = run(place, PYTHONPATH="/somewhere", MPLBACKEND="module://nowhere")
    assert done.returncode == 0, done.stderr


def test_an_interpreter_that_does_not_suit_is_named(place: Path) -> None:
    too_old = place / "my python"
    too_old.write_text("#!/usr/bin/env bash\nexit 1\n")
    assert_refused(run(place), f"PYTHON {too_old}: expected an interpreter of Python 3.11")


def test_a_platform_without_packages_is_named(place: Path) -> None:
    tools = place / "tools"
    tools.mkdir()
    (tools / "uname").write_text('#!/bin/sh\n[ "$1" = -s ] && echo Darwin || echo x86_64\n')
    (tools / "uname").chmod(0o755)
    done = run(place, PATH=f"{tools}:{os.environ['PATH']}")
    assert_refused(done, "platform Darwin x86_64: expected Linux")
    assert not (place / ".venv").exists()


def test_an_unknown_mode_is_refused(place: Path) -> None:
    assert_refused(
        run(place, "everything"), "everything: expected nothing, setup, smoke, tests or external"
    )
