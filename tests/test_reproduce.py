"""`reproduce.sh` sets up its own environment, and touches nobody else's files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STUB = """#!/usr/bin/env bash
# Stands in for Python: makes an "environment" whose interpreter is this script, and agrees to all
# but what FAILS matches.
case "$*" in
  *"-m venv"*)
    mkdir -p .venv/bin .venv/lib
    : > .venv/lib/installed
    cp "$0" .venv/bin/python
    ;;
  ${FAILS:-nothing}) exit 1 ;;
  *--version*) echo "Python 3.12.0" ;;
  *) echo "$(basename "$0") $*" >> "$(pwd)/calls" ;;
esac
"""
LOCKS = ("requirements.lock", "torch-cpu.lock", "torch-cuda.lock")
TOOLS = (
    "basename bash cat cmp comm cp dirname env find git grep ldd mkdir readlink rm rmdir sort uname"
)
"""All programs that the script needs, but no others, so that no installed uv is found."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a space in its name: the script, locks, `TOOLS` and a stand-in for Python."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    shutil.copy(ROOT / "reproduce.sh", folder)
    for lock in LOCKS:
        (folder / lock).write_text("numpy==2.4.6\n")
    (folder / "tools").mkdir()
    for tool in filter(None, map(shutil.which, TOOLS.split())):
        (folder / "tools" / Path(tool).name).symlink_to(tool)
    stub = folder / "my python"
    stub.write_text(STUB)
    stub.chmod(0o755)
    return folder


def run(
    place: Path, *words: str, script: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(shutil.which("bash")), str(script or place / "reproduce.sh"), *(words or ["setup"])],
        cwd=place.parent,
        env=os.environ
        | {"PYTHON": str(place / "my python"), "PATH": str(place / "tools")}
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_refused(done: subprocess.CompletedProcess[str], mentioned: str) -> None:
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert mentioned in done.stderr


def calls(place: Path, mentioned: str) -> list[str]:
    return [line for line in (place / "calls").read_text().splitlines() if mentioned in line]


def installs(place: Path) -> int:
    return len(calls(place, "--requirement requirements.lock"))


def add_uv(place: Path) -> None:
    stub = place / "tools/uv"
    stub.write_text('#!/usr/bin/env bash\necho "uv $*" >> calls\n')
    stub.chmod(0o755)


def test_it_sets_up_once(place: Path) -> None:
    for _ in range(2):
        assert run(place).returncode == 0
    assert installs(place) == 1


@pytest.mark.parametrize("lock", LOCKS)
def test_it_sets_up_again_when_a_lock_has_changed(place: Path, lock: str) -> None:
    run(place)
    (place / lock).write_text("numpy==2.4.7\n")
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


def test_it_sets_up_again_when_a_file_is_missing(place: Path) -> None:
    run(place)
    (place / ".venv/lib/of-the-user").touch()
    run(place)
    assert installs(place) == 1
    (place / ".venv/lib/installed").unlink()
    assert run(place).returncode == 0
    assert installs(place) == 2


def test_an_empty_folder_is_nobodys_environment(place: Path) -> None:
    (place / ".venv").mkdir()
    assert run(place).returncode == 0
    assert installs(place) == 1


@pytest.mark.parametrize("with_uv", [False, True])
def test_every_file_needs_a_hash_from_a_lock(place: Path, with_uv: bool) -> None:
    if with_uv:
        add_uv(place)
    assert run(place).returncode == 0
    installing = calls(place, " install ")
    locked = [line for line in installing if "--require-hashes --no-deps" in line]
    assert [line.split()[-1] for line in locked] == ["requirements.lock", "torch-cpu.lock"]
    (own,) = set(installing) - set(locked)
    assert "--no-deps --no-build-isolation --editable ." in own
    assert installing[0].startswith("uv pip" if with_uv else "python -m pip")


@pytest.mark.parametrize(
    ("fails", "by", "lock"),
    [
        ("nothing", "python -m pip install", "torch-cpu.lock"),
        ("*pip?install*torch-cpu*", "python -m pip install", "torch-cuda.lock"),
        ("*-m?pip?install*torch-cpu*", "python -m uv pip install", "torch-cpu.lock"),
    ],
)
def test_pytorch_comes_from_where_pip_looks_or_its_own_index_or_with_cuda(
    place: Path, fails: str, by: str, lock: str
) -> None:
    done = run(place, FAILS=fails)
    assert done.returncode == 0
    (call,) = calls(place, "torch-")
    assert call.startswith(by)
    assert call.endswith(lock)
    assert ("--torch-backend cpu" in call) == ("uv" in by)
    assert ("3 GB" in done.stderr) == (lock == "torch-cuda.lock")


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
    uname = place / "tools/uname"
    uname.unlink()
    uname.write_text('#!/bin/sh\n[ "$1" = -s ] && echo Darwin || echo x86_64\n')
    uname.chmod(0o755)
    assert_refused(run(place), "platform Darwin x86_64: expected Linux")
    assert not (place / ".venv").exists()


def test_an_unknown_mode_is_refused(place: Path) -> None:
    assert_refused(
        run(place, "everything"),
        "everything: expected nothing, audit, setup, smoke, tests or external",
    )


def test_an_audit_passes_its_flags_on(place: Path) -> None:
    assert run(place, "audit", "--runs", "7", "--claim", "bias-0.001").returncode == 0
    assert (place / "calls").read_text().endswith("-m pwm.audit --runs 7 --claim bias-0.001\n")


@pytest.mark.parametrize(
    ("fails", "status"),
    [("nothing", 0), ("*ruff?check*", 1), ("*mypy*", 1), ("*make_trainer*", 1), ("*pytest*", 1)],
)
def test_the_checks_pass_if_all_of_them_do(place: Path, fails: str, status: int) -> None:
    done = run(place, "tests", FAILS=fails)
    assert done.returncode == status
    assert ("all checks passed" in done.stderr) == (status == 0)


FILES = ("figures/answer.csv", "figures/two words.png", "paper/numbers.json", "paper/paper.pdf")


def committed(place: Path) -> None:
    """Commits the published files, made up, to a new git repository in the folder."""
    for name in (*FILES, "paper/paper.typ"):
        path = place / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
    for words in (["init", "-q"], ["add", "figures", "paper"], [*identity, "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=place, check=True)


def last_lines(place: Path, status: int) -> list[str]:
    done = run(place, "")
    assert done.returncode == status, done.stderr
    return done.stdout.splitlines()


def test_it_ends_with_a_comparison_of_the_files_it_wrote(place: Path) -> None:
    committed(place)
    assert last_lines(place, 0) == ["4 of 4 files are as published, byte for byte."]
    (place / "paper/paper.typ").write_text("an edit of the source")
    (place / "figures/two words.png").write_text("another")
    (place / "paper/numbers.json").unlink()
    (place / "figures/new.csv").touch()
    assert last_lines(place, 1) == [
        "figures/two words.png: differs from the published",
        "paper/numbers.json: differs from the published",
        "figures/new.csv: not published",
        "2 of 5 files are as published, byte for byte.",
    ]


def test_without_git_it_says_that_it_cannot_compare(place: Path) -> None:
    (line,) = last_lines(place, 0)
    assert line.startswith("There is no git repository here")
