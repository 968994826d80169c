"""The committed module matches the current source, and rebuilds byte for byte."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pwm.fused.engine import KNOWN_WORDS
from pwm.page import about, streams, wasm
from pwm.training.config import TrainConfig
from tests.page.node import PAGE
from tests.support.refusals import assert_refused

ROOT = Path(__file__).parents[2]
MODULE = PAGE / "engine.wasm"


def section() -> dict[str, Any]:
    """The committed module's description of itself."""
    _, _, content = MODULE.read_bytes().rpartition(b"\x03pwm{")
    found: dict[str, Any] = json.loads(b"{" + content)
    return found


def test_the_module_belongs_to_the_current_source() -> None:
    found = section()
    del found["tools"]
    current = json.loads(json.dumps(wasm.described()))
    assert found == current, "python -m pwm.page.wasm makes the module again"


def test_another_source_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "streams.py"
    changed.write_text(Path(streams.__file__).read_text() + "\n")
    monkeypatch.setattr("pwm.page.streams.__file__", str(changed))
    assert wasm.described()["sources"] != section()["sources"]


def test_a_missing_linker_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_refused(wasm.main, [], capsys, "error: wasm-ld (not found): expected")


def test_the_module_is_small() -> None:
    assert MODULE.stat().st_size < 150_000


def test_the_module_does_not_say_where_it_was_made() -> None:
    assert b"site-packages" not in MODULE.read_bytes()


@pytest.mark.machine
def test_the_module_is_made_again_byte_for_byte(tmp_path: Path) -> None:
    if shutil.which(wasm.LINKER) is None:
        pytest.skip(f"NOT SHOWN: there is no {wasm.LINKER} here")
    made_with, here = section()["tools"], wasm.tools()
    if made_with != here:
        pytest.skip(f"NOT SHOWN: the module was made with {made_with}; here are {here}")
    out = tmp_path / "engine.wasm"
    subprocess.run([sys.executable, "-m", "pwm.page.wasm", "--out", out], cwd=ROOT, check=True)
    assert out.read_bytes() == MODULE.read_bytes()


def test_the_page_accepts_only_words_that_the_compiled_engine_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert about.words(TrainConfig())["value_loss"] == ["squared", "huber"]
    monkeypatch.setitem(KNOWN_WORDS, "value_loss", {"squared"})
    assert about.words(TrainConfig())["value_loss"] == ["squared"]
