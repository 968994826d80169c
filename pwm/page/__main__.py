"""`python -m pwm.page`: makes the page that shows every published run, and can train most of them.

It is one file, `paper/page/index.html`, made from the published outcomes, the sources in
`pwm/page/web/`, and the engine: `engine.wasm`, which `python -m pwm.page.wasm` makes, and
`engine.js`, which calls it. The same input gives the same bytes.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pwm.analysis.published import Published
from pwm.core.errors import require
from pwm.io.cli import PublishedPath, errors_in_one_line, parse
from pwm.io.errors import require_file
from pwm.io.files import folder_errors, write_if_changed
from pwm.io.inherited import say
from pwm.io.repository import PAPER, published
from pwm.page.assembly import WEB, filled, joined
from pwm.page.content import Runs, columns, different_runs, index


def page(runs: Runs) -> bytes:
    """The page of these runs, as UTF-8 HTML, with the engine as it is in `paper/page/`.

    Raises:
        FileError: a file of the engine is missing.
    """
    engine, module = published("page/engine.js"), published("page/engine.wasm")
    require_file(engine.is_file(), engine, "a file of the repository")
    require_file(module.is_file(), module, "what python -m pwm.page.wasm makes")
    slots = {
        "style": (WEB / "style.css").read_text("utf-8"),
        "index": json.dumps(index(runs), separators=(",", ":")),
        "columns": b64encode(columns(runs)).decode(),
        "engine": engine.read_text("utf-8"),
        "module": b64encode(module.read_bytes()).decode(),
        "worker": (WEB / "worker.js").read_text("utf-8"),
        "script": joined("main.js"),
    }
    return filled((WEB / "index.html").read_text("utf-8"), slots).encode()


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of `python -m pwm.page`."""

    published: PublishedPath = None
    """File of the published outcomes."""
    out: Path = PAPER / "page" / "index.html"
    """File to write."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; bad input ends the program with one line."""
    about = "Makes the page that shows every published run, and can train most of them again."
    arguments = parse(Arguments, "python -m pwm.page", about, argv)
    with errors_in_one_line():
        content = page(different_runs(Published.read(arguments.published)))
        require(not arguments.out.is_dir(), "out", arguments.out, "a file, not a folder")
        with folder_errors("out", arguments.out, kind="file"):
            written = write_if_changed(arguments.out, content)
        size = len(content) / 1e6
        say(f"{arguments.out}: {'written' if written else 'unchanged'}, {size:.1f} MB.")


if __name__ == "__main__":
    main()
