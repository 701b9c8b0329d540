"""The pixels of a series, each slice straight into its place in the volume."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats.dicom.alike import each
from tomos.formats.dicom.layout import Layout
from tomos.formats.dicom.pixels import place
from tomos.formats.dicom.reader import Content, content_of
from tomos.formats.dicom.scan import Scanned
from tomos.formats.dicom.tags import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from tomos.formats.dicom.values import SCALE, Scale, scale_of
from tomos.types import FormatError, GeometryError

CORES = os.cpu_count() or 1
MOST_HELPERS = min(3, CORES - 1)
LOWEST, HIGHEST = -(2**15), 2**15 - 1


@dataclass(slots=True)
class Slice:
    """One file of a series, scanned."""

    path: str
    scanned: Scanned
    layout: Layout


def fill(slices: list[Slice], where: str, limits: Limits) -> tuple[np.ndarray, list[Content]]:
    """(1, Z, Y, X) of the slices in order, and what they say of their values, each thing once; what
    the first slice says comes first."""
    datasets = [one.scanned.dataset for one in slices]
    scales = each(datasets, SCALE, lambda k: scale_of(datasets[k], 0, slices[k].path))
    units = {scale.unit for scale in scales}
    if len(units) > 1:
        raise GeometryError(f"{where}: slices in different units {sorted(units)}")
    said = _said(slices, scales)
    if all(_plain(content.layout, content.scale) for content in said) and all(
        one.scanned.syntax in (IMPLICIT_LITTLE, EXPLICIT_LITTLE) and not one.scanned.fragments
        for one in slices
    ):
        pixels = _shifted(slices, scales)
        if pixels is not None:
            return pixels, said
    contents = [content_of(s.scanned, s.layout, None, Path(s.path), limits) for s in slices]
    kind = np.result_type(*{content.pixels.dtype for content in contents})
    first = slices[0].layout
    pixels = np.empty((1, len(slices), first.rows, first.columns), kind)
    for z, content in enumerate(contents):
        pixels[0, z] = content.pixels[0, :, :, 0]
    return pixels, contents


def _said(slices: list[Slice], scales: list[Scale]) -> list[Content]:
    """What slices say of their values, without pixels; what several say, once."""
    said: dict[tuple, Content] = {}
    for one, scale in zip(slices, scales, strict=True):
        notes = tuple(one.scanned.warnings)
        key = id(one.layout), id(scale), notes
        if key not in said:
            said[key] = Content(np.empty((0, 0, 0, 0)), scale, one.layout, False, notes)
    return list(said.values())


def _plain(layout: Layout, scale: Scale) -> bool:
    """16 bit, whole numbers shifted: CT as it usually comes."""
    return (
        not layout.is_float
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

    Where cores are idle, helpers and this thread each take the next slice that waits: reading and
    adding run outside Python's lock.
    """
    first = slices[0].layout
    volume = np.empty((1, len(slices), first.rows, first.columns), "<i2")
    waiting = deque(range(len(slices)))
    count = _helpers()
    with ThreadPoolExecutor(max(count, 1), thread_name_prefix="tomos-slices") as pool:
        helpers = [
            pool.submit(_shift_into, volume[0], slices, scales, waiting) for _ in range(count)
        ]
        try:
            fits = [_shift_into(volume[0], slices, scales, waiting)]
        finally:
            # Slices are left only when one did not fit or could not be read: no need for them.
            waiting.clear()
        fits += [helper.result() for helper in helpers]
    return volume if all(fits) else None


def _helpers() -> int:
    """How many threads may help: one for each core that was idle in the last minute, beside this
    thread's own. On a busy machine a helper takes no work off, and is only waited for."""
    try:
        idle = round(CORES - os.getloadavg()[0])
    except (AttributeError, OSError):  # the system does not tell
        return 0
    return max(0, min(idle, MOST_HELPERS))


def _shift_into(
    volume: np.ndarray, slices: list[Slice], scales: list[Scale], waiting: deque[int]
) -> bool:
    """Slice after slice of those that wait; False when the values of one do not fit into int16.

    A slice is read where it belongs and shifted there, while it is still in the processor's cache.
    """
    while True:
        try:
            z = waiting.popleft()
        except IndexError:
            return True
        one, layout, shift = slices[z], slices[z].layout, int(scales[z].intercept)
        _, start = place(one.scanned.dataset, layout, one.path)
        values = volume[z]
        with FileIO(one.path) as file:
            file.seek(start)
            if file.readinto(values.data.cast("B")) != values.nbytes:
                raise FormatError(f"{one.path}: became shorter while it was read")
        stored = values if layout.signed else values.view("<u2")
        low, high = layout.range
        if layout.stored < 16 and stored.max() > high:
            np.bitwise_and(stored, high, out=stored)  # bits that are not of the value
        # What the bits could hold may be too much, and what is there not.
        if low + shift < LOWEST:
            low = int(stored.min())
        if high + shift > HIGHEST:
            high = int(stored.max())
        if low + shift < LOWEST or high + shift > HIGHEST:
            return False
        # Modulo 2^16 the sum is right, for unsigned values too.
        np.add(values, np.int16(shift), out=values)
