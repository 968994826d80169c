"""Bad input, reported for the person who typed it."""

from __future__ import annotations

LARGEST = 1e38


class InputError(ValueError):
    """A value that the project cannot accept.

    Args:
        name: the field, written as in the dataclass that holds it; in capitals for a positional
            argument.
        value: what was given.
        accepted: what would have been accepted, in words.
    """

    def __init__(self, name: str, value: object, accepted: str) -> None:
        shown = name if name.isupper() else "--" + name.replace("_", "-")
        super().__init__(f"{shown} {value}: expected {accepted}")
        self.name = name
        self.value = value
        self.accepted = accepted

    def __reduce__(self) -> tuple[type[InputError], tuple[str, object, str]]:
        """Lets the error come back from another process."""
        return type(self), (self.name, self.value, self.accepted)


class FileError(InputError):
    """A file that cannot be used.

    Args:
        path: of the file.
        accepted: what would have been accepted, in words.
    """

    def __init__(self, path: object, accepted: str) -> None:
        super().__init__("FILE", path, accepted)
        self.args = (f"{path}: expected {accepted}",)

    def __reduce__(self) -> tuple[type[FileError], tuple[object, str]]:  # type: ignore[override]
        """Lets the error come back from another process."""
        return type(self), (self.value, self.accepted)


def require(condition: bool, name: str, value: object, accepted: str) -> None:
    """Raises `InputError` unless the condition holds."""
    if not condition:
        raise InputError(name, value, accepted)


def require_finite(name: str, value: float, *, above_zero: bool = False) -> None:
    """Requires a number that is not negative, or is above zero, and is finite as a float32."""
    if above_zero:
        require(0 < value <= LARGEST, name, value, f"a finite number above 0, to {LARGEST:g}")
    else:
        require(0 <= value <= LARGEST, name, value, f"a finite number from 0 to {LARGEST:g}")


def require_integer(name: str, value: int, least: int) -> None:
    """Requires an integer that is at least `least`."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    require(is_integer and value >= least, name, value, f"an integer, {least} or above")


def require_file(condition: bool, path: object, accepted: str) -> None:
    """Raises `FileError` unless the condition holds."""
    if not condition:
        raise FileError(path, accepted)
