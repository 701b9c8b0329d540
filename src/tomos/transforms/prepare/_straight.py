"""A sheared scan, such as one from a tilted gantry, on axes at right angles."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod

import numpy as np

from tomos.transforms.prepare._gather import gathered
from tomos.types import GeometryError, Image

SQUARE = 0.01  # cosine between two axes that counts as none: 0.6 degrees, as for DICOM series


def sheared(affine: np.ndarray) -> float:
    """The largest cosine between two of the axes of an affine (4, 4)."""
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    if not steps.all():
        return 1.0
    along = affine[:3, :3] / steps
    return float(np.abs(np.triu(along.T @ along, 1)).max())


def straightened(image: Image) -> Image:
    """The image itself where its axes are at right angles; else resampled, with a warning.

    The finest axis stays, then the next finer one as far as that can be; so planes that were taken
    as planes stay planes. What lies outside the scan gets its lowest value. Raises GeometryError
    for axes that lie in one plane.
    """
    if _stays(image):
        return image
    affine, size = _grid(image)
    degrees = np.degrees(np.arccos(min(1.0, sheared(image.affine))))
    said = (
        f"its axes are not at right angles (down to {degrees:.1f} degrees, as from a tilted "
        "gantry): interpolated onto straight ones for the network; the mask lies on the image as "
        "it is"
    )
    pixels = _resampled(image, np.linalg.solve(image.affine, affine), size)
    return replace(image, pixels=pixels, affine=affine, warnings=(*image.warnings, said))


def straightening(image: Image) -> int:
    """Bytes that `straightened` takes at most."""
    if _stays(image):
        return 0
    size = _grid(image)[1]
    return image.channels * (4 * prod(size) + 12 * prod(size[1:])) + 200 * prod(size[1:])


def _stays(image: Image) -> bool:
    return not image.is_volume or image.frame == "pixel" or sheared(image.affine) <= SQUARE


def _grid(image: Image) -> tuple[np.ndarray, tuple[int, ...]]:
    """Affine and size of the straight grid that holds the whole of the scan."""
    affine = _square(image)
    change = np.linalg.solve(image.affine, affine)
    corners = np.array(list(product(*((-0.5, n - 0.5) for n in image.size))))
    there = (corners - change[:3, 3]) @ np.linalg.inv(change[:3, :3]).T
    low, high = there.min(axis=0), there.max(axis=0)
    size = np.maximum(1, np.ceil(high - low - 1e-6))
    # About the same middle, so that it does not matter at which end an axis begins.
    affine[:3, 3] += affine[:3, :3] @ (low + 0.5 + (high - low - size) / 2)
    return affine, tuple(int(n) for n in size)


def _square(image: Image) -> np.ndarray:
    """The affine with axes at right angles: by Gram and Schmidt, the finest axis first. A step is
    as long as what the old one moves along the new direction, so that slices stay slices."""
    affine = image.affine.copy()
    # Of axes alike, those that lie most across the patient first, however the file orders them.
    upward = np.abs(affine[2, :3]) / np.linalg.norm(affine[:3, :3], axis=0)
    forward = np.abs(affine[1, :3]) / np.linalg.norm(affine[:3, :3], axis=0)
    keys = np.round([image.spacing, upward, forward], 6)
    order = sorted(range(3), key=lambda axis: tuple(keys[:, axis]))
    done: list[np.ndarray] = []
    for axis in order:
        column = affine[:3, axis].copy()
        for other in done:
            column -= other * (other @ column)
        length = float(np.linalg.norm(column))
        if length < 1e-3 * image.spacing[axis]:
            raise GeometryError(
                f"{image.origin.path or 'image'}: its affine maps the volume onto a plane: "
                f"{image.affine.tolist()}"
            )
        affine[:3, axis] = column
        done.append(column / length)
    return affine


def _resampled(image: Image, change: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(C, Z, Y, X) float32 at indices `change` maps to, plane by plane."""
    out = np.empty((image.channels, *size), np.float32)
    y, x = np.indices(size[1:]).reshape(2, -1)
    top = np.array(image.size)[:, None] - 1
    pixels = np.ascontiguousarray(image.pixels)
    lowest = pixels.reshape(image.channels, -1).min(axis=1)
    for z in range(size[0]):
        index = np.stack([np.full(len(y), z), y, x]).astype(float)
        where = change[:3, :3] @ index + change[:3, 3:]
        inside = ((where >= -0.5 - 1e-6) & (where <= top + 0.5 + 1e-6)).all(axis=0)
        plane = np.repeat(lowest[:, None].astype(np.float32), len(y), axis=1)
        plane[:, inside] = gathered(pixels, np.clip(where[:, inside], 0, top))
        out[:, z] = plane.reshape(image.channels, *size[1:])
    return out
