"""Stored values out of Pixel Data that is not compressed, PS3.5 chapter 8."""

from __future__ import annotations

import numpy as np

from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.layout import Layout
from tomos.types import FormatError


def native(dataset: Dataset, layout: Layout, frame: int | None, where: str) -> np.ndarray:
    """(F, Y, X, S) stored values, one frame or all; a view on the file's bytes where possible.

    Raises FormatError when fewer bytes are there than the header declares.
    """
    vr, start, length, _ = dataset.elements[layout.element]
    there = length if length != 0xFFFFFFFF else 0
    needed = -(-layout.frames * layout.frame_bits // 8)
    if there < needed:
        raise FormatError(
            f"{where}: cut short, {layout.frames} x {layout.rows} x {layout.columns} pixels need "
            f"{needed} bytes, {there} are there; copy it again"
        )
    first, count = (0, layout.frames) if frame is None else (frame, 1)
    if layout.allocated == 1:
        values = _bits(dataset.data, start, layout, first, count)
    else:
        values = _numbers(dataset, layout, vr, start, first, count)
    if layout.photometric == "YBR_FULL_422":
        return _full_chrominance(values, layout, count)
    if layout.planar == 1 and layout.samples > 1:
        planes = values.reshape(count, layout.samples, layout.rows, layout.columns)
        return np.moveaxis(planes, 1, -1)
    return values.reshape(count, layout.rows, layout.columns, layout.samples)


def _numbers(
    dataset: Dataset, layout: Layout, vr: bytes, start: int, first: int, count: int
) -> np.ndarray:
    size = layout.dtype.itemsize
    values = layout.frame_bits // 8 // size
    offset = first * values * size
    if dataset.big and vr != b"OB" and size in (1, 4):
        return _from_words(dataset.data, start, offset, values * count, layout.dtype)
    order = layout.dtype.newbyteorder(">" if dataset.big else "<")
    return np.frombuffer(dataset.data, order, values * count, start + offset)


def _from_words(data: bytes, start: int, offset: int, count: int, dtype: np.dtype) -> np.ndarray:
    """Values of 8 or 32 bit in big endian OW: the bytes of 16-bit words are swapped, whatever the
    words hold, low word first (PS3.5 6.2 and 8.1.1; DCMTK and GDCM agree)."""
    first = offset // 2 * 2
    words = (offset - first + count * dtype.itemsize + 1) // 2
    there = min(words, (len(data) - start - first) // 2)
    swapped = np.frombuffer(data, ">u2", there, start + first).astype("<u2").view(np.uint8)
    needed = swapped[offset - first :][: count * dtype.itemsize]
    return np.ascontiguousarray(needed).view(dtype.newbyteorder("<"))


def _bits(data: bytes, start: int, layout: Layout, first: int, count: int) -> np.ndarray:
    """Single bits, the first pixel in the lowest bit, frames not padded: PS3.5 8.1.1."""
    bits = layout.frame_bits
    begin = first * bits
    raw = np.frombuffer(data, np.uint8, -(-(begin + count * bits) // 8) - begin // 8,
                        start + begin // 8)  # fmt: skip
    return np.unpackbits(raw, bitorder="little")[begin % 8 : begin % 8 + count * bits]


def _full_chrominance(values: np.ndarray, layout: Layout, count: int) -> np.ndarray:
    """Y1 Y2 Cb Cr for two pixels -> Y Cb Cr for each, PS3.3 C.7.6.3.1.2."""
    if layout.columns % 2:
        raise FormatError(f"YBR_FULL_422 needs an even number of columns, got {layout.columns}")
    pairs = values.reshape(count, layout.rows, layout.columns // 2, 4)
    full = np.empty((count, layout.rows, layout.columns, 3), values.dtype)
    full[..., 0] = pairs[..., :2].reshape(count, layout.rows, layout.columns)
    full[..., 1] = np.repeat(pairs[..., 2], 2, axis=-1)
    full[..., 2] = np.repeat(pairs[..., 3], 2, axis=-1)
    return full


def significant(values: np.ndarray, layout: Layout) -> np.ndarray:
    """Stored values without the bits outside Bits Stored (overlays may lie there), sign carried."""
    if layout.is_float or layout.allocated == 1:
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if layout.stored == layout.allocated:
        return values
    kind = values.dtype.type
    below = layout.high_bit + 1 - layout.stored
    if layout.signed:
        above = layout.allocated - 1 - layout.high_bit
        return (values << kind(above)) >> kind(above + below)
    shifted = values >> kind(below) if below else values
    return shifted & kind(2**layout.stored - 1)
