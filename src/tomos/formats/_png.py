"""Writing PNG, W3C PNG (Third Edition): 8 and 16 bit, grey or colour, with zlib alone."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from tomos.types import FormatError, Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
UP = 2


def png_bytes(array: np.ndarray, level: int = 6) -> bytes:
    """A PNG file of (Y, X), (C, Y, X) or (Y, X, C) pixels; uint8, uint16 or bool; 1 to 4 channels.

    A shape that could be both is taken as (C, Y, X). Lossless; bool becomes 0 and 255.
    Raises FormatError for another shape or type: scale the values first (`write_png` does).
    """
    rows = _channels_last(np.asarray(array))
    if rows.dtype == np.bool_:
        rows = rows.astype(np.uint8) * 255
    if rows.dtype not in (np.uint8, np.uint16):
        raise FormatError(f"PNG holds uint8 or uint16, got {rows.dtype}; scale the values first")
    height, width, channels = rows.shape
    samples = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder(">"))
    lines = samples.view(np.uint8).reshape(height, -1)
    # Filter "up" on every line: neighbours in medical pictures are alike, and it is one subtraction
    filtered = np.empty((height, lines.shape[1] + 1), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = lines[0]
    np.subtract(lines[1:], lines[:-1], out=filtered[1:, 1:])
    depth = 8 * rows.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPE[channels], 0, 0, 0)
    return b"".join(
        [
            SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(filtered.tobytes(), level)),
            _chunk(b"IEND", b""),
        ]
    )


def write_png(image: Image, path: str | Path) -> None:
    """Write a two-dimensional image as PNG, atomically.

    uint8 and uint16 are kept as they are; other types are shown through the image's window, else
    from their lowest to their highest value, in 8 bit. Raises FormatError for a volume.
    """
    if image.is_volume:
        raise FormatError(
            f"{path}: expected a picture (C, Y, X), got a volume {image.pixels.shape}; "
            "choose a slice"
        )
    pixels = image.pixels
    if pixels.dtype not in (np.uint8, np.uint16, np.bool_):
        pixels = _shown(image)
    from tomos.config import atomic_write  # pydantic comes with it: late

    atomic_write(Path(path), png_bytes(pixels))


def _shown(image: Image) -> np.ndarray:
    values = image.pixels.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    if image.window is not None:
        low = image.window.centre - image.window.width / 2
        high = image.window.centre + image.window.width / 2
    scaled = np.nan_to_num((values - low) / max(high - low, 1e-12), nan=0.0)
    return np.round(np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def _channels_last(array: np.ndarray) -> np.ndarray:
    if array.ndim == 2:
        return array[:, :, None]
    if array.ndim == 3 and array.size and array.shape[0] in COLOUR_TYPE:
        return np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.size and array.shape[2] in COLOUR_TYPE:
        return array
    raise FormatError(f"PNG holds (Y, X) or 1 to 4 channels (C, Y, X), got shape {array.shape}")


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
