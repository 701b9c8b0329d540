"""Stored values out of Pixel Data that is not compressed, PS3.5 chapter 8."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomos.formats.dicom.dataset import UNDEFINED, Dataset
from tomos.formats.dicom.layout import Layout
from tomos.types import FormatError


def place(dataset: Dataset, layout: Layout, where: str) -> tuple[bytes, int]:
    """(vr, offset) of the stored values.

    Raises FormatError when fewer bytes are there than the header declares.
    """
    located = dataset.locate(layout.element)
    assert located is not None
    vr, start, length = located
    there = 0 if length == UNDEFINED else length
    needed = -(-layout.frames * layout.frame_bits // 8)
    if there < needed:
        raise FormatError(
            f"{where}: cut short, {layout.frames} x {layout.rows} x {layout.columns} pixels need "
            f"{needed} bytes, {there} are there; copy it again"
        )
    return vr, start


def native(
    dataset: Dataset, layout: Layout, frame: int | None, path: Path | None, where: str
) -> np.ndarray:
    """(F, Y, X, S) stored values, one frame or all.

    They come from the file at `path`, or, where that is None, from the data set's own bytes.
    """
    vr, start = place(dataset, layout, where)
    first, count = (0, layout.frames) if frame is None else (frame, 1)
    bits = layout.frame_bits
    begin, end = first * bits, (first + count) * bits
    # Bytes are taken by whole words of 16 bit, since big endian swaps them.
    low, high = begin // 16 * 2, -(-end // 16) * 2
    raw = _take(dataset, path, start, low, high - low, -(-end // 8) - low, where)
    if layout.allocated == 1:
        # The first pixel is in the lowest bit, and frames are not padded: PS3.5 8.1.1.
        bit = np.unpackbits(raw, bitorder="little")
        values = bit[begin - 8 * low :][: end - begin]
    else:
        raw = _ordered(raw, dataset.big, vr, layout.dtype)
        values = raw[begin // 8 - low : end // 8 - low].view(layout.dtype.newbyteorder("<"))
    if layout.photometric == "YBR_FULL_422":
        return _full_chrominance(values, layout, count, where)
    if layout.planar == 1 and layout.samples > 1:
        planes = values.reshape(count, layout.samples, layout.rows, layout.columns)
        return np.moveaxis(planes, 1, -1)
    return values.reshape(count, layout.rows, layout.columns, layout.samples)


def _take(
    dataset: Dataset,
    path: Path | None,
    start: int,
    offset: int,
    count: int,
    needed: int,
    where: str,
) -> np.ndarray:
    """Up to `count` bytes, at least `needed`."""
    if path is None:
        raw = np.frombuffer(dataset.data[start + offset : start + offset + count], np.uint8)
    else:
        raw = np.fromfile(path, np.uint8, count, offset=start + offset)
    if raw.size < needed:
        raise FormatError(f"{where}: became shorter while it was read")
    return raw


def _ordered(raw: np.ndarray, big: bool, vr: bytes, dtype: np.dtype) -> np.ndarray:
    """Bytes in little endian order."""
    size = dtype.itemsize
    if not big or (size == 1 and vr == b"OB"):
        return raw
    # OW is swapped within words of 16 bit, whatever the words hold, low word first: PS3.5 6.2 and
    # 8.1.1; DCMTK and GDCM agree.
    word = 2 if size <= 4 else size
    whole = len(raw) // word * word
    swapped = raw[:whole].reshape(-1, word)[:, ::-1].reshape(-1)
    return np.concatenate([swapped, raw[whole:]])


def _full_chrominance(values: np.ndarray, layout: Layout, count: int, where: str) -> np.ndarray:
    """Y1 Y2 Cb Cr for two pixels -> Y Cb Cr for each, PS3.3 C.7.6.3.1.2."""
    if layout.columns % 2:
        raise FormatError(f"{where}: YBR_FULL_422 needs even columns, got {layout.columns}")
    pairs = values.reshape(count, layout.rows, layout.columns // 2, 4)
    full = np.empty((count, layout.rows, layout.columns, 3), values.dtype)
    full[..., 0] = pairs[..., :2].reshape(count, layout.rows, layout.columns)
    full[..., 1] = np.repeat(pairs[..., 2], 2, axis=-1)
    full[..., 2] = np.repeat(pairs[..., 3], 2, axis=-1)
    return full


def significant(values: np.ndarray, layout: Layout) -> np.ndarray:
    """Stored values without the bits outside Bits Stored (overlays may lie there), sign carried."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if layout.is_float or layout.allocated == 1 or layout.stored == layout.allocated:
        return values
    kind = values.dtype.type
    below = layout.high_bit + 1 - layout.stored
    if layout.signed:
        above = layout.allocated - 1 - layout.high_bit
        return (values << kind(above)) >> kind(above + below)
    shifted = values >> kind(below) if below else values
    return shifted & kind(2**layout.stored - 1)
