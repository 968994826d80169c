"""Command lines: flags from dataclasses, and one line for any bad input."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import tyro
from tqdm import tqdm

from pwm.core.errors import InputError, require
from pwm.io import cli, start
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.errors import FileError
from pwm.training.config import TrainConfig


@dataclass(frozen=True)
class Arguments:
    """Flags of the tests."""

    name: tyro.conf.Positional[str]
    """A name."""
    config: TrainConfig = field(default_factory=TrainConfig)
    """Fields of a run."""
    results: Path = Path("results")
    """A folder with a long description, which does not fit on one line of a narrow terminal."""
    workers: int = 1
    """Processes."""
    most: int | None = None
    """An optional number."""
    start: float | Literal["mean"] = 0.0
    """One of two types."""
    size: Literal["paper", "smoke"] | None = None
    """An optional choice."""
    seeds: tuple[int, ...] = ()
    """Several numbers."""

    def __post_init__(self) -> None:
        require(self.workers > 0, "workers", self.workers, "a process at least")


def parsed(*argv: str) -> Arguments:
    return parse(Arguments, "python -m pwm.tests", "Tests.", argv)


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as stop:
        parsed(*argv)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("error: ").removesuffix("\n")


def test_fields_of_nested_dataclasses_are_flat_flags() -> None:
    found = parsed("me", "--episode-length", "9", "--critic-weight", "2", "--results", "there")
    assert found.config.task.episode_length == 9
    assert found.config.critic_weight == 2
    assert found == Arguments("me", found.config, Path("there"))


REFUSALS = [
    ([], "Missing from python -m pwm.tests: STR; --help lists what is accepted"),
    (["me", "--nosuch"], "Unrecognized options: --nosuch; --help lists what is accepted"),
    (["me", "--worker", "2"], "options: --worker, 2; did you mean --workers? --help lists"),
    (["me", "--tmeout", "--wrkers=2"], "did you mean --no-timeout, --timeout or --workers? --help"),
    (["me", "--results"], "--results (none): expected a value"),
    (["me", "--results", ""], "--results '': expected a value that is not empty"),
    (["me", "--results="], "--results '': expected a value that is not empty"),
    (["me", "--seeds=1", ""], "ARGUMENT '': expected a value that is not empty"),
    (["me", "--seeds", "1", ""], "ARGUMENT '': expected a value that is not empty"),
    ([""], "ARGUMENT '': expected a value that is not empty"),
    (["me", "--workers", "x" * 90], f"--workers {'x' * 90}: expected an integer"),
    (["me", "--critic_weight=x"], "--critic-weight x: expected a number"),
    (["me", "--most", "two"], "--most two: expected an integer"),
    (["me", "--start", "x", "--workers", "2"], "--start x: expected a number or mean"),
    (["me", "--seeds", "1", "x"], "--seeds 1 x: expected an integer each"),
    (["me", "--size", "no"], "--size no: expected paper or smoke"),
    (["me", "--baseline", "no"], "--baseline no: expected attached, attached_head, "),
    (["me", "--workers", "0"], "--workers 0: expected a process at least"),
    (["me", "--episode-length", "2"], "--episode-length 2: expected at least one whole trial of 3"),
    (["me", "--critic-weight", "-1"], "--critic-weight -1.0: expected a finite number"),
]


@pytest.mark.parametrize("columns", ["20", "80", None])
@pytest.mark.parametrize(("argv", "message"), REFUSALS)
def test_bad_input_is_one_line_on_any_terminal(
    argv: list[str],
    message: str,
    columns: str | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert message in refusal(capsys, *argv)
    assert os.environ.get("COLUMNS") == columns


def test_help_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit) as stop:
        parsed("--help")
    assert stop.value.code == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "Tests." in captured.out
    assert 50 < max(map(len, captured.out.splitlines())) <= 60


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("critic_weight", -1, "a number"), "--critic-weight -1: expected a number"),
        (InputError("EXPERIMENT", "x", "some of a, b"), "EXPERIMENT x: expected some of a, b"),
        (FileError(Path("a/file"), "an undamaged file"), "a/file: expected an undamaged file"),
    ],
)
def test_an_input_error_in_the_block_is_one_line(
    error: InputError, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop, errors_in_one_line():
        raise error
    assert stop.value.code == 2
    assert capsys.readouterr() == ("", f"error: {line}\n")


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), errors_in_one_line():
        raise ZeroDivisionError


def test_an_error_removes_the_progress_bar_before_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = iter(tqdm(range(3), file=sys.stderr, unit=" steps"))
    next(steps)
    with pytest.raises(SystemExit), errors_in_one_line():
        raise InputError("name", 1, "2")
    shown = capsys.readouterr().err
    assert "0/3" in shown
    assert re.search(r"\r *\rerror: --name 1: expected 2\n$", shown)


# Libraries, streams and readers


@pytest.mark.parametrize(
    ("library", "found", "line"),
    [
        ("numpy", "2.1.0", "numpy 2.1.0: expected 2.2 or later"),
        ("torch", "2.5.1+cu124", "torch 2.5.1+cu124: expected 2.6 or later"),
    ],
)
def test_a_library_that_is_too_old_is_one_line(
    library: str,
    found: str,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounds = ["numpy>=2.2", "torch>=2.6", 'submitit>=99; extra == "slurm"']
    monkeypatch.setattr("importlib.metadata.requires", lambda _package: bounds)
    monkeypatch.setattr(sys.modules[library], "__version__", found)
    start.require_versions.cache_clear()
    assert refusal(capsys, "me") == line


def test_libraries_within_the_bounds_and_help_need_no_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start.require_versions.cache_clear()
    assert parsed("me").name == "me"
    monkeypatch.setattr(cli, "require_versions", None)
    with pytest.raises(SystemExit) as stop:
        parsed("--help")
    assert stop.value.code == 0
    assert "Tests." in capsys.readouterr().out


# Needs neither PyTorch nor NumPy.
PRINT = """
import sys
from dataclasses import dataclass
from pwm.io.cli import errors_in_one_line, parse

@dataclass
class Arguments:
    name: str = "me"
    workers: int = 1

with errors_in_one_line():
    parse(Arguments, "print", "Prints.")
    print("x")
    sys.exit(0)
"""
PIPE = '"$@" | true; exit ${PIPESTATUS[0]}'


def in_bash(script: str, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a bash script in which `"$@"` is the command `PRINT` with arguments."""
    usual = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": ""}
    return subprocess.run(
        ["bash", "-c", script, "bash", sys.executable, "-c", PRINT, *argv],
        env=os.environ | usual | environment,
        capture_output=True,
        check=False,
        text=True,
    )


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_bad_input_is_one_line_in_any_encoding(encoding: str) -> None:
    done = in_bash('"$@"', "--workers", "x", PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert done.stderr == "error: --workers x: expected an integer\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("argv", ["--name=me", "--help"])
def test_closed_and_broken_output_is_no_traceback(argv: str, unbuffered: str) -> None:
    for script, status in (('"$@" >&-', 0), ('"$@" >&- 2>&-', 0), (PIPE, 141)):
        done = in_bash(script, argv, PYTHONUNBUFFERED=unbuffered)
        assert (done.returncode, done.stderr) == (status, "")


def test_a_full_output_is_one_line_that_blames_it() -> None:
    done = in_bash('"$@" > /dev/full')
    assert done.returncode == 2
    assert done.stderr == (
        "error: standard output: expected space for the results (No space left on device)\n"
    )


def test_an_error_whose_reader_has_gone_keeps_its_status() -> None:
    assert in_bash(PIPE.replace("|", "2>&1 |"), "--nosuch").returncode == 2
