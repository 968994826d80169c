"""Ways to prepare a condition's folder, and to disturb its command while it runs."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from tests.tools.faults.rows import SWEEP, TRAIN, Place, Process, products
from tests.tools.kills import children

Disturbance = Callable[[Place, Process], str]
"""Acts while the command runs; returns what went wrong, "" if nothing."""
NOBODY = 65534  # an unprivileged user

# While the command runs


def signalled(
    number: signal.Signals,
    target: Literal["parent", "worker"] = "parent",
    stage: str = "training",
    times: int = 1,
) -> Disturbance:
    """Returns a disturbance that sends a signal at a random moment of a stage.

    The stage is starting, training or ending.
    """

    def disturb(place: Place, process: Process) -> str:
        """Waits for the stage, sends the signal; returns what went wrong."""
        reached = {
            "starting": lambda: _in_imports(process),
            "training": lambda: _in_training(place),
            "ending": lambda: bool(products(SWEEP, place.out) | products(TRAIN, place.out)),
        }[stage]
        if not _until(reached, process):
            return f"it ended before {stage}"
        time.sleep(random.Random(place.folder.name).uniform(0.0, 0.5))
        for _ in range(times):
            victims = [process.pid] if target == "parent" else children(process.pid)[:1]
            if process.poll() is not None or not victims:
                return "" if stage == "ending" or times > 1 else "it ended before the signal"
            with suppress(ProcessLookupError):
                os.kill(victims[0], number)
            time.sleep(0.1)
        return ""

    return disturb


def suspended(place: Place, process: Process) -> str:
    """Stops all of the command's processes for a moment, as Ctrl-Z and `fg` do."""
    if not _until(lambda: _in_training(place), process):
        return "it ended before training"
    for number in (signal.SIGSTOP, signal.SIGCONT):
        os.killpg(process.pid, number)
        time.sleep(1.0)
    return ""


def removed(place: Place, process: Process) -> str:
    """Removes the folder that the command writes to."""
    if not _until(lambda: _in_training(place), process):
        return "it ended before training"
    shutil.rmtree(place.out, ignore_errors=True)
    return ""


def _in_imports(process: Process) -> bool:
    """Whether the command has begun its imports; until then, a signal gives Python's traceback."""
    with suppress(OSError):
        return b"numpy" in Path(f"/proc/{process.pid}/maps").read_bytes()
    return False


def _in_training(place: Place) -> bool:
    """Whether the command has begun to train: it holds a lock or has written its configuration."""
    with suppress(OSError):
        locks = [path for path in place.out.glob("*.lock") if path.stat().st_size > 0]
        return bool(locks) or (place.out / "config.json").exists()
    return False


def _until(reached: Callable[[], bool], process: Process) -> bool:
    """Waits until `reached()` is true; returns False if the process ends first."""
    while process.poll() is None:
        if reached():
            return True
        time.sleep(0.02)
    return False


# Before the command runs


def stored_already(place: Place) -> None:
    """Fills the folder with the results of the undisturbed command, and a file of the user's."""
    shutil.copytree(place.undisturbed, place.out)
    (place.out / "notes.txt").write_text("irreplaceable")


def given_away(folder: Path) -> None:
    """Gives a folder and its files to another user."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def begun_by_another(place: Place) -> None:
    """Leaves a store that belongs to another user and has lost every history."""
    stored_already(place)
    for history in place.out.glob("*.npz"):
        history.unlink()
    given_away(place.out)


def full_disk(place: Place) -> None:
    """Mounts a disk in memory where the command writes, and fills it."""
    place.out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place.out], check=True)
    with suppress(OSError), (place.out / "filling").open("wb", buffering=0) as filling:
        while filling.write(bytes(4096)):
            pass


def large_networks(place: Place) -> None:
    """Edits the experiment so that it trains networks of 3,000 units."""
    place.grid.write_text(place.grid.read_text().replace("hidden_size=3", "hidden_size=3000"))
