"""The lock files: complete for each Python and platform, with hashes, and as installed here."""

from __future__ import annotations

import platform
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.tools.locks import CUDA, ENVIRONMENTS, marker_values

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("requirements.lock", "torch-cpu.lock", "torch-cuda.lock")
OURS = tomllib.loads((ROOT / "pyproject.toml").read_text())


class Locked(NamedTuple):
    """An entry of a lock."""

    requirement: Requirement
    hashes: frozenset[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> Version:
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "=="
        return Version(specifier.version)


def entries(name: str) -> Iterator[Locked]:
    text = re.sub(r"^#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    for entry in text.replace("\\\n", "").splitlines():
        requirement, *hashes = entry.split("--hash=sha256:")
        yield Locked(Requirement(requirement), frozenset(map(str.strip, hashes)))


LOCKED = {name: list(entries(name)) for name in NAMES}


def locked(environment: tuple[int, tuple[str, str]], *names: str) -> dict[str, Version]:
    """Locked versions by package, for one Python version and platform, from the named locks."""
    values = marker_values(*environment)
    return {
        entry.name: entry.version
        for name in names
        for entry in LOCKED[name]
        if not entry.requirement.marker or entry.requirement.marker.evaluate(values)
    }


@pytest.mark.parametrize("name", NAMES)
def test_each_entry_is_one_version_with_hashes_and_names_no_host(name: str) -> None:
    assert LOCKED[name]
    for entry in LOCKED[name]:
        assert entry.version
        assert entry.hashes
        assert all(re.fullmatch("[0-9a-f]{64}", each) for each in entry.hashes), entry
        assert not entry.requirement.url
    assert not re.search(r"https?:|--(extra-)?index|--find-links", (ROOT / name).read_text())


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
@pytest.mark.parametrize("torch", ["torch-cpu.lock", "torch-cuda.lock"])
def test_locks_hold_all_that_pyproject_needs(
    environment: tuple[int, tuple[str, str]], torch: str
) -> None:
    versions, values = locked(environment, "requirements.lock", torch), marker_values(*environment)
    project = OURS["project"]
    needed = [
        *project["dependencies"],
        *project["optional-dependencies"]["slurm"],
        *OURS["dependency-groups"]["dev"],
        *OURS["build-system"]["requires"],
    ]
    seen = set()
    while needed:
        requirement = Requirement(needed.pop())
        name = canonicalize_name(requirement.name)
        marker = requirement.marker
        if (name, str(requirement)) in seen or (CUDA.fullmatch(name) and name != "torch"):
            continue
        seen.add((name, str(requirement)))
        extras = requirement.extras or {""}
        if marker and not any(marker.evaluate(values | {"extra": each}) for each in ("", *extras)):
            continue
        assert name in versions, f"{requirement} is in no lock"
        public = versions[name].public
        assert requirement.specifier.contains(public), f"{requirement}: {public} is locked"
        needed += installed_requirements(name)


def installed_requirements(name: str) -> list[str]:
    """Requirements of an installed package without extras; none if it is not installed here."""
    try:
        return [each for each in metadata.requires(name) or [] if "extra ==" not in each]
    except metadata.PackageNotFoundError:
        return []


def test_installed_versions_are_those_that_are_locked() -> None:
    here = (sys.version_info.minor, (sys.platform, platform.machine()))
    for name, version in locked(here, "requirements.lock", "torch-cpu.lock").items():
        assert Version(metadata.version(name)).public == version.public, name


def test_both_locks_of_pytorch_have_one_version_and_the_same_files_for_macos() -> None:
    cpu, cuda = (
        {str(entry.requirement.marker): entry for entry in LOCKED[name] if entry.name == "torch"}
        for name in NAMES[1:]
    )
    (any_system,) = cuda.values()
    linux, macos = (cpu[f'sys_platform == "{system}"'] for system in ("linux", "darwin"))
    assert linux.version.local == "cpu"
    assert linux.version.public == macos.version.public == any_system.version.public
    assert macos.hashes < any_system.hashes
    assert not linux.hashes & any_system.hashes
    assert len(linux.hashes) == sum(system == "linux" for _, (system, _) in ENVIRONMENTS)
