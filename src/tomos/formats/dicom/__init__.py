"""DICOM, PS3: single pictures, frames, enhanced multi-frame objects and series, with their place.

A scanner of our own reads the header under limits; no parser that could be led into recursion sees
a file from outside. Pixels that are not compressed come straight from the scanned bytes; compressed
ones are decoded by pydicom's codecs in a limited child process.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tomos.formats._limits import Limits
from tomos.types import Image

SUFFIXES = (".dcm", ".dicom", ".ima")
FIRST_GROUPS = (2, 8)
SHORT_VRS = (b"UL", b"UI", b"CS", b"DA", b"TM", b"LO", b"SH", b"PN", b"OB", b"ST", b"US")
LONGEST_FIRST = 256


def sniff(head: bytes) -> bool:
    """The mark DICM after 128 bytes, or a first element as a bare data set begins."""
    if head[128:132] == b"DICM":
        return True
    if len(head) < 16:
        return False
    for order in ("little", "big"):
        group = int.from_bytes(head[:2], order)
        element = int.from_bytes(head[2:4], order)
        if group in FIRST_GROUPS and element <= 0x60:
            if head[4:6] in SHORT_VRS:
                return True
            length = int.from_bytes(head[4:8], order)
            if order == "little" and length <= LONGEST_FIRST:
                return True
    return False


def read(path: Path, member: str, limits: Limits) -> Image:
    """One picture (C, Y, X), one frame (`#3`, counted from 0), or all frames (C, Z, Y, X)."""
    from tomos.formats.dicom.reader import read_file

    return read_file(path, member, limits)


def members(path: Path, limits: Limits) -> list[str]:
    """One address, or one a frame where the frames are no volume."""
    from tomos.formats.dicom.reader import member_addresses

    return member_addresses(path, limits)


def write(image: Image, path: str | Path, header: Mapping[str, Any] | None = None) -> None:
    """Write one picture as an uncompressed file with a full header; see `encode.write`."""
    from tomos.formats.dicom import encode

    encode.write(image, path, header)
