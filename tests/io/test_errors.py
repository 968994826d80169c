"""Errors of files name the file, and survive pickling, as between processes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from pwm.io.errors import FileError, require_file


def test_the_message_names_the_file_and_survives_pickling() -> None:
    error = FileError(Path("a/b.npz"), "a history")
    copy = pickle.loads(pickle.dumps(error))
    assert str(error) == str(copy) == "a/b.npz: expected a history"
    assert type(copy) is FileError
    assert vars(copy) == vars(error)


def test_a_file_is_refused_only_if_the_condition_fails() -> None:
    require_file(True, "path", "anything")
    with pytest.raises(FileError, match="path: expected a file"):
        require_file(False, "path", "a file")
