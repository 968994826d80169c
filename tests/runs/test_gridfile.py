"""Experiments in a user's file, and one-line errors that name its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pwm.core.errors import InputError
from pwm.runs.experiment import Experiment
from pwm.runs.gridfile import experiments_in

IMPORT = "from pwm.runs.experiment import Experiment\n"


def written(tmp_path: Path, source: str) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(source)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        experiments_in(path)
    assert "\n" not in str(caught.value)
    start = f"--grid {path}: expected "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


def test_every_experiment_at_top_level_is_found_by_its_name(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        IMPORT
        + "one = again = Experiment(name='first', axes={'seed': range(3)})\n"
        + "def make(name):\n    return Experiment(name=name, axes={'seed': (0,)})\n"
        + "two = make('second')\nnumber = 5\n",
    )
    assert experiments_in(path) == {
        "first": Experiment(name="first", axes={"seed": (0, 1, 2)}),
        "second": Experiment(name="second", axes={"seed": (0,)}),
    }


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.py", tmp_path):
        assert refusal(path) == "a Python file that defines experiments"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("\n1 / 0\n", "line 2: ZeroDivisionError: division by zero"),
        ("x = 1\n\ndef f(:\n", "line 3: SyntaxError: "),
        ("# coding: unheard-of\n", "SyntaxError: unknown encoding: unheard-of"),
        ("import json\njson.loads('{')\n", "line 2: JSONDecodeError: "),
        ("import no_such_module\n", "line 1: ModuleNotFoundError: No module named"),
        ("raise ValueError('two\\nlines')\n", "line 1: ValueError: two lines"),
        ("raise SystemExit(3)\n", "line 1: SystemExit: 3"),
        (
            IMPORT + "\nmine = Experiment(name='a', axes={'critic_wieght': (1, 2)})\n",
            "line 3: critic_wieght",
        ),
        (
            IMPORT + "mine = Experiment(\n    name='a', axes={'episode_length': (60, 2)})\n",
            "line 2: episode_length 2: expected at least one whole trial",
        ),
        (IMPORT + "mine = Experiment('a', {})\n", "line 2: TypeError: "),
    ],
)
def test_an_error_in_the_file_is_refused_by_its_line(
    source: str, message: str, tmp_path: Path
) -> None:
    refused = refusal(written(tmp_path, source))
    assert refused.startswith(f"a Python file that runs ({message}")


def test_a_file_without_an_experiment_is_refused(tmp_path: Path) -> None:
    for source in ("", IMPORT, "experiments = []\n"):
        refused = refusal(written(tmp_path, source))
        assert refused == "a Python file with a top-level variable that holds an Experiment(...)"


def test_two_experiments_of_one_name_are_refused(tmp_path: Path) -> None:
    one, other = (f"{name} = Experiment(name='same', axes={{}})\n" for name in "ab")
    refused = refusal(written(tmp_path, IMPORT + one + other))
    assert refused == "experiments with names of their own; two are called same"
