"""Recomputes the pinned settings on a machine without PyTorch, such as an emulated one.

`python -m tests.tools.elsewhere write FILE` trains them here, and writes the inputs and outputs of
the compiled code. `python -m tests.tools.elsewhere check FILE` needs only NumPy and Numba, and
prints the number of settings whose outputs are bit-identical. CONTRIBUTING.md has the commands for
qemu.
"""

from __future__ import annotations

import pickle
import platform
import sys
from pathlib import Path

import numpy as np

from pwm.fused import kernel
from pwm.fused.buffers import Episodes

EMPTY = np.zeros((0, 0, 0), np.float32)


def write(path: Path) -> None:
    """Trains each setting in one call of the compiled code, and writes its inputs and outputs."""
    from pwm.fused.engine import FusedEngine  # noqa: PLC0415
    from pwm.training.draws import DrawSource  # noqa: PLC0415, needs PyTorch
    from tests.tools.pins import SETTINGS, population  # noqa: PLC0415

    kept = {}
    for name, run in SETTINGS.items():
        runs = tuple(population(run))
        engine = FusedEngine(runs)
        draws = DrawSource(run.task, [member.seed for member in runs]).next(run.num_episodes)
        episodes = Episodes(draws.trials.numpy(), draws.noise.numpy(), EMPTY)
        inputs = pickle.dumps((engine.task, engine.rule, engine.population, episodes, engine.work))
        kept[name] = (inputs, engine.train(draws), engine.parameters.numpy())
    path.write_bytes(pickle.dumps(kept))


def check(path: Path) -> bool:
    """Repeats the written calls; returns whether all metrics and parameters are the same."""
    kept = pickle.loads(path.read_bytes())
    same = []
    for inputs, metrics, parameters in kept.values():
        task, rule, population, episodes, work = pickle.loads(inputs)
        ours = np.zeros(np.swapaxes(metrics, 1, 2).shape, np.float32)
        kernel.train(task, rule, population, episodes._replace(metrics=ours), work)
        same.append(
            np.array_equal(ours.swapaxes(1, 2), metrics, equal_nan=True)
            and np.array_equal(population.parameters, parameters, equal_nan=True)
        )
    print(f"{platform.machine()}: {sum(same)} of {len(same)} settings are the same to the bit")
    return all(same)


if __name__ == "__main__":
    action, file = sys.argv[1:]
    if action == "write":
        write(Path(file))
    else:
        sys.exit(not check(Path(file)))
