"""The pixels of a series, each slice straight into its place in the volume."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats.dicom.layout import Layout
from tomos.formats.dicom.pixels import place
from tomos.formats.dicom.reader import Content, content_of
from tomos.formats.dicom.scan import Scanned
from tomos.formats.dicom.tags import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from tomos.formats.dicom.values import Scale, scale_of
from tomos.types import FormatError, GeometryError

THREADS = max(2, min(4, os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class Slice:
    """One file of a series, scanned."""

    path: Path
    scanned: Scanned
    layout: Layout


def fill(slices: list[Slice], where: str, limits: Limits) -> tuple[np.ndarray, list[Content]]:
    """(1, Z, Y, X) of the slices in order, and what each says of its values."""
    scales = [scale_of(one.scanned.dataset, 0, str(one.path)) for one in slices]
    units = {scale.unit for scale in scales}
    if len(units) > 1:
        raise GeometryError(f"{where}: slices in different units {sorted(units)}")
    if all(_plain(one, scale) for one, scale in zip(slices, scales, strict=True)):
        pixels = _shifted(slices, scales)
        if pixels is not None:
            nothing = np.empty((0, 0, 0, 0))
            return pixels, [
                Content(nothing, scale, one.layout, False, tuple(one.scanned.warnings))
                for one, scale in zip(slices, scales, strict=True)
            ]
    contents = [content_of(s.scanned, s.layout, None, s.path, limits) for s in slices]
    kind = np.result_type(*{content.pixels.dtype for content in contents})
    first = slices[0].layout
    pixels = np.empty((1, len(slices), first.rows, first.columns), kind)
    for z, content in enumerate(contents):
        pixels[0, z] = content.pixels[0, :, :, 0]
    return pixels, contents


def _plain(one: Slice, scale: Scale) -> bool:
    """16 bit, little endian, not compressed, whole numbers shifted: CT as it usually comes."""
    layout = one.layout
    return (
        one.scanned.syntax in (IMPLICIT_LITTLE, EXPLICIT_LITTLE)
        and not one.scanned.fragments
        and not layout.is_float
        and layout.allocated == 16
        and layout.high_bit == layout.stored - 1
        and layout.photometric == "MONOCHROME2"
        and scale.table is None
        and scale.slope == 1.0
        and scale.intercept.is_integer()
        and abs(scale.intercept) < 2**15
        and not (layout.signed and layout.stored < 16)
    )


def _shifted(slices: list[Slice], scales: list[Scale]) -> np.ndarray | None:
    """The volume as int16 by one addition a slice; None when the values need more than int16.

    A few threads, each with every THREADS-th slice: reading and adding run outside Python's lock.
    """
    first = slices[0].layout
    volume = np.empty((1, len(slices), first.rows, first.columns), np.int16)
    with ThreadPoolExecutor(THREADS) as pool:
        halves = [
            pool.submit(_shift_into, volume[0], slices, scales, start) for start in range(THREADS)
        ]
        fits = [half.result() for half in halves]
    return volume if all(fits) else None


def _shift_into(volume: np.ndarray, slices: list[Slice], scales: list[Scale], begin: int) -> bool:
    """Every THREADS-th slice from `begin`; False when its values do not fit into int16.

    One buffer of a slice's size is read into again and again, so that it stays in the processor's
    cache: the slice is written to memory once.
    """
    buffer = np.empty(volume.shape[1:], np.uint16)
    values = buffer.view(np.int16)
    for z in range(begin, len(slices), THREADS):
        one, layout, shift = slices[z], slices[z].layout, int(scales[z].intercept)
        _, start = place(one.scanned.dataset, layout, str(one.path))
        with open(one.path, "rb", buffering=0) as file:  # noqa: PTH123  no Path in this loop
            file.seek(start)
            if file.readinto(buffer.data.cast("B")) != buffer.nbytes:
                raise FormatError(f"{one.path}: became shorter while it was read")
        low, high = layout.range
        if not layout.signed and layout.stored < 16:
            if buffer.max() > high:  # bits that are not of the value
                np.bitwise_and(buffer, np.uint16(high), out=buffer)
        elif low + shift < -(2**15) or high + shift >= 2**15:
            there = values if layout.signed else buffer
            low, high = int(there.min()), int(there.max())
        if low + shift < -(2**15) or high + shift >= 2**15:
            return False
        # Modulo 2^16 the sum is right, for unsigned values too.
        np.add(values, np.int16(shift), out=volume[z])
    return True
