"""Runs rows, each next to an undisturbed run of its command, and checks the files."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from pwm.core.errors import FileError
from pwm.io.files import read_history
from pwm.io.repository import REPOSITORY
from tests.tools.faults.rows import (
    TRAIN,
    Command,
    Fault,
    Outcome,
    Place,
    Process,
    problems,
    products,
)

TIMEOUT = 120.0  # seconds per run of a command
GRACE = 20.0  # seconds for the processes of an ended command to end too
BAR = re.compile(r"^.*\[\d\d:\d\d[^\]]*\]|^.*\d%\|.*$")
ORDINARY = re.compile(
    r"^\d+ shards?, \d+ to train\.$|^Compiling|^/bin/bash: warning|^warnings\.warn"
)
GRID = """
from pwm import AgentConfig, Experiment, TaskConfig, TrainConfig

base = TrainConfig(
    task=TaskConfig(episode_length=6), agent=AgentConfig(hidden_size=3), num_episodes={episodes},
    log_every=500,
)
axes = {{"episode_length": (6, 9), "critic_weight": (2.0, 3.0), "seed": range(2)}}
mine = Experiment(name="mine", base=base, axes=axes)
"""


class Laboratory:
    """Runs rows in a folder, each next to an undisturbed run of its command.

    Raises:
        RuntimeError: a command fails without any fault.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._undisturbed: dict[tuple[str, int], Path] = {}
        self._preparing = threading.Lock()
        self._code = folder / "code"
        for name in ("pwm", "paper"):
            shutil.copytree(REPOSITORY / name, self._code / name)
        (self._code / ".gitignore").write_text("__pycache__/\n")
        who = ("-c", "user.name=pwm", "-c", "user.email=pwm@localhost")
        for step in (("init",), ("add", "."), (*who, "commit", "-m", "A copy")):
            subprocess.run(["git", *step], cwd=self._code, capture_output=True, check=True)

    def run(self, fault: Fault) -> Outcome:
        """Runs a row: the command under the fault, then once more without it if it must finish."""
        place = self._place(fault)
        foreign = snapshot(place.foreign)
        fault.arrange(place)
        stored = snapshot(place.stored)
        try:
            outcome = _run(fault, place)
            wrong = list(outcome.wrong)
            wrong += _differing(fault.command, place)
            fault.repair(place)
            if fault.finishes and not _is_complete(fault.command, place):
                again = _run(
                    Fault(name=fault.name, command=fault.command, flags=fault.flags), place
                )
                wrong += [f"run again: status {again.status}, {' '.join(again.said)}"] * (
                    again.status != 0
                )
                wrong += [f"run again: {text}" for text in again.wrong]
            if fault.finishes:
                wrong += ["not complete in the end"] * (not _is_complete(fault.command, place))
                wrong += _leftovers(fault.command, place)
            wrong += ["changed foreign files"] * (snapshot(place.foreign) != foreign)
            wrong += ["changed what it reads"] * (snapshot(place.stored) != stored)
        finally:
            unmount(place.folder)
        return replace(outcome, wrong=wrong)

    def _place(self, fault: Fault) -> Place:
        with self._preparing:
            undisturbed = self._folder / "none"
            if fault.finishes:
                undisturbed = self._reference(fault.command, fault.episodes)
            return self._new_place(self._folder / fault.name, fault, undisturbed)

    def _reference(self, command: Command, episodes: int) -> Path:
        """`out` of the command without a fault."""
        key = (command.name, episodes)
        if key not in self._undisturbed:
            fault = Fault(name=f"{command.name}-{episodes}", command=command, episodes=episodes)
            place = self._new_place(self._folder / fault.name, fault, self._folder / "none")
            outcome = _run(fault, place)
            if command.product != Command.product and problems(fault, outcome):
                raise RuntimeError(f"{command.line} fails without a fault: {outcome}")
            shutil.rmtree(self._code)  # keep what was compiled
            shutil.copytree(place.code, self._code, symlinks=True)
            self._undisturbed[key] = place.out
        return self._undisturbed[key]

    def _new_place(self, folder: Path, fault: Fault, undisturbed: Path) -> Place:
        home = folder / "home"
        at_home = fault.out.startswith("~/")
        out = home / fault.out[2:] if at_home else folder / fault.out
        place = Place(
            folder=folder,
            out=out,
            typed=fault.out if at_home else str(out),
            episodes=fault.episodes,
            undisturbed=undisturbed,
        )
        shutil.copytree(self._code, place.code, symlinks=True)
        for path in (place.home, place.foreign / "kept"):
            path.mkdir(parents=True)
        (place.foreign / "kept" / "thesis.txt").write_text("irreplaceable")
        (place.foreign / "numbers.npz").write_bytes(b"not ours")
        place.grid.write_text(GRID.format(episodes=fault.episodes))
        if fault.command.reads is not None:
            shutil.copytree(self._reference(fault.command.reads, fault.episodes), place.stored)
        return place


def start(fault: Fault, place: Place, name: str = "run") -> Process:
    """Starts a row's command; its output goes to files of that name."""
    words = [place.filled(word) for word in f"{fault.command.line} {fault.flags}".split()]
    inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    given = {key: place.filled(value) for key, value in fault.environment.items()}
    with (
        (place.folder / f"{name}.out").open("wb") as output,
        (place.folder / f"{name}.err").open("wb") as errors,
    ):
        return subprocess.Popen(
            ["/bin/bash", "-c", fault.shell, "bash", sys.executable, "-m", *words],
            cwd=place.code,
            env={**inherited, "HOME": str(place.home), "LC_ALL": "C.UTF-8", **given},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )


def said(place: Place, name: str = "run") -> list[str]:
    """Distinct lines on standard error, without progress."""
    text = (place.folder / f"{name}.err").read_text(errors="replace")
    lines = (BAR.sub("", line).strip() for line in re.split(r"[\r\n]+|\x1b\[A", text))
    return list(dict.fromkeys(line for line in lines if line and not ORDINARY.search(line)))


def _run(fault: Fault, place: Place) -> Outcome:
    """Runs a row's command once."""
    process = start(fault, place)
    wrong = []
    try:
        if problem := fault.disturb(place, process):
            wrong.append(problem)
        returned = process.wait(TIMEOUT)
        status = 128 - returned if returned < 0 else returned
    except subprocess.TimeoutExpired:
        status = None
    if not _ended(process.pid, GRACE if status is not None else 0.0):
        wrong += ["left processes running"] * (status is not None)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    output = (place.folder / "run.out").read_text(errors="replace")
    return Outcome(status=status, said=said(place), output=output, wrong=wrong)


def _ended(group: int, seconds: float) -> bool:
    """Whether every process of a group ends within some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def _is_complete(command: Command, place: Place) -> bool:
    return products(command, place.out) == products(command, place.undisturbed)


def _differing(command: Command, place: Place) -> list[str]:
    """Results that differ from the undisturbed; a run that was stopped may have fewer windows."""
    expected = products(command, place.undisturbed)
    return [
        f"{name} differs"
        for name, content in products(command, place.out).items()
        if content != expected.get(name)
        and not (command is TRAIN and _begins(place.out / name, place.undisturbed / name))
    ]


def _begins(path: Path, whole: Path) -> bool:
    """Whether a history is the beginning of another, up to its last window."""
    try:
        ours, theirs = read_history(path), read_history(whole)
    except FileError:
        return False
    windows = len(ours.episode) - 1
    return all(
        np.array_equal(curve[:, :windows], theirs.curves[name][:, :windows], equal_nan=True)
        for name, curve in ours.curves.items()
    )


def _leftovers(command: Command, place: Place) -> list[str]:
    names = sorted(path.name for path in place.out.iterdir()) if place.out.is_dir() else []
    return [f"left {name}" for name in names if not re.fullmatch(command.files, name)]


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Mode, time and content of every file below a folder."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and os.access(path, os.R_OK) else b""
        found[str(path)] = (status.st_mode, status.st_mtime_ns * path.is_file(), content)
    return found


def unmount(folder: Path) -> None:
    """Unmounts what is mounted below a folder."""
    for line in Path("/proc/mounts").read_text().splitlines():
        point = line.split()[1].encode().decode("unicode_escape")
        if point.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", point], check=True)
