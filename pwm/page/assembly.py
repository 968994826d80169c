"""Assembles the parts in `web/` into the page, one file that opens from disk or any web server.

Its scripts are modules. A browser refuses to load modules from disk, so they are joined into one
script, each after those it imports. Two modules must therefore not define the same name, nor import
each other, directly or not. They import by `import { a, b } from "./file.js";`, without renaming,
and a declaration defines one name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

WEB = Path(__file__).parent / "web"
IMPORT = re.compile(r'^import \{[^}]*\} from "\./(?P<name>[\w-]+\.js)";\n', re.MULTILINE)
TOP_LEVEL = re.compile(
    r"^(?:export )?(?:async )?(?:const|let|class|function)\*? (?P<name>\w+)", re.MULTILINE
)
SLOT = re.compile(r"/\* (?P<name>[a-z]+) \*/")


def joined(entry: str, folder: Path = WEB) -> str:
    """Joins the module in file `entry` and all that it imports, directly or not, into one script.

    Raises:
        ValueError: two modules define the same name at their top level.
    """
    modules: dict[str, str] = {}
    _add_module(modules, entry, folder)
    owner: dict[str, str] = {}  # module that defines each name
    for file, text in modules.items():
        for match in TOP_LEVEL.finditer(text):
            name = match["name"]
            if owner.setdefault(name, file) != file:
                raise ValueError(f"{file}, {owner[name]}: both define {name}")
    script = re.sub(r"^export ", "", "\n".join(modules.values()), flags=re.MULTILINE)
    return '"use strict";\n' + script


def _add_module(modules: dict[str, str], file: str, folder: Path) -> None:
    """Adds a module's text, without its import lines, after the modules that it imports."""
    if file in modules:
        return
    text = (folder / file).read_text("utf-8")
    for match in IMPORT.finditer(text):
        _add_module(modules, match["name"], folder)
    modules[file] = IMPORT.sub("", text)


def filled(template: str, slots: Mapping[str, str]) -> str:
    """Replaces each `/* name */` in a template by the text of that slot.

    Raises:
        ValueError: a text contains `</script` or `</style`, which may end its HTML element.
        KeyError: there is no text for a slot of the template.
    """
    for name, text in slots.items():
        if re.search("</(script|style)", text, re.IGNORECASE):
            raise ValueError(f"{name}: contains the end of an element")
    return SLOT.sub(lambda match: slots[match["name"]], template)
