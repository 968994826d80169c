"""The fused engine computes the pinned bits, for whichever processor it is compiled.

It is compiled here for other processors, with vectors of 4, 8 and 16 numbers, with and without
fused multiply-add. Processors whose instructions this machine lacks are skipped by name.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite import binding

from tests.tools.pins import PINS, SETTINGS, digests

PINNED = json.loads(PINS.read_text())
ROOT = Path(__file__).parents[2]
FEATURES = binding.get_host_cpu_features()
ON_X86 = platform.machine() in {"x86_64", "AMD64"}
# Numba's names of processors, and the features that this machine needs to run code for them.
PROCESSORS = {
    "x86-64": (),  # SSE2 alone
    "haswell": ("avx2", "fma"),
    "znver3": ("avx2", "fma"),
    "skylake-avx512": ("avx512f", "avx512vl", "avx512bw", "avx512dq"),
}
MACHINE = pytest.mark.machine  # as compiling takes half a minute each
ALWAYS = "x86-64"
"""Compiled for in every run of the tests: of all, this has the fewest instructions."""


def test_this_machine_computes_the_pinned_bits() -> None:
    assert set(PINNED) == set(SETTINGS)
    assert len(set(PINNED.values())) == len(SETTINGS)
    assert digests() == PINNED, "if this is intended: python -m tests.tools.pins --write"


@pytest.mark.parametrize(
    "processor",
    [pytest.param(name, marks=() if name == ALWAYS else MACHINE) for name in PROCESSORS],
)
def test_code_for_another_processor_computes_the_pinned_bits(
    processor: str, tmp_path: Path
) -> None:
    missing = [name for name in PROCESSORS[processor] if not FEATURES.get(name)]
    if missing or not ON_X86:
        pytest.skip(f"NOT SHOWN for {processor}: this processor lacks {missing or 'x86-64'}")
    environment = {
        "NUMBA_CPU_NAME": processor,
        "NUMBA_CPU_FEATURES": "" if processor == "x86-64" else None,
        "NUMBA_CACHE_DIR": str(tmp_path),  # empty, so the engine is recompiled
        "NUMBA_NUM_THREADS": str(1 + len(processor) % 2),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.tools.pins"],
        cwd=ROOT,
        env=os.environ | {name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Compiling" in done.stderr
    assert json.loads(done.stdout) == PINNED
