"""Recomputes the pinned settings where there is no PyTorch, as on an emulated machine.

`python -m tests.tools.elsewhere write FILE` trains them here, and keeps what goes into the compiled
code and what comes out. `python -m tests.tools.elsewhere check FILE` needs NumPy and Numba alone, and
says in how many settings what comes out is the same, bit for bit. CONTRIBUTING.md has the
commands for qemu.
"""

from __future__ import annotations

import pickle
import platform
import sys
from pathlib import Path

import numpy as np

from pwm.fused import kernel
from pwm.fused.buffers import Episodes, Population, Task, Update, Work


def write(path: Path) -> None:
    """Trains each setting's episodes in one call."""
    from pwm.fused.engine import FusedEngine
    from tests.tools.pins import SETTINGS, population  # noqa: PLC0415

    kept = {}
    for name, run in SETTINGS.items():
        trainer = FusedEngine(population(run))
        draws = trainer._draws.next(run.num_episodes)
        chance = [part.numpy() for part in draws]
        arguments = [trainer._task, trainer._setting, trainer._population, chance, trainer._work]
        before = pickle.dumps([tuple(part) for part in arguments])
        kept[name] = (before, trainer._train(draws), trainer.parameters.detach().numpy())
    path.write_bytes(pickle.dumps(kept))


def check(path: Path) -> bool:
    """Whether every setting's metrics and parameters are the same here."""
    kept = pickle.loads(path.read_bytes())
    same = []
    for before, metrics, parameters in kept.values():
        task, update, population, (trials, noise), work = pickle.loads(before)
        ours = np.zeros((*trials.shape[:2], metrics.shape[1]), np.float32)
        everyone = Population(*population)
        episodes = Episodes(trials, noise, ours)
        kernel.train(Task(*task), Update(*update), everyone, episodes, Work(*work))
        same.append(
            np.array_equal(ours.swapaxes(1, 2), metrics, equal_nan=True)
            and np.array_equal(everyone.parameters, parameters, equal_nan=True)
        )
    print(f"{platform.machine()}: {sum(same)} of {len(same)} settings are the same to the bit")
    return all(same)


if __name__ == "__main__":
    action, file = sys.argv[1:]
    if action == "write":
        write(Path(file))
    else:
        sys.exit(not check(Path(file)))
