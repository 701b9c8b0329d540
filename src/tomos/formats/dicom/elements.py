"""The loop over data elements: an explicit stack instead of recursion, PS3.5 chapter 7.

Two stretches, one for implicit and one for explicit little endian, run over plain elements as fast
as Python can; whatever is not plain (sequences, items, delimiters, odd writing, big endian, the
last element) goes through `_one`. Every length is checked against what encloses it.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

from tomos.formats._limits import Limits
from tomos.formats.dicom.dataset import LONG, SHORT, UNDEFINED, Dataset
from tomos.formats.dicom.tags import PIXEL_DATA, PIXEL_KEYS, SEQUENCES, key_of
from tomos.types import FormatError, LimitError

ITEM, ITEM_END, SEQUENCE_END = key_of(0xFFFEE000), key_of(0xFFFEE00D), key_of(0xFFFEE0DD)
DELIMITER_GROUP = 0xFFFE
STOPS = frozenset({ITEM, ITEM_END, SEQUENCE_END, PIXEL_DATA} | SEQUENCES)
EXPLICIT_STOPS = frozenset({ITEM, ITEM_END, SEQUENCE_END, PIXEL_DATA})
STRETCH = 2**20  # bytes scanned between two looks at the clock
LITTLE = tuple(struct.Struct("<" + kind).unpack_from for kind in ("HH", "H", "I"))
BIG = tuple(struct.Struct(">" + kind).unpack_from for kind in ("HH", "H", "I"))
WORDS = struct.Struct("<III").unpack_from
EXPLICIT = struct.Struct("<I2sHI").unpack_from


class NeedMore(Exception):
    """The beginning of the file that was given ends before its header does."""


@dataclass(slots=True)
class _Level:
    """A data set (`dataset`) or a sequence (`items`) that is open while its content is scanned."""

    dataset: Dataset | None
    items: list[Dataset] | None
    end: int
    undefined: bool
    explicit: bool


class Scanner:
    """The loop and its stack of open data sets and sequences."""

    def __init__(self, data: bytes, size: int, where: str, limits: Limits, big: bool):
        self.data = data
        self.size = size
        self.where = where
        self.limits = limits
        self.big = big
        self.at = 0
        self.fragments: list[tuple[int, int]] = []
        self.looked: list[tuple[int, int]] = []  # (offset, length) of what is no plain element
        self.warnings: list[str] = []
        self._tag, self._short, self._long = BIG if big else LITTLE
        self._stack: list[_Level] = []
        self._count = 0
        self._clock = 0.0

    def run(self, start: int, explicit: bool) -> Dataset:
        """Scan from `start` to the pixels or the end of the file; -> the outermost data set."""
        top = Dataset(self.data, self.big, explicit)
        self._stack = [_Level(top, None, self.size, False, explicit)]
        self.at = start
        self._clock = time.thread_time() + 4 * self.limits.seconds
        while self._stack:
            level = self._stack[-1]
            if level.dataset is None:
                self._item(level)
            else:
                self._elements(level, level.dataset)
        return top

    def _spend(self, count: int) -> None:
        self._count += count
        if self._count > self.limits.elements:
            raise LimitError(f"{self.where}: more than {self.limits.elements} data elements")
        if time.thread_time() > self._clock:
            raise LimitError(f"{self.where}: its header takes too long to scan")

    def _elements(self, level: _Level, dataset: Dataset) -> None:
        """Elements of one data set, until it ends or something other than a plain value comes."""
        before = len(dataset.elements)
        stop = min(level.end, len(self.data)) - 12
        if not self.big:
            last = min(stop, self.at + STRETCH)
            if level.explicit:
                self._explicit_stretch(dataset, last)
            else:
                self._implicit_stretch(dataset, last)
        self._spend(len(dataset.elements) - before + 1)
        if self.at > level.end:
            raise self._overrun(dataset, level.end)
        if self.at > stop or self.big or not self._plain_ahead(level, dataset):
            self._one(level, dataset)

    def _implicit_stretch(self, dataset: Dataset, last: int) -> None:
        data, elements, at = self.data, dataset.elements, self.at
        while at <= last:
            key, length, peek = WORDS(data, at)
            if length == UNDEFINED or key in STOPS or peek == ITEM:
                break
            elements[key] = at
            at += 8 + length
        self.at = at

    def _explicit_stretch(self, dataset: Dataset, last: int) -> None:
        data, elements, at = self.data, dataset.elements, self.at
        while at <= last:
            key, vr, short, long = EXPLICIT(data, at)
            if key in EXPLICIT_STOPS:
                break
            if vr in SHORT:
                elements[key] = at
                at += 8 + short
            elif vr in LONG and long != UNDEFINED and vr != b"SQ":
                elements[key] = at
                at += 12 + long
            else:
                break
        self.at = at

    def _plain_ahead(self, level: _Level, dataset: Dataset) -> bool:
        """Whether the stretch ended only because it was long."""
        if level.explicit:
            key, vr, _, long = EXPLICIT(self.data, self.at)
            plain = vr in SHORT or (vr in LONG and vr != b"SQ" and long != UNDEFINED)
            return plain and key not in EXPLICIT_STOPS
        key, length, peek = WORDS(self.data, self.at)
        return not (length == UNDEFINED or key in STOPS or peek == ITEM)

    def _one(self, level: _Level, dataset: Dataset) -> None:
        """One element of any kind, or the end of the data set."""
        at = self.at
        if at + 8 > level.end:
            self._close(level, dataset)
            return
        self._have(at + 12 if at + 12 <= level.end else at + 8)
        group, element = self._tag(self.data, at)
        key = element << 16 | group
        self.looked.append((at, 8))
        if group == DELIMITER_GROUP:
            self._delimiter(level, key)
            return
        vr, length, start = self._head(level, dataset, key, at)
        pixels = key in PIXEL_KEYS and len(self._stack) == 1
        nested = length == UNDEFINED or vr == b"SQ"
        if not vr and not pixels and not nested:
            nested = key in SEQUENCES or self._begins_with_item(start, length)
        if nested and not (pixels or (length == UNDEFINED and vr not in (b"SQ", b"UN", b""))):
            self.looked.append((at, start - at))
            self._sequence(level, dataset, key, vr, start, length)
            return
        dataset.elements[key] = at
        if length == UNDEFINED:
            self._fragments(level, key, start)
        elif start + length > level.end:
            raise self._too_long(key, length, level.end - start)
        else:
            self.at = start + length
        if pixels:
            self._stack.pop()

    def _head(self, level: _Level, dataset: Dataset, key: int, at: int) -> tuple[bytes, int, int]:
        """(vr, length, where its value is) of the element at `at`."""
        if not level.explicit:
            return b"", self._long(self.data, at + 4)[0], at + 8
        vr = self.data[at + 4 : at + 6]
        if vr in SHORT:
            return vr, self._short(self.data, at + 6)[0], at + 8
        if vr in LONG:
            if at + 12 > level.end:
                raise self._too_long(key, 4, level.end - at - 8)
            return vr, self._long(self.data, at + 8)[0], at + 12
        found = self._odd(level, key, vr, at)
        dataset.odd[key] = found
        return found

    def _odd(self, level: _Level, key: int, vr: bytes, at: int) -> tuple[bytes, int, int]:
        """An element whose value representation is none of the Standard's."""
        if vr.isalpha() and vr.isupper():
            self.warnings.append(f"{_hex(key)} has the unknown value representation {vr.decode()}")
            # PS3.5 6.2, note: later value representations have the long form.
            if self.data[at + 6 : at + 8] == b"\0\0" and at + 12 <= level.end:
                return b"UN", self._long(self.data, at + 8)[0], at + 12
            return b"UN", self._short(self.data, at + 6)[0], at + 8
        self.warnings.append(f"{_hex(key)} is written without its value representation")
        return b"", self._long(self.data, at + 4)[0], at + 8

    def _begins_with_item(self, start: int, length: int) -> bool:
        if length < 8 or start + 4 > len(self.data):
            return False
        group, element = self._tag(self.data, start)
        return element << 16 | group == ITEM

    def _close(self, level: _Level, dataset: Dataset) -> None:
        """End of a data set that no delimiter ends."""
        if level.undefined:
            raise FormatError(
                f"{self.where}: cut short inside a sequence ({len(self._stack) // 2} deep), or an "
                "item runs past what encloses it; copy it again"
            )
        left = level.end - self.at
        if len(self._stack) == 1:
            self._have(level.end)
            if self.data[self.at : level.end].strip(b"\0"):
                raise FormatError(
                    f"{self.where}: {left} bytes at its end are no data element; copy it again"
                )
        elif left:
            raise FormatError(
                f"{self.where}: an item's length leaves {left} bytes that are no data element"
            )
        self._stack.pop()

    def _delimiter(self, level: _Level, key: int) -> None:
        if key != ITEM_END or not level.undefined:
            raise FormatError(
                f"{self.where}: a delimiter {_hex(key)} at byte {self.at} where a data element is "
                "expected; the file is damaged"
            )
        self.at += 8
        self._stack.pop()

    def _sequence(
        self, level: _Level, dataset: Dataset, key: int, vr: bytes, start: int, length: int
    ) -> None:
        undefined = length == UNDEFINED
        end = level.end if undefined else start + length
        if end > level.end:
            raise self._too_long(key, length, level.end - start)
        items: list[Dataset] = []
        dataset.sequences[key] = items
        # PS3.5 6.2.2: the content of UN of undefined length is implicit VR little endian.
        explicit = level.explicit and vr != b"UN"
        self._push(_Level(None, items, end, undefined, explicit))
        self.at = start

    def _item(self, level: _Level) -> None:
        """The next item of an open sequence, or its end."""
        at = self.at
        self._spend(1)
        if not level.undefined and at >= level.end:
            self._stack.pop()
            return
        if at + 8 > level.end:
            raise FormatError(f"{self.where}: cut short inside a sequence; copy it again")
        self._have(at + 8)
        self.looked.append((at, 8))
        group, element = self._tag(self.data, at)
        key, length = element << 16 | group, self._long(self.data, at + 4)[0]
        if key == SEQUENCE_END:
            self.at = at + 8 if level.undefined else level.end
            self._stack.pop()
            return
        if key != ITEM:
            raise FormatError(
                f"{self.where}: expected an item of a sequence at byte {at}, got {_hex(key)}"
            )
        undefined = length == UNDEFINED
        end = level.end if undefined else at + 8 + length
        if end > level.end:
            raise self._too_long(key, length, level.end - at - 8)
        dataset = Dataset(self.data, self.big, level.explicit)
        assert level.items is not None
        level.items.append(dataset)
        self._push(_Level(dataset, None, end, undefined, level.explicit))
        self.at = at + 8

    def _push(self, level: _Level) -> None:
        # A sequence and its item are two levels here, one in the sense of the Standard.
        if len(self._stack) > 2 * self.limits.depth:
            raise LimitError(
                f"{self.where}: sequences nested more than {self.limits.depth} deep; "
                "real files have fewer than ten levels, so it is refused"
            )
        self._stack.append(level)

    def _fragments(self, level: _Level, key: int, start: int) -> None:
        """Items of bytes up to a sequence delimiter, PS3.5 A.4."""
        self._have(self.size)
        found, at, end, ended = [], start, level.end, False
        while at + 8 <= end and not ended:
            group, element = self._tag(self.data, at)
            item, length = element << 16 | group, self._long(self.data, at + 4)[0]
            self.looked.append((at, 8))
            at += 8
            if item == SEQUENCE_END:
                ended = True
                continue
            if item != ITEM:
                raise FormatError(f"{self.where}: compressed pixels hold {_hex(item)}, no item")
            if at + length > end:
                raise self._too_long(key, length, end - at)
            found.append((at, length))
            at += length
            self._spend(1)
        if not ended:
            self.warnings.append("its compressed pixels have no end mark")
        self.at = at
        if key == PIXEL_DATA and len(self._stack) == 1:
            self.fragments = found

    def _have(self, end: int) -> None:
        if end > len(self.data):
            raise NeedMore

    def _overrun(self, dataset: Dataset, end: int) -> FormatError:
        key, at = max(dataset.elements.items(), key=lambda found: found[1])
        located = dataset.locate(key)
        length = located[2] if located else 0
        return self._too_long(key, length, end - at - 8)

    def _too_long(self, key: int, length: int, there: int) -> FormatError:
        return FormatError(
            f"{self.where}: {_hex(key)} declares {length} bytes, {max(there, 0)} are there; "
            "the file is cut short or damaged, copy it again"
        )


def _hex(key: int) -> str:
    return f"({key & 0xFFFF:04X},{key >> 16:04X})"
