"""Recomputes claims and figures with the arithmetic of other processors.

    python -m tests.tools.processors

Computes every claim and figure from the stored runs under each of `VARIANTS`: with each of
OpenBLAS's sets of kernels, without the vector instructions that NumPy and the C library choose at
run time, and with the oldest instructions of all three libraries. Each file is compared with the
published one, byte for byte. `--emulator` puts a command before Python, such as qemu-user's for a
processor without AVX.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tyro
from tqdm import tqdm

from pwm.io.repository import REPOSITORY

INSTRUCTIONS = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
AVX512 = any(name.startswith(("AVX512", "X86_V4")) for name in INSTRUCTIONS)
CORES = (
    *("Prescott", "Nehalem", "SandyBridge", "Haswell", "Zen"),
    *(("SkylakeX",) if AVX512 else ()),
)
"""OpenBLAS's sets of kernels for x86, without SkylakeX where the processor lacks AVX-512."""
NUMPY = {"NPY_DISABLE_CPU_FEATURES": " ".join(INSTRUCTIONS)}
C_LIBRARY = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA,-FMA4"}
OLDEST = {"OPENBLAS_CORETYPE": CORES[0], **NUMPY, **C_LIBRARY}
"""Variables that make OpenBLAS, NumPy and the C library use their oldest instructions."""
VARIANTS: Mapping[str, Mapping[str, str]] = {
    **{core: {"OPENBLAS_CORETYPE": core} for core in CORES},
    "NumPy without its vector instructions": NUMPY,
    "C library without its own": C_LIBRARY,
    "all three": OLDEST,
}
"""Environment variables, by a description of what they change."""


def computed(
    arguments: Sequence[str], variables: Mapping[str, str], before: Sequence[str] = ()
) -> str:
    """Runs Python with some environment variables; returns its standard output.

    Args:
        arguments: command-line arguments of Python.
        variables: environment variables, added to those of this process.
        before: an emulator and its arguments.
    Raises:
        CalledProcessError: Python failed.
    """
    return subprocess.run(
        [*before, sys.executable, *arguments],
        env=os.environ | variables,
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m tests.tools.processors`."""

    results: Path = Path("results")
    """Folder of the stored runs."""
    emulator: tuple[str, ...] = ()
    """Command that runs Python on another processor."""


def different(arguments: Arguments, variables: Mapping[str, str]) -> Iterator[str]:
    """Yields names of published files that differ or are missing when computed with `variables`."""
    with TemporaryDirectory() as place:
        folder, results = Path(place), ("--results", str(arguments.results.resolve()))
        for module, out in (("claims", "paper/numbers.json"), ("figures", "figures")):
            command = ["-m", f"pwm.{module}", *results, "--out", str(folder / out)]
            computed(command, variables, arguments.emulator)
        published = [REPOSITORY / "paper/numbers.json", *sorted((REPOSITORY / "figures").iterdir())]
        for path in published:
            ours = folder / path.relative_to(REPOSITORY)
            if not ours.is_file() or ours.read_bytes() != path.read_bytes():
                yield path.name


def main() -> None:
    """Prints one line per variant; exits with status 1 if any file differs."""
    arguments = tyro.cli(Arguments, description=__doc__)
    any_differs = False
    for name, variables in tqdm(VARIANTS.items(), unit=" variants", leave=False):
        files = list(different(arguments, variables))
        any_differs = any_differs or bool(files)
        tqdm.write(f"{name}: {', '.join(files) or 'the same bytes'}")
    sys.exit(any_differs)


if __name__ == "__main__":
    main()
