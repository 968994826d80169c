"""The pages on the checks: their examples run, and print what the pages say."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from textwrap import indent

import pytest

from pwm.training.loss_config import LossConfig
from tests.pwm_tools.agents import AGENTS
from tests.pwm_tools.libraries import LIBRARIES
from tests.pwm_tools.table import row

DOCS = Path(__file__).resolve().parents[2] / "docs"
CHECK, START = ((DOCS / f"{name}.md").read_text() for name in ("check", "start"))
MISTAKE, MENDED = "-(advantages * log_probs)", "-(log_probs * advantages.detach())"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


AGENT, IMPORT, CALL, LOGS = blocks(CHECK, "python")
LEAKS, SOUND, LOGGED = blocks(CHECK, "text")
VALUE_LOSS = "        value_loss = (returns - values).square().mean()\n"


def assert_same(printed: str, page: str) -> None:
    """Asserts equal texts, with numbers equal within a tenth, as processors round differently."""
    number = r"(?<![\w.])[-+]?\d+(?:\.\d+)?"
    assert re.sub(number, "#", printed.strip()) == re.sub(number, "#", page.strip())
    pairs = zip(re.findall(number, printed), re.findall(number, page), strict=True)
    for one, other in pairs:
        assert float(one) == pytest.approx(float(other), rel=0.1, abs=0.1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which `agent` is imported."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "agent", raising=False)
    return tmp_path


def test_a_newcomer_finds_the_leak_and_mends_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MENDED in LEAKS
    assert len([line for line in AGENT.splitlines() if line]) <= 45
    checked = AGENT.replace("import torch\n", "import torch\n" + IMPORT, 1)
    checked = checked.replace(VALUE_LOSS, VALUE_LOSS + indent(CALL, 8 * " "))
    for code, page in ((checked, LEAKS), (checked.replace(MISTAKE, MENDED), SOUND)):
        monkeypatch.delitem(sys.modules, "agent", raising=False)
        (folder / "agent.py").write_text(code)
        sys.path_importer_cache.clear()
        namespace: dict[str, object] = {}
        exec(compile(code, "agent.py", "exec"), namespace)
        namespace["train"](1)  # type: ignore[operator]
        assert_same(capsys.readouterr().out, page)


def test_curves_alone_and_the_start_are_as_the_pages_say(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "agent.py").write_text(AGENT)
    import_module("agent")
    exec(LOGS, {})
    assert_same(capsys.readouterr().out, LOGGED)
    (folder / "agent.py").write_text(AGENT.replace(MISTAKE, MENDED))
    del sys.modules["agent"]
    (example,), (printed,) = blocks(START, "python"), blocks(START, "text")
    exec(example, {})
    assert_same(capsys.readouterr().out, printed)


def test_the_rate_in_the_advice_is_the_default() -> None:
    assert f"max(1 / n, {LossConfig().tracking_rate})" in START


def test_the_table_is_what_its_command_prints() -> None:
    rows = [line for line in CHECK.splitlines() if line.startswith("| ") and "leak |" in line]
    for name, make in AGENTS.items():
        assert row(name, make) in rows, name
    assert "WRONG" not in CHECK
    for name, (package, _) in LIBRARIES.items():
        assert any(line.startswith(f"| {package} ") and f": {name} |" in line for line in rows)
