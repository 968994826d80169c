"""Experiments that a user defines in a Python file."""

from __future__ import annotations

import runpy
import traceback
from pathlib import Path

from pwm.core.errors import InputError, require
from pwm.runs.experiment import Experiment


def experiments_in(path: Path) -> dict[str, Experiment]:
    """Runs a Python file; returns the experiments that top-level variables hold, by `name`.

    Raises:
        InputError: the file does not exist, raises an exception, defines no experiment, or
            defines two with the same name.
    """
    require(path.is_file(), "grid", path, "a Python file that defines experiments")
    try:
        defined = runpy.run_path(str(path))
    except (Exception, SystemExit) as error:
        accepted = f"a Python file that runs ({_place(path, error)}{_message(error)})"
        raise InputError("grid", path, accepted) from error
    experiments = [value for value in defined.values() if isinstance(value, Experiment)]
    accepted = "a Python file with a top-level variable that holds an Experiment(...)"
    require(len(experiments) > 0, "grid", path, accepted)
    by_name = {item.name: item for item in experiments}
    for item in experiments:
        accepted = f"experiments with names of their own; two are called {item.name}"
        # Two variables may hold the same experiment, but two experiments may not share a name.
        require(by_name[item.name] is item, "grid", path, accepted)
    return by_name


def _place(path: Path, error: BaseException) -> str:
    """Line at which the file raised an error, in the form "line 3: "; empty if unknown."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)  # 0 if its encoding is unknown
    return f"line {lines[-1]}: " if lines and lines[-1] else ""


def _message(error: BaseException) -> str:
    """An error's message, on one line, after its type unless it is an `InputError`."""
    if isinstance(error, InputError):  # its own text names a flag, which nobody typed
        return f"{error.name} {error.value}: expected {error.accepted}"
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"
