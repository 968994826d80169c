"""A training that is stopped repeatedly: a short run of `python -m tests.tools.signals`."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import signals


def test_a_training_survives_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "IN_TRAINING", 1.0)
    numbers = (signal.SIGTERM, signal.SIGKILL)
    stopped = 0
    for seed in (1, 2, 3):  # on a busy machine, training may be over before the signal
        toll = signals.survive(tmp_path / str(seed), 2, 100_000, seed, numbers)
        stopped += toll.statuses[0] == 128 + signal.SIGTERM and toll.sessions > 1
        if stopped:
            break
    assert stopped, "no signal came in training"


@pytest.mark.parametrize(
    ("program", "complaint"),
    [("import sys; sys.exit(3)", "3"), ("raise ValueError", "Traceback")],
)
def test_a_wrong_status_and_a_traceback_are_noticed(
    program: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "IN_TRAINING", 1.0)  # a shorter wait
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    process.wait()
    with pytest.raises(AssertionError, match=complaint):
        signals.stopped(process, tmp_path, signal.SIGTERM, random.Random(0))
