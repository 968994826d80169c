"""Plain English: no phrases that we made up, and docstrings that open in the field's terms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "reproduce.sh")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "paper").rglob("*.typ")),
    *sorted((ROOT / "pwm").rglob("*.py")),
    *sorted((ROOT / "tests").rglob("*.py")),
]
AVOIDED = re.compile(
    r"\b(foretell\w*|foretold|beside|of which so many|comes? of|an lstm each|the time is up"
    r"|(steps|trials|episodes|updates|seeds|runs|seconds|rows|operations) an?"
    r" (episode|trial|cell|replica|step|window|weight|shard|core|second|round|seed))\b",
    re.IGNORECASE,
)
OPENERS = ("What ", "How ", "Where ", "Turns what", "Drops ", "Whatever ")
ALLOWED = {Path(__file__)}


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the docstrings of a module, its classes, functions and fields, with line numbers."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Expr(value=ast.Constant(value=str() as text)):
                yield node.lineno, text


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_avoided_phrase_is_used(path: Path) -> None:
    if path not in ALLOWED:
        text = " ".join(path.read_text().split())
        assert [match[0] for match in AVOIDED.finditer(text)] == []


@pytest.mark.parametrize(
    "path", [path for path in TEXTS if path.suffix == ".py"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_docstrings_open_with_a_verb_or_a_noun(path: Path) -> None:
    opened = [f"line {line}: {text[:40]}" for line, text in docstrings(path)
              if text.startswith(OPENERS) and not text.endswith("?")]  # fmt: skip
    assert opened == []
