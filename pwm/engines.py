"""The choice between the two engines that train.

Both follow `pwm.train`, the definition. `fused` is compiled: many times faster on the CPU, and
its histories are the same bits on every machine, so it is the default. `torch` runs on a GPU
too; its histories depend on the machine, by rounding that training makes large.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, get_args

from pwm.errors import require
from pwm.train import TrainConfig, Trainer

Engine = Literal["fused", "torch"]
ENGINES: tuple[Engine, ...] = get_args(Engine)


def make_trainer(
    runs: Sequence[TrainConfig], engine: Engine = "fused", device: str = "cpu"
) -> Trainer:
    """A trainer of a population.

    With the fused engine the first call on a machine compiles, says so on standard error, and
    keeps the result on disk; later processes load it in a second.

    Args:
        runs: runs that differ in seed, critic weight and learning rate alone.
        engine: which engine.
        device: where to train.
    Raises:
        ValueError: there is no run, or the runs cannot share a population.
        InputError: there is no such engine, or the engine cannot use the device.
    """
    require(engine in ENGINES, "engine", engine, "one of " + ", ".join(ENGINES))
    if engine == "torch":
        return Trainer(runs, device)
    from pwm.fused import FusedTrainer  # noqa: PLC0415, Numba is slow to import

    with _compilation_announced():
        return FusedTrainer(runs, device)


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
