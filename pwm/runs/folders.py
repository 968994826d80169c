"""The folder in which `python -m pwm.train` saves a population: runs trained together.

The folder holds the configurations, the trainer's full state, the history, the provenance and a
plot of the curves. Each file is replaced atomically, so training that was killed at any moment
continues from its last save.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import Timeout

from pwm.core.errors import InputError, require
from pwm.io.errors import FileError
from pwm.io.files import DAMAGE, folder_errors, make_folder, write_arrays, write_json
from pwm.runs.engines import ENGINES, EngineName
from pwm.runs.fields import identity, restored
from pwm.runs.locks import LOCK, lock_file
from pwm.training.config import TrainConfig
from pwm.training.trainer import Trainer, as_population

CONFIG, STATE_FILE, HISTORY = "config.json", "state.npz", "history.npz"
PROVENANCE, CURVES = "provenance.json", "curves.png"
FILES = (CONFIG, STATE_FILE, HISTORY, PROVENANCE, CURVES)
MOST_WEIGHTS = 4  # most weights listed in a folder's name


def folder_name(runs: Sequence[TrainConfig], engine: EngineName) -> str:
    """Name of the folder for a population, such as pwm5-3x60-attached-w5-lr0.005-1234abcd.

    It shows some of the settings; the hash at its end depends on all of them and on the engine.
    """
    first = runs[0]  # the others differ in critic weight and seed only
    task, loss = first.task, first.loss
    weights = list(dict.fromkeys(f"{run.critic_weight:g}" for run in runs))
    num_seeds = len(runs) // len(weights)  # each weight is trained with all seeds
    if len(weights) > MOST_WEIGHTS:
        weights = [weights[0], "to", weights[-1]]
    content = json.dumps([engine, *map(identity, runs)], sort_keys=True)
    parts = [
        task.stimulus_set,
        f"{task.trial_length}x{task.episode_length}",
        loss.baseline,
        "" if loss.policy_reduction == "sum" else loss.policy_reduction,
        "" if loss.discount == 1 else f"discount{loss.discount:g}",
        "" if loss.returns == "raw" else loss.returns,
        "" if loss.balance == "fixed" else loss.balance,
        "" if first.critic_start == 0 else f"start-{first.critic_start}",
        f"w{'-'.join(weights)}",
        f"lr{first.learning_rate:g}",
        f"{num_seeds}seeds" if num_seeds > 1 else "",
        hashlib.sha256(content.encode()).hexdigest()[:8],
    ]
    return "-".join(part for part in parts if part)


def files_in(folder: Path) -> set[str]:
    """Names of those `FILES` that exist in a folder; empty if the folder cannot be read."""
    try:
        return {path.name for path in folder.iterdir()} & set(FILES)
    except OSError:
        return set()


def save_configs(folder: Path, configs: Sequence[TrainConfig]) -> None:
    """Writes the configurations to `config.json`, one per run, with all fields."""
    write_json(folder / CONFIG, [asdict(config) for config in configs])


def save(folder: Path, trainer: Trainer, provenance: Mapping[str, object]) -> None:
    """Replaces the provenance, state and history files, in this order.

    If the process is killed in between, the state still has a provenance, without which it could
    not be loaded, and is at least as recent as the history.
    """
    write_json(folder / PROVENANCE, provenance)
    write_arrays(folder / STATE_FILE, trainer.state(), compressed=False)
    write_arrays(folder / HISTORY, trainer.history().arrays())


def read_configs(path: Path) -> tuple[TrainConfig, ...]:
    """Reads `config.json`; raises `FileError` if it is missing or damaged."""
    try:
        entries = json.loads(path.read_bytes())
        return as_population([restored(TrainConfig(), entry) for entry in entries])
    except DAMAGE as error:
        raise FileError(path, "the configurations that pwm.train wrote") from error


def read_provenance(path: Path) -> dict[str, Any]:
    """Reads `provenance.json`; raises `FileError` if it is missing or damaged."""
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        if content["engine"] not in ENGINES:
            raise ValueError("unknown engine")
    except DAMAGE as error:
        raise FileError(path, "the provenance that pwm.train wrote") from error
    return content


@contextmanager
def reserved(name: str, folder: Path) -> Iterator[Callable[[], None]]:
    """Reserves a folder for one process while the block lasts; removes stale temporary files.

    Args:
        name: flag that gave the folder, for error messages.
        folder: folder to train in; it is created if missing.
    Yields:
        A function that raises `InputError` if the folder has been moved or removed since.
    Raises:
        InputError: the folder cannot be written, or another process is training in it.
    """
    make_folder(name, folder)
    path = folder / LOCK
    lock = lock_file(path)
    with folder_errors(name, folder):
        try:
            lock.acquire()
        except Timeout:
            accepted = "a folder in which no other process is training"
            raise InputError(name, folder, accepted) from None
        inode = path.stat().st_ino  # differs if another file takes the path

    def is_held() -> bool:
        """Whether the lock's path still points to the file that was locked."""
        with suppress(OSError):
            return path.stat().st_ino == inode
        return False

    def require_held() -> None:
        require(is_held(), name, folder, "a folder that is not removed or moved during training")

    try:
        for file in FILES:
            for temporary in folder.glob(f".{file}.*"):  # left by a killed process
                temporary.unlink(missing_ok=True)
        yield require_held
    finally:
        with suppress(OSError):
            if is_held():  # `FileLock` refuses a file that was removed after it was opened
                path.unlink()
        lock.release()
