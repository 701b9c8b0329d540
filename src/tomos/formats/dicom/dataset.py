"""Values out of scanned elements, by the Standard's keywords. Nothing is read until asked for."""

from __future__ import annotations

import struct
from typing import Literal

from tomos.formats.dicom.tags import ATTRIBUTES, KEYS

LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
UNDEFINED = 0xFFFFFFFF
BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
TEXT_BYTES = 4096
_SHORT = struct.Struct("<H").unpack_from
CHARACTER_SETS = {
    "": "latin-1",
    "ISO_IR 6": "ascii",
    "ISO_IR 100": "latin-1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 166": "tis_620",
    "ISO_IR 203": "iso8859_15",
    "ISO_IR 13": "shift_jis",
    "ISO_IR 192": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}


class Dataset:
    """Where elements lie, and the bytes in which they do.

    elements   key (see `tags.key_of`) -> offset of the element
    sequences  key -> its items
    odd        key -> (vr, length, start) of the few that are not written as the Standard has it
    found      key -> (vr, start, length) of what was asked for; data sets written alike share it
    """

    __slots__ = ("big", "data", "elements", "explicit", "found", "odd", "sequences")

    def __init__(self, data: bytes, big: bool, explicit: bool):
        self.data = data
        self.big = big
        self.explicit = explicit
        self.elements: dict[int, int] = {}
        self.sequences: dict[int, list[Dataset]] = {}
        self.odd: dict[int, tuple[bytes, int, int]] = {}
        self.found: dict[int, tuple[bytes, int, int]] = {}

    def __contains__(self, keyword: str) -> bool:
        return KEYS[keyword] in self.elements or KEYS[keyword] in self.sequences

    def locate(self, key: int) -> tuple[bytes, int, int] | None:
        """(vr, start, length) of a value; None when absent. The VR is empty where not written."""
        place = self.found.get(key)
        if place is None and key in self.elements:
            place = self.found[key] = self._find(key, self.elements[key])
        return place

    def _find(self, key: int, at: int) -> tuple[bytes, int, int]:
        if key in self.odd:
            vr, length, start = self.odd[key]
            return vr, start, length
        order: Literal["big", "little"] = "big" if self.big else "little"
        if not self.explicit:
            return b"", at + 8, int.from_bytes(self.data[at + 4 : at + 8], order)
        vr = self.data[at + 4 : at + 6]
        if vr in SHORT:
            return vr, at + 8, int.from_bytes(self.data[at + 6 : at + 8], order)
        return vr, at + 12, int.from_bytes(self.data[at + 8 : at + 12], order)

    def raw(self, keyword: str) -> bytes:
        """The value's bytes as they lie; empty when absent."""
        found = self.locate(KEYS[keyword])
        return b"" if found is None else self.data[found[1] : found[1] + found[2]]

    def text(self, keyword: str, encoding: str = "latin-1") -> str:
        """The value as text without padding; "" when absent."""
        return self.raw(keyword)[:TEXT_BYTES].decode(encoding, "replace").strip(" \0\r\n\t")

    def texts(self, keyword: str) -> list[str]:
        """The values of a multi-valued text, without padding."""
        value = self.text(keyword)
        return [part.strip() for part in value.split("\\")] if value else []

    def numbers(self, keyword: str) -> list[float]:
        """The values as numbers; empty when absent or not numbers (DS, IS are text)."""
        found = self.locate(KEYS[keyword])
        if found is None:
            return []
        written, start, length = found
        raw = self.data[start : start + length]
        kind = self._kind(keyword, written)
        if kind not in BINARY:
            return _decimals(raw)
        count = len(raw) // struct.calcsize("<" + BINARY[kind])
        return list(struct.unpack_from(f"{'>' if self.big else '<'}{count}{BINARY[kind]}", raw))

    def number(self, keyword: str, default: float | None = None) -> float | None:
        """The first value as a number, else `default`."""
        values = self.numbers(keyword)
        return values[0] if values else default

    def integer(self, keyword: str, default: int = 0) -> int:
        """The first value as a whole number, else `default`."""
        value = self.number(keyword)
        return default if value is None or value != value or abs(value) > 2**53 else int(value)

    def short(self, keyword: str, default: int = 0) -> int:
        """`integer` for US, which nearly every image has ten of; quick where it is written plainly.

        In little endian its value begins 8 bytes after the element, explicit or implicit.
        """
        at = self.elements.get(KEYS[keyword])
        if at is None:
            return default
        if not self.big and not self.odd:
            if self.explicit and self.data[at + 4 : at + 8] == b"US\x02\0":
                return _SHORT(self.data, at + 8)[0]
            if not self.explicit and self.data[at + 4 : at + 8] == b"\x02\0\0\0":
                return _SHORT(self.data, at + 8)[0]
        return self.integer(keyword, default)

    def items(self, keyword: str) -> list[Dataset]:
        """The items of a sequence; empty when absent."""
        return self.sequences.get(KEYS[keyword], [])

    def first(self, keyword: str) -> Dataset | None:
        """The first item of a sequence, None when there is none."""
        items = self.items(keyword)
        return items[0] if items else None

    def person_text(self, keyword: str) -> str:
        """Text in the file's own character set, PS3.3 C.12.1.1.2."""
        raw = self.raw(keyword)[:TEXT_BYTES]
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii").strip(" \0\r\n\t")
        return _in_character_set(raw, tuple(self.texts("SpecificCharacterSet")))

    def _kind(self, keyword: str, written: bytes) -> str:
        vr = written.decode("latin-1")
        if vr in BINARY or vr in ("DS", "IS"):
            return vr
        kind = ATTRIBUTES[keyword][1]
        if kind == "XS":
            return "SS" if self.integer("PixelRepresentation") == 1 else "US"
        return kind


def _decimals(raw: bytes) -> list[float]:
    """The numbers of a decimal string, up to the first that is none."""
    values: list[float] = []
    try:
        for part in raw[: 1 << 20].split(b"\\"):
            values.append(float(part.strip(b" \0")))
    except ValueError:
        pass
    return values


def _in_character_set(raw: bytes, names: tuple[str, ...]) -> str:
    """Single-byte sets and UTF-8 here; code extensions (ISO 2022) by pydicom's tables."""
    single = names[0] if len(names) == 1 else ""
    if len(names) <= 1 and single in CHARACTER_SETS:
        text = raw.decode(CHARACTER_SETS[single], "replace")
    else:
        from pydicom.charset import convert_encodings, decode_bytes

        try:
            text = decode_bytes(raw, convert_encodings(list(names)), {0x5E, 0x3D, 0x5C})
        except (LookupError, UnicodeError, ValueError, TypeError, AttributeError):
            text = raw.decode("latin-1")
    return text.strip(" \0\r\n\t")
