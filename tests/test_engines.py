"""The choice of an engine, its errors, and the compiled code that it caches on disk."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numba
import pytest

import pwm
from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.core.update import TorchEngine
from pwm.engines import EngineName, make_trainer
from pwm.fused import compilation
from pwm.fused.engine import FusedEngine

ROOT = Path(pwm.__file__).parent.parent
QUICK = TrainConfig(
    task=TaskConfig(episode_length=9), agent=AgentConfig(hidden_size=5), num_episodes=10
)


def in_python(*lines: str, flags: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """The output of a new process."""
    command = [sys.executable, *flags, "-c", "\n".join(lines)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


def test_names_choose_the_engine_and_fused_is_the_default() -> None:
    assert isinstance(make_trainer([QUICK], "torch").engine, TorchEngine)
    assert isinstance(make_trainer([QUICK], "fused").engine, FusedEngine)
    assert isinstance(make_trainer([QUICK]).engine, FusedEngine)


def test_errors_name_an_unknown_engine() -> None:
    unknown: Any = "jax"
    with pytest.raises(InputError, match="--engine jax: expected one of fused, torch"):
        make_trainer([QUICK], unknown)


@pytest.mark.parametrize("device", ["tpu9", "", "cuda:99", "hpu", "meta"])
def test_errors_name_a_device_that_does_not_exist(device: str, engine: EngineName) -> None:
    with pytest.raises(InputError) as caught:
        make_trainer([QUICK], engine, device)
    assert (caught.value.name, caught.value.value) == ("device", device)


def test_the_fused_engine_refuses_other_devices_than_the_cpu() -> None:
    with pytest.raises(
        InputError, match="--device cuda: expected cpu; other devices need --engine"
    ):
        make_trainer([QUICK], "fused", "cuda")


def test_the_torch_engine_needs_no_compiler() -> None:
    loaded = in_python(
        "import sys, pwm.train",
        "from pwm.engines import make_trainer",
        "from pwm.core.config import TrainConfig",
        "make_trainer([TrainConfig()], 'torch')",
        "print('numba' in sys.modules)",
    )
    assert loaded.stdout == "False\n"


def test_another_process_finds_the_compiled_code() -> None:
    make_trainer([QUICK])
    found = in_python(
        "from pwm.engines import make_trainer",
        "from pwm.core.config import TrainConfig",
        "make_trainer([TrainConfig()])",
        "from pwm.fused.kernel import train",
        "print(len(train.stats.cache_hits), len(train.stats.cache_misses))",
        flags=["-W", "error"],
    )
    assert found.stdout == "1 0\n"
    assert found.stderr == ""  # nothing about compiling


@pytest.mark.parametrize("module", compilation.SOURCES)
def test_compiled_code_depends_on_no_other_module(module: str) -> None:
    # So that the name of the cached code changes with all of its sources.
    tree = ast.parse((ROOT / "pwm" / "fused" / f"{module}.py").read_text())
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [f"{node.module}.{alias.name}" for alias in node.names]
        )
    }
    ours = {name for name in imported if name.startswith("pwm")}
    assert {name.rpartition(".")[0] for name in ours} <= {
        f"pwm.fused.{source}" for source in compilation.SOURCES
    }


def test_the_name_of_cached_code_changes_with_its_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    def cached_name() -> str:
        def function() -> None:
            pass

        dispatcher: Any = compilation.cached(function)
        return Path(dispatcher._cache._cache_file._index_name).name

    name = cached_name()
    assert cached_name() == name
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b" ")
    assert cached_name() != name


def test_code_is_compiled_even_where_nothing_can_be_cached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_place(*_arguments: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(numba.core.dispatcher.Dispatcher, "enable_caching", no_place)

    def double(number: float) -> float:
        return 2 * number

    assert compilation.cached(double)(1.5) == 3
