"""The page holds each distinct run once, and reads it as Python published it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from pwm.analysis.stored import FIELDS
from pwm.audit.comparison import command_of
from pwm.io.errors import FileError
from pwm.page.__main__ import page
from pwm.page.assembly import WEB, filled, joined
from pwm.page.content import COLUMNS, Runs, columns, index
from pwm.runs.fields import identity
from tests.page.node import PAGE, needs_node
from tests.page.test_page_law import run

NAMES = [name for name in FIELDS if name != "peak_value_loss"]
EVERY = 97  # step between the runs that are checked in full
SMALLEST = 3_000_000  # bytes, for all files of the page


@needs_node
def test_the_page_reads_each_run_as_it_is_published(published_runs: Runs) -> None:
    outcomes = published_runs.outcomes
    content = b64encode(columns(published_runs)).decode()
    data = {"index": index(published_runs), "columns": content, "names": NAMES}
    found = run(
        "runs.js",
        """
        const runs = new Runs(data.index, bytesOf(data.columns));
        const every = Array.from({ length: runs.total }, (_, run) => run);
        const some = every.filter((run) => run % 97 === 0);
        return {
          digests: every.map((run) => runs.digest(run)),
          outcomes: data.names.map((name) => every.map((run) => runs.outcome(run, name))),
          identities: some.map((run) => runs.identity(runs.values(run))),
          commands: some.map((run) => runs.command(runs.values(run))),
          found: some.map((run) => runs.find(runs.values(run))),
          missing: runs.find({ ...runs.values(0), seed: 1000 }),
        };
        """,
        data,
    )
    assert found["digests"] == [f"{digest:016x}" for digest in published_runs.digests.tolist()]
    read = dict(zip(NAMES, found["outcomes"], strict=True))
    for name in ("learned", "collapsed"):
        assert read[name] == outcomes[name].astype(int).tolist()
    for name in ("time", "collapse"):
        times = [None if np.isinf(time) else time for time in outcomes[name].tolist()]
        assert read[name] == times
    for name in ("reward", "entropy"):
        np.testing.assert_allclose(_finite(read[name]), _finite(outcomes[name]), rtol=0, atol=1e-5)
    for name in ("value_loss", "critic_bias"):
        np.testing.assert_allclose(_finite(read[name]), _finite(outcomes[name]), rtol=2e-5)
    some = published_runs.configs[::EVERY]
    assert found["identities"] == [json.loads(json.dumps(identity(each))) for each in some]
    assert found["found"] == list(range(0, len(published_runs.configs), EVERY))
    assert found["missing"] is None
    theirs = [re.sub(r"\.0\b", "", command_of(each)) for each in some]  # 2.0 and 2 are the same
    assert [_words(command) for command in found["commands"]] == [_words(each) for each in theirs]


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    """The values, with nan for those that JSON cannot represent."""
    found = np.array(values, np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def _words(command: str) -> set[str]:
    return set(command.split(" --"))


def test_every_different_run_is_there_once(published_runs: Runs) -> None:
    content = index(published_runs)
    assert len(set(published_runs.configs)) == content["runs"] == len(published_runs.configs)
    assert sum(sum(seeds) for _, _, seeds, _ in content["conditions"]) == content["runs"]
    assert len(columns(published_runs)) == sum(COLUMNS.values()) * content["runs"]


def test_the_published_page_is_made_of_what_is_here_and_is_small(published_runs: Runs) -> None:
    assert (PAGE / "index.html").read_bytes() == page(published_runs)
    assert sum(path.stat().st_size for path in PAGE.iterdir()) < SMALLEST


@pytest.mark.parametrize(
    ("missing", "accepted"),
    [("engine.js", "a file of the repository"), ("engine.wasm", "python -m pwm.page.wasm makes")],
)
def test_a_missing_file_of_the_engine_is_named_with_its_origin(
    published_runs: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    accepted: str,
) -> None:
    (tmp_path / "page").mkdir()
    for name in {"engine.js", "engine.wasm"} - {missing}:
        (tmp_path / "page" / name).touch()
    monkeypatch.setattr("pwm.io.repository.PAPER", tmp_path)
    with pytest.raises(FileError, match=f"{missing}: expected .*{accepted}"):
        page(published_runs)


def test_a_name_that_two_scripts_define_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.js").write_text('import { two } from "./two.js";\nconst same = two;\n')
    (tmp_path / "two.js").write_text("export const two = 2;\nfunction same() {}\n")
    with pytest.raises(ValueError, match="both define same"):
        joined("one.js", tmp_path)


@pytest.mark.parametrize("end", ["</script>", "</SCRIPT >", "</style>"])
def test_text_that_ends_its_element_is_refused(end: str) -> None:
    with pytest.raises(ValueError, match="engine: contains the end"):
        filled("<script>/* engine */</script>", {"engine": f'const end = "{end}";'})


def test_each_module_is_imported_and_each_slot_filled() -> None:
    script = joined("main.js")
    assert "import {" not in script
    modules = {path.name for path in WEB.glob("*.js")} - {"worker.js"}
    named = {path.name for path in WEB.glob("*.js") if f'"./{path.name}"' in "".join(
        each.read_text() for each in WEB.glob("*.js"))}  # fmt: skip
    assert modules - {"main.js"} == named
