"""A map on a prepared volume, back on the scan's own grid."""

from __future__ import annotations

from itertools import product

import numpy as np

from tomos.transforms.prepare import gathered
from tomos.types import GeometryError, Image


def carried(values: np.ndarray, prepared: Image, scan: Image) -> np.ndarray:
    """Values (Z, Y, X) on the grid of `prepared` -> float32 on that of `scan`, linearly; 0 where
    nothing was prepared. What is 0 all over costs nothing.

    `transforms.prepare.carry_back` does the same for pictures. Raises GeometryError for an affine
    that cannot be inverted.
    """
    try:
        there = np.linalg.solve(prepared.affine, scan.affine)
        back = np.linalg.inv(there)
    except np.linalg.LinAlgError:
        raise GeometryError(
            f"{scan.origin.path or 'scan'}: expected an affine that can be inverted, got "
            f"{scan.affine.tolist()}"
        ) from None
    found = np.zeros(scan.size, np.float32)
    box = _box(values, back, scan.size)
    if box is None:
        return found
    top = np.array(values.shape)[:, None] - 1
    y, x = (part.ravel() for part in np.mgrid[box[1], box[2]])
    shape = found[box][0].shape
    for z in range(box[0].start, box[0].stop):
        where = there[:3, :3] @ np.stack([np.full(len(y), z), y, x]).astype(float) + there[:3, 3:]
        inside = ((where >= -0.5 - 1e-6) & (where <= top + 0.5 + 1e-6)).all(axis=0)
        plane = np.zeros(len(y), np.float32)
        plane[inside] = gathered(values[None], np.clip(where[:, inside], 0, top))[0]
        found[z, box[1], box[2]] = plane.reshape(shape)
    return found


def _box(values: np.ndarray, back: np.ndarray, size: tuple[int, ...]) -> tuple[slice, ...] | None:
    """The part of the scan over which values lie that are not 0."""
    ends = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(values.any(axis=others))
        if not len(filled):
            return None
        ends.append((filled[0] - 1, filled[-1] + 1))
    corners = np.array(list(product(*ends)), float) @ back[:3, :3].T + back[:3, 3]
    low = np.clip(np.floor(corners.min(axis=0)), 0, size).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, size).astype(int)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
