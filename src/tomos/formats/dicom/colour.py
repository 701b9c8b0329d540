"""Colours as RGB: palettes and YCbCr, PS3.3 C.7.6.3.1."""

from __future__ import annotations

import numpy as np

from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.layout import Layout
from tomos.types import FormatError

COLOURS = ("Red", "Green", "Blue")


def to_rgb(values: np.ndarray, layout: Layout, dataset: Dataset, where: str) -> np.ndarray:
    """(F, Y, X, S) stored values of a colour image -> (F, Y, X, 3) RGB."""
    if layout.photometric == "PALETTE COLOR":
        return _through_palette(values, dataset, where)
    if layout.photometric.startswith("YBR_FULL"):
        return _from_ycbcr(values, layout.stored)
    if layout.photometric == "RGB":
        return values
    raise FormatError(
        f"{where}: {layout.photometric} belongs to JPEG 2000, these pixels are not compressed so"
    )


def _from_ycbcr(values: np.ndarray, bits: int) -> np.ndarray:
    """PS3.3 C.7.6.3.1.2, the inverse of the equations of ITU-R BT.601 in full range."""
    half, top = 2.0 ** (bits - 1), 2.0**bits - 1
    y, cb, cr = (values[..., k].astype(np.float32) for k in range(3))
    cb -= half
    cr -= half
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(np.rint(rgb), 0, top).astype(values.dtype)


def _through_palette(values: np.ndarray, dataset: Dataset, where: str) -> np.ndarray:
    tables = [_table(dataset, colour, where) for colour in COLOURS]
    first = tables[0][1]
    lengths = {len(table) for table, _, _ in tables}
    if len(lengths) != 1 or any(start != first for _, start, _ in tables):
        raise FormatError(f"{where}: its palette's colours differ in length or start")
    index = np.clip(values[..., 0].astype(np.int64) - first, 0, lengths.pop() - 1)
    return np.stack([table[index] for table, _, _ in tables], axis=-1)


def _table(dataset: Dataset, colour: str, where: str) -> tuple[np.ndarray, int, int]:
    """(entries, first value mapped, bits of an entry), PS3.3 C.7.6.3.1.5 and .6."""
    descriptor = dataset.numbers(f"{colour}PaletteColorLookupTableDescriptor")
    if len(descriptor) != 3:
        raise FormatError(f"{where}: PALETTE COLOR without a {colour.lower()} palette")
    count = int(descriptor[0]) % 2**16 or 2**16
    first, bits = int(descriptor[1]), int(descriptor[2])
    if bits not in (8, 16):
        raise FormatError(f"{where}: a palette entry has 8 or 16 bits, the header says {bits}")
    raw = dataset.raw(f"{colour}PaletteColorLookupTableData")
    order = ">u2" if dataset.big else "<u2"
    if not raw:
        segments = dataset.raw(f"Segmented{colour}PaletteColorLookupTableData")
        table = _expand(segments, bits, order, count, f"{where}: {colour.lower()} palette")
    elif len(raw) < 2 * count:  # entries of one byte, two to a word
        table = np.frombuffer(raw, np.uint8)
    else:
        table = np.frombuffer(raw, order, len(raw) // 2).astype(np.uint16)
    if len(table) < count:
        raise FormatError(
            f"{where}: its {colour.lower()} palette has {len(table)} entries, {count} expected"
        )
    table = table[:count]
    if bits == 8:
        # Entries of 8 bit in words: some writers put them in the high byte.
        table = table >> 8 if table.size and table.max() > 255 else table
        table = table.astype(np.uint8)
    return table, first, bits


def _expand(raw: bytes, bits: int, order: str, count: int, where: str) -> np.ndarray:
    """A segmented palette, PS3.3 C.7.9.2: discrete (0), linear (1) and indirect (2) segments."""
    words = np.frombuffer(raw[: len(raw) // 2 * 2], order) if bits == 16 else (
        np.frombuffer(raw, np.uint8))  # fmt: skip
    code = [int(word) for word in words[: 2**18]]
    table: list[int] = []
    jobs = [(0, len(code), True)]
    while jobs and len(table) <= count:
        position, left, outer = jobs.pop()
        if left <= 0 or position + 1 >= len(code):
            continue
        kind, length = code[position], code[position + 1]
        start = position + 2
        if kind == 0:
            table += code[start : start + length]
            used = 2 + length
        elif kind == 1 and table and start < len(code):
            table += [round(value) for value in np.linspace(table[-1], code[start], length + 1)[1:]]
            used = 3
        elif kind == 2 and outer and start + 1 < len(code):
            target = code[start] | code[start + 1] << (16 if bits == 16 else 8)
            used = 4
            jobs.append((position + used, left - 1, True))
            jobs.append((target, length, False))
            continue
        else:
            raise FormatError(f"{where}: segment of kind {kind} cannot stand there")
        jobs.append((position + used, left - 1, outer))
    return np.array(table, np.uint16 if bits == 16 else np.uint8)
