"""Arrays of numpy: `.npz` containers (`x.npz#train/12` is row 12 of `train_images`) and `.npy`.

Open containers are kept (a few, by path and time of change), since a data set asks for one row
after another. Members stored without compression are mapped, not read. Nothing is unpickled.
"""

from __future__ import annotations

import struct
import threading
import zipfile
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from tomos.formats._limits import Limits
from tomos.types import FormatError, Image, LimitError, Origin

SUFFIXES = (".npz", ".npy")
OPEN_FILES = 8
HELD_BYTES = 2**31
NPY = b"\x93NUMPY"
_ERRORS = (ValueError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError,
           NotImplementedError, RuntimeError, IndexError, OSError, SyntaxError)  # fmt: skip


@dataclass
class _Container:
    """One npz: where its members lie, and those already taken out."""

    names: dict[str, zipfile.ZipInfo]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_open: OrderedDict[tuple, _Container] = OrderedDict()
_open_lock = threading.Lock()


def sniff(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", NPY))


def read(path: Path, member: str, limits: Limits) -> Image:
    """One row as (C, Y, X) or (C, Z, Y, X); frame "pixel".

    A row (Y, X) is grey, (Y, X, C) with C = 3 or 4 colour, (Z, Y, X) a volume, (Z, Y, X, C) a
    volume in colour.
    """
    with path.open("rb") as file:
        plain = file.read(6) == NPY
    if plain:
        array = _load(path, None, path.name, limits)
        row = _row(array, member, str(path)) if member else array
    else:
        name, _, index = _split(path, member, limits)
        array = _array(path, name, limits)
        row = _row(array, index, f"{path}#{name}") if index else array
    pixels = _channels_first(row, f"{path}#{member}" if member else str(path))
    highest = {1: 255.0, 2: 65535.0}.get(pixels.itemsize) if pixels.dtype.kind == "u" else None
    return Image(
        pixels,
        value_range=(0.0, highest) if highest else None,
        origin=Origin(
            path=f"{path}#{member}" if member else str(path), format="npy" if plain else "npz"
        ),
    )


def members(path: Path, limits: Limits) -> list[str]:
    """`x.npz#train/0` ... for every row of every array of images."""
    with path.open("rb") as file:
        if file.read(6) == NPY:
            return [str(path)]
    found = []
    for name in _container(path, limits).names:
        array = _array(path, name, limits)
        if array.ndim < 3 or array.dtype.kind not in "uifb" or name.endswith("labels"):
            continue
        short = name.removesuffix("_images")
        found += [f"{path}#{short}/{row}" for row in range(len(array))]
    return found


def array(path: Path, name: str, limits: Limits) -> np.ndarray:
    """The whole array `name` of a container, read-only: labels, tables. FormatError if absent."""
    return _array(path, name, limits)


def names(path: Path, limits: Limits) -> list[str]:
    """The names of the arrays in a container."""
    return list(_container(path, limits).names)


def _split(path: Path, member: str, limits: Limits) -> tuple[str, str, str]:
    """ "train/12" -> ("train_images", "/", "12"); a name alone is the array itself."""
    known = _container(path, limits).names
    if not member and len(known) == 1:
        return next(iter(known)), "", ""
    name, slash, index = member.partition("/")
    for candidate in (f"{name}_images", name):
        if name and candidate in known:
            return candidate, slash, index
    raise FormatError(
        f"{path}#{member}: expected NAME/ROW, as in {path}#train/0; arrays in it: "
        f"{', '.join(sorted(known)) or 'none'}"
    )


def _row(array: np.ndarray, index: str, where: str) -> np.ndarray:
    if not index.isdecimal() or array.ndim == 0 or int(index) >= len(array):
        count = len(array) if array.ndim else 0
        raise FormatError(f"{where}/{index}: expected a row from 0 to {count - 1}")
    return array[int(index)]


def _channels_first(row: np.ndarray, where: str) -> np.ndarray:
    if row.dtype.kind not in "uifb":
        raise FormatError(f"{where}: expected numbers, got {row.dtype}")
    row = row.astype(np.uint8) if row.dtype.kind == "b" else np.asarray(row)
    if row.size == 0:
        raise FormatError(f"{where}: expected at least one pixel, got shape {row.shape}")
    if row.ndim == 2 or (row.ndim == 3 and row.shape[-1] not in (3, 4)):
        return row[None]
    if row.ndim in (3, 4) and row.shape[-1] in (1, 3, 4):
        return np.moveaxis(row, -1, 0)
    raise FormatError(
        f"{where}: expected a picture (Y, X), (Y, X, C) or a volume (Z, Y, X), got shape "
        f"{row.shape}; address one row as NAME/ROW"
    )


def _array(path: Path, name: str, limits: Limits) -> np.ndarray:
    box = _container(path, limits)
    ready = box.arrays.get(name)
    if ready is not None:
        return ready
    with box.lock:
        if name not in box.arrays:
            if name not in box.names:
                raise FormatError(f"{path}: no array {name!r}; there are: {', '.join(box.names)}")
            box.arrays[name] = _load(path, box.names[name], f"{path}#{name}", limits)
            _trim()
        return box.arrays[name]


def _trim() -> None:
    """Let go of the containers used longest ago while more than HELD_BYTES are unpacked."""
    with _open_lock:
        held = [
            sum(a.nbytes for a in list(box.arrays.values()) if not isinstance(a, np.memmap))
            for box in _open.values()
        ]
        while len(_open) > 1 and sum(held) > HELD_BYTES:
            _open.popitem(last=False)
            held.pop(0)


def _container(path: Path, limits: Limits) -> _Container:
    facts = path.stat()
    key = (str(path), facts.st_mtime_ns, facts.st_size)
    with _open_lock:
        if key in _open:
            _open.move_to_end(key)
            return _open[key]
    box = _Container(_directory(path, limits))
    with _open_lock:
        _open[key] = box
        while len(_open) > OPEN_FILES:
            _open.popitem(last=False)
        return _open[key]


def _directory(path: Path, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    """The arrays of a zip; members that overlap, or are larger than allowed, are refused."""
    limits.check_file(path.stat().st_size, str(path))
    try:
        with zipfile.ZipFile(path) as file:
            entries = file.infolist()
    except _ERRORS as error:
        raise FormatError(f"{path}: not a whole npz container ({error}); copy it again") from None
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise FormatError(f"{path}: {entry.filename} overlaps another member; hostile file")
        end = entry.header_offset + entry.compress_size
    arrays = {e.filename[:-4]: e for e in entries if e.filename.endswith(".npy")}
    if not arrays:
        raise FormatError(f"{path}: a zip without numpy arrays; unpack it and name the folder")
    return arrays


def _load(path: Path, entry: zipfile.ZipInfo | None, where: str, limits: Limits) -> np.ndarray:
    try:
        if entry is None:
            with path.open("rb") as file:
                return _map(path, file, limits, where)
        if entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 1:
            with path.open("rb") as file:
                file.seek(entry.header_offset)
                local = file.read(30)
                name_length, extra_length = struct.unpack("<HH", local[26:30])
                file.seek(entry.header_offset + 30 + name_length + extra_length)
                return _map(path, file, limits, where)
        with zipfile.ZipFile(path) as box, box.open(entry) as stream:
            return _unpack(stream, limits, where)
    except (FormatError, MemoryError):
        raise
    except _ERRORS as error:
        raise FormatError(f"{where}: not a whole array ({error}); copy it again") from None


def _header(file: IO[bytes], limits: Limits, where: str) -> tuple[tuple, bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read: Any = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise FormatError(f"{where}: numpy format {version} is not known here")
    shape, fortran, dtype = read(file, max_header_size=10_000)
    if dtype.hasobject:
        raise FormatError(f"{where}: holds Python objects; they are never unpickled")
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size > limits.file_bytes * 4:
        raise LimitError(f"{where}: declares {size} bytes; raise Limits.file_bytes if trusted")
    return shape, fortran, dtype


def _map(path: Path, file: IO[bytes], limits: Limits, where: str) -> np.ndarray:
    shape, fortran, dtype = _header(file, limits, where)
    start = file.tell()
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if start + needed > path.stat().st_size:
        raise FormatError(f"{where}: cut short, {needed} bytes expected; copy it again")
    if needed == 0:
        return np.empty(shape, dtype)
    order: Any = "F" if fortran else "C"
    return np.memmap(path, dtype, "r", start, shape, order)


def _unpack(stream: IO[bytes], limits: Limits, where: str) -> np.ndarray:
    shape, fortran, dtype = _header(stream, limits, where)
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if needed > limits.memory:
        raise LimitError(
            f"{where}: {needed} bytes when unpacked, at most {limits.memory} are held; save it "
            "with numpy.savez (not compressed), which is read row by row, or raise Limits.memory"
        )
    parts, left = [], needed
    while left > 0:
        part = stream.read(min(left, 2**24))
        if not part:
            raise FormatError(f"{where}: cut short, {left} of {needed} bytes are missing")
        parts.append(part)
        left -= len(part)
    flat = np.frombuffer(b"".join(parts), dtype)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
