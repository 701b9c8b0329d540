"""Where pixels lie: PS3.3 C.7.6.2 (Image Plane), C.8.7.1.1.3 (detector), C.8.5.5 (ultrasound).

DICOM counts millimetres towards the patient's left, back and head (LPS); an affine here goes from
the index in array order (z, y, x) to right, front and head (RAS+), as NIfTI has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tomos.formats.dicom.alike import each
from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.frames import FUNCTIONAL, functional
from tomos.types import GeometryError
from tomos.types.image import Frame

LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
UNEVEN = 0.02  # of the usual step; scanners write positions with two or three decimals
ROUNDING_MM = 0.02
TILT = 0.01  # sideways shift by step: 0.6 degrees
TURN = 1e-3
NAMED = 8
# What `_facing` asks for, where no detector keeps it (see `_single`).
FACING = (*FUNCTIONAL, "PlaneOrientationSequence", "PixelMeasuresSequence",
          "DetectorInformationSequence", "ImageOrientationPatient", "PixelSpacing",
          "SliceThickness")  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Facing:
    """What the slices of one volume share, LPS mm: unit steps along columns (x) and rows (y), the
    normal on both, spacing between rows and between columns, and the thickness of a slice."""

    along_x: np.ndarray
    along_y: np.ndarray
    normal: np.ndarray
    spacing: tuple[float, float]
    thickness: float


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """One slice in the patient: centre of its first pixel, LPS mm, and how it is turned."""

    position: tuple[float, ...]
    facing: Facing


def plane_of(dataset: Dataset, frame: int, where: str) -> Plane | None:
    """The plane of one frame; None when the file does not say where it lies.

    Raises GeometryError when what it says is no plane: directions that are not at right angles.
    """
    return _plane(dataset, frame, _facing(dataset, frame), where)


def planes_of(datasets: Sequence[Dataset], files: Sequence[str]) -> list[Plane | None]:
    """`plane_of` for the slices of a series, one a file."""
    facings = each(datasets, FACING, lambda k: _facing(datasets[k], 0))
    return [
        _plane(dataset, 0, facing, where)
        for dataset, facing, where in zip(datasets, facings, files, strict=True)
    ]


def _plane(dataset: Dataset, frame: int, facing: Facing | str | None, where: str) -> Plane | None:
    at = functional(dataset, frame, "PlanePositionSequence") or _single(dataset)
    position = at.numbers("ImagePositionPatient")
    if len(position) != 3 or facing is None:
        return None
    if not all(abs(value) < 1e6 for value in position):  # so that NaN is refused too
        raise GeometryError(f"{where}: Image Position {position} is no place in a patient")
    if isinstance(facing, str):
        raise GeometryError(f"{where}: Image Orientation {facing}")
    return Plane(tuple(position), facing)


def _facing(dataset: Dataset, frame: int) -> Facing | str | None:
    """None when the file does not say; as text, why what it says is no plane."""
    turned = functional(dataset, frame, "PlaneOrientationSequence") or _single(dataset)
    measured = functional(dataset, frame, "PixelMeasuresSequence") or dataset
    direction = turned.numbers("ImageOrientationPatient")
    spacing = _positive_pair(measured.numbers("PixelSpacing"))
    if len(direction) != 6 or spacing is None:
        return None
    along = _directions(tuple(direction))
    if isinstance(along, str):
        return f"{direction}: {along}"
    thickness = measured.number("SliceThickness") or dataset.number("SliceThickness") or 1.0
    return Facing(*along, spacing, thickness if 0 < thickness < 1e4 else 1.0)


@lru_cache(maxsize=1024)
def _directions(direction: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray] | str:
    """Unit vectors along x, along y and along the normal, or why they are none."""
    x, y = np.array(direction[:3]), np.array(direction[3:])
    lengths = np.linalg.norm(x), np.linalg.norm(y)
    if not np.isfinite(direction).all() or max(abs(length - 1) for length in lengths) > 0.01:
        return "not two directions of length 1"
    if abs(x @ y) > 0.01:
        return "rows and columns are not at right angles"
    x, y = x / lengths[0], y / lengths[1]
    return x, y, np.cross(x, y)


def _single(dataset: Dataset) -> Dataset:
    """Nuclear medicine keeps position and orientation with its detector, PS3.3 C.8.4.11."""
    detector = dataset.first("DetectorInformationSequence")
    if detector is None or "ImagePositionPatient" in dataset:
        return dataset
    return detector if "RECON TOMO" in dataset.texts("ImageType") else dataset


def affine_of(plane: Plane, step: np.ndarray | None = None) -> np.ndarray:
    """Index (z, y, x) -> RAS mm; `step` is from one slice to the next in LPS mm, by default the
    normal times the thickness."""
    facing = plane.facing
    if step is None:
        step = facing.normal * facing.thickness
    affine = np.eye(4)
    affine[:3, 0] = step * LPS_TO_RAS
    affine[:3, 1] = facing.along_y * facing.spacing[0] * LPS_TO_RAS
    affine[:3, 2] = facing.along_x * facing.spacing[1] * LPS_TO_RAS
    affine[:3, 3] = np.array(plane.position) * LPS_TO_RAS
    return affine


def flat_affine(dataset: Dataset) -> tuple[np.ndarray, Frame]:
    """Affine and frame of a picture whose place in the patient is not known."""
    spacing = _flat_spacing(dataset)
    if spacing is None:
        return np.eye(4), "pixel"
    return np.diag([1.0, spacing[0], spacing[1], 1.0]), "detector"


def _flat_spacing(dataset: Dataset) -> tuple[float, float] | None:
    """(between rows, between columns): calibrated, at the detector, of a scanned film, or of the
    one region of an ultrasound picture."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        pair = _positive_pair(dataset.numbers(keyword))
        if pair is not None:
            return pair
    measured = functional(dataset, 0, "PixelMeasuresSequence")
    if measured is not None:
        return _positive_pair(measured.numbers("PixelSpacing"))
    regions = dataset.items("SequenceOfUltrasoundRegions")
    if len(regions) != 1:
        return None
    units = [regions[0].integer(f"PhysicalUnits{axis}Direction") for axis in "YX"]
    steps = [abs(regions[0].number(f"PhysicalDelta{axis}") or 0.0) * 10 for axis in "YX"]
    return _positive_pair(steps) if units == [3, 3] else None  # 3 = centimetres


def _positive_pair(values: list[float]) -> tuple[float, float] | None:
    if len(values) < 2 or not all(1e-6 < value < 1e4 for value in values[:2]):
        return None
    return values[0], values[1]


def stack(planes: list[Plane], names: list[str], where: str) -> tuple[list[int], np.ndarray]:
    """Order of slices along their normal, and the affine of the volume.

    Raises GeometryError naming the slices that are turned, of other spacing, twice at one place,
    shifted sideways (tilted), missing, or unevenly spaced.
    """
    first = planes[0].facing
    if any(plane.facing is not first for plane in planes):
        _check_facings([plane.facing for plane in planes], names, where)
    positions = np.array([plane.position for plane in planes])
    heights = positions @ first.normal
    order = [int(k) for k in np.argsort(heights, kind="stable")]
    if len(planes) == 1:
        return order, affine_of(planes[0])
    names, positions = [names[k] for k in order], positions[order]
    _check_steps(heights[order], names, where)
    step = (positions[-1] - positions[0]) / (len(planes) - 1)
    _check_tilt(positions, planes[order[0]].facing.normal, names, step, where)
    return order, affine_of(planes[order[0]], step)


def _check_facings(facings: list[Facing], names: list[str], where: str) -> None:
    """Refuse slices that are turned, or of another spacing, than the first."""
    first = facings[0]
    directions = np.array([(facing.along_x, facing.along_y) for facing in facings])
    turned = np.abs(directions - directions[0])
    odd = [names[k] for k in np.flatnonzero(turned.max(axis=(1, 2)) > TURN)]
    if odd:
        raise GeometryError(
            f"{where}: {len(odd)} of {len(facings)} slices are turned against {names[0]} (mixed "
            f"orientations): {_listed(odd)}; give each orientation a series of its own"
        )
    sizes = np.array([facing.spacing for facing in facings]) / first.spacing
    odd = [names[k] for k in np.flatnonzero(np.abs(sizes - 1).max(axis=1) > 1e-3)]
    if odd:
        raise GeometryError(
            f"{where}: pixel spacing is {first.spacing} mm in {names[0]}, another in {_listed(odd)}"
        )


def _check_steps(heights: np.ndarray, names: list[str], where: str) -> None:
    steps = np.diff(heights)
    usual = float(np.median(steps))
    twice = [f"{names[k]} = {names[k + 1]}" for k in np.flatnonzero(steps < 1e-3)]
    if twice:
        raise GeometryError(
            f"{where}: {len(twice)} pairs of slices lie at the same place (duplicates, or several "
            f"times or echoes in one series): {_listed(twice)}; keep one of each"
        )
    uneven = np.flatnonzero(np.abs(steps - usual) > max(UNEVEN * usual, ROUNDING_MM))
    if not uneven.size:
        return
    gaps = [f"{names[k]} and {names[k + 1]} {steps[k]:.3f} mm" for k in uneven]
    ratio = steps[uneven] / usual
    whole = np.abs(ratio - np.rint(ratio)) < 0.05
    missing = int(np.rint(ratio - 1)[whole].sum()) if whole.all() and (ratio > 1.5).all() else 0
    raise GeometryError(
        f"{where}: slices are {usual:.3f} mm apart, but {_listed(gaps)}; "
        + (f"{missing} missing: find the files" if missing else "unevenly spaced")
    )


def _check_tilt(
    positions: np.ndarray, normal: np.ndarray, names: list[str], step: np.ndarray, where: str
) -> None:
    height = float(step @ normal)
    sideways = step - height * normal
    shift = float(np.linalg.norm(sideways))
    if shift > TILT * height:
        degrees = np.degrees(np.arctan2(shift, height))
        raise GeometryError(
            f"{where}: the stack is tilted by {degrees:.1f} degrees (gantry tilt): each slice is "
            f"shifted {shift:.2f} mm sideways, from {names[0]} to {names[-1]}; "
            "straighten it first"
        )
    ideal = positions[0] + np.arange(len(positions))[:, None] * step
    away = np.linalg.norm(positions - ideal, axis=1)
    odd = [names[k] for k in np.flatnonzero(away > max(0.05 * height, 2 * ROUNDING_MM))]
    if odd:
        raise GeometryError(f"{where}: slices lie beside the line of the others: {_listed(odd)}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
