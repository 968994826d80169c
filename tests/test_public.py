"""The public API, the list of commands, and the pages that show how to use them."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

import pwm
from pwm.__main__ import commands, main
from pwm.audit import __main__ as audit
from pwm.audit import retraining
from pwm.claims.__main__ import main as print_claims
from tests.support.commands import call

ROOT = Path(__file__).resolve().parent.parent
TRAIN, GRID, AUDIT = (ROOT / "docs" / f"{name}.md" for name in ("train", "grid", "audit"))


def test_every_public_name_is_importable_and_documented() -> None:
    for name in pwm.__all__:
        public = getattr(pwm, name)
        assert public.__name__ == name
        assert len(public.__doc__ or "") > 10
        # A dataclass without a docstring gets its signature as one.
        assert not public.__doc__.startswith(f"{name}(")


def test_the_public_surface_is_stated_once_more_for_type_checkers() -> None:
    """`pwm/__init__.py` imports each public name for mypy under `if TYPE_CHECKING`."""
    text = (ROOT / "pwm" / "__init__.py").read_text()
    imported = re.findall(r"^    from ([\w.]+) import (\w+) as (\w+)$", text, re.MULTILINE)
    assert {name for _, name, _ in imported} == set(pwm.__all__)
    for module, name, alias in imported:
        assert alias == name
        assert getattr(import_module(module), name) is getattr(pwm, name)


def test_the_surface_is_what_all_says() -> None:
    shown = {name for name in dir(pwm) if not name.startswith("_")}
    modules = {name for name in shown if f"pwm.{name}" in sys.modules}
    helpers = {"annotations", "import_module", "TYPE_CHECKING"}
    assert shown - modules - helpers == set(pwm.__all__)
    assert pwm.__all__ == sorted(pwm.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(pwm, "no_such_name")  # noqa: B009, mypy knows that there is none


def test_importing_the_package_imports_no_library() -> None:
    loaded = "import sys, pwm; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert not {"torch", "numba", "numpy", "matplotlib"} & set(done.stdout.split())


def test_the_commands_are_listed_with_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    listed = capsys.readouterr().out.splitlines()[1:]
    for line, (name, summary) in zip(listed, commands().items(), strict=True):
        assert line.split()[:3] == ["python", "-m", f"pwm.{name}"]
        assert line.endswith(summary)
        assert len(summary) > 10
        assert summary[0].isupper()
        assert "`" not in summary
    assert {"bench", "claims", "figures", "paper", "store", "sweep", "train"} <= set(commands())
    main(["--help"])
    assert capsys.readouterr().out.splitlines()[1:] == listed


def test_every_listed_command_runs_and_none_is_left_out() -> None:
    for name in commands():
        path = ROOT / "pwm" / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()
    starts = 'if __name__ == "__main__":'
    programs = [path for path in (ROOT / "pwm").rglob("*.py") if starts in path.read_text()]
    assert len(programs) == len(commands()) + 1  # and the list itself


def test_listing_the_commands_imports_neither_torch_nor_numba() -> None:
    listing = "import sys; from pwm.__main__ import main; main([]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    )
    assert not {"torch", "numba", "matplotlib"} & set(done.stdout.splitlines()[-1].split())


def test_an_unknown_command_is_refused_with_a_list_of_the_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["trian", "--seeds", "1"])
    captured = capsys.readouterr()
    assert (stop.value.code, captured.out) == (2, "")
    assert captured.err.startswith("error: COMMAND trian --seeds 1: expected python -m pwm.")
    assert captured.err.count("\n") == 1
    for name in commands():
        assert name in captured.err


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of every code block of a page, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_pages_are_short_and_show_both_languages() -> None:
    for page in (TRAIN, GRID):
        assert len(page.read_text().splitlines()) < 60
        assert {language for language, _ in blocks(page)} == {"bash", "python"}


def test_every_block_on_training_and_grids_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed, namespace = io.StringIO(), {"__name__": "page"}
    for language, text in [*blocks(TRAIN), *blocks(GRID)]:
        if language == "bash":
            for command in text.splitlines():
                assert call(command) == 0, command
        elif written := re.match(r"# (\w+\.py)\n", text):
            (tmp_path / written[1]).write_text(text)
        else:
            with contextlib.redirect_stdout(printed):
                exec(text, namespace)

    assert {"curves.png", "state.npz"} <= {path.name for path in Path("runs/mine").iterdir()}
    run = pwm.load_run("runs/mine")
    assert run.episodes_done == 4000
    assert [config.critic_weight for config in run.configs] == [1, 1, 3, 3, 10, 10]
    assert "critic_weight=3" in printed.getvalue()
    swept = pwm.Outcomes.stored("results").at(episode_length=15)
    assert len(swept.configs) == 48


def test_the_page_on_audits_shows_what_its_commands_print(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (_, claim), (_, shown), (_, sample), (_, drawn) = blocks(AUDIT)
    assert claim.startswith("python -m pwm.claims ")
    with pytest.raises(SystemExit, match=r"^0$"):
        print_claims(claim.split()[3:])
    assert capsys.readouterr().out == shown
    monkeypatch.setattr(retraining, "processes", ThreadPoolExecutor)
    monkeypatch.setattr(audit, "claims_hold", lambda _: True)  # tested elsewhere; it takes seconds
    assert call(sample.replace("--runs 59", "--runs 2")) == 0
    numbers = r"[\d,.]+"
    first, second, _ = re.sub(numbers, "#", drawn).splitlines()
    assert re.sub(numbers, "#", capsys.readouterr().out).splitlines() == [first, second]
