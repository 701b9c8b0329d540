"""From stored values to values with a unit: Modality LUT, real world values, VOI window.

PS3.3 C.11.1 (Modality LUT: slope before intercept), C.7.6.16.2.11 (Real World Value Mapping),
C.11.2 (VOI LUT), C.8.8.3 (RT Dose), C.8.9.1 (PET units).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.frames import FUNCTIONAL, functional
from tomos.formats.dicom.layout import Layout
from tomos.types import FormatError, Window

PET_UNITS = {"BQML": "Bq/ml", "CNTS": "counts", "PROPCNTS": "1", "GML": "SUV", "PCNT": "%",
             "NONE": "1", "CPS": "counts/s"}  # fmt: skip
# Defined terms of Rescale Type that measure something, PS3.3 C.11.1.1.2; any other text names no
# unit. OD, the blackening of a film, is left out: it is brightness, and is shown as such.
RESCALE_TYPES = {"HU": "HU", "MGML": "mg/ml", "PCT": "%", "ED": "10^23/ml",
                 "EDW": "EDW", "HU_MOD": "HU_MOD", "Z_EFF": "Z_EFF"}  # fmt: skip
# What `scale_of` asks for.
SCALE = (*FUNCTIONAL, "PixelValueTransformationSequence", "RealWorldValueMappingSequence",
         "ModalityLUTSequence", "DoseGridScaling", "DoseUnits", "RescaleSlope", "RescaleIntercept",
         "RescaleType", "Modality", "Units")  # fmt: skip
UCUM = {"[hnsf'U]": "HU", "{HU}": "HU", "no units": "1", "": "1"}


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """stored -> value: `slope * stored + intercept`, or by `table` from stored value `first`."""

    slope: float = 1.0
    intercept: float = 0.0
    unit: str = "1"
    table: np.ndarray | None = None
    first: int = 0

    def same(self, other: Scale) -> bool:
        return (self.slope, self.intercept, self.unit) == (
            other.slope,
            other.intercept,
            other.unit,
        ) and self.table is other.table


def scale_of(dataset: Dataset, frame: int, where: str) -> Scale:
    """How one frame's stored values become values.

    A rescale wins over a real world value mapping, unless it says nothing (slope 1, intercept 0).
    """
    tables = dataset.items("ModalityLUTSequence")
    if tables:
        return _table(tables[0], where)
    if "DoseGridScaling" in dataset:
        unit = "Gy" if dataset.text("DoseUnits").upper() == "GY" else "1"
        return _linear(dataset.number("DoseGridScaling"), 0.0, unit, where)
    source = functional(dataset, frame, "PixelValueTransformationSequence") or dataset
    slope, intercept = source.number("RescaleSlope"), source.number("RescaleIntercept")
    given = slope is not None or intercept is not None
    slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
    if (slope, intercept) == (1.0, 0.0):
        mapping = functional(dataset, frame, "RealWorldValueMappingSequence")
        real = _real_world(mapping, where) if mapping is not None else None
        if real is not None:
            return real
    return _linear(slope, intercept, _unit(dataset, source, given), where)


def _linear(slope: float | None, intercept: float, unit: str, where: str) -> Scale:
    if slope is None or not np.isfinite([slope, intercept]).all() or slope == 0:
        raise FormatError(f"{where}: expected a rescale slope other than 0, got {slope}")
    if not 1e-30 < abs(slope) < 1e30 or abs(intercept) > 1e30:
        raise FormatError(f"{where}: rescale {slope} x + {intercept} is beyond any measurement")
    return Scale(slope, intercept, unit)


def _unit(dataset: Dataset, source: Dataset, given: bool) -> str:
    """PS3.3 C.11.1.1.2: Rescale Type; CT is in Hounsfield units, PET in Units (0054,1001)."""
    modality = dataset.text("Modality").upper()
    if modality == "PT" and "Units" in dataset:
        return PET_UNITS.get(dataset.text("Units").upper(), dataset.text("Units"))
    kind = source.text("RescaleType")
    if kind.upper() in RESCALE_TYPES:
        return RESCALE_TYPES[kind.upper()]
    return "HU" if modality == "CT" and given and not kind else "1"


def _real_world(mapping: Dataset, where: str) -> Scale | None:
    slope = mapping.number("RealWorldValueSlope")
    if slope is None:
        return None
    code = mapping.first("MeasurementUnitsCodeSequence")
    unit = code.text("CodeValue") if code is not None else ""
    intercept = mapping.number("RealWorldValueIntercept") or 0.0
    return _linear(slope, intercept, UCUM.get(unit, unit), where)


def _table(item: Dataset, where: str) -> Scale:
    """Modality LUT, PS3.3 C.11.1.1.1: values outside take the first or the last entry."""
    descriptor = item.numbers("LUTDescriptor")
    if len(descriptor) != 3:
        raise FormatError(f"{where}: a lookup table without its three numbers")
    count = int(descriptor[0]) % 2**16 or 2**16
    raw = item.raw("LUTData")
    order = ">u2" if item.big else "<u2"
    entries = np.frombuffer(raw, order) if len(raw) >= 2 * count else np.frombuffer(raw, np.uint8)
    if len(entries) < count:
        raise FormatError(f"{where}: a lookup table of {count} entries, {len(entries)} are there")
    kind = item.text("ModalityLUTType")
    unit = "1" if kind.upper() in ("", "US", "UNSPECIFIED") else kind
    return Scale(unit=unit, table=entries[:count].astype(np.uint16), first=int(descriptor[1]))


def invert(stored: np.ndarray, layout: Layout) -> np.ndarray:
    """MONOCHROME1 -> larger is brighter: lowest + highest - value, exactly, in the same type."""
    if layout.is_float:
        return -stored
    if layout.signed:
        return ~stored
    return stored ^ stored.dtype.type(layout.range[1])


def apply(stored: np.ndarray, scale: Scale, layout: Layout) -> np.ndarray:
    """Stored values -> values. Whole numbers stay whole; else float32."""
    if scale.table is not None:
        index = np.clip(stored.astype(np.int64) - scale.first, 0, len(scale.table) - 1)
        return scale.table[index]
    if (scale.slope, scale.intercept) == (1.0, 0.0):
        return stored
    if scale.slope == 1.0 and scale.intercept.is_integer() and not layout.is_float:
        kind = _whole_type(stored, int(scale.intercept), layout)
        if kind is not None:
            return np.add(stored.astype(kind, copy=False), kind.type(int(scale.intercept)))
    scaled = np.multiply(
        stored, scale.slope, dtype=np.float64 if layout.allocated > 16 else np.float32
    )
    np.add(scaled, scale.intercept, out=scaled)
    return scaled.astype(np.float32, copy=False)


def _whole_type(stored: np.ndarray, shift: int, layout: Layout) -> np.dtype | None:
    """The smallest of the file's type, int16 and int32 that holds the sums; None when none does."""
    small = [stored.dtype, np.dtype(np.int16)]
    kind = _first_that_holds(small, *layout.range, shift)
    if kind is None:  # what the bits could hold does not fit; what is there may
        low, high = int(stored.min()), int(stored.max())
        kind = _first_that_holds([*small, np.dtype(np.int32)], low, high, shift)
    return kind


def _first_that_holds(kinds: list[np.dtype], low: int, high: int, shift: int) -> np.dtype | None:
    lowest, highest = min(low, low + shift, shift), max(high, high + shift, shift)
    for kind in kinds:
        info = np.iinfo(kind)
        if info.min <= lowest and highest <= info.max:
            return kind
    return None


def value_range(scale: Scale, layout: Layout) -> tuple[float, float] | None:
    """Lowest and highest value that the file could hold; None for floating point."""
    if layout.is_float:
        return None
    if scale.table is not None:
        return 0.0, float(2 ** (8 * scale.table.itemsize) - 1)
    ends = [scale.slope * end + scale.intercept for end in layout.range]
    return min(ends), max(ends)


def window_of(
    dataset: Dataset, frame: int, bounds: tuple[float, float] | None, inverted: bool
) -> Window | None:
    """The first window that the file asks for, turned with the values when they were inverted."""
    source = functional(dataset, frame, "FrameVOILUTSequence") or dataset
    centre, width = source.number("WindowCenter"), source.number("WindowWidth")
    function = source.text("VOILUTFunction").upper() or "LINEAR"
    if centre is None or width is None:
        table = dataset.first("VOILUTSequence")
        descriptor = table.numbers("LUTDescriptor") if table is not None else []
        if len(descriptor) != 3:
            return None
        length = int(descriptor[0]) % 2**16 or 2**16
        centre, width, function = descriptor[1] + length / 2, float(length), "LINEAR_EXACT"
    if not np.isfinite([centre, width]).all() or width <= 0:
        return None
    if inverted and bounds is not None:
        # C.11.2.1.2.1: LINEAR is symmetric about centre - 0.5.
        centre = bounds[0] + bounds[1] - centre + (1.0 if function == "LINEAR" else 0.0)
    return Window(centre, width, function)
