"""The choice between the two engines that train.

`pwm.core.update` is the definition, in PyTorch; it runs on a GPU too, but rounding depends on the
machine, and training amplifies it. `pwm.fused` is the same update compiled: many times faster on
the CPU, with the same bits on every machine, and therefore the default.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, get_args

from pwm.core.config import TrainConfig
from pwm.core.errors import require
from pwm.core.trainer import Trainer, as_population
from pwm.core.update import TorchEngine

EngineName = Literal["fused", "torch"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


def make_trainer(
    runs: Sequence[TrainConfig], engine: EngineName = "fused", device: str = "cpu"
) -> Trainer:
    """A trainer of a population.

    The first call with the fused engine on a machine compiles it, says so on standard error, and
    keeps the result on disk; later processes load it in a second.

    Args:
        runs: runs that differ only in seed, critic weight and learning rate.
        engine: name of the engine.
        device: where to train.
    Raises:
        ValueError: there is no run, or the runs cannot share a population.
        InputError: there is no such engine, or the engine cannot use the device.
    """
    require(engine in ENGINES, "engine", engine, "one of " + ", ".join(ENGINES))
    population = as_population(runs)
    if engine == "torch":
        return Trainer(TorchEngine(population, device))
    from pwm.fused.engine import FusedEngine  # noqa: PLC0415, Numba is slow to import

    with _compilation_announced():
        return Trainer(FusedEngine(population, device))


@contextmanager
def _compilation_announced() -> Iterator[None]:
    """Says in one line that something is being compiled, if it is."""
    from numba.core import event  # noqa: PLC0415, Numba is slow to import

    class Announcer(event.Listener):
        announced = False

        def on_start(self, _event: object) -> None:
            if not self.announced:
                print("Compiling the fused engine, once: about 15 s.", file=sys.stderr)
            self.announced = True

        def on_end(self, _event: object) -> None:
            pass

    with event.install_listener("numba:compile", Announcer()):
        yield
