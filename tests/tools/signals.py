"""Stops a training at random moments until it is done, and compares it with an undisturbed one.

    python -m tests.tools.signals --kills 20

SIGTERM, SIGHUP and SIGKILL (which cannot be caught) are sent in turn, at a random moment after the
start or after training began. Each time the same command is started again. In the end, all files
but the provenance must equal the files of the undisturbed run byte for byte, and there must be no
further files.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro

from pwm.io.repository import REPOSITORY
from pwm.runs.folders import FILES, PROVENANCE
from pwm.runs.locks import LOCK
from pwm.runs.saved import load_run

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
TRAIN = (
    "from pwm import train; from pwm.runs import training; training.SAVE_EVERY = 0.2; "
    "train.train_command()"
)
IN_TRAINING = 0.7  # probability that a signal is sent after training began
SETTING = (
    *("--episode-length", "6", "--hidden-size", "4", "--log-every", "10"),
    *("--critic-weight", "5", "1", "--seeds", "0", "3"),
)


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m tests.tools.signals`."""

    kills: int = 20
    """Number of signals."""
    episodes: int = 400_000
    """Episodes of the run."""
    seed: int = 0
    """Seed of the random moments."""


@dataclass(frozen=True, kw_only=True)
class Toll:
    """Exit statuses and sessions of a training that was stopped."""

    statuses: tuple[int, ...]
    """Exit status of each process that was sent a signal."""
    sessions: int
    """Number of sessions in which the run was saved."""


def start(folder: Path, num_episodes: int) -> subprocess.Popen[str]:
    """Starts the training command, which is always the same for a folder."""
    flags = [*SETTING, "--num-episodes", str(num_episodes), "--out", str(folder)]
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, *flags],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(folder: Path, num_episodes: int) -> None:
    """Runs the training command to its end."""
    process = start(folder, num_episodes)
    _, shown = process.communicate()
    assert process.returncode == 0, shown


def stopped(process: subprocess.Popen[str], folder: Path, number: int, rng: random.Random) -> int:
    """Sends a signal to the process at a random moment; returns the exit status.

    Raises:
        AssertionError: the exit status is wrong, or there was a traceback.
    """
    in_training = rng.random() < IN_TRAINING
    while in_training and process.poll() is None and not (folder / LOCK).exists():
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 1 if in_training else 4))
    process.send_signal(number)
    _, shown = process.communicate(timeout=120)
    assert "Traceback" not in shown, shown
    # Killed before the program could catch the signal, ended by the signal, or finished before.
    assert process.returncode in {-number, 128 + number, 0}, (process.returncode, shown)
    return process.returncode


def survive(
    place: Path, kills: int, num_episodes: int, seed: int, signals: Sequence[int] = SIGNALS
) -> Toll:
    """Trains once without signals and once with `kills` signals, in two folders of `place`.

    Raises:
        AssertionError: the results differ, or saved episodes were lost.
    """
    rng, statuses, saved = random.Random(seed), [], 0
    folder, undisturbed = place / "stopped", place / "undisturbed"
    finish(undisturbed, num_episodes)
    for kill in range(kills):
        number = signals[kill % len(signals)]
        statuses.append(stopped(start(folder, num_episodes), folder, number, rng))
        if statuses[-1] == 0:
            break
        if (folder / "state.npz").exists():
            before, saved = saved, load_run(folder).episodes_done
            assert saved >= before
    if statuses[-1] != 0:
        finish(folder, num_episodes)
    assert {path.name for path in folder.iterdir()} == set(FILES)
    for name in set(FILES) - {PROVENANCE}:
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), name
    sessions = json.loads((folder / PROVENANCE).read_text()).get("earlier_sessions", [])
    return Toll(statuses=tuple(statuses), sessions=1 + len(sessions))


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    arguments = tyro.cli(Arguments, args=argv)
    with TemporaryDirectory() as place:
        toll = survive(Path(place), arguments.kills, arguments.episodes, arguments.seed)
    print(
        f"Survived {len(toll.statuses)} signals; history, state and curves are bit-identical. The "
        f"run was saved in {toll.sessions} sessions. Exit statuses: {toll.statuses}."
    )


if __name__ == "__main__":
    main()
