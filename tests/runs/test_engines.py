"""The choice of an engine, its errors, and the compiled code cached on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numba
import pytest
from llvmlite import binding

import pwm
from pwm.core.agent import AgentConfig
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.fused import compilation, kernel
from pwm.fused.engine import FusedEngine
from pwm.runs.engines import EngineName, make_trainer, require_numba
from pwm.training.config import TrainConfig
from pwm.training.update import TorchEngine

ROOT = Path(pwm.__file__).parent.parent
QUICK = TrainConfig(
    task=TaskConfig(episode_length=9), agent=AgentConfig(hidden_size=5), num_episodes=10
)

# Prints the number of cache hits and misses.
LOADED = (
    "from pwm.runs.engines import make_trainer",
    "from pwm.training.config import TrainConfig",
    "make_trainer([TrainConfig()])",
    "from pwm.fused.kernel import train",
    "print(len(train.stats.cache_hits), len(train.stats.cache_misses))",
)


def in_python(
    *lines: str, flags: Sequence[str] = (), cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Runs lines of Python in a new process; returns its output."""
    command = [sys.executable, *flags, "-c", "\n".join(lines)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)


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
        "from pwm.runs.engines import make_trainer",
        "from pwm.training.config import TrainConfig",
        "make_trainer([TrainConfig()], 'torch')",
        "print('numba' in sys.modules)",
    )
    assert loaded.stdout == "False\n"


def test_another_process_finds_the_compiled_code() -> None:
    make_trainer([QUICK])
    found = in_python(*LOADED, flags=["-W", "error"])
    assert found.stdout == "1 0\n"
    assert found.stderr == ""  # nothing about compiling


def trained_by_command(
    out: Path, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a short training on the command line, with further environment variables."""
    return subprocess.run(
        [sys.executable, "-m", "pwm.train", "--num-episodes", "10", "--out", str(out)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_compilation_that_is_disabled_is_refused_before_training(tmp_path: Path) -> None:
    done = trained_by_command(tmp_path / "run", NUMBA_DISABLE_JIT="1")
    assert done.returncode == 2
    assert done.stderr == (
        "error: NUMBA_DISABLE_JIT 1: expected 0, as the fused engine is compiled; "
        "or --engine torch\n"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("features", ["nonsense", "+avx2,nonsense", "avx2"])
def test_invalid_processor_features_are_refused(
    features: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CPU_FEATURES", features)
    with pytest.raises(InputError, match="expected flags such as"):
        make_trainer([QUICK])


@pytest.mark.parametrize("features", ["", "+made-up,+sse2"])
def test_features_that_the_processor_lacks_are_not_used(
    features: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def host() -> dict[str, bool]:
        return {"sse2": True, "made-up": False, "other": False}

    monkeypatch.setattr(binding, "get_host_cpu_features", host)
    monkeypatch.setattr(numba.config, "CPU_FEATURES", features)
    for _ in range(2):
        require_numba()
        found = vars(numba.config)["CPU_FEATURES"]
        assert found == (features + ",-made-up,-other").removeprefix(",")
    monkeypatch.setattr(numba.config, "CPU_FEATURES", None)  # then Numba asks LLVM
    require_numba()
    assert vars(numba.config)["CPU_FEATURES"] is None


def test_a_numba_that_refuses_its_surroundings_is_reported_before_training(tmp_path: Path) -> None:
    refusal = "Numba needs NumPy 2.5 or less. Got NumPy 9.9."
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text(f"raise ImportError({refusal!r})")
    done = trained_by_command(tmp_path / "run", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.endswith(f"expected a Numba that can be imported (ImportError: {refusal})")
    assert not (tmp_path / "run").exists()


def test_unreadable_settings_of_numba_are_reported_before_training(tmp_path: Path) -> None:
    pytest.importorskip("yaml")  # without which Numba reads no settings
    (tmp_path / ".numba_config.yaml").write_text("opt: [")
    done = trained_by_command(tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("error: .numba_config.yaml: expected settings that Numba can read (")
    assert not (tmp_path / "run").exists()


def test_invalid_settings_of_numba_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_trainer([QUICK])
    (tmp_path / ".numba_config.yaml").write_text("opt: 0\nslp_vectorize: perhaps")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("OPT", "BOUNDSCHECK", "DEBUGINFO", "NUM_THREADS", "DISABLE_JIT", "CAPTURED"):
        monkeypatch.setenv(f"NUMBA_{name}", "nonsense")
    found = in_python(*LOADED, flags=["-W", "error"], cwd=tmp_path)
    assert (found.stdout, found.stderr) == ("1 0\n", "")


def loaded_kernel() -> Any:
    """An empty kernel that is not compiled yet, as in a new process; compiling takes a second."""

    def train(_task: Any, _rule: Any, _population: Any, _episodes: Any, _work: Any) -> None:
        """Trains nothing."""

    return compilation.cached(train)


def test_damaged_code_in_the_cache_is_said_and_compiled_anew(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    compiling = "Compiling the fused engine, once: about 30 s.\n"
    for said, damaged in ((compiling, False), ("", False), (compiling, True), ("", False)):
        for path in filter(Path.is_file, tmp_path.rglob("*") if damaged else ()):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        monkeypatch.setattr(kernel, "train", loaded_kernel())
        make_trainer([QUICK]).advance(10)
        assert capsys.readouterr().err == said
    [ignored] = caplog.messages
    assert ignored.startswith(str(tmp_path))
    assert ignored.endswith(": ignoring unusable compiled code (wrong checksum).")
