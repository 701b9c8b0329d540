"""Raw or compressed pixel bytes from a file, exactly as many as the header declares."""

from __future__ import annotations

import zlib
from pathlib import Path

from tomos.types import FormatError

GZIP = b"\x1f\x8b"
CHUNK = 2**22


def take(path: Path, start: int, needed: int, gzipped: bool = False) -> bytes:
    """`needed` bytes of the content, from `start`; of what a gzip file unpacks to, if `gzipped`.

    Unpacking stops at what is needed, so that a bomb costs no more than the declared size.
    Raises FormatError when fewer bytes are there.
    """
    if not gzipped:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(needed)
        if len(content) < needed:
            raise _short(path, len(content), needed)
        return content
    return inflate(path, 0, start, needed, zlib.MAX_WBITS | 32)


def inflate(path: Path, offset: int, skip: int, needed: int, bits: int) -> bytes:
    """`needed` unpacked bytes after the first `skip`, from the deflate stream at `offset`."""
    out = bytearray()
    machine = zlib.decompressobj(bits)
    try:
        with path.open("rb") as file:
            file.seek(offset)
            packed = b""
            while len(out) < skip + needed:
                packed = machine.unconsumed_tail or machine.unused_data or file.read(CHUNK)
                if not packed:
                    raise _short(path, len(out) - skip, needed)
                if machine.eof:  # gzip members may follow one another, RFC 1952 2.2
                    machine = zlib.decompressobj(bits)
                out += machine.decompress(packed, min(CHUNK * 4, skip + needed - len(out)))
    except zlib.error as error:
        raise FormatError(f"{path}: its compression is damaged ({error}); copy it again") from None
    return bytes(out[skip : skip + needed])


def sibling(header: Path, name: str) -> Path:
    """The data file that a header names: beside it, never elsewhere (the name is from outside)."""
    data = header.parent / name
    if Path(name).name != name or not data.is_file():
        raise FormatError(f"{header}: its pixels, {name!r}, are not a file beside it; bring both")
    return data


def _short(path: Path, found: int, needed: int) -> FormatError:
    return FormatError(
        f"{path}: cut short, the header declares {needed} bytes of pixels, {max(found, 0)} are "
        "there; copy it again"
    )
