"""The figures' files: their names, their origin, and when they are written."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import pwm.figures
from pwm.analysis.evidence import Evidence
from pwm.analysis.published import Published
from pwm.experiments import EXPERIMENTS, NOTES
from pwm.figures import __main__ as command
from pwm.figures import outputs
from pwm.figures.__main__ import main
from pwm.figures.outputs import ANSWERS, NAMES, draw, write
from pwm.figures.panels import WIDTH
from pwm.figures.render import STYLE
from pwm.figures.tables import as_csv
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from pwm.training.config import SEMANTICS
from tests.support.folders import contents, times
from tests.support.histories import session
from tests.support.refusals import assert_refused

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "figures"
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "paper").rglob("*.typ")),
]
SHOWN = r'\((?:\.\./)?figures/([^)*]+)\)|#drawn\(\s*"([^"]+)"'  # on a page; in the paper


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips rendering, which takes longer than all the rest."""

    def blank(_figure: Figure, kind: str, source: str) -> bytes:
        return f"{kind} {source}".encode()

    monkeypatch.setattr(outputs, "rendered", blank)


def files_of(name: str, evidence: Evidence) -> dict[str, bytes]:
    return {file: content for files in draw(name, evidence) for file, content in files.items()}


def flags(store: Store, out: Path, *names: str) -> list[str]:
    return [*names, "--size", "smoke", "--results", str(store.folder), "--out", str(out)]


# What is written


@pytest.mark.usefixtures("no_pictures", "few_resamples")
def test_the_command_makes_every_published_file_and_each_that_a_page_shows(
    smoke: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(flags(smoke, tmp_path))
    made = set(contents(tmp_path))
    assert made == set(contents(FIGURES))
    shown = {one or other for page in PAGES for one, other in re.findall(SHOWN, page.read_text())}
    assert len(shown) > 15
    assert shown <= made
    figures = 2 * len(NOTES) + len(ANSWERS)
    line = f"{figures} figures: {figures} written to {tmp_path}/, the rest unchanged.\n"
    assert capsys.readouterr().out == line


def test_a_figure_is_a_png_its_table_and_in_the_paper_an_svg(evidence: Evidence) -> None:
    for name, endings in {"success": ["png", "csv"], "places": ["png", "svg", "csv"]}.items():
        files = files_of(name, evidence)
        assert list(files) == [f"{name}.{ending}" for ending in endings]
        assert files[f"{name}.png"].startswith(b"\x89PNG")
    assert b"<svg" in files["places.svg"]


@pytest.mark.parametrize(
    ("name", "functions", "experiments"),
    [
        (
            "eplen15",
            {
                "eplen15-notes": "notes.mean_of_few_seeds",
                "eplen15-seeds": "notes.every_seed",
                "eplen15-learned": "tables.learned_table",
            },
            "eplen15",
        ),
        (
            "places",
            {"places": "success.places_figure"},
            "separate, weight-0.001, by-hand, leak-parts",
        ),
    ],
)
def test_every_file_names_the_function_and_the_data_behind_it(
    name: str, functions: dict[str, str], experiments: str, evidence: Evidence
) -> None:
    files = files_of(name, evidence)
    assert {file.partition(".")[0] for file in files} == set(functions)
    for file, content in files.items():
        stem = file.partition(".")[0]
        first, table = files[f"{stem}.csv"].split(b"\n", 1)
        source, digest = first.decode().removeprefix("# ").rsplit(" ", 1)
        made_by = f"pwm.figures.{functions[stem]} of {experiments}; engine fused"
        assert source == f"{made_by}, semantics {SEMANTICS}; data"
        assert digest == sha256(table).hexdigest()[:16]
        assert f"{source} {digest}".encode() in content, file


def test_each_published_file_is_of_the_data_in_its_table() -> None:
    published = contents(FIGURES)
    for name, content in published.items():
        if name.endswith(".csv"):
            source, _, table = content.partition(b"\n")
            assert sha256(table).hexdigest()[:16].encode() == source.split()[-1], name
            for ending in (".png", ".svg"):
                picture = published.get(name.replace(".csv", ending), source)
                assert source.removeprefix(b"# ") in picture, name


def test_published_files_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in FIGURES.iterdir()}
    assert max(sizes.values()) < 500_000
    assert max(size for name, size in sizes.items() if name.endswith(".svg")) < 200_000
    assert sum(sizes.values()) < 6_000_000


# What decides the bytes


def test_the_same_data_give_the_same_bytes(smoke: Store, evidence: Evidence) -> None:
    for name in ("lrate0.01", "places"):
        assert files_of(name, Evidence(smoke, "smoke")) == files_of(name, evidence)


@pytest.mark.usefixtures("no_pictures")
def test_other_data_give_other_bytes(smoke: Store, tmp_path: Path) -> None:
    other = Store(tmp_path)
    (shard,) = plan(EXPERIMENTS["pwm0"].sized("smoke"))
    history = smoke.gather([shard])
    reward = history.reward[:, ::-1].copy()
    reward[0] = 0.625
    other.put(shard, replace(history, reward=reward), [session(1, 200)])
    before, after = (files_of("pwm0", Evidence(store, "smoke")) for store in (smoke, other))
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in before)


def test_the_source_text_does_not_decide_the_bytes(
    smoke: Store, evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of("eplen15", evidence) | files_of("success", evidence)
    edited = tmp_path / "figures"
    shutil.copytree(Path(pwm.figures.__file__).parent, edited)
    for path in edited.glob("*.py"):
        path.write_text(path.read_text() + "\n\nUNUSED = 1  # an edit without effect\n")
    style = edited / STYLE.name
    style.write_text(style.read_text() + "\n# a comment\n")
    for name in [name for name in sys.modules if name.startswith("pwm.figures.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(pwm.figures, "__path__", [str(edited)])
    other = importlib.import_module("pwm.figures.outputs")
    assert hasattr(other, "UNUSED")
    again = Evidence(smoke, "smoke")
    after = [files for name in ("eplen15", "success") for files in other.draw(name, again)]
    assert {name: content for files in after for name, content in files.items()} == before


# When a file is written


def test_files_that_changed_are_written_and_no_others(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "figures"
    files = {"one.png": b"one", "one.csv": b"1", "one.svg": b"<svg>"}
    assert write(files, folder)
    before = times(folder)
    assert not write(files, folder)
    assert times(folder) == before
    (folder / "one.png").write_bytes(b"tampered")
    (folder / "one.csv").unlink()
    assert write(files, folder)
    assert contents(folder) == files
    assert times(folder)["one.svg"] == before["one.svg"]


@pytest.mark.usefixtures("no_pictures")
def test_the_command_restores_what_was_tampered_with_and_leaves_the_rest(
    smoke: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = flags(smoke, tmp_path, "pwm0", "success", "places")
    main(asked)
    assert capsys.readouterr().out.startswith("4 figures: 4 written")
    before, written = contents(tmp_path), times(tmp_path)
    tampered = {"pwm0-notes.png", "pwm0-learned.csv", "places.svg"}
    for name in tampered:
        (tmp_path / name).write_bytes(before[name][:-1] + b"0")
    main(asked)
    assert capsys.readouterr().out.startswith("4 figures: 3 written")
    assert contents(tmp_path) == before
    assert {name for name, time in times(tmp_path).items() if time != written[name]} == tampered
    main(asked)
    assert capsys.readouterr().out.startswith("4 figures: 0 written")


# Refusals


@pytest.mark.usefixtures("no_pictures")
def test_a_folder_that_cannot_be_written_is_refused(
    smoke: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "a file"
    place.write_bytes(b"a file")
    assert_refused(main, flags(smoke, place, "success"), capsys, f"--out {place}: expected")
    assert place.read_bytes() == b"a file"


def test_an_unknown_name_is_refused(
    smoke: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = flags(smoke, tmp_path / "figures", "success", "wieght")
    assert_refused(main, asked, capsys, "NAMES wieght: expected", *NAMES)
    assert not (tmp_path / "figures").exists()


def test_a_missing_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = flags(Store(tmp_path / "none"), tmp_path / "figures", "pwm0")
    assert_refused(main, asked, capsys, "--results", "pwm.sweep", "pwm.store why ")
    assert not (tmp_path / "figures").exists()


def test_learning_curves_are_not_drawn_from_published_outcomes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mentioned = "--results (none): expected", "pwm0", "`python -m pwm.sweep pwm0` trains them"
    assert_refused(main, ["pwm0", "--out", str(tmp_path / "figures")], capsys, *mentioned)
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("flag", [["--size", "smoke"], ["--engine", "torch"]])
def test_only_what_is_published_is_drawn_without_stored_runs(
    flag: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mentioned = f"{' '.join(flag)}: expected", "or stored runs with --results"
    assert_refused(main, ["success", *flag, "--out", str(tmp_path)], capsys, *mentioned)


def test_without_stored_runs_all_but_the_learning_curves_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def nothing(name: str, _evidence: Evidence) -> Iterator[dict[str, bytes]]:
        asked.append(name)
        yield {}

    monkeypatch.setattr(command, "draw", nothing)
    main(["--out", str(tmp_path)])
    assert asked == list(ANSWERS)
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("The learning curves need stored runs: `python -m pwm.sweep eplen60 ")


def test_a_name_given_twice_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time, cells that are cached would be missing from the record of what is read."""
    asked = []

    def nothing(name: str, _evidence: Evidence) -> Iterator[dict[str, bytes]]:
        asked.append(name)
        yield {}

    monkeypatch.setattr(command, "draw", nothing)
    main(["law", "success", "law", "--out", str(tmp_path)])
    assert asked == ["law", "success"]


# Layout


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize("name", ANSWERS)
def test_a_figure_fits_its_frame_and_its_table_is_regular(
    name: str, evidence: Evidence, smoke_outcomes: Published
) -> None:
    with mpl.rc_context(fname=STYLE):
        figure, table = ANSWERS[name](evidence)
        figure.draw_without_rendering()
    with mpl.rc_context(fname=STYLE):
        _, published = ANSWERS[name](Evidence(smoke_outcomes, "smoke"))
    assert as_csv(published) == as_csv(table)
    heading, *rows = table
    assert rows
    assert {len(row) for row in rows} == {len(heading)}
    assert not any(isinstance(cell, str) and "\n" in cell for row in table for cell in row)
    assert figure.get_figwidth() <= WIDTH
    frame = figure.bbox.padded(1)
    for text in words(figure):
        if text.get_text().strip():
            box = text.get_window_extent()
            inside = frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)
            assert inside, text.get_text()


def words(figure: Figure) -> Iterator[Text]:
    """Yields a figure's titles, axis labels and legend entries."""
    for axes in figure.axes:
        yield from (axes.title, axes.xaxis.label, axes.yaxis.label)
        if legend := axes.get_legend():
            yield from legend.get_texts()
    for legend in figure.legends:
        yield from legend.get_texts()
