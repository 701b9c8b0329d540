"""A zip file as narrow as Tomos needs it, written byte for byte the same, read without trust.

Python's zipfile accepts overlapping members (12 KB that unfold to 500 MB), names that climb out of
a folder, and sizes that lie. This reader takes only what an ordinary archiver writes for a small
set of names: members side by side without gap or overlap, local and central headers that agree,
stored or deflated, no encryption, no links, no zip64, sizes bounded before and while inflating.

Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.16.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from tomos.types import PackageError

NAMES = re.compile(
    r"manifest\.json|signature\.json|graphs/[0-9]{1,2}\.onnx|envelope/[a-z0-9_]{1,40}\.npy"
    r"|card\.md|licence\.txt|metrics\.json|plan\.toml"
)
MEBI = 1 << 20
LARGEST_GRAPH = (1 << 31) - 1  # protobuf's own limit
LARGEST_OTHER = 64 * MEBI
LARGEST_TOTAL = 1 << 32
MOST_MEMBERS = 128
STEEPEST = 100  # inflated bytes a stored byte may become; our own JSON stays below 12

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_UTF8 = 1 << 11
_DATE = (0, (0 << 9) | (1 << 5) | 1)  # 1980-01-01 00:00, so that equal content is equal bytes


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def pack(members: Mapping[str, bytes]) -> bytes:
    """The zip file of `members`, in the order given; the same members give the same bytes.

    Text is deflated, weights and arrays are stored (they hardly shrink, and start faster).
    """
    parts: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for name, content in members.items():
        if not NAMES.fullmatch(name):
            raise PackageError(f"{name}: not a member that a model file may hold")
        if len(content) > _largest(name):
            raise PackageError(f"{name}: {len(content)} bytes, at most {_largest(name)} fit")
        stored = name.endswith((".onnx", ".npy"))
        data = content if stored else _deflate(content)
        method, crc, raw = 0 if stored else 8, zlib.crc32(content), name.encode()
        shared = (20, 0, method, *_DATE, crc, len(data), len(content), len(raw), 0)
        header = _LOCAL.pack(b"PK\x03\x04", *shared) + raw
        # Made by 3 = Unix; a plain file of mode 0644 (APPNOTE 4.4.2.2, 4.4.15).
        attributes = (0, 0, 0, 0o100644 << 16, offset)
        directory.append(_CENTRAL.pack(b"PK\x01\x02", 3 << 8 | 20, *shared, *attributes) + raw)
        parts += [header, data]
        offset += len(header) + len(data)
    if offset > LARGEST_TOTAL - 1:
        raise PackageError(f"the model file would hold {offset} bytes, at most 4 GiB fit")
    central = b"".join(directory)
    end = _END.pack(b"PK\x05\x06", 0, 0, len(members), len(members), len(central), offset, 0)
    return b"".join([*parts, central, end])


def unpack(data: bytes | memoryview, where: str) -> dict[str, bytes]:
    """The members of a zip file; PackageError for anything but a plain, whole one.

    Whether a graph is the one that was packed, its SHA-256 must tell.
    """
    view = memoryview(data)
    try:
        entries, start = _directory(view, where)
        _side_by_side(view, entries, start, where)
        return {entry.name: _content(view, entry, where) for entry in entries}
    except (struct.error, UnicodeDecodeError) as error:
        raise PackageError(f"{where}: damaged or not a model file ({error})") from None


def _deflate(content: bytes) -> bytes:
    engine = zlib.compressobj(6, zlib.DEFLATED, -15)
    return engine.compress(content) + engine.flush()


def _largest(name: str) -> int:
    return LARGEST_GRAPH if name.endswith(".onnx") else LARGEST_OTHER


def _directory(view: memoryview, where: str) -> tuple[list[_Entry], int]:
    """The central directory's entries in file order, and where the directory starts."""
    if len(view) < _END.size or bytes(view[:4]) != b"PK\x03\x04":
        raise PackageError(f"{where}: expected a model.tomos (a zip file), got something else")
    mark, disk, disk2, here, total, length, start, comment = _END.unpack(view[-_END.size :])
    if mark != b"PK\x05\x06" or disk or disk2 or comment or here != total:
        raise PackageError(f"{where}: the end of the file is missing or was changed; copy it again")
    if total > MOST_MEMBERS or start + length != len(view) - _END.size:
        raise PackageError(f"{where}: its table of contents is damaged ({total} members)")
    entries, at = [], start
    for _ in range(total):
        fields = _CENTRAL.unpack(view[at : at + _CENTRAL.size])
        name_length, extra, remark = fields[10:13]
        at += _CENTRAL.size
        name = bytes(view[at : at + name_length]).decode("utf-8")
        entries.append(_checked(name, fields, where))
        at += name_length + extra + remark
    if at != start + length:
        raise PackageError(f"{where}: its table of contents is damaged")
    if len({entry.name for entry in entries}) != len(entries):
        raise PackageError(f"{where}: a member is listed twice")
    if sum(entry.size for entry in entries) > LARGEST_TOTAL:
        raise PackageError(f"{where}: declares more than 4 GiB of content")
    return entries, start


def _checked(name: str, fields: tuple, where: str) -> _Entry:
    mark, made_by, _, flags, method, _, _, crc, packed, size, *_ = fields
    attributes, offset = fields[15], fields[16]
    if mark != b"PK\x01\x02":
        raise PackageError(f"{where}: its table of contents is damaged")
    if not NAMES.fullmatch(name):
        raise PackageError(
            f"{where}: holds a member named {name[:80]!r}, which no model file has; "
            "do not use it unless you know who made it"
        )
    kind = attributes >> 16 & 0o170000 if made_by >> 8 == 3 else 0
    if flags & ~_UTF8 or method not in (0, 8) or kind not in (0, 0o100000):
        raise PackageError(f"{where}: {name} is encrypted, streamed, a link or packed unusually")
    if size > _largest(name) or (method == 8 and size > STEEPEST * packed + 1024):
        raise PackageError(f"{where}: {name} declares {size} bytes from {packed}; refused")
    if method == 0 and size != packed:
        raise PackageError(f"{where}: {name} is stored but declares {size} bytes from {packed}")
    return _Entry(name, method, crc, packed, size, offset)


def _side_by_side(view: memoryview, entries: list[_Entry], start: int, where: str) -> None:
    """Members must fill the file from 0 to the directory, each beginning where the last ended."""
    expected = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset != expected:
            what = "overlap" if entry.offset < expected else "leave a gap"
            raise PackageError(f"{where}: members {what} at {entry.name}; refused")
        expected = _data_start(view, entry, where) + entry.packed
    if expected != start:
        raise PackageError(f"{where}: members and table of contents overlap or leave a gap")


def _data_start(view: memoryview, entry: _Entry, where: str) -> int:
    """Where the member's bytes begin; its own header must say what the directory says."""
    end = entry.offset + _LOCAL.size
    mark, _, flags, method, _, _, crc, packed, size, name_length, extra = _LOCAL.unpack(
        view[entry.offset : end]
    )
    same = (method, crc, packed, size) == (entry.method, entry.crc, entry.packed, entry.size)
    name = bytes(view[end : end + name_length]).decode("utf-8", "replace")
    if mark != b"PK\x03\x04" or not same or name != entry.name or flags & ~_UTF8:
        raise PackageError(f"{where}: {entry.name}'s own header contradicts the table of contents")
    return end + name_length + extra


def _content(view: memoryview, entry: _Entry, where: str) -> bytes:
    start = _data_start(view, entry, where)
    packed = view[start : start + entry.packed]
    if entry.method == 0:
        content = bytes(packed)
    else:
        engine = zlib.decompressobj(-15)
        try:
            # One byte of slack tells a member that unfolds to more than it declares.
            content = engine.decompress(packed, entry.size + 1)
        except zlib.error as error:
            raise PackageError(f"{where}: {entry.name} is damaged ({error})") from None
        if len(content) != entry.size or not engine.eof or engine.unused_data:
            raise PackageError(f"{where}: {entry.name} does not unfold to its {entry.size} bytes")
    # Graphs are large, and the manifest's SHA-256 says more than a CRC would.
    weak = not entry.name.endswith(".onnx") and zlib.crc32(content) != entry.crc
    if len(content) != entry.size or weak:
        raise PackageError(f"{where}: {entry.name} is damaged (checksum); copy the file again")
    return content
