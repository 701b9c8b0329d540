"""Labels of one grid on another that is the same one, differently written: never by interpolation.

What two headers say of one grid differs in the order and direction of axes, in rounding, or in that
one of them says nothing. More than that is another grid, and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from tomos.types import GeometryError, Image
from tomos.types.image import Frame

SAME = 1e-3  # of a voxel, at the farthest corner
SQUARE = 0.01  # cosine between two axes that counts as none: 0.6 degrees, as for DICOM series


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """How an array is turned: `flip(array.transpose(axes), flips)`, and what is left, in voxels."""

    axes: tuple[int, ...]
    flips: tuple[int, ...]
    off: float

    @property
    def is_none(self) -> bool:
        return self.axes == (0, 1, 2) and not self.flips

    def apply(self, array: np.ndarray) -> np.ndarray:
        if self.is_none:
            return array
        return np.ascontiguousarray(np.flip(array.transpose(self.axes), self.flips))


def turn(
    affine: np.ndarray, size: tuple[int, ...], to: np.ndarray, onto: tuple[int, ...]
) -> Turn | None:
    """The turn that brings a grid (Z, Y, X) nearest to the grid `to` of the size `onto`.

    None where no order of axes has that size. An axis of length 1 has no direction to be compared.
    """
    try:
        change = np.linalg.solve(affine, to)  # index on the grid `to` -> index on this one
    except np.linalg.LinAlgError:
        return None
    corners = np.array(list(product(*((0, length - 1) for length in onto))))
    there = corners @ change[:3, :3].T + change[:3, 3]
    best: Turn | None = None
    for axes in permutations(range(3)):
        if tuple(size[axis] for axis in axes) != onto:
            continue
        flips = tuple(k for k, axis in enumerate(axes) if onto[k] > 1 and change[axis, k] < 0)
        here = np.empty(corners.shape)
        for k, axis in enumerate(axes):
            here[:, axis] = onto[k] - 1 - corners[:, k] if k in flips else corners[:, k]
        off = float(np.abs(there - here).max())
        if best is None or off < best.off:
            best = Turn(axes, flips, off)
    return best


def slant(image: Image) -> float:
    """Degrees between the two axes of a volume that are farthest from a right angle; 90 where that
    is no more than rounding, and where no place or size is known."""
    if not image.is_volume or image.frame == "pixel":
        return 90.0
    along = image.affine[:3, :3] / np.linalg.norm(image.affine[:3, :3], axis=0)
    cosine = float(np.abs(np.triu(along.T @ along, 1)).max())
    return 90.0 if cosine <= SQUARE else float(np.degrees(np.arccos(min(1.0, cosine))))


def lay(
    labels: np.ndarray, affine: np.ndarray, frame: Frame, like: Image, where: str, notes: list[str]
) -> np.ndarray:
    """`labels` (Z, Y, X) or (Y, X) of the given grid as an array of the size of `like`.

    Taken as they are where both say the same to a thousandth of a voxel; turned exactly where only
    the axes are ordered or directed otherwise; taken voxel by voxel, where the sizes are equal,
    when their header names no place or is the identity. What was repaired is added to `notes`.
    Raises GeometryError for everything else.
    """
    volume = labels if labels.ndim == 3 else labels[None]
    onto = like.size if like.is_volume else (1, *like.size)
    found = None
    if frame == like.frame == "patient":
        found = turn(affine, volume.shape, like.affine, onto)
        if found is not None and found.off <= SAME:
            if not found.is_none:
                notes.append(f"{where}: {_said(found)}")
            return found.apply(volume).reshape(like.size)
    reason = _off(found) if volume.shape == onto else "the sizes differ"
    if volume.shape == onto:
        trust, said = without_place(affine, frame, like, onto)
        if trust:
            notes.extend([f"{where}: {said}"] if said else [])
            return volume.reshape(like.size)
        reason = said or reason
    raise GeometryError(
        f"{where}: expected a mask on the grid of {like.origin.path or 'the image'}, but {reason}. "
        f"Mask: {_written(volume.shape, affine, frame)}; image: "
        f"{_written(onto, like.affine, like.frame)}. Resample the mask to the image (nearest "
        "neighbour), or correct the header that is wrong"
    )


def without_place(
    affine: np.ndarray, frame: Frame, like: Image, size: tuple[int, ...]
) -> tuple[bool, str]:
    """Whether labels of equal size may be taken voxel by voxel, and what is to be said of it."""
    if frame == like.frame == "pixel":
        return True, ""
    nowhere = frame == "pixel" or _is_identity(affine, frame)
    agrees = _spacing_off(affine, like.affine, size) <= SAME
    if frame == like.frame == "detector" and agrees:
        return True, ""
    if nowhere or (frame == "detector" and (agrees or like.frame == "pixel")):
        return True, (
            "its header names no place in the patient: taken voxel by voxel, since its size is the "
            "image's; look at one case, for a flip cannot be seen from the header"
        )
    if frame == "detector":
        return False, "its spacing is another"
    if like.frame != "patient":
        return False, "it lies in the patient, and the image does not say where that is"
    return False, ""


def _is_identity(affine: np.ndarray, frame: Frame) -> bool:
    """Whether it maps x, y, z to themselves, or to -x, -y, z: ITK's identity, counted in LPS.
    Where only the spacing is known, whether that is 1."""
    if frame != "patient":
        return bool(np.allclose(np.linalg.norm(affine[:3, :3], axis=0), 1, atol=1e-6))
    return any(
        np.allclose(affine, np.diag([*signs, 1.0])[:, [2, 1, 0, 3]], atol=1e-6)
        for signs in ((1.0, 1.0, 1.0), (-1.0, -1.0, 1.0))
    )


def _spacing_off(affine: np.ndarray, other: np.ndarray, size: tuple[int, ...]) -> float:
    """How far the last voxels come apart when only the spacings differ, in voxels."""
    one, two = (np.linalg.norm(each[:3, :3], axis=0) for each in (affine, other))
    return float((np.abs(one / two - 1) * (np.array(size) - 1)).max())


def _off(found: Turn | None) -> str:
    if found is None:
        return "the places differ"
    return f"they come apart by up to {found.off:.3g} voxels"


def _said(found: Turn) -> str:
    names = "zyx"
    order = ", ".join(names[axis] for axis in found.axes)
    flipped = " and ".join(names[k] for k in found.flips)
    return (
        f"the same grid as the image's with other axes: its ({order}) taken as (z, y, x)"
        + (f", {flipped} the other way round" if flipped else "")
        + "; no value was interpolated"
    )


def _written(size: tuple[int, ...], affine: np.ndarray, frame: Frame) -> str:
    length = " x ".join(map(str, size))
    if frame == "pixel":
        return f"{length} (z, y, x), no place"
    rows = "; ".join(" ".join(f"{value:.6g}" for value in row) for row in affine[:3])
    unknown = "" if frame == "patient" else ", place unknown"
    return f"{length} (z, y, x), affine [{rows}]{unknown}"
