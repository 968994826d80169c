"""The error of files and folders that cannot be used."""

from __future__ import annotations

from pwm.core.errors import InputError


class FileError(InputError):
    """An unusable file, folder, library or system limit.

    Args:
        path: path of the file or folder; or name of the library or limit, with its current state.
        accepted: description of usable files, folders, libraries or limits.
    """

    def __init__(self, path: object, accepted: str) -> None:
        super().__init__("FILE", path, accepted)
        self.args = (path, accepted)  # pickle rebuilds the exception from `args`

    def __str__(self) -> str:
        return f"{self.value}: expected {self.accepted}"


def require_file(condition: bool, path: object, accepted: str) -> None:
    """Raises `FileError` unless the condition holds."""
    if not condition:
        raise FileError(path, accepted)
