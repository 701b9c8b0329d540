"""The scanner: one loop over the data elements of a DICOM file, without recursion.

It checks every length against what encloses it, and counts elements and depth, before anything is
believed. It keeps where values lie, not the values. PS3.5 chapter 7 (data sets), PS3.10 chapter 7
(preamble and file meta information).
"""

from __future__ import annotations

import struct
import time
import zlib
from dataclasses import dataclass, field

from tomos.formats._limits import Limits
from tomos.formats.dicom.dataset import Dataset, Element
from tomos.formats.dicom.tags import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    PIXEL_DATA,
    SEQUENCES,
)
from tomos.types import FormatError, LimitError

LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
ITEM_BYTES = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
CHECK_CLOCK = 4096


@dataclass(slots=True)
class Scanned:
    """A file that was scanned: its data set, how it is written, and what was odd about it.

    fragments  (offset, length) of each item of an encapsulated Pixel Data, the offset table first
    """

    dataset: Dataset
    syntax: str
    fragments: list[tuple[int, int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Level:
    """A data set or a sequence that is open while its content is scanned."""

    elements: dict[int, Element]
    items: list[Dataset] | None
    end: int
    undefined: bool
    explicit: bool


def scan(data: bytes, where: str, limits: Limits) -> Scanned:
    """Scan a whole file, or its beginning up to the pixels (see `until_pixels` of `_Scanner`).

    Raises FormatError for what contradicts itself, LimitError for what is too deep or too long.
    """
    meta, start, warnings = _meta(data, where, limits)
    syntax = meta.text("TransferSyntaxUID") if meta else ""
    if syntax == DEFLATED:
        data, start = _inflated(data, start, where, limits), 0
    explicit, big = _encoding(data, start, syntax)
    if not syntax:
        syntax = (EXPLICIT_BIG if big else EXPLICIT_LITTLE) if explicit else IMPLICIT_LITTLE
        warnings.append("its header names no transfer syntax; it was seen from the first element")
    elif explicit != (syntax != IMPLICIT_LITTLE):
        warnings.append("it is not written in the transfer syntax that its header names")
    scanner = _Scanner(data, where, limits, big)
    elements = scanner.run(start, explicit)
    dataset = Dataset(data, big, elements)
    return Scanned(dataset, syntax, scanner.fragments, warnings + scanner.warnings)


def _meta(data: bytes, where: str, limits: Limits) -> tuple[Dataset | None, int, list[str]]:
    """The file meta information, group 2: always explicit little endian, PS3.10 7.1."""
    warnings: list[str] = []
    start = 132 if data[128:132] == b"DICM" else 0
    if not start:
        warnings.append("no preamble: not a file as PS3.10 has it, read as a bare data set")
    if data[start : start + 2] != b"\x02\x00":
        return None, start, warnings
    scanner = _Scanner(data, where, limits, big=False)
    scanner.group = 2
    elements = scanner.run(start, explicit=data[start + 4 : start + 6] in SHORT | LONG)
    return Dataset(data, False, elements), scanner.position, warnings


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
    explicit = data[start + 4 : start + 6] in SHORT | LONG
    group = data[start : start + 2]
    if len(group) < 2 or group == b"\0\0":
        return syntax != IMPLICIT_LITTLE, syntax == EXPLICIT_BIG
    # Groups are small numbers: 0008 first. In big endian the zero byte comes first.
    return explicit, group[0] == 0 and group[1] != 0


class _Scanner:
    """The loop. `group`: stop before the first element of another group (0: never)."""

    def __init__(self, data: bytes, where: str, limits: Limits, big: bool):
        self.data = data
        self.where = where
        self.limits = limits
        self.big = big
        self.group = 0
        self.position = 0
        self.fragments: list[tuple[int, int]] = []
        self.warnings: list[str] = []
        order = ">" if big else "<"
        self._tag_length = struct.Struct(order + "HHI").unpack_from
        self._tag_vr = struct.Struct(order + "HH2sH").unpack_from
        self._long = struct.Struct(order + "I").unpack_from
        self._stack: list[_Level] = []
        self._count = 0

    def run(self, start: int, explicit: bool) -> dict[int, Element]:
        """Scan from `start` to the end of the pixels or of the file; -> the outermost elements."""
        top = _Level({}, None, len(self.data), False, explicit)
        self._stack = [top]
        self.position = start
        clock = time.thread_time() + self.limits.seconds * 4
        while self._stack:
            level = self._stack[-1]
            if level.items is None:
                self._elements(level)
            else:
                self._item(level)
            if self._count >= CHECK_CLOCK:
                self._check_budget(clock)
        return top.elements

    def _check_budget(self, clock: float) -> None:
        if self._count > self.limits.elements:
            raise LimitError(f"{self.where}: more than {self.limits.elements} data elements")
        if time.thread_time() > clock:
            raise LimitError(f"{self.where}: its header takes too long to scan")

    def _elements(self, level: _Level) -> None:
        """Plain elements of one data set, until it ends or a sequence begins."""
        data, end, elements, explicit = self.data, level.end, level.elements, level.explicit
        tag_vr, tag_length, long_at = self._tag_vr, self._tag_length, self._long
        position, group_only = self.position, self.group
        count = 0
        while position + 8 <= end:
            if explicit:
                group, element, vr, length = tag_vr(data, position)
                tag = group << 16 | element
                if vr in SHORT:
                    value = position + 8
                elif vr in LONG and position + 12 <= end:
                    length = long_at(data, position + 8)[0]
                    value = position + 12
                else:
                    vr, length, value = self._odd_vr(position, tag, vr, end)
            else:
                group, element, length = tag_length(data, position)
                tag, vr, value = group << 16 | element, b"", position + 8
            if group_only and group != group_only:
                break
            count += 1
            if (
                length == UNDEFINED
                or vr == b"SQ"
                or group == 0xFFFE
                or (not vr and (tag in SEQUENCES or data[value : value + 4] in ITEM_BYTES))
            ):
                self._count += count
                self._special(level, tag, vr, value, length)
                return
            position = value + length
            if position > end:
                raise self._too_long(tag, length, end - value)
            elements[tag] = (vr, value, length, None)
            if tag == PIXEL_DATA and len(self._stack) == 1:
                break
            if count >= CHECK_CLOCK:
                self._count += count
                self.position = position
                return
        self._count += count + 1
        self._close(level, position, end)

    def _close(self, level: _Level, position: int, end: int) -> None:
        """End of a data set that no delimiter ends."""
        if level.undefined:
            if len(self._stack) > 1 and end != len(self.data):
                raise FormatError(f"{self.where}: an item runs past what encloses it")
            raise FormatError(
                f"{self.where}: cut short inside a sequence ({len(self._stack) - 1} deep); "
                "copy it again"
            )
        if len(self._stack) == 1:
            rest = self.data[position : position + 8]
            at_pixels = PIXEL_DATA in level.elements
            if len(rest) < 8 and rest.strip(b"\0") and not self.group and not at_pixels:
                raise FormatError(
                    f"{self.where}: {len(rest)} bytes too few for a data element at its end; "
                    "copy it again"
                )
        elif position != end:
            raise FormatError(
                f"{self.where}: an item's length leaves {end - position} bytes that are no element"
            )
        self.position = position
        self._stack.pop()

    def _special(self, level: _Level, tag: int, vr: bytes, value: int, length: int) -> None:
        """A delimiter, a sequence, or pixels in fragments."""
        if tag == ITEM_END:
            if not level.undefined:
                raise FormatError(f"{self.where}: an item ends where none of open length is open")
            self.position = value
            self._stack.pop()
            return
        if tag >> 16 == 0xFFFE:
            raise FormatError(
                f"{self.where}: a delimiter {_hex(tag)} where an element is expected; "
                "the file is damaged"
            )
        if length == UNDEFINED and vr not in (b"SQ", b"UN", b""):
            self._fragments(level, tag, vr, value)
            return
        if length == UNDEFINED and not vr and tag == PIXEL_DATA:
            self._fragments(level, tag, vr, value)
            return
        end = level.end if length == UNDEFINED else value + length
        if end > level.end:
            raise self._too_long(tag, length, level.end - value)
        # PS3.5 6.2.2: the content of UN of undefined length is implicit VR little endian.
        explicit = level.explicit and vr != b"UN"
        items: list[Dataset] = []
        level.elements[tag] = (b"SQ", value, 0 if length == UNDEFINED else length, items)
        self._push(_Level({}, items, end, length == UNDEFINED, explicit))
        self.position = value

    def _item(self, level: _Level) -> None:
        """The next item of an open sequence, or its end."""
        position = self.position
        self._count += 1
        if not level.undefined and position >= level.end:
            self.position = level.end
            self._stack.pop()
            return
        if position + 8 > level.end:
            raise FormatError(f"{self.where}: cut short inside a sequence; copy it again")
        group, element, length = self._tag_length(self.data, position)
        tag = group << 16 | element
        if tag == SEQUENCE_END:
            self.position = position + 8 if level.undefined else level.end
            self._stack.pop()
            return
        if tag != ITEM:
            raise FormatError(
                f"{self.where}: expected an item of a sequence at byte {position}, got {_hex(tag)}"
            )
        undefined = length == UNDEFINED
        end = level.end if undefined else position + 8 + length
        if end > level.end:
            raise self._too_long(tag, length, level.end - position - 8)
        elements: dict[int, Element] = {}
        assert level.items is not None
        level.items.append(Dataset(self.data, self.big, elements))
        self._push(_Level(elements, None, end, undefined, level.explicit))
        self.position = position + 8

    def _push(self, level: _Level) -> None:
        # A sequence and its item are two levels here, one in the sense of the Standard.
        if len(self._stack) > 2 * self.limits.depth:
            raise LimitError(
                f"{self.where}: sequences nested more than {self.limits.depth} deep; "
                "real files have fewer than ten levels, so it is refused"
            )
        self._stack.append(level)

    def _fragments(self, level: _Level, tag: int, vr: bytes, value: int) -> None:
        """Items of bytes up to a sequence delimiter, PS3.5 A.4."""
        found, position, end = [], value, level.end
        ended = False
        while position + 8 <= end:
            group, element, length = self._tag_length(self.data, position)
            item = group << 16 | element
            position += 8
            self._count += 1
            if item == SEQUENCE_END:
                ended = True
                break
            if item != ITEM:
                raise FormatError(f"{self.where}: compressed pixels hold {_hex(item)}, no item")
            if position + length > end:
                raise self._too_long(tag, length, end - position)
            found.append((position, length))
            position += length
            if self._count > self.limits.elements:
                raise LimitError(f"{self.where}: more than {self.limits.elements} items")
        if not ended:
            self.warnings.append("its compressed pixels have no end mark")
        level.elements[tag] = (vr or b"OB", value, UNDEFINED, None)
        self.position = position
        if tag == PIXEL_DATA and len(self._stack) == 1:
            self.fragments = found
            self._stack.pop()

    def _odd_vr(self, position: int, tag: int, vr: bytes, end: int) -> tuple[bytes, int, int]:
        """(vr, length, where its value is) of an element whose VR is none of the Standard's."""
        if tag >> 16 == 0xFFFE:
            return b"", self._long(self.data, position + 4)[0], position + 8
        if vr.isalpha() and vr.isupper():
            self.warnings.append(f"{_hex(tag)} has the unknown value representation {vr.decode()}")
            # PS3.5 6.2 note: later value representations have the long form.
            if self.data[position + 6 : position + 8] == b"\0\0" and position + 12 <= end:
                return b"UN", self._long(self.data, position + 8)[0], position + 12
            return b"UN", self._tag_vr(self.data, position)[3], position + 8
        self.warnings.append(f"{_hex(tag)} is written without its value representation")
        return b"", self._long(self.data, position + 4)[0], position + 8

    def _too_long(self, tag: int, length: int, there: int) -> FormatError:
        return FormatError(
            f"{self.where}: {_hex(tag)} declares {length} bytes, {max(there, 0)} are there; "
            "the file is cut short or damaged, copy it again"
        )


def _hex(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
