"""The paper compiles, is the published one, and prints only numbers that a command wrote."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import typst

from pwm import paper
from pwm.io import repository
from pwm.io.repository import PAPER
from pwm.paper import compile_paper, main
from tests.support.refusals import assert_refused

SOURCES = [PAPER / "paper.typ", *sorted((PAPER / "sections").glob("*.typ"))]
TEXT = "\n".join(path.read_text() for path in SOURCES)
NUMBERS = json.loads((PAPER / "numbers.json").read_text())

# Patterns of text whose digits are not results, in the order of removal.
NOT_PROSE = (
    r"```.*?```",
    r"`[^`]*`",
    r"(?<![:\w])//[^\n]*",  # a comment, but not an address
    r"/\*.*?\*/",
    r"\$[^$]*\$",
    r'(?<=[(:] )"[^"\n]*"|(?<=\()"[^"\n]*"',  # an argument, such as the name of a number
    r"@[a-z][\w-]*",
    r"<[a-z][\w-]*>",
    r"(?<![\w.])\d+(\.\d+)?(pt|em|fr|in)\b",
    r"counter\(heading\)\.update\(0\)",
)


def stray_numerals(source: str) -> list[str]:
    """Words with a digit in the prose of a Typst source."""
    for pattern in NOT_PROSE:
        source = re.sub(pattern, " ", source, flags=re.DOTALL)
    return re.findall(r"\S*\d\S*", source)


def numbers_used(folder: Path = PAPER) -> list[str]:
    """Names of the numbers that a paper prints, with repetitions; it labels them `<number>`."""
    source, root = folder / "paper.typ", folder.parent
    named = typst.query(source, "<number>", field="value", root=root, ignore_system_fonts=True)
    names: list[str] = json.loads(named)
    return names


def test_the_paper_compiles_without_a_warning_to_the_same_bytes_each_time() -> None:
    first = compile_paper()
    assert first.startswith(b"%PDF")
    assert compile_paper() == first


def test_the_published_paper_is_compiled_from_its_source() -> None:
    assert (PAPER / "paper.pdf").read_bytes() == compile_paper(), "run python -m pwm.paper"


def test_every_number_was_written_by_a_command_and_every_claim_is_quoted() -> None:
    used = set(numbers_used())
    assert used
    assert used <= set(NUMBERS)
    assert {name for name in NUMBERS if name.startswith("claim.")} <= used


def test_every_number_in_the_source_is_printed() -> None:
    # No section is left out of the paper.
    assert set(re.findall(r'#?\bnum\("([^"]+)"', TEXT)) == set(numbers_used())
    included = set(re.findall(r'include "sections/([\w-]+)\.typ"', TEXT))
    assert included == {path.stem for path in SOURCES[1:]}


def test_no_semicolon_is_lost_after_a_number() -> None:
    # Typst takes such a semicolon as the end of the code.
    assert re.findall(r"#\w+\([^()\n]*\);", TEXT) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_numeral_is_typed_by_hand(source: Path) -> None:
    assert stray_numerals(source.read_text()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("Of 96 seeds, half learned.", ["96"]),
        ("It rose to 0.31 (or 5%).", ["0.31", "5%)."]),
        ("See https://example.org; 3 seeds.", ["3"]),
        ('He said "5 seeds" twice.', ['"5']),
        ("A table with [12] in a cell", ["[12]"]),
        ('$x^2$ and #num("theory.floor-20") // 7\n#v(4pt) `a1` @mnih2016 <eq-2> 8', ["8"]),
        ('#num("a1", part: "low2") ```sh\nrun 5\n``` none', []),
    ],
)
def test_the_search_for_numerals_finds_them(source: str, found: list[str]) -> None:
    assert stray_numerals(source) == found


def test_the_references_are_those_that_are_cited() -> None:
    listed = re.findall(r"^@\w+\{(\S+),$", (PAPER / "references.bib").read_text(), re.MULTILINE)
    assert len(set(listed)) == len(listed)
    named = set(re.findall(r"(?<!\w)@([a-z][\w-]*)|by\(<([a-z][\w-]*)>\)", TEXT))
    cited = {one or other for one, other in named}
    labels = set(re.findall(r"<((?:sec|eq|tab|fig)-[\w-]+)>", TEXT))
    assert cited - labels == set(listed)


def test_no_figure_is_missing() -> None:
    for name in re.findall(r'#drawn\(\s*"([^"]+)"', TEXT):
        assert (PAPER.parent / "figures" / name).is_file(), name


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Folder of a paper that prints a single number."""
    folder = tmp_path / "paper"
    folder.mkdir()
    shutil.copy(PAPER / "style.typ", folder)
    (folder / "numbers.json").write_text('{"seeds": {"text": "96 [-1, 2]", "value": 0.5}}')
    write(folder, '#num("seeds") and #num("seeds", part: "value")')
    return folder


def write(folder: Path, body: str) -> None:
    (folder / "paper.typ").write_text(f'#import "style.typ": num\n{body}\n')


def test_the_command_writes_the_paper_only_if_it_changed(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = small / "deep" / "paper.pdf"
    flags = ["--folder", str(small), "--out", str(out)]
    main(flags)
    assert out.read_bytes() == compile_paper(small)
    assert numbers_used(small) == ["seeds", "seeds"]
    before = out.stat()
    main(flags)
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert capsys.readouterr().out == f"{out}: written.\n{out}: unchanged.\n"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('#num("sedes")', "numbers.json has no number sedes"),
        ('#num("seeds", part: "low")', "numbers.json has no part low of seeds"),
        ('#image("/figures/none.svg")', "file not found"),
        ('#set text(font: "No Such Font")\nwords', "unknown font"),
    ],
)
def test_a_source_that_does_not_compile_cleanly_is_refused_in_one_line(
    small: Path, body: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(small, body)
    out = small / "paper.pdf"
    out.write_bytes(b"the last one")
    flags = ["--folder", str(small), "--out", str(out)]
    assert_refused(main, flags, capsys, "--folder", complaint, ".typ:")
    assert out.read_bytes() == b"the last one"


def test_a_folder_without_a_paper_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(main, ["--folder", str(tmp_path)], capsys, "holds paper.typ")


def test_without_a_checkout_the_command_says_so_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "paper"
    monkeypatch.setattr(repository, "PAPER", missing)
    monkeypatch.setattr(paper, "PAPER", missing)
    assert_refused(main, ["--folder", str(missing)], capsys, "a checkout of the repository")
    assert not missing.exists()


def test_an_output_that_cannot_be_written_is_refused(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = small / "numbers.json" / "paper.pdf"
    assert_refused(main, ["--folder", str(small), "--out", str(out)], capsys, "--out")
    message = f"--out {small}: expected a file, not a folder"
    assert_refused(main, ["--folder", str(small), "--out", str(small)], capsys, message)
