"""Where a frame of a segmentation lies in an image: by the slice it refers to, by its position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.geometry import Plane, affine_of, plane_of
from tomos.formats.dicom.layout import Layout
from tomos.formats.dicom.source import Source, source_of
from tomos.formats.dicom.tags import key_of
from tomos.types import FormatError, GeometryError, Image

DERIVATION = 0x00089124
SOURCE_IMAGE = 0x00082112
REFERENCED_INSTANCE = 0x00081155
REFERENCED_FRAME = 0x00081160
# Of a voxel. The slices of a series may lie that far beside the even grid that is made of them
# (see `geometry.stack`), and frames lie where the slices do.
NEAR = 0.05
SAME_MM = 0.01  # positions of one slice, written twice


@dataclass(frozen=True, slots=True)
class Place:
    """What a frame (Y, X) covers of an array (Z, Y, X), and how it is turned for that.

    region  (start, stop) along each axis of the array; 1 long along `axis`
    """

    frame: int
    region: tuple[tuple[int, int], ...]
    axis: int
    transposed: bool
    flips: tuple[int, ...]

    def view(self, array: np.ndarray) -> np.ndarray:
        """The part of `array` under the frame, two axes, to be written to."""
        return array[tuple(slice(*part) for part in self.region)].squeeze(self.axis)

    def turned(self, frame: np.ndarray) -> np.ndarray:
        """The frame in the order of the array's axes."""
        return np.flip(frame.T if self.transposed else frame, self.flips)


class Placing:
    """The frames of one segmentation on the grid of one image.

    notes      what is odd, said once
    placed     frames that lie on the image
    elsewhere  frames that lie on other pictures, as all that they say is which
    Raises GeometryError when the segmentation belongs to another study.
    """

    def __init__(self, dataset: Dataset, layout: Layout, like: Image, where: str, limits: Limits):
        self.dataset = dataset
        self.layout = layout
        self.like = like
        self.where = where
        self.size = like.size if like.is_volume else (1, *like.size)
        self.notes: list[str] = []
        self.elsewhere = 0
        self.placed = 0
        self.source = _source(like, limits)
        self.slices = {} if self.source is None else self.source.by_instance()
        study, own = dataset.text("StudyInstanceUID"), like.origin.study
        if like.origin.format == "dicom" and study and own and study != own:
            raise GeometryError(
                f"{where}: expected a segmentation of {like.origin.path}, which is of the study "
                f"{own}; it is of the study {study}"
            )

    def of(self, frame: int) -> Place | None:
        """Where a frame (from 0) lies; None when it lies on another slice or picture than the only
        one of the image.

        Raises GeometryError when it lies outside the image, between its voxels, or elsewhere than
        the slice that it refers to.
        """
        name = f"{self.where}#{frame}"
        place = self._of(frame, name)
        self.placed += place is not None
        return place

    def check(self) -> None:
        """Raises GeometryError when all frames are of other pictures."""
        if self.elsewhere and not self.placed:
            raise GeometryError(
                f"{self.where}: its {self.elsewhere} frames refer to other images than "
                f"{self.like.origin.path}"
            )

    def _of(self, frame: int, name: str) -> Place | None:
        plane = plane_of(self.dataset, frame, name)
        refers = _references(self.dataset, frame)
        hits = [self.slices[each] for each in refers if each in self.slices]
        if len(hits) == 1 and self._lies_on(plane, hits[0]):
            return self._whole_slice(frame, hits[0], name)
        if plane is None and refers and self.slices and not self.like.is_volume:
            self.elsewhere += 1
            return None
        if plane is None:
            raise GeometryError(
                f"{name}: expected a frame of {self.like.origin.path or 'the image'}; it does not "
                "say where it lies, and refers to " + ("another image" if refers else "no image")
            )
        place = self._by_position(plane, frame, name)
        if place is None:
            return None
        if hits and place.region[place.axis][0] not in hits:
            raise GeometryError(
                f"{name}: refers to slice {hits[0]} of the image and lies on slice "
                f"{place.region[place.axis][0]}; the file contradicts itself"
            )
        if not hits and self.source is not None:
            self._foreign(name)
        return place

    def _lies_on(self, plane: Plane | None, index: int) -> bool:
        """Whether a frame covers slice `index` of the source pixel by pixel, as far as is said."""
        assert self.source is not None
        own = self.source.slices[index].plane
        if plane is None or own is None:
            return plane is None
        last = np.array([0, self.layout.rows - 1, self.layout.columns - 1, 1.0])
        ends = [affine_of(one) @ last for one in (plane, own)]
        apart = max(
            float(np.abs(np.subtract(plane.position, own.position)).max()),
            float(np.abs(ends[0] - ends[1]).max()),
        )
        upright = float(plane.facing.along_x @ own.facing.along_x) > 0.5
        return apart < SAME_MM and upright

    def _whole_slice(self, frame: int, index: int, name: str) -> Place:
        shape = self.layout.rows, self.layout.columns
        if shape != self.size[1:]:
            raise GeometryError(
                f"{name}: {shape[0]} x {shape[1]} pixels on an image of {self.size[1]} x "
                f"{self.size[2]}"
            )
        region = ((index, index + 1), (0, shape[0]), (0, shape[1]))
        return Place(frame, region, 0, False, ())

    def _by_position(self, plane: Plane, frame: int, name: str) -> Place | None:
        """The frame's own grid in the image's; its axes may be in another order and direction."""
        if self.like.frame != "patient":
            raise GeometryError(
                f"{name}: lies in the patient, and {self.like.origin.path or 'the image'} does not "
                "say where it lies"
            )
        lengths = self.layout.rows, self.layout.columns
        axes, signs, start, off = _along(self.like.affine, affine_of(plane), lengths)
        axis = 3 - sum(axes)
        if axes[0] == axes[1] or np.delete(off, axis).max() > NEAR:
            raise GeometryError(
                f"{name}: expected a frame on the image's grid, got one that lies up to "
                f"{float(off.max()):.3g} voxels beside it; resample it to the image"
            )
        index, slices = round(start[axis]), self.size[axis]
        if not (off[axis] <= NEAR and 0 <= index < slices):
            if not self.like.is_volume:
                return None
            raise GeometryError(
                f"{name}: lies at slice {start[axis]:.2f} of an image whose slices are 0 to "
                f"{slices - 1}; it belongs to another image"
            )
        region = [(index, index + 1)] * 3
        for one, sign, length in zip(axes, signs, lengths, strict=True):
            first = round(start[one]) - (0 if sign > 0 else length - 1)
            region[one] = (first, first + length)
            if first < 0 or first + length > self.size[one]:
                raise GeometryError(f"{name}: reaches beyond the image; it belongs to another one")
        transposed = axes[0] > axes[1]
        flips = tuple(k for k, sign in enumerate(signs[::-1] if transposed else signs) if sign < 0)
        return Place(frame, tuple(region), axis, transposed, flips)

    def _foreign(self, name: str) -> None:
        """A frame drawn on other instances is right only in one frame of reference."""
        assert self.source is not None
        own = self.source.frame_of_reference
        its = self.dataset.text("FrameOfReferenceUID")
        if own and its and own != its:
            raise GeometryError(
                f"{name}: its positions are of the frame of reference {its}, the image's of {own}; "
                "it was drawn on another image"
            )
        said = "drawn on another series, and laid by position"
        if said not in self.notes:
            self.notes.append(said)


def _along(
    like: np.ndarray, affine: np.ndarray, lengths: tuple[int, int]
) -> tuple[tuple[int, int], tuple[float, float], np.ndarray, np.ndarray]:
    """(image axes along a frame's rows and columns, their directions, index of its first pixel, how
    far it lies beside whole voxels at its far end along each axis of the image)."""
    change = np.linalg.solve(like, affine)
    start = change[:3, 3]
    off = np.abs(start - np.rint(start))
    axes, signs = [], []
    for column, length in zip((change[:3, 1], change[:3, 2]), lengths, strict=True):
        axis = int(np.abs(column).argmax())
        step = np.zeros(3)
        step[axis] = np.sign(column[axis])
        off += np.abs(column - step) * (length - 1)
        axes.append(axis)
        signs.append(float(step[axis]))
    return (axes[0], axes[1]), (signs[0], signs[1]), start, off


def _source(like: Image, limits: Limits) -> Source | None:
    """None where the image is no DICOM, or its files are not what it shows any more."""
    try:
        return source_of(like, limits)
    except FormatError:
        return None


def _references(dataset: Dataset, frame: int) -> list[tuple[str, int]]:
    """(instance, frame from 0) of each source image of a frame."""
    groups = [*dataset.items("PerFrameFunctionalGroupsSequence")[frame : frame + 1]]
    groups += dataset.items("SharedFunctionalGroupsSequence")[:1]
    found: list[tuple[str, int]] = []
    for group in groups:
        for derivation in group.sequences.get(key_of(DERIVATION), []):
            for image in derivation.sequences.get(key_of(SOURCE_IMAGE), []):
                uid = _text(image, REFERENCED_INSTANCE)
                numbers = _text(image, REFERENCED_FRAME).split("\\")
                found += [
                    (uid, int(each) - 1 if each.strip().isdecimal() else 0) for each in numbers
                ]
    return found


def _text(dataset: Dataset, tag: int) -> str:
    located = dataset.locate(key_of(tag))
    if located is None:
        return ""
    _, start, length = located
    return dataset.data[start : start + min(length, 4096)].decode("latin-1").strip(" \0")
