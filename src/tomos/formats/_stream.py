"""Raw or compressed pixel bytes from a file, exactly as many as the header declares.

Deflate is unpacked by ISA-L, two to three times as quick as zlib, piece by piece into the array
that is kept. Unpacking stops at what is needed: a bomb costs no more than the declared size.
"""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tomos.types import FormatError

GZIP = b"\x1f\x8b"
PACKED = 2**16  # bytes given at a time: what they unpack to is copied while it is in the cache
UNPACKED = 2**20  # and taken, at most


def take(path: Path, start: int, needed: int, gzipped: bool = False) -> bytes:
    """`needed` bytes of the content, from `start`; of what a gzip file unpacks to, if `gzipped`.

    Raises FormatError when fewer bytes are there.
    """
    return take_array(path, start, needed, gzipped).tobytes()


def take_array(path: Path, start: int, needed: int, gzipped: bool = False) -> np.ndarray:
    """`take` as (needed,) uint8 that may be written to."""
    if gzipped:
        return _inflated(path, 0, start, needed, zlib.MAX_WBITS | 32)
    out = np.empty(needed, np.uint8)
    with path.open("rb") as file:
        file.seek(start)
        found = file.readinto(out.data)
    if found < needed:
        raise _short(path, found, needed)
    return out


def inflate(path: Path, offset: int, skip: int, needed: int, bits: int) -> bytes:
    """`needed` unpacked bytes after the first `skip`, from the deflate stream at `offset`."""
    return _inflated(path, offset, skip, needed, bits).tobytes()


def sibling(header: Path, name: str) -> Path:
    """The data file that a header names: beside it, never elsewhere (the name is from outside)."""
    data = header.parent / name
    if Path(name).name != name or not data.is_file():
        raise FormatError(f"{header}: its pixels, {name!r}, are not a file beside it; bring both")
    return data


def _inflated(path: Path, offset: int, skip: int, needed: int, bits: int) -> np.ndarray:
    engine = _engine()
    out = np.empty(needed, np.uint8)
    try:
        with path.open("rb") as file:
            file.seek(offset)
            _unpack(file, out, skip, bits, path)
    except (zlib.error, engine.error) as error:
        raise FormatError(f"{path}: its compression is damaged ({error}); copy it again") from None
    return out


def _unpack(file: BinaryIO, out: np.ndarray, skip: int, bits: int, path: Path) -> None:
    """Into `out`. Where the stream ends with it, its checksum is compared too."""
    engine, view, at = _engine(), out.data, -skip
    machine = engine.decompressobj(bits)
    while at < len(out):
        packed = machine.unconsumed_tail or machine.unused_data or file.read(PACKED)
        if machine.eof:  # gzip members may follow one another, RFC 1952 2.2
            machine = engine.decompressobj(bits)
        # Without more to give, there may still be something to come.
        piece = machine.decompress(packed, min(UNPACKED, len(out) - at))
        if not packed and not piece:
            raise _short(path, at, len(out))
        if at + len(piece) > 0:
            view[max(at, 0) : at + len(piece)] = piece[max(-at, 0) :]
        at += len(piece)
    _finish(machine, file, path, len(out))


def _finish(machine: Any, file: BinaryIO, path: Path, needed: int) -> None:
    """One byte more is asked for: where there is none, the stream ends and checks itself."""
    while not machine.eof:
        packed = machine.unconsumed_tail or file.read(PACKED)
        if machine.decompress(packed, 1):
            return
        if not packed and not machine.eof:
            raise FormatError(
                f"{path}: cut short behind its {needed} bytes of pixels, so that its checksum is "
                "missing; copy it again"
            )


@cache
def _engine() -> Any:
    """ISA-L; zlib, which has the same face, where it is not installed."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


def _short(path: Path, found: int, needed: int) -> FormatError:
    return FormatError(
        f"{path}: cut short, the header declares {needed} bytes of pixels, {max(found, 0)} are "
        "there; copy it again"
    )
