"""The choice between the two engines.

`pwm.training.update` is the reference, in PyTorch. It also runs on GPUs. Its rounding depends on
the machine, and training amplifies such differences. `pwm.fused` is the default: the same update
compiled with Numba, many times faster on the CPU, with the same bits on every machine.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from pwm.core.errors import InputError, require, require_choice
from pwm.io.errors import FileError
from pwm.training.config import TrainConfig
from pwm.training.trainer import Trainer, as_population
from pwm.training.update import TorchEngine

EngineName = Literal["fused", "torch"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
NUMBA_SETTINGS = Path(".numba_config.yaml")  # Numba reads it from the working folder


def make_trainer(
    runs: Sequence[TrainConfig], engine: EngineName = "fused", device: str = "cpu"
) -> Trainer:
    """Makes a trainer for a population of runs.

    The first call with the fused engine on a machine, and the first for runs with probes, compiles,
    says so on standard error, and caches the code if it can; later processes load it in about a
    second. New versions of the code, Numba or NumPy, and other Numba settings, compile it again.

    Args:
        runs: runs that differ at most in seed, critic weight and learning rate.
        engine: "fused" or "torch".
        device: device to train on, as PyTorch names it; the fused engine needs "cpu".
    Raises:
        ValueError: there are no runs, or they cannot share a population.
        InputError: there is no such engine, it cannot use the device or lacks an option of the
            runs, Numba cannot compile here, or the runs have no fixed point to start at.
    """
    require_choice("engine", engine, ENGINES)
    population = as_population(runs)
    if engine == "torch":
        return Trainer(TorchEngine(population, _checked_device(device)))
    require(device == "cpu", "device", device, "cpu; other devices need --engine torch")
    require_numba()
    from pwm.fused.engine import FusedEngine  # noqa: PLC0415, Numba is slow to import

    with _compilation_announced():
        return Trainer(FusedEngine(population))


def require_numba() -> None:
    """Checks that Numba can compile, and restricts it to the instructions that this processor has.

    Call it before Numba compiles anything, as Numba reads the list of instructions only once.

    Raises:
        InputError: Numba cannot be imported (a `FileError` if its settings file may be the cause),
            its compiler is disabled, or its list of processor features is malformed, which would
            make LLVM abort.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # Numba warns of settings that it ignores
            from llvmlite.binding import get_host_cpu_features  # noqa: PLC0415, with Numba
            from numba.core import config  # noqa: PLC0415, Numba is slow to import
    except Exception as error:  # a bad settings file can raise any exception
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        if NUMBA_SETTINGS.exists() and not isinstance(error, ImportError):
            accepted = f"settings that Numba can read ({reason})"
            raise FileError(NUMBA_SETTINGS, accepted) from error
        raise InputError("engine", "fused", f"a Numba that can be imported ({reason})") from error
    settings: dict[str, Any] = vars(config)  # writing to it changes Numba's settings
    disabled = settings["DISABLE_JIT"]
    accepted = "0, as the fused engine is compiled; or --engine torch"
    require(not disabled, "NUMBA_DISABLE_JIT", disabled, accepted)
    features: str | None = settings["CPU_FEATURES"]  # such as "+avx2,-fma"
    if features is None:  # the usual case: Numba asks LLVM for this processor's features
        return
    listed = [feature for feature in features.split(",") if feature]
    well_formed = all(feature.startswith(("+", "-")) for feature in listed)
    require(well_formed, "NUMBA_CPU_FEATURES", features, "flags such as +avx2,-fma")
    # The user's list may hold features that this processor lacks, which would kill the process.
    # They are appended with a minus: of two flags for a feature, the last counts.
    processor: Mapping[str, bool] = get_host_cpu_features()
    lacking = [f"-{name}" for name, is_present in processor.items() if not is_present]
    if not set(lacking) <= set(listed):  # unless an earlier call has appended them
        settings["CPU_FEATURES"] = ",".join(listed + lacking)


def _checked_device(name: str) -> torch.device:
    """Returns the PyTorch device `name`, after checking that it can hold a tensor.

    Raises:
        InputError: the device is none of cpu, cuda and mps, or this machine does not have it.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    others = [device for device in available if available[device]]
    accepted = ", ".join(["cpu", *others]) if others else "cpu; this machine has no other"
    try:
        device = torch.device(name)
        require(device.type in ("cpu", *others), "device", name, accepted)
        torch.zeros(1, device=device)
    except RuntimeError as error:
        raise InputError("device", name, accepted) from error
    return device


@contextmanager
def _compilation_announced() -> Iterator[None]:
    """Prints one line to standard error if Numba compiles anything in the block."""
    from numba.core import event  # noqa: PLC0415, Numba is slow to import

    class Announcer(event.Listener):
        """Announces the first compilation only."""

        announced = False

        def on_start(self, _event: object) -> None:
            if not self.announced:
                print("Compiling the fused engine, once: about 30 s.", file=sys.stderr)
            self.announced = True

        def on_end(self, _event: object) -> None:
            """Does nothing; Numba requires the method."""

    with event.install_listener("numba:compile", Announcer()):
        yield
