"""The error of files and folders that cannot be used."""

from __future__ import annotations

from pwm.core.errors import InputError


class FileError(InputError):
    """An unusable file, folder, stream, library or setting of the system.

    Args:
        path: path of the file or folder; or the stream, library or setting, as it is now.
        accepted: description of what would be usable.
    """

    def __init__(self, path: object, accepted: str) -> None:
        super().__init__("FILE", path, accepted)  # the name is not printed
        self.args = (path, accepted)  # pickle rebuilds the exception from `args`

    def __str__(self) -> str:
        return f"{self.value}: expected {self.accepted}"


def require_file(condition: bool, path: object, accepted: str) -> None:
    """Raises `FileError` unless the condition holds."""
    if not condition:
        raise FileError(path, accepted)
