"""The DICOM files behind an image, slice by slice: what a segmentation refers to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomos.formats._grid import SAME, turn
from tomos.formats._limits import Limits
from tomos.formats._reading import split_address
from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.frames import frame_number
from tomos.formats.dicom.geometry import Plane, affine_of, plane_of, stack
from tomos.formats.dicom.layout import layout_of
from tomos.formats.dicom.reader import load
from tomos.formats.dicom.stack import list_series
from tomos.types import FormatError, GeometryError, Image


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of an image: the file, its frame (from 0), and where it lies, if it says."""

    path: Path
    dataset: Dataset
    frame: int
    plane: Plane | None


@dataclass(frozen=True, slots=True)
class Source:
    """slices in the order of the image's; `multi`: they are frames of one file."""

    slices: tuple[Slice, ...]
    multi: bool

    @property
    def frame_of_reference(self) -> str:
        return self.slices[0].dataset.text("FrameOfReferenceUID")

    def by_instance(self) -> dict[tuple[str, int], int]:
        """(SOPInstanceUID, frame from 0) -> index of the slice."""
        return {
            (one.dataset.text("SOPInstanceUID"), one.frame): index
            for index, one in enumerate(self.slices)
        }


def source_of(image: Image, limits: Limits) -> Source:
    """The files that `formats.read` made `image` of.

    Raises FormatError where the image is of another format, or its files are gone; GeometryError
    where they are not what the image shows (changed since, or the image was turned or resampled).
    """
    where = image.origin.path
    if image.origin.format != "dicom":
        raise FormatError(
            f"{where or 'image'}: expected an image read from DICOM files, got "
            f"{image.origin.format or 'one made in memory'}"
        )
    path, member = split_address(where)
    try:
        source = _series(path, member, limits) if path.is_dir() else _file(path, member, limits)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read any more ({error.strerror or error})") from None
    _check(source, image)
    return source


def _series(folder: Path, uid: str, limits: Limits) -> Source:
    files = next((one.files for one in list_series(folder, limits) if one.uid == uid), ())
    if not files:
        raise FormatError(f"{folder}: the series {uid} is not in it any more")
    if len(files) == 1:
        return _file(files[0], "", limits)
    slices = []
    for path in files:
        dataset = load(path, limits).dataset
        slices.append(Slice(path, dataset, 0, plane_of(dataset, 0, str(path))))
    return Source(_in_order(slices, str(folder)), False)


def _file(path: Path, member: str, limits: Limits) -> Source:
    dataset = load(path, limits).dataset
    count = layout_of(dataset, str(path), limits).frames
    frames = [frame_number(member, count, str(path))] if member else range(count)
    slices = [Slice(path, dataset, frame, _plane(dataset, frame, path)) for frame in frames]
    try:
        return Source(_in_order(slices, str(path)), count > 1)
    except GeometryError:  # frames that are no volume stay in their order, as `read` leaves them
        return Source(tuple(replace(one, plane=None) for one in slices), count > 1)


def _plane(dataset: Dataset, frame: int, path: Path) -> Plane | None:
    try:
        return plane_of(dataset, frame, str(path))
    except GeometryError:
        return None


def _in_order(slices: list[Slice], where: str) -> tuple[Slice, ...]:
    planes = [one.plane for one in slices if one.plane is not None]
    if len(planes) < len(slices) or len(slices) == 1:
        return tuple(slices)
    order, _ = stack(planes, [one.path.name for one in slices], where)
    return tuple(slices[index] for index in order)


def _check(source: Source, image: Image) -> None:
    """The image's affine is that of the slices."""
    count = image.size[0] if image.is_volume else 1
    first, last = source.slices[0].plane, source.slices[-1].plane
    fits = len(source.slices) == count
    if fits and image.frame == "patient" and first is not None and last is not None:
        step = np.subtract(last.position, first.position) / (count - 1) if count > 1 else None
        size = (count, *image.size[-2:])
        found = turn(affine_of(first, step), size, image.affine, size)
        fits = found is not None and found.is_none and found.off <= SAME
    if not fits:
        raise GeometryError(
            f"{image.origin.path}: expected the image as it was read from its files, but they lie "
            "elsewhere: it was cropped, turned or resampled, or the files have changed; give the "
            "image that `formats.read` returns"
        )
