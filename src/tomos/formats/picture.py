"""PNG, JPEG, TIFF, BMP and GIF, decoded by Pillow; sizes are checked before anything is decoded.

Bits and colours are kept: 16-bit colour too, which Pillow alone would cut to 8. A palette becomes
its colours (one channel where they are all grey); transparent pixels are laid on black, and it is
said; an EXIF orientation is carried out. Pages of a TIFF are addressed `file.tif#2`; a whole TIFF
whose pages are alike is a stack.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tomos.formats._limits import Limits
from tomos.types import FormatError, Image, LimitError, Origin

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif")
KINDS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")
MARKS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"BM",
    b"GIF87a",
    b"GIF89a",
)
ORIENTATION = 0x0112
BOMB_PIXELS = 2**24
BOMB_RATIO = 1100  # pixels a byte: beyond what deflate can pack (1032)
MOST_PAGES = 4096

# PNG and TIFF colour of 16 bit: which unpackers give the high and the low bytes of every sample.
SPLIT = {
    "RGB;16B": ("RGB;16B", "RGB;16L"),
    "RGB;16L": ("RGB;16L", "RGB;16B"),
    "RGB;16N": ("RGB;16L", "RGB;16B"),
    "RGBA;16B": ("RGBA;16B", "RGBA;16L"),
    "RGBA;16L": ("RGBA;16L", "RGBA;16B"),
    "RGBA;16N": ("RGBA;16L", "RGBA;16B"),
}


def sniff(head: bytes) -> bool:
    if head[128:132] == b"DICM":
        return False  # a DICOM file whose preamble makes it a TIFF as well, PS3.10 7.1
    if head.startswith(b"BM"):
        # Two letters are little to go by: BMP also has zero in its two reserved fields.
        return len(head) >= 26 and head[6:10] == b"\0\0\0\0"
    return head.startswith(MARKS)


def read(path: Path, member: str, limits: Limits) -> Image:
    """Pixels (C, Y, X), or (C, Z, Y, X) for a TIFF of equal pages; frame "pixel"."""
    try:
        with _open(path) as picture:
            return _read(picture, path, member, limits)
    except (FormatError, MemoryError, FileNotFoundError):
        raise
    # Pillow's readers let many kinds of error through on damaged files; all mean the same here.
    except Exception as error:
        if type(error).__name__ == "DecompressionBombError":
            raise LimitError(f"{path}: {error}") from None
        raise FormatError(
            f"{path}: not a whole picture ({type(error).__name__}: {error}); copy it again"
        ) from None


def members(path: Path, limits: Limits) -> list[str]:
    """One address a page of a TIFF or frame of a GIF; else the file itself."""
    try:
        with _open(path) as picture:
            count = _count(picture) if picture.format in ("TIFF", "GIF") else 1
    except Exception as error:
        raise FormatError(f"{path}: not a whole picture ({error}); copy it again") from None
    return [f"{path}#{index}" for index in range(count)] if count > 1 else [str(path)]


def _open(path: Path) -> Any:
    return _pillow().open(path, formats=KINDS)


@cache
def _pillow() -> Any:
    """Pillow's Image module. What it warns of is checked, and refused or said, here."""
    import PIL.Image

    warnings.filterwarnings("ignore", module=r"PIL\.")
    return PIL.Image


def _read(picture: Any, path: Path, member: str, limits: Limits) -> Image:
    kind = picture.format
    notes: list[str] = []
    if member:
        _turn_to(picture, path, member)
        pixels = _page(picture, path, limits, notes)
    elif kind == "TIFF" and getattr(picture, "is_animated", False):
        pixels = _stack(picture, path, limits, notes)
    else:
        if kind == "GIF" and picture.is_animated:
            notes.append("an animation: this is its first frame; address the others as #1, #2, ...")
        pixels = _page(picture, path, limits, notes)
    bits = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}.get(pixels.dtype)
    return Image(
        pixels,
        value_range=(0.0, bits) if bits else None,
        origin=Origin(path=f"{path}#{member}" if member else str(path), format=kind.lower()),
        warnings=tuple(dict.fromkeys(notes)),
    )


def _turn_to(picture: Any, path: Path, member: str) -> None:
    if not member.isdecimal() or int(member) >= MOST_PAGES:
        raise FormatError(f"{path}#{member}: expected a page number after '#', as in {path}#0")
    try:
        picture.seek(int(member))
    except EOFError:
        raise FormatError(
            f"{path}#{member}: there is no such page; the first is #0, the last "
            f"#{_count(picture) - 1}"
        ) from None


def _count(picture: Any) -> int:
    count = 1
    while count < MOST_PAGES:
        try:
            picture.seek(count)
        except EOFError:
            break
        count += 1
    return count


def _stack(picture: Any, path: Path, limits: Limits, notes: list[str]) -> np.ndarray:
    """Pages of equal size and kind -> (C, Z, Y, X); unequal ones are refused."""
    pages: list[np.ndarray] = []
    while len(pages) < MOST_PAGES:
        pages.append(_page(picture, path, limits, notes))
        first = pages[0]
        if pages[-1].shape != first.shape or pages[-1].dtype != first.dtype:
            raise FormatError(
                f"{path}: page {len(pages) - 1} is {pages[-1].shape} {pages[-1].dtype}, page 0 is "
                f"{first.shape} {first.dtype}; address one page as {path}#0"
            )
        limits.check_shape((len(pages), *first.shape), first.itemsize, str(path))
        try:
            picture.seek(len(pages))
        except EOFError:
            break
    notes.append(f"{len(pages)} pages stacked along Z; their distance is not known")
    return np.stack(pages, axis=1)


def _page(picture: Any, path: Path, limits: Limits, notes: list[str]) -> np.ndarray:
    """The page at which `picture` stands -> (C, Y, X)."""
    width, height = picture.size
    limits.check_shape((4, height, width), 1, str(path))
    if width * height > BOMB_PIXELS and width * height > BOMB_RATIO * path.stat().st_size:
        size = path.stat().st_size
        raise LimitError(
            f"{path}: {width} x {height} pixels in a file of {size} bytes is more than any "
            "compression gives; the file is damaged or hostile"
        )
    deep = _sixteen_bit_colour(picture, path)
    array = _settle(picture, notes) if deep is None else _lay_on_black(deep, notes)
    pixels = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    return _upright(picture, pixels, notes)


def _settle(picture: Any, notes: list[str]) -> np.ndarray:
    """Any mode of Pillow -> (Y, X) or (Y, X, C), grey or RGB."""
    mode = picture.mode
    if mode == "P" or mode == "PA":
        return _from_palette(picture, notes)
    if mode == "1":
        return np.asarray(picture.convert("L"))
    if mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        notes.append(f"converted from {mode} to RGB")
        return np.asarray(picture.convert("RGB"))
    if mode in ("L", "RGB") and "transparency" in picture.info:
        return _lay_on_black(np.asarray(picture.convert("RGBA" if mode == "RGB" else "LA")), notes)
    array = np.asarray(picture)
    if mode in ("LA", "RGBA", "La", "RGBa"):
        return _lay_on_black(array, notes)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _from_palette(picture: Any, notes: list[str]) -> np.ndarray:
    clear = picture.mode == "PA" or "transparency" in picture.info
    colours = np.asarray(picture.convert("RGBA" if clear else "RGB"))
    array = _lay_on_black(colours, notes) if clear else colours
    if np.array_equal(array[..., 0], array[..., 1]) and np.array_equal(
        array[..., 1], array[..., 2]
    ):
        return array[..., 0]
    return array


def _lay_on_black(array: np.ndarray, notes: list[str]) -> np.ndarray:
    """Colour with a last channel of opacity -> colour alone; opaque pixels are unchanged."""
    if array.ndim == 2 or array.shape[-1] == 3:
        return array
    opacity = array[..., -1:]
    colour = array[..., :-1]
    full = np.iinfo(array.dtype).max
    if (opacity != full).any():
        notes.append("transparent pixels were laid on black")
        product = colour.astype(np.uint32) * opacity
        colour = ((product + full // 2) // full).astype(array.dtype)
    return colour[..., 0] if colour.shape[-1] == 1 else colour


def _sixteen_bit_colour(picture: Any, path: Path) -> np.ndarray | None:
    """(Y, X, C) uint16 for colour of 16 bit a sample, else None.

    Pillow has no such mode and keeps the high bytes. Decoding twice, the second time with the
    unpacker of the other byte order, gives the low bytes too.
    """
    raw = _raw_mode(picture)
    if raw == "LA;16B":  # grey with opacity: its four bytes are read as they lie
        _set_raw_mode(picture, "RGBA")
        high_low = np.asarray(picture).astype(np.uint16)
        return high_low[..., 0::2] << 8 | high_low[..., 1::2]
    if raw not in SPLIT:
        return None
    page = picture.tell()
    high = low = None
    for index, mode in enumerate(SPLIT[raw]):
        with _open(path) as again:
            again.seek(page)
            _set_raw_mode(again, mode)
            values = np.asarray(again).astype(np.uint16)
        high, low = (values, low) if index == 0 else (high, values)
    assert high is not None and low is not None
    return high << 8 | low


def _raw_mode(picture: Any) -> str:
    tiles = getattr(picture, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _set_raw_mode(picture: Any, mode: str) -> None:
    tiles = []
    for name, box, offset, arguments in picture.tile:
        changed = (mode, *arguments[1:]) if isinstance(arguments, tuple) else mode
        tiles.append((name, box, offset, changed))
    picture.tile = [type(old)(*new) for old, new in zip(picture.tile, tiles, strict=True)]


def _upright(picture: Any, pixels: np.ndarray, notes: list[str]) -> np.ndarray:
    """Carry out EXIF Orientation (CIPA DC-008, tag 0x0112): the value says where row 0 is seen."""
    if "exif" not in picture.info and picture.format != "TIFF":
        return pixels
    turn = picture.getexif().get(ORIENTATION, 1)
    if turn not in range(2, 9):
        return pixels
    notes.append(f"turned upright as EXIF orientation {turn} says")
    if turn >= 5:
        pixels = np.swapaxes(pixels, -1, -2)
    if turn in (3, 4, 7, 8):
        pixels = pixels[..., ::-1, :]
    if turn in (2, 3, 6, 7):
        pixels = pixels[..., ::-1]
    return pixels
