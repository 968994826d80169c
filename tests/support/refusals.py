"""Checks that a command refuses bad input with a one-line error."""

from __future__ import annotations

from typing import Any

import pytest


def assert_refused(
    main: Any, flags: list[str], capsys: pytest.CaptureFixture[str], *mentioned: str
) -> None:
    """Asserts exit status 2, an empty standard output, and one line with the `mentioned` texts."""
    with pytest.raises(SystemExit) as stop:
        main(flags)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert "\r" not in captured.err
    for text in mentioned:
        assert text in captured.err
