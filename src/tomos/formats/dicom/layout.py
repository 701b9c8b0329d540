"""How the pixels are stored: the Image Pixel module, PS3.3 C.7.6.3, checked before believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.kinds import no_scan
from tomos.formats.dicom.tags import (
    DOUBLE_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    PIXEL_DATA,
    PIXEL_KEYS,
)
from tomos.types import FormatError

GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
# What `layout_of` asks for, where there is an image.
LAYOUT = ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "SamplesPerPixel",
          "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
          "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes and bits of the stored values; `element` is the key of what holds them."""

    element: int
    frames: int
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    planar: int
    photometric: str

    @property
    def is_float(self) -> bool:
        return self.element != PIXEL_DATA

    @property
    def dtype(self) -> np.dtype:
        """Type of one stored value in memory; bits of one are unpacked to uint8."""
        if self.is_float:
            return np.dtype(np.float32 if self.element == FLOAT_PIXEL_DATA else np.float64)
        size = max(self.allocated, 8) // 8
        return np.dtype(f"{'i' if self.signed else 'u'}{size}")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.frames, self.rows, self.columns, self.samples

    @property
    def frame_bits(self) -> int:
        """Bits of one frame that is not compressed; PS3.3 C.7.6.3.1.2 for 4:2:2 chrominance."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.allocated

    @property
    def range(self) -> tuple[int, int]:
        """Lowest and highest stored value that the bits can hold."""
        if self.signed:
            return -(2 ** (self.stored - 1)), 2 ** (self.stored - 1) - 1
        return 0, 2**self.stored - 1


def layout_of(dataset: Dataset, where: str, limits: Limits) -> Layout:
    """The layout that a header declares.

    Raises FormatError when there are no pixels or it contradicts itself, LimitError when too large.
    """
    element = next((key for key in PIXEL_KEYS if key in dataset.elements), 0)
    if not element:
        raise no_scan(dataset, where)
    samples = dataset.short("SamplesPerPixel", 1)
    floats = {FLOAT_PIXEL_DATA: 32, DOUBLE_PIXEL_DATA: 64}.get(element, 0)
    allocated = floats or dataset.short("BitsAllocated")
    stored = floats or dataset.short("BitsStored", allocated)
    layout = Layout(
        element=element,
        frames=max(dataset.integer("NumberOfFrames", 1), 1),
        rows=dataset.short("Rows"),
        columns=dataset.short("Columns"),
        samples=samples,
        allocated=allocated,
        stored=stored,
        high_bit=floats - 1 if floats else dataset.short("HighBit", stored - 1),
        signed=dataset.short("PixelRepresentation") == 1,
        planar=dataset.short("PlanarConfiguration") if samples > 1 else 0,
        photometric=_photometric(dataset, samples),
    )
    _check(layout, where)
    limits.check_shape(layout.shape, layout.dtype.itemsize, where)
    return layout


def _photometric(dataset: Dataset, samples: int) -> str:
    name = dataset.text("PhotometricInterpretation").upper()
    return name or ("MONOCHROME2" if samples == 1 else "RGB")


def _check(layout: Layout, where: str) -> None:
    if layout.rows < 1 or layout.columns < 1:
        raise FormatError(
            f"{where}: expected Rows and Columns of at least 1, got {layout.rows} x "
            f"{layout.columns}; it holds no picture"
        )
    expected = 1 if layout.photometric in GREY else 3 if layout.photometric in COLOUR else 0
    if not expected:
        raise FormatError(
            f"{where}: photometric interpretation {layout.photometric!r} is not known; "
            f"known: {', '.join(GREY + COLOUR)}"
        )
    if layout.samples != expected:
        raise FormatError(
            f"{where}: {layout.photometric} has {expected} samples a pixel, "
            f"the header declares {layout.samples}"
        )
    if layout.allocated not in (1, 8, 16, 32, 64):
        raise FormatError(
            f"{where}: expected 1, 8, 16, 32 or 64 bits allocated, got {layout.allocated}"
        )
    if not 1 <= layout.stored <= layout.allocated or not (
        layout.stored - 1 <= layout.high_bit < layout.allocated
    ):
        raise FormatError(
            f"{where}: {layout.stored} bits stored up to bit {layout.high_bit} do not fit into "
            f"{layout.allocated} bits allocated; the header contradicts itself"
        )
