"""Which image of an upload is read: a file may hold several, a folder several series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomos import formats
from tomos.formats import Limits
from tomos.serve.pictures import slice_of
from tomos.serve.refusal import Refusal
from tomos.types import FormatError, Image


def image_of(
    path: Path, member: int | None, limits: Limits, of_pictures: bool
) -> tuple[Image, int]:
    """Image number `member` (None: the first), and how many there are.

    of_pictures  for a model that reads single pictures: of a volume, a slice. Refusal when none was
                 chosen
    Raises FormatError for what is refused or not there.
    """
    addresses = formats.members(path, limits)
    if not addresses:
        raise FormatError(f"{path}: none of these files is a DICOM image; several files at once "
                          "are taken as one DICOM series")  # fmt: skip
    if len(addresses) > 1:
        return formats.read(_pick(addresses, member, path), limits), len(addresses)
    image = formats.read(addresses[0], limits)
    if image.is_volume and of_pictures:
        return _slice(image, member, path), image.size[0]
    if member:
        raise _no_member(path, 1, member)
    return image, 1


def _pick(addresses: Sequence[str], member: int | None, path: Path) -> str:
    if (member or 0) >= len(addresses):
        raise _no_member(path, len(addresses), member)
    return addresses[member or 0]


def _slice(volume: Image, member: int | None, path: Path) -> Image:
    """One slice of a volume for a model of pictures: only the one that was asked for, since which
    slice is read is a decision that no program should take in silence.
    """
    count = volume.size[0]
    if member is None:
        raise Refusal(
            422,
            "volume",
            f"a volume of {count} slices, and this model reads single pictures: choose a slice",
            members=count,
        )
    if member >= count:
        raise _no_member(path, count, member)
    return slice_of(volume, member)


def _no_member(path: Path, count: int, member: int | None) -> FormatError:
    return FormatError(f"{path}: expected an image from 0 to {count - 1}, got {member}")
