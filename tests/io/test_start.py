"""The start of a command: anything that stops it during its imports is reported in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pwm.core.task import TaskConfig
from pwm.io import start
from pwm.io.repository import REPOSITORY

OLD = '__version__ = "1.26.4"\n'
BROKEN = "raise OSError('no such symbol')\n"
COMMAND = ("pwm.store", "ls", "--results", ".")
LIGHT = ("pwm.convert", "--from", "stable-baselines3-ppo", "--to", "cleanrl-ppo")  # without PyTorch
INTERRUPTED = "import os, time; os.kill(os.getpid(), 2); time.sleep(9)\n"


def started(
    folder: Path,
    library: str = "",
    code: str = "",
    before: str = ":",
    command: Sequence[str] = COMMAND,
    **environment: str,
) -> tuple[int, str]:
    """Exit status and errors of a command for which the code of `library`, if given, is `code`."""
    if library:
        (folder / library).mkdir()
        (folder / library / "__init__.py").write_text(code)
    (folder / "results").mkdir()
    path = os.pathsep.join([str(folder), str(REPOSITORY)])
    done = subprocess.run(
        ["bash", "-c", f'{before}; exec "$@"', "bash", sys.executable, "-m", *command],
        cwd=folder / "results", env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 or done.stdout == ""
    return done.returncode, done.stderr


def test_a_command_starts(tmp_path: Path) -> None:
    assert started(tmp_path, command=LIGHT) == (0, "")


def test_an_old_numpy_is_named(tmp_path: Path) -> None:
    assert started(tmp_path, "numpy", OLD) == (2, "error: numpy 1.26.4: expected 2.2 or later\n")


@pytest.mark.parametrize("library", ["numpy", "tyro"])
def test_a_library_that_cannot_be_imported_is_named(library: str, tmp_path: Path) -> None:
    assert started(tmp_path, library, BROKEN) == (
        2,
        f"error: {tmp_path}/{library}/__init__.py: expected a library that can be imported "
        "(OSError: no such symbol)\n",
    )


def test_a_library_is_named_even_if_pythons_own_code_raises_the_error(tmp_path: Path) -> None:
    status, line = started(tmp_path, "tyro", "import ctypes\nctypes.CDLL('missing.so')\n")
    assert status == 2
    assert line.startswith(f"error: {tmp_path}/tyro/__init__.py: expected a library that can be")


def test_a_dependency_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    (tmp_path / "dependency.py").write_text(BROKEN)
    status, line = started(tmp_path, "tyro", "import dependency\n")
    assert status == 2
    assert line.startswith(f"error: {tmp_path}/dependency.py: expected a library that can be")


def test_ctrl_c_during_the_imports_is_one_line(tmp_path: Path) -> None:
    assert started(tmp_path, "tyro", INTERRUPTED) == (130, "Interrupted.\n")


def test_ctrl_c_after_the_imports_is_an_exception_again() -> None:
    before = signal.signal(signal.SIGINT, start._interrupted)
    try:
        start.end_imports()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_current_folder_that_was_removed_is_named(tmp_path: Path) -> None:
    assert started(tmp_path, "tyro", BROKEN, before="rmdir ../results") == (
        2,
        "error: the current folder: expected a folder that exists; cd to one (No such file or "
        "directory)\n",
    )


def test_too_little_memory_is_refused_before_the_imports(tmp_path: Path) -> None:
    assert started(tmp_path, "tyro", BROKEN, before="ulimit -v 900000") == (
        2,
        "error: ulimit -v 900000: expected unlimited, or at least 1500000\n",
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"TQDM_NCOLS": "abc"},
        {"TQDM_BAR_FORMAT": "{x}"},
        {"TQDM_BAR_FORMAT": "{x}", "TQDM_DELAY": "5"},  # no bar at first, so no fault
        {"TQDM_BAR_FORMAT": "{x}", "TQDM_DISABLE": "1"},  # but not for bars with disable=None
    ],
)
def test_settings_that_tqdm_cannot_use_are_named(settings: dict[str, str], tmp_path: Path) -> None:
    status, line = started(tmp_path, **settings)
    assert status == 2
    given = " ".join(f"{name}={value}" for name, value in settings.items())
    assert line.startswith(f"error: {given}: expected settings that tqdm can use (")
    assert line.count("\n") == 1


def test_settings_that_tqdm_can_use_are_used(tmp_path: Path) -> None:
    assert started(tmp_path, command=LIGHT, TQDM_NCOLS="80", TQDM_DISABLE="1") == (0, "")


def test_other_errors_keep_their_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TypeError) as caught:
        TaskConfig(length=3)  # type: ignore[call-arg]
    start._in_one_line(caught.type, caught.value, caught.tb)
    assert "Traceback" in capsys.readouterr().err
