"""Commands in unusual surroundings: environment variables, settings files, closed streams."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pwm.io.repository import PAPER, REPOSITORY
from pwm.runs.folders import PROVENANCE
from pwm.runs.storage import Store
from tests.figures.made_up import smoke_store

# Three commands in one process, as importing takes longer than running them.
PROGRAM = """
import sys
from pwm.figures.__main__ import main as figures
from pwm.paper import main as paper
from pwm.train import train_command

place, store, *engines = sys.argv[1:]
figures(["places", "--size", "smoke", "--results", store, "--out", place + "/figures"])
paper(["--folder", "paper", "--out", place + "/paper.pdf"])
flags = "--episode-length 6 --hidden-size 4 --num-episodes 30 --seeds 1 0".split()
for engine in engines:
    try:
        train_command([*flags, "--engine", engine, "--out", place + "/" + engine])
    except SystemExit as stop:
        if stop.code != 0:
            raise
"""
UNDECODABLE = b"font.size: 30 # \xff\n"
SURROUNDINGS: dict[str, dict[str, str]] = {
    "notebook": {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "COLUMNS": "7",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "JPY_PARENT_PID": "1",
        "LC_ALL": "C",
        "LANG": "tr_TR.UTF-8",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
        "PYTHONHASHSEED": "7",
        "TZ": "Pacific/Kiritimati",
        "SOURCE_DATE_EPOCH": "1",
        "TQDM_DISABLE": "1",
    },
    "matplotlibrc": {
        "MPLBACKEND": "module://no.such",
        "MATPLOTLIBRC": "matplotlibrc",
        "MPLCONFIGDIR": "matplotlibrc",
        "PYTHONPATH": "elsewhere",
        "HOME": "/nowhere",
        "PYTHONOPTIMIZE": "2",
        "PYTHONWARNINGS": "error",
        "LC_ALL": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "8",
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "many",
    },
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return smoke_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def undisturbed(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Contents of the files that `PROGRAM` writes, run in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    small_paper(folder / "paper")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["-c", "out", str(store.folder), "torch", "fused"])
        exec(PROGRAM, {})
    return written(folder / "out")


def small_paper(folder: Path) -> None:
    folder.mkdir()
    shutil.copy(PAPER / "style.typ", folder)
    (folder / "numbers.json").write_text('{"seeds": {"text": "96", "value": 0.5}}')
    (folder / "paper.typ").write_text('#import "style.typ": num\n#num("seeds") ä\n')


def written(place: Path) -> dict[str, bytes]:
    """Contents of all files below a folder except provenance, by path."""
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and path.name != PROVENANCE
    }


def written_in(folder: Path, store: Store, environment: dict[str, str]) -> dict[str, bytes]:
    """Contents of the files that `PROGRAM` writes, run in a new process."""
    place = folder / "Läufe of 1"
    small_paper(folder / "paper")
    path = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), str(REPOSITORY)]))
    # Without docstrings, the fused engine would be compiled once more.
    engines = ["torch"] if "PYTHONOPTIMIZE" in environment else ["torch", "fused"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(place), str(store.folder), *engines],
        cwd=folder, env=os.environ | environment | {"PYTHONPATH": path},
        capture_output=True, check=False,
    )  # fmt: skip
    shown = done.stderr.decode(errors="replace")
    assert done.returncode == 0, shown
    assert "Traceback" not in shown
    assert "atplotlib" not in shown  # which complains about its folders and settings
    assert done.stdout.count(b"written") == 2
    assert f"of 1/{engines[-1]}.".encode() in done.stdout.splitlines()[-1]
    return written(place)


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_what_is_inherited_stops_no_command_and_changes_no_byte(
    name: str, undisturbed: dict[str, bytes], store: Store, tmp_path: Path
) -> None:
    if name == "matplotlibrc":
        (tmp_path / "matplotlibrc").write_bytes(UNDECODABLE)
    found = written_in(tmp_path, store, SURROUNDINGS[name])
    assert len(undisturbed) == 12
    assert len(found) == (8 if name == "matplotlibrc" else 12)
    assert [file for file in found if found[file] != undisturbed.get(file)] == []


# Streams

TRAIN = [
    *("-m", "pwm.train", "--engine", "torch", "--episode-length", "6", "--num-episodes", "3"),
    *("--out", "mine"),
]
PAPER_COMMAND = ["-m", "pwm.paper", "--folder", "paper", "--out", "paper.pdf"]


@pytest.mark.parametrize(
    ("command", "redirected", "status"),
    [
        (TRAIN, ">&- 2>&-", 0),
        (TRAIN, "> >(true) 2>&1", 141),
        (PAPER_COMMAND, ">&- 2>&-", 0),
        (PAPER_COMMAND, "> >(sleep 0) 2> log", 141),
        (PAPER_COMMAND, ">/dev/full 2> log", 2),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_closed_and_full_streams_lose_nothing(
    command: Sequence[str], redirected: str, status: int, tmp_path: Path
) -> None:
    small_paper(tmp_path / "paper")
    # The reader of `>(true)` has ended before anything is written.
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirected}', "bash", sys.executable, *command],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, check=False,
    )  # fmt: skip
    assert done.returncode == status
    log = (tmp_path / "log").read_text() if (tmp_path / "log").exists() else ""
    assert "Traceback" not in log
    assert "Exception ignored" not in log
    assert status != 2 or log == (
        "error: standard output: expected space for the results (No space left on device)\n"
    )
    made = "mine/curves.png" if command is TRAIN else "paper.pdf"
    assert (tmp_path / made).stat().st_size > 1000
