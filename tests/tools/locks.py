"""Writes the lock files that `reproduce.sh` installs, with the hashes of all wheels.

    python -m tests.tools.locks

uv finds the packages that pyproject.toml names, and their dependencies, for each Python and
platform in `ENVIRONMENTS`. A locked version is kept if pyproject.toml allows it; to change a
version, delete its lines first. `requirements.lock` gets all packages but PyTorch, and
`torch-cuda.lock` PyTorch as the package registry has it. `torch-cpu.lock` is kept by hand: it holds
what PyTorch's own index of CPU wheels lists for Linux, and what the registry lists for macOS.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

from pwm.io.files import write_atomically
from pwm.io.repository import REPOSITORY

MINORS = (11, 12, 13, 14)
"""Supported Python versions, the x of 3.x."""
PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
ENVIRONMENTS = tuple(product(MINORS, PLATFORMS))
NEWEST_GLIBC, NEWEST_MACOS = 34, (15, 0)
CUDA = re.compile("torch|triton|nvidia-.*|cuda-.*")
"""Pattern of the names of packages in `torch-cuda.lock`."""
HEADING = "# Written by `python -m tests.tools.locks`. {}\n"


def marker_values(minor: int, platform: tuple[str, str]) -> dict[str, str]:
    """Values of the environment markers, for one Python version and platform."""
    system, machine = platform
    return {
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": system,
        "platform_system": system.capitalize(),
        "platform_machine": machine,
    }


@lru_cache
def tags(minor: int, platform: tuple[str, str]) -> frozenset[Tag]:
    """Tags of the wheels that can be installed in an environment."""
    system, machine = platform
    if system == "darwin":
        names = list(mac_platforms(NEWEST_MACOS, machine))
    else:
        old = [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
        names = [f"manylinux_2_{glibc}_{machine}" for glibc in range(NEWEST_GLIBC, 4, -1)] + old
    python = (3, minor)
    return frozenset(
        [
            *cpython_tags(python, platforms=names),
            *compatible_tags(python, f"cp3{minor}", platforms=names),
        ]
    )


def resolved(known: Path) -> list[dict[str, Any]]:
    """Packages that pyproject.toml needs, with their wheels: the tables of a `pylock.toml`.

    Args:
        known: file of versions to keep, one NAME==VERSION per line.
    """
    with TemporaryDirectory() as place:
        out = Path(place) / "pylock.toml"
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--only-binary", ":all:"]
        command += ["--python-version", f"3.{MINORS[0]}", "--group", "dev", "--extra", "slurm"]
        command += ["--constraint", str(known), "pyproject.toml", "--output-file", str(out)]
        subprocess.run(command, cwd=REPOSITORY, check=True)
        packages: list[dict[str, Any]] = tomllib.loads(out.read_text())["packages"]
        return packages


def entry(package: Mapping[str, Any]) -> str:
    """A package's lines in a lock; "" if no environment needs the package.

    Raises:
        SystemExit: an environment needs the package, which has no wheel for it.
    """
    marker = Marker(package["marker"]) if "marker" in package else None
    needing = [each for each in ENVIRONMENTS if not marker or marker.evaluate(marker_values(*each))]
    if not needing:
        return ""
    wheels = {  # hash by file name
        wheel["url"].rsplit("/", 1)[1]: wheel["hashes"]["sha256"] for wheel in package["wheels"]
    }
    kept = set()
    for each in needing:
        fitting = {name for name in wheels if parse_wheel_filename(name)[3] & tags(*each)}
        if not fitting:
            sys.exit(f"{package['name']}=={package['version']}: no wheel for {each}")
        kept |= fitting
    systems = {platform[0] for _, platform in needing}
    condition = f' ; sys_platform == "{systems.pop()}"' if len(systems) == 1 else ""
    line = f"{package['name']}=={package['version']}{condition}"
    hashes = sorted(f"    --hash=sha256:{wheels[name]}" for name in kept)
    return " \\\n".join([line, *hashes]) + "\n"


def pins(text: str) -> Iterator[str]:
    """Yields the packages of a lock as NAME==VERSION, without local version labels."""
    yield from re.findall(r"^([\w.-]+==[\w.]+)", text, re.MULTILINE)


def main() -> None:
    """Writes `requirements.lock` and `torch-cuda.lock`."""
    paths = [REPOSITORY / "requirements.lock", REPOSITORY / "torch-cuda.lock"]
    with TemporaryDirectory() as place:
        known = Path(place) / "known.txt"
        known.write_text(
            "\n".join(pin for path in paths if path.exists() for pin in pins(path.read_text()))
        )
        packages = resolved(known)
    for path, cuda, about in zip(
        paths, (False, True), ("All packages but PyTorch.", "PyTorch with CUDA."), strict=True
    ):
        entries = (entry(each) for each in packages if bool(CUDA.fullmatch(each["name"])) == cuda)
        write_atomically(path, (HEADING.format(about) + "".join(entries)).encode())


if __name__ == "__main__":
    main()
