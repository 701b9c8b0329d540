"""The scanner of DICOM files: what every file goes through before anything in it is believed.

Lengths, depth and number of elements are checked in one loop without recursion (`elements.py`). It
keeps where elements lie, not their values, and needs only the beginning of the file, up to the
pixels. PS3.10 chapter 7 (preamble and file meta information), PS3.5 Annex A (transfer syntaxes).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from tomos.formats._limits import Limits
from tomos.formats.dicom.alike import recall, remember
from tomos.formats.dicom.dataset import LONG, SHORT, Dataset
from tomos.formats.dicom.elements import EXPLICIT, NeedMore, Scanner
from tomos.formats.dicom.tags import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    key_of,
)
from tomos.types import FormatError, LimitError


@dataclass(slots=True)
class Scanned:
    """A file that was scanned: its data set, how it is written, and what was odd about it.

    size       bytes of the whole data set as scanned; `dataset.data` may hold only its beginning
    fragments  (offset, length) of each item of an encapsulated Pixel Data, the offset table first
    """

    dataset: Dataset
    syntax: str
    size: int
    fragments: list[tuple[int, int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def scan(data: bytes, size: int, where: str, limits: Limits) -> Scanned:
    """Scan the header of a file of `size` bytes, of which `data` is the beginning or all.

    Raises NeedMore when `data` is too short for it, FormatError for what contradicts itself,
    LimitError for what is too deep or too long.
    """
    known = recall(data, size, limits)
    if known is not None:
        return Scanned(*known, size)
    looked: list[tuple[int, int]] = []
    start, syntax, warnings = _meta(data, size, where, looked)
    if syntax == DEFLATED:
        if len(data) < size:
            raise NeedMore
        data, start = _inflated(data, start, where, limits), 0
        size = len(data)
    explicit, big = _encoding(data, start, syntax)
    if not syntax:
        syntax = (EXPLICIT_BIG if big else EXPLICIT_LITTLE) if explicit else IMPLICIT_LITTLE
        warnings.append("its header names no transfer syntax; it was seen from the first element")
    elif explicit != (syntax != IMPLICIT_LITTLE):
        warnings.append("it is not written in the transfer syntax that its header names")
    scanner = Scanner(data, size, where, limits, big)
    dataset = scanner.run(start, explicit)
    warnings += scanner.warnings
    if syntax in (IMPLICIT_LITTLE, EXPLICIT_LITTLE) and not warnings and not scanner.fragments:
        remember(size, dataset, syntax, looked + scanner.looked, start, limits)
    return Scanned(dataset, syntax, size, scanner.fragments, warnings)


def _meta(
    data: bytes, size: int, where: str, looked: list[tuple[int, int]]
) -> tuple[int, str, list[str]]:
    """(where the data set begins, transfer syntax, warnings): group 2 is always explicit little
    endian, PS3.10 7.1. The places it looks at are added to `looked`."""
    warnings: list[str] = []
    at = 132 if data[128:132] == b"DICM" else 0
    if not at:
        warnings.append("no preamble: not a file as PS3.10 has it, read as a bare data set")
    syntax = ""
    looked.append((128, 4))
    while data[at : at + 2] == b"\x02\x00" and at + 12 <= len(data):
        key, vr, short, long = EXPLICIT(data, at)
        start, length = (at + 8, short) if vr in SHORT else (at + 12, long)
        if vr not in SHORT and vr not in LONG:
            start, length = at + 8, int.from_bytes(data[at + 4 : at + 8], "little")
        if start + length > size:
            raise FormatError(f"{where}: its file meta information is cut short; copy it again")
        if start + length > len(data):
            raise NeedMore
        looked.append((at, start - at))
        if key == key_of(0x00020010):
            looked.append((start, length))
            syntax = data[start : start + length].decode("latin-1").strip(" \0")
        at = start + length
    return at, syntax, warnings


def _inflated(data: bytes, start: int, where: str, limits: Limits) -> bytes:
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    most = min(limits.memory, limits.file_bytes)
    try:
        unpacked = machine.decompress(data[start:], most)
    except zlib.error as error:
        raise FormatError(f"{where}: its deflated data set is damaged ({error})") from None
    if machine.unconsumed_tail:
        raise LimitError(f"{where}: unpacks to more than {most} bytes; raise Limits if trusted")
    if not machine.eof:
        raise FormatError(f"{where}: its deflated data set is cut short; copy it again")
    return unpacked


def _encoding(data: bytes, start: int, syntax: str) -> tuple[bool, bool]:
    """(explicit, big endian), from the first element; the header's word breaks a tie."""
    vr = data[start + 4 : start + 6]
    group = data[start : start + 2]
    if len(group) < 2 or group == b"\0\0":
        return syntax != IMPLICIT_LITTLE, syntax == EXPLICIT_BIG
    # Groups are small numbers: 0008 first. In big endian the zero byte comes first.
    return vr in SHORT or vr in LONG, group[0] == 0 and group[1] != 0
