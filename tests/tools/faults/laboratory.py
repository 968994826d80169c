"""Runs rows of `FAULTS`, and compares their files with those of undisturbed runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

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

TIMEOUT = 300.0  # seconds per run of a command; a busy machine needs them
GRACE = 20.0  # seconds until all processes of an ended command must have ended
BAR = re.compile(r"^.*\[\d\d:\d\d[^\]]*\]|^.*\d%\|.*$")
"""A progress bar."""
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
    """Runs rows in a folder, and compares each with an undisturbed run of the same command.

    Raises:
        RuntimeError: a command fails without any fault.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._undisturbed: dict[tuple[str, int], Path] = {}

    def run(self, fault: Fault) -> Outcome:
        """Runs a row's command with the fault; if it must finish and did not, again without."""
        place = self._place(fault)
        fault.arrange(place)
        stored = snapshot(place.stored)
        try:
            outcome = _run(fault, place)
            wrong = list(outcome.wrong)
            wrong += _differing(fault.command, place)
            fault.repair(place)
            if fault.finishes and not _is_complete(fault.command, place):
                calm = Fault(name=fault.name, command=fault.command, flags=fault.flags)
                again = _run(calm, place)
                if again.status != 0:
                    wrong.append(f"run again: status {again.status}, {again.said}")
                wrong += again.wrong
            if fault.finishes:
                if not _is_complete(fault.command, place):
                    wrong.append("not complete in the end")
                wrong += _leftovers(fault.command, place)
            if snapshot(place.stored) != stored:
                wrong.append("changed what it reads")
        finally:
            if place.out.is_mount():
                subprocess.run(["umount", "--lazy", place.out], check=True)
        return replace(outcome, wrong=wrong)

    def _place(self, fault: Fault) -> Place:
        """Makes a row's folder; a command that must finish is first run undisturbed, to compare."""
        undisturbed = self._folder / "none"
        if fault.finishes:
            undisturbed = self._reference(fault.command, fault.episodes)
        return self._new_place(self._folder / fault.name, fault, undisturbed)

    def _reference(self, command: Command, episodes: int) -> Path:
        """Folder that the command writes without a fault; the first call runs the command."""
        key = (command.name, episodes)
        if key not in self._undisturbed:
            fault = Fault(name=f"{command.name}-{episodes}", command=command, episodes=episodes)
            place = self._new_place(self._folder / fault.name, fault, self._folder / "none")
            if found := problems(fault, _run(fault, place)):
                raise RuntimeError(f"{command.name} without a fault: {'; '.join(found)}")
            self._undisturbed[key] = place.out
        return self._undisturbed[key]

    def _new_place(self, folder: Path, fault: Fault, undisturbed: Path) -> Place:
        """Makes a row's folder, with an experiment and the results that the row's command reads."""
        place = Place(
            folder=folder,
            out=folder / fault.out,
            stored=folder / "stored",
            grid=folder / "grid.py",
            episodes=fault.episodes,
            undisturbed=undisturbed,
        )
        folder.mkdir()
        place.grid.write_text(GRID.format(episodes=fault.episodes))
        if fault.command.reads is not None:
            shutil.copytree(self._reference(fault.command.reads, fault.episodes), place.stored)
        return place


def _start(fault: Fault, place: Place) -> Process:
    """Starts a row's command; its standard error goes to a file."""
    words = [place.filled(word) for word in f"{fault.command.line} {fault.flags}".split()]
    inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    with (place.folder / "errors").open("wb") as errors:
        return subprocess.Popen(
            ["/bin/bash", "-c", fault.shell, "bash", sys.executable, "-m", *words],
            cwd=REPOSITORY,
            env={**inherited, "HOME": str(place.folder), "LC_ALL": "C.UTF-8", **fault.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )


def _said(place: Place) -> list[str]:
    """Distinct lines on standard error, without progress bars and ordinary messages."""
    text = (place.folder / "errors").read_text(errors="replace")
    lines = (BAR.sub("", line).strip() for line in re.split(r"[\r\n]+|\x1b\[A", text))
    return list(dict.fromkeys(line for line in lines if line and not ORDINARY.search(line)))


def _run(fault: Fault, place: Place) -> Outcome:
    """Runs a row's command once; kills it after `TIMEOUT`."""
    process = _start(fault, place)
    wrong = []
    try:
        if problem := fault.disturb(place, process):
            wrong.append(problem)
        returned = process.wait(TIMEOUT)
        status = 128 - returned if returned < 0 else returned  # -n: ended by signal n
    except subprocess.TimeoutExpired:
        status = None
    if not _ended(process.pid, GRACE if status is not None else 0.0):
        if status is not None:
            wrong.append("left processes running")
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return Outcome(status=status, said=_said(place), wrong=wrong)


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
    """Whether the results equal those of the undisturbed command."""
    return products(command, place.out) == products(command, place.undisturbed)


def _differing(command: Command, place: Place) -> list[str]:
    """One line per result that differs from the undisturbed command's.

    Results of `TRAIN` are not compared: if the training was stopped, they may differ.
    """
    expected = products(command, place.undisturbed)
    found = {} if command is TRAIN else products(command, place.out)
    return [f"{name} differs" for name in found if found[name] != expected.get(name)]


def _leftovers(command: Command, place: Place) -> list[str]:
    """One line per file that a finished command should not leave."""
    names = sorted(path.name for path in place.out.iterdir()) if place.out.is_dir() else []
    return [f"left {name}" for name in names if not re.fullmatch(command.files, name)]


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Mode, time of the last write, and content of every file below a folder, by name."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if os.access(path, os.R_OK) else b""
        found[path.name] = (status.st_mode, status.st_mtime_ns, content)
    return found
