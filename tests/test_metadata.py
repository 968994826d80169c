"""Machine-readable metadata: the files agree with each other and with the repository."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
CODEMETA = json.loads((ROOT / "codemeta.json").read_text())
CRATE = json.loads((ROOT / "ro-crate-metadata.json").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENTITIES: dict[str, dict[str, Any]] = {entity["@id"]: entity for entity in CRATE["@graph"]}
DATASET = ENTITIES["./"]


def types(entity: dict[str, Any]) -> set[str]:
    kind = entity["@type"]
    return {kind} if isinstance(kind, str) else set(kind)


def referred(value: Any) -> set[str]:
    """Identifiers of the entities that a value refers to."""
    if isinstance(value, list):
        return set().union(*map(referred, value))
    return {value["@id"]} if isinstance(value, dict) else set()


def test_all_descriptions_agree() -> None:
    (author,) = CITATION["authors"]
    for described in (CODEMETA, DATASET):
        assert described["name"] == CITATION["title"]
        assert described["description"] == CITATION["abstract"]
        assert described["version"] == CITATION["version"] == PROJECT["version"]
        assert described["datePublished"] == CITATION["date-released"].isoformat()
    licence = f"https://spdx.org/licenses/{CITATION['license']}"
    assert CODEMETA["license"] == DATASET["license"]["@id"] == licence
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["license"] in (ROOT / "LICENSE").read_text()
    crate_author = ENTITIES[DATASET["author"]["@id"]]
    for name in (
        CODEMETA["author"][0]["name"],
        crate_author["name"],
        PROJECT["authors"][0]["name"],
    ):
        assert name == author["name"]
    assert CODEMETA["keywords"] == DATASET["keywords"].split(", ") == CITATION["keywords"]
    assert PROJECT["keywords"] == CITATION["keywords"]


def test_codemeta_has_its_type_and_what_the_package_requires() -> None:
    assert CODEMETA["@context"] == "https://w3id.org/codemeta/3.0"
    assert CODEMETA["@type"] == "SoftwareSourceCode"
    assert CODEMETA["identifier"] == PROJECT["name"]
    required = [Requirement(each).name for each in PROJECT["dependencies"]]
    assert CODEMETA["softwareRequirements"] == required
    for page in ("readme", "buildInstructions", "softwareHelp"):
        assert (ROOT / CODEMETA[page]).is_file()


def test_the_crate_describes_itself_as_version_1_1_does() -> None:
    version = "https://w3id.org/ro/crate/1.1"
    assert CRATE["@context"] == f"{version}/context"
    descriptor = ENTITIES["ro-crate-metadata.json"]
    assert descriptor == {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": version},
    }
    assert types(DATASET) == {"Dataset"}


def test_each_part_of_the_crate_is_here_and_described_once() -> None:
    assert len(ENTITIES) == len(CRATE["@graph"])
    parts = referred(DATASET["hasPart"])
    data = {name for name, entity in ENTITIES.items() if types(entity) & {"File", "Dataset"}}
    assert parts == data - {"./"}
    for name in parts:
        entity, path = ENTITIES[name], ROOT / name
        assert entity["name"]
        assert entity["description"]
        if "File" in types(entity):
            assert path.is_file(), name
            assert entity["encodingFormat"]
        else:
            assert path.is_dir(), name
            assert name.endswith("/")


def test_each_entity_of_the_crate_is_referred_to_and_each_reference_has_one() -> None:
    references = {
        name
        for entity in ENTITIES.values()
        for key, value in entity.items()
        if key != "conformsTo"
        for name in referred(value)
    }
    assert references == set(ENTITIES) - {"ro-crate-metadata.json"}
