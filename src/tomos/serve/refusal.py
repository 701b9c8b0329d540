"""Requests that are not carried out: the status, the reason in words, and a short name to count."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tomos.inference.memory import OutOfMemory
from tomos.types import (
    EnvelopeError,
    FormatError,
    LimitError,
    MissingExtra,
    PackageError,
    SettingsError,
    StorageError,
    TomosError,
)


class Refusal(Exception):
    """An answer other than 200. `kind` is a label of the metric `tomos_refusals_total`.

    members  how many images there are to choose from, where the refusal is that none was chosen
    """

    def __init__(
        self, status: int, kind: str, message: str, retry_after: int = 0, members: int = 0
    ):
        super().__init__(message)
        self.members = members
        self.status = status
        self.kind = kind
        self.message = message
        self.retry_after = retry_after


_STATUS: tuple[tuple[type[TomosError], int, str], ...] = (
    (LimitError, 413, "limit"),
    (FormatError, 422, "format"),
    (EnvelopeError, 422, "envelope"),
    (PackageError, 422, "unfit"),  # an input that the model's preparation does not take
    (SettingsError, 400, "setting"),
    (StorageError, 507, "storage"),
    (MissingExtra, 501, "missing"),
    (OutOfMemory, 507, "memory"),
)


def in_our_words(message: str, path: Path, name: str) -> str:
    """A message that names the file as its sender called it, not as it lies here."""
    for text in (str(path), path.name):
        message = message.replace(text, name or "the file")
    return message


def from_error(
    error: TomosError,
    path: Path | None = None,
    name: str = "",
    names: Mapping[str, str] | None = None,
) -> Refusal:
    """A refusal from any error of the tree; our temporary path becomes the file's name.

    names  of several files: path -> name
    """
    message = str(error)
    for own, said in (names or {}).items():
        message = message.replace(own, said)
    message = message if path is None else in_our_words(message, path, name)
    for kind, status, label in _STATUS:
        if isinstance(error, kind):
            return Refusal(status, label, message)
    return Refusal(500, "model", message)
