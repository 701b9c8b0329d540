"""NRRD, `.nrrd` and `.nhdr`: Gordon Kindlmann's definition of the format, version 5."""

from __future__ import annotations

import bz2
import zlib
from pathlib import Path

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats._stream import inflate, sibling, take
from tomos.types import FormatError, GeometryError, Image, Origin
from tomos.types.image import Frame

SUFFIXES = (".nrrd", ".nhdr")
HEADER = 2**16
TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
TO_RAS = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
}
COLOURS = ("rgb-color", "rgba-color", "vector", "3-vector", "list", "3-color", "4-color")


def sniff(head: bytes) -> bool:
    return head.startswith(b"NRRD000")


def read(path: Path, member: str, limits: Limits) -> Image:
    """(C, Z, Y, X), or (C, Y, X) for two axes; frame "patient" where a space is named.

    Raises FormatError for what is damaged, GeometryError for time or a list of volumes without
    a choice (`file.nrrd#0`).
    """
    fields, start = _header(path)
    dtype = _dtype(fields, path)
    sizes = _numbers(fields, "sizes", path)
    axis = _channel_axis(fields, len(sizes))
    spatial = [length for k, length in enumerate(sizes) if k != axis]
    if not 2 <= len(spatial) <= 3 or axis not in (None, 0, len(sizes) - 1):
        raise GeometryError(
            f"{path}: expected 2 or 3 axes in space and one of channels, the header declares "
            f"sizes {sizes} of kinds {fields.get('kinds', 'unknown')}"
        )
    channels = sizes[axis] if axis is not None else 1
    limits.check_shape([channels, *spatial], dtype.itemsize, str(path))
    raw = _data(path, fields, start, int(np.prod(sizes, dtype=object)) * dtype.itemsize)
    # The first axis runs fastest; reversed, it is the last of an array in C order.
    array = np.frombuffer(raw, dtype).reshape(sizes[::-1]).astype(dtype.newbyteorder("="))
    pixels, member = _choose(array, axis, len(sizes), member, path)
    affine, frame = _affine(fields, len(spatial), axis, path)
    where = f"{path}#{member}" if member else str(path)
    return Image(pixels, affine, frame=frame, origin=Origin(path=where, format="nrrd"))


def _choose(
    array: np.ndarray, axis: int | None, count: int, member: str, path: Path
) -> tuple[np.ndarray, str]:
    pixels = array[None] if axis is None else np.moveaxis(array, count - 1 - axis, 0)
    if not member:
        return pixels, member
    if not member.isdecimal() or int(member) >= len(pixels):
        raise FormatError(f"{path}#{member}: expected a channel from 0 to {len(pixels) - 1}")
    return pixels[int(member) : int(member) + 1], member


def _header(path: Path) -> tuple[dict[str, str], int]:
    with path.open("rb") as file:
        head = file.read(HEADER)
    end, step = head.find(b"\n\n"), 2
    windows = head.find(b"\r\n\r\n")
    if windows >= 0 and (end < 0 or windows < end):
        end, step = windows, 4
    if end < 0:
        if len(head) == HEADER or path.suffix != ".nhdr":
            raise FormatError(f"{path}: its NRRD header does not end; the file is damaged")
        end = len(head)
    fields = {}
    for line in head[:end].decode("latin-1").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#") and not value.startswith("="):
            fields[name.strip().lower()] = value.strip()
    return fields, end + step


def _dtype(fields: dict[str, str], path: Path) -> np.dtype:
    name = fields.get("type", "").lower()
    code = next((code for code, names in TYPES.items() if name in names), None)
    if code is None:
        raise FormatError(f"{path}: NRRD type {name!r} is not known")
    big = fields.get("endian", "little").lower() == "big"
    return np.dtype((">" if big else "<") + code)


def _numbers(fields: dict[str, str], name: str, path: Path) -> list[int]:
    try:
        values = [int(word) for word in fields.get(name, "").split()]
    except ValueError:
        values = []
    if not values or len(values) > 4 or any(not 0 < value < 2**40 for value in values):
        raise FormatError(f"{path}: expected 1 to 4 {name} above 0, got {fields.get(name, '')!r}")
    return values


def _channel_axis(fields: dict[str, str], count: int) -> int | None:
    kinds = fields.get("kinds", "").lower().split()
    if len(kinds) == count:
        found = [k for k, kind in enumerate(kinds) if kind in COLOURS]
        return found[0] if found else None
    directions = _vectors(fields.get("space directions", ""))
    empty = [k for k, vector in enumerate(directions) if vector is None]
    return empty[0] if len(directions) == count and len(empty) == 1 else None


def _data(path: Path, fields: dict[str, str], start: int, needed: int) -> bytes:
    data = path
    detached = fields.get("data file") or fields.get("datafile")
    if detached:
        data, start = sibling(path, detached), 0
    if fields.get("line skip", "0") != "0" or fields.get("byte skip", "0") not in ("0", "-1"):
        raise FormatError(f"{path}: NRRD with line skip or byte skip is not read; save it anew")
    encoding = fields.get("encoding", "raw").lower()
    if encoding == "raw":
        if fields.get("byte skip") == "-1":
            start = max(data.stat().st_size - needed, 0)
        return take(data, start, needed)
    if encoding in ("gzip", "gz"):
        return inflate(data, start, 0, needed, zlib.MAX_WBITS | 32)
    if encoding in ("bzip2", "bz2"):
        return _bzip2(data, start, needed)
    raise FormatError(f"{path}: NRRD encoding {encoding!r} is not read; save it as gzip or raw")


def _bzip2(path: Path, start: int, needed: int) -> bytes:
    machine, out = bz2.BZ2Decompressor(), bytearray()
    with path.open("rb") as file:
        file.seek(start)
        try:
            while len(out) < needed and not machine.eof:
                packed = file.read(2**20) if machine.needs_input else b""
                if machine.needs_input and not packed:
                    break
                out += machine.decompress(packed, needed - len(out))
        except OSError as error:
            raise FormatError(f"{path}: its compression is damaged ({error})") from None
    if len(out) < needed:
        raise FormatError(f"{path}: cut short, {len(out)} of {needed} bytes; copy it again")
    return bytes(out)


def _vectors(text: str) -> list[list[float] | None]:
    """ "(1,0,0) none (0,1,0)" -> vectors, None where an axis has no direction."""
    found: list[list[float] | None] = []
    for word in text.replace(" ,", ",").replace(", ", ",").split():
        try:
            found.append([float(part) for part in word.strip("()").split(",")])
        except ValueError:
            found.append(None)
    return found


def _affine(
    fields: dict[str, str], axes: int, channel: int | None, path: Path
) -> tuple[np.ndarray, Frame]:
    """Columns in array order: the last spatial axis of the file comes first."""
    vectors = [v for k, v in enumerate(_vectors(fields.get("space directions", ""))) if v]
    origin = _vectors(fields.get("space origin", "").replace(" ", "")) or [None]
    signs = TO_RAS.get(fields.get("space", "").lower())
    affine = np.eye(4)
    if len(vectors) == axes and all(len(v) == 3 for v in vectors):
        for k, vector in enumerate(vectors):
            affine[:3, 2 - k] = np.multiply(vector, signs or (1, 1, 1))
        if origin[0] and len(origin[0]) == 3:
            affine[:3, 3] = np.multiply(origin[0], signs or (1, 1, 1))
        if axes == 2:
            affine[:3, 0] = np.cross(affine[:3, 1], affine[:3, 2])
        if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise GeometryError(f"{path}: its space directions span no volume")
        return affine, "patient" if signs else "detector"
    try:
        steps = [float(word) for word in fields.get("spacings", "").split()]
    except ValueError:
        steps = []
    if channel is not None and len(steps) == axes + 1:
        steps.pop(channel)
    if len(steps) == axes and all(0 < step < 1e6 for step in steps):
        for k, step in enumerate(steps):
            affine[2 - k, 2 - k] = step
        return affine, "detector"
    return affine, "pixel"
