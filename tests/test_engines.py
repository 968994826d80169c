"""The choice of an engine, what it says, and what it keeps on disk."""

from __future__ import annotations

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
from pwm.core.trainer import Trainer
from pwm.engines import make_trainer
from pwm.fused import compilation
from pwm.fused.engine import FusedEngine
from tests.test_boundaries import of_this_package

ROOT = Path(pwm.__file__).parent.parent
QUICK = TrainConfig(
    task=TaskConfig(episode_length=9), agent=AgentConfig(hidden_size=5), num_episodes=10
)


def in_python(*lines: str, flags: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """What a new process prints."""
    command = [sys.executable, *flags, "-c", "\n".join(lines)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


def test_an_engine_is_what_it_is_called() -> None:
    assert type(make_trainer([QUICK], "torch")) is Trainer
    assert type(make_trainer([QUICK], "fused")) is FusedEngine
    assert type(make_trainer([QUICK])) is FusedEngine


def test_an_unknown_engine_is_refused_by_name() -> None:
    unknown: Any = "jax"
    with pytest.raises(InputError, match="--engine jax: expected one of fused, torch"):
        make_trainer([QUICK], unknown)


def test_the_torch_engine_needs_no_compiler() -> None:
    loaded = in_python(
        "import sys, pwm.train",
        "from pwm.engines import make_trainer",
        "from pwm.core.trainer import TrainConfig",
        "make_trainer([TrainConfig()], 'torch')",
        "print('numba' in sys.modules)",
    )
    assert loaded.stdout == "False\n"


def test_what_was_compiled_is_found_by_another_process() -> None:
    make_trainer([QUICK])
    found = in_python(
        "from pwm.engines import make_trainer",
        "from pwm.core.trainer import TrainConfig",
        "make_trainer([TrainConfig()])",
        "from pwm.fused.kernel import train",
        "print(len(train.stats.cache_hits), len(train.stats.cache_misses))",
        flags=["-W", "error"],
    )
    assert found.stdout == "1 0\n"
    assert found.stderr == ""  # no word of compiling


@pytest.mark.parametrize("module", compilation.SOURCES)
def test_compiled_code_is_made_of_no_other_module(module: str) -> None:
    # So that the name it is kept under changes with all that it is made of.
    assert of_this_package(module) <= set(compilation.SOURCES)


def test_the_name_of_kept_code_changes_with_its_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    def kept_name() -> str:
        def function() -> None:
            pass

        dispatcher: Any = compilation.cached(function)
        return Path(dispatcher._cache._cache_file._index_name).name

    name = kept_name()
    assert kept_name() == name
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b" ")
    assert kept_name() != name


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_place(*_arguments: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(numba.core.dispatcher.Dispatcher, "enable_caching", no_place)

    def double(number: float) -> float:
        return 2 * number

    assert compilation.cached(double)(1.5) == 3
