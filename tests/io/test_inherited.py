"""Closed streams, `~` in paths, and signals that ask to stop."""

from __future__ import annotations

import io
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pwm.core.errors import InputError
from pwm.io.errors import FileError
from pwm.io.inherited import (
    STOPPING,
    Forgiving,
    counted,
    expand_paths,
    open_streams,
    say,
    stop_signals,
)


def test_closed_streams_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    open_streams()
    assert sys.stdout.writable()
    assert sys.stderr.writable()
    print("to nobody: \udcff")
    print("to nobody: \udcff", file=sys.stderr)
    sys.stdout.close()
    sys.stderr.close()


def test_a_narrow_encoding_stops_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    open_streams()
    say("Läufe \udcff")
    assert written.getvalue() == b"L\\xe4ufe \\udcff\n"


def test_the_home_folder_is_put_in_place_of_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Flags:
        out: Path
        other: Path | None = None
        size: str = "~/size"

    monkeypatch.setenv("HOME", "/somewhere/of me")
    assert expand_paths(Flags(Path("~/x"))) == Flags(Path("/somewhere/of me/x"))
    assert expand_paths(Flags(Path("a/~"), Path("~"))) == Flags(
        Path("a/~"), Path("/somewhere/of me")
    )
    with pytest.raises(InputError, match="--other ~nobody-of-that-name/x: expected"):
        expand_paths(Flags(Path("x"), Path("~nobody-of-that-name/x")))


def test_output_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(FileError, match="standard output: expected space"):
            say("words")


def test_nouns_agree_with_their_numbers() -> None:
    assert [counted(number, "shard") for number in (0, 1, 2)] == ["0 shards", "1 shard", "2 shards"]


def test_progress_that_cannot_be_written_is_not_shown() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed, Path("/dev/full").open("w") as full:
        for stream in (closed, full):
            shown = Forgiving(stream)
            assert shown.fileno() == stream.fileno()
            for _ in range(2):
                shown.write("10%")
                shown.flush()


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_collected_and_another_ends_the_process(number: int) -> None:
    before = [signal.getsignal(each) for each in STOPPING]
    with stop_signals() as caught:
        assert caught == []
        signal.raise_signal(number)
        assert caught == [number]
        assert {signal.getsignal(each) for each in STOPPING} == {signal.SIG_DFL}
    assert [signal.getsignal(each) for each in STOPPING] == before


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_may_also_interrupt_the_block(number: int) -> None:
    before = [signal.getsignal(each) for each in STOPPING]
    with pytest.raises(KeyboardInterrupt) as caught, stop_signals(interrupt=True):
        signal.raise_signal(number)
    assert caught.value.args == (number,)
    assert [signal.getsignal(each) for each in STOPPING] == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with stop_signals() as caught:
            signal.raise_signal(signal.SIGHUP)
            assert caught == []
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
