"""Ways to prepare a folder for a row, and to disturb a command while it runs."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tests.support.folders import flipped
from tests.tools.faults.laboratory import TIMEOUT, said, start
from tests.tools.faults.rows import SWEEP, TRAIN, Command, Fault, Place, Process, products
from tests.tools.kills import children

Arrangement = Callable[[Place], None]
Disturbance = Callable[[Place, Process], str]
NOBODY = 65534

# While it runs


def signalled(
    number: signal.Signals,
    target: Literal["parent", "group", "worker"] = "parent",
    stage: str = "training",
    times: int = 1,
) -> Disturbance:
    """Sends a signal at a random moment of a stage: starting, training or ending."""

    def disturb(place: Place, process: Process) -> str:
        reached = {
            "starting": lambda: True,
            "training": lambda: _in_training(place),
            "ending": lambda: bool(products(SWEEP, place.out) | products(TRAIN, place.out)),
        }[stage]
        if not _until(reached, process):
            return f"it ended before {stage}"
        time.sleep(random.Random(place.folder.name).uniform(0.0, 0.5))
        for _ in range(times):
            if target == "worker":
                victims = children(process.pid)[:1]
            else:
                victims = [process.pid if target == "parent" else -process.pid]
            if process.poll() is not None or not victims:
                return "" if stage == "ending" or times > 1 else "it ended before the signal"
            with suppress(ProcessLookupError):
                os.kill(victims[0], number)
            time.sleep(0.1)
        return ""

    return disturb


def removed(place: Place, process: Process) -> str:
    """Removes the folder that is written to."""
    if not _until(lambda: _in_training(place), process):
        return "it ended before training"
    shutil.rmtree(place.out, ignore_errors=True)
    return ""


def twice(command: Command, *statuses: int) -> Disturbance:
    """Runs the same command a second time, at once; they end with these statuses, in any order."""

    def disturb(place: Place, process: Process) -> str:
        second = start(Fault(name="second", command=command), place, "second")
        found = sorted((process.wait(TIMEOUT), second.wait(TIMEOUT)))
        return "" if found == sorted(statuses) else f"statuses {found}: {said(place, 'second')}"

    return disturb


def read_meanwhile(line: str) -> Disturbance:
    """Runs a reading command again and again."""

    def disturb(place: Place, process: Process) -> str:
        if not _until(lambda: _in_training(place), process):
            return "it ended before training"
        while process.poll() is None:
            reading = Fault(name="reading", command=Command(name="reading", line=line))
            status = start(reading, place, "reading").wait(TIMEOUT)
            if status != 0 or said(place, "reading"):
                return f"{line}: status {status}: {said(place, 'reading')}"
        return ""

    return disturb


def _in_training(place: Place) -> bool:
    with suppress(OSError):
        locks = [path for path in place.out.glob("*.lock") if path.stat().st_size > 0]
        return bool(locks) or (place.out / "config.json").exists()
    return False


def _until(reached: Callable[[], bool], process: Process) -> bool:
    """Waits until something is true; False if the process ends first."""
    while process.poll() is None:
        if reached():
            return True
        time.sleep(0.02)
    return False


# Before it runs


def in_turn(*steps: Arrangement) -> Arrangement:
    """Several arrangements, one after another."""

    def arrange(place: Place) -> None:
        for step in steps:
            step(place)

    return arrange


def written(name: str, text: str = "") -> Arrangement:
    """Writes a file; its name may have fields of `Place` in braces."""

    def arrange(place: Place) -> None:
        path = Path(place.filled(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return arrange


def stored_already(place: Place) -> None:
    """Fills the folder with the results of the undisturbed command, and a note of the user's."""
    shutil.copytree(place.undisturbed, place.out)
    (place.out / "notes.txt").write_text("irreplaceable")


def damaged(
    where: str,
    pattern: str,
    change: Callable[[bytes], bytes] | None = None,
    *,
    every: bool = False,
) -> Arrangement:
    """Changes the first or every file of a pattern: by default, one bit in its middle."""

    def arrange(place: Place) -> None:
        for path in _found(place, where, pattern)[: None if every else 1]:
            content = path.read_bytes()
            path.write_bytes(change(content) if change else flipped(content, 4 * len(content) + 1))

    return arrange


def halved(content: bytes) -> bytes:
    """The first half."""
    return content[: len(content) // 2]


def changed(name: str, before: str, after: str) -> Arrangement:
    """Replaces text in a file."""

    def arrange(place: Place) -> None:
        path = Path(place.filled(name))
        path.write_text(path.read_text().replace(before, after))

    return arrange


def moved(where: str, pattern: str, ending: str) -> Arrangement:
    """Gives the first file of a pattern another ending."""

    def arrange(place: Place) -> None:
        path = _found(place, where, pattern)[0]
        path.rename(path.with_suffix(ending))

    return arrange


def dated(seconds: float) -> Arrangement:
    """Gives every file of the row a time."""

    def arrange(place: Place) -> None:
        for path in (*(place.code / "pwm").rglob("*"), *place.out.rglob("*")):
            os.utime(path, (seconds, seconds))

    return arrange


def owned(name: str) -> Arrangement:
    """Gives a folder and its files to another user."""

    def arrange(place: Place) -> None:
        root = Path(place.filled(name))
        for path in (root, *root.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

    return arrange


def mode(name: str, bits: int) -> Arrangement:
    """Sets permissions, and makes the folder if needed."""

    def arrange(place: Place) -> None:
        path = Path(place.filled(name))
        if not path.exists():
            path.mkdir()
        path.chmod(bits)

    return arrange


def absent(where: str, pattern: str) -> Arrangement:
    """Removes every file or folder of a pattern."""

    def arrange(place: Place) -> None:
        for path in _found(place, where, pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    return arrange


def full_disk(name: str, size: str = "64k") -> Arrangement:
    """Mounts a full disk in memory."""

    def arrange(place: Place) -> None:
        disk = Path(place.filled(name))
        disk.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
        with suppress(OSError), (disk / "filling").open("wb", buffering=0) as filling:
            while filling.write(bytes(4096)):
                pass

    return arrange


def locks_of_another(place: Place) -> None:
    """Leaves locks of another user's dead sweep in a folder that all may write."""
    place.out.mkdir()
    place.out.chmod(0o777)
    for name in products(SWEEP, place.undisturbed):
        lock = place.out / name.replace(".npz", ".lock")
        lock.write_text("7\n")
        os.chown(lock, NOBODY, NOBODY)


def unfinished(place: Place) -> None:
    """Trains until Ctrl-C, which leaves an unfinished run."""
    process = start(Fault(name="first", command=TRAIN), place, "first")
    signalled(signal.SIGINT)(place, process)
    process.wait(TIMEOUT)


def swept(place: Place) -> None:
    """Sweeps into the folder that is read."""
    command = replace(SWEEP, line=SWEEP.line.replace("{out}", "{stored}"))
    start(Fault(name="first", command=command), place, "first").wait(TIMEOUT)


def _found(place: Place, where: str, pattern: str) -> list[Path]:
    return sorted(Path(place.filled(where)).rglob(pattern))
