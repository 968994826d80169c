"""Assembles the page from its parts in `web/`: one file, which opens from disk and from any host.

Its scripts are modules. A browser refuses to load modules from a file, so they are joined into one
script, in the order of their imports; no two may therefore give one name to different things.
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
    """A module and all that it imports, as one script.

    Args:
        entry: file name of the module.
        folder: that holds it and the others.
    Raises:
        ValueError: two modules define the same name at their top level.
    """
    parts: dict[str, str] = {}
    _collect(entry, folder, parts)
    owner: dict[str, str] = {}
    for file, text in parts.items():
        for name in (match["name"] for match in TOP_LEVEL.finditer(text)):
            if owner.setdefault(name, file) != file:
                raise ValueError(f"{file}, {owner[name]}: both define {name}")
    text = "\n".join(re.sub(r"^export ", "", text, flags=re.MULTILINE) for text in parts.values())
    return '"use strict";\n' + text


def _collect(name: str, folder: Path, parts: dict[str, str]) -> None:
    """Adds what a module imports, then the module itself without its imports."""
    if name in parts:
        return
    text = (folder / name).read_text("utf-8")
    for match in IMPORT.finditer(text):
        _collect(match["name"], folder, parts)
    parts[name] = IMPORT.sub("", text)


def filled(template: str, slots: Mapping[str, str]) -> str:
    """The template with each slot, `/* name */`, replaced.

    Raises:
        ValueError: a slot's text would end the element that it is in.
    """
    for name, text in slots.items():
        if "</script" in text or "</style" in text:
            raise ValueError(f"{name}: contains the end of an element")
    return SLOT.sub(lambda match: slots[match["name"]], template)
