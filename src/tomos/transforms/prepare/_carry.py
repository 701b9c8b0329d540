"""From the prepared grid back to the image's own, by their two affines alone."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tomos.transforms.prepare._resample import resample
from tomos.types import GeometryError, Image

Mode = Literal["linear", "nearest"]


def carry_back(map_image: Image, onto: Image, mode: Mode = "linear", outside: float = 0.0) -> Image:
    """A map (C, y, x) on a prepared grid -> (C, Y, X) float32 on the grid of `onto`.

    What the preparation had cut away becomes `outside`. Where `onto` is a volume of which one slice
    was prepared, the map lies in that slice. Raises GeometryError when the two grids do not lie in
    one plane.
    """
    if map_image.is_volume:
        raise GeometryError(f"expected a map (C, Y, X) to carry back, got {map_image.pixels.shape}")
    if not onto.is_volume:
        pixels = _in_plane(map_image, onto.affine, onto.size, mode, outside)
        return _on(onto, map_image, pixels)
    to_map = _between(map_image, onto.affine)
    axis = int(np.argmax(np.abs(to_map[0, :3])))
    place = round(-to_map[0, 3] / to_map[0, axis])
    if not 0 <= place < onto.size[axis]:
        raise GeometryError(
            f"{onto.origin.path or 'volume'}: expected a map of one of its {onto.size[axis]} "
            f"slices, got one at index {place}"
        )
    rest = [a for a in range(3) if a != axis]
    affine = onto.affine.copy()
    affine[:3, 3] += place * onto.affine[:3, axis]
    affine[:3, :3] = onto.affine[:3, [axis, *rest]]
    size = (onto.size[rest[0]], onto.size[rest[1]])
    whole = np.full((map_image.channels, *onto.size), outside, np.float32)
    whole[(slice(None), *(place if a == axis else slice(None) for a in range(3)))] = _in_plane(
        map_image, affine, size, mode, outside
    )
    return _on(onto, map_image, whole)


def carry_points(index: np.ndarray, start: Image, target: Image) -> np.ndarray:
    """Index (..., 3), (z, y, x), on the grid of `start` -> index on the grid of `target`."""
    change = _between(target, start.affine)
    return np.asarray(index, float) @ change[:3, :3].T + change[:3, 3]


def _on(onto: Image, map_image: Image, pixels: np.ndarray) -> Image:
    return Image(
        pixels,
        onto.affine,
        onto.frame,
        map_image.unit,
        onto.modality,
        map_image.value_range,
        None,
        onto.origin,
    )


def _between(grid: Image, affine: np.ndarray) -> np.ndarray:
    """(4, 4): index under `affine` -> index on `grid`."""
    try:
        return np.linalg.solve(grid.affine, affine)
    except np.linalg.LinAlgError:
        raise GeometryError(
            f"{grid.origin.path or 'map'}: expected an affine that can be inverted, "
            f"got {grid.affine.tolist()}"
        ) from None


def _in_plane(
    map_image: Image, affine: np.ndarray, size: tuple[int, ...], mode: Mode, outside: float
) -> np.ndarray:
    change = _between(map_image, affine)
    tilt = np.abs(change[0, 1:3]).max()
    if tilt * max(size) > 0.5 or abs(change[0, 3]) > 0.5:
        raise GeometryError(
            f"{map_image.origin.path or 'map'}: expected a map in the plane of the image, got one "
            f"{change[0, 3]:.2f} slices away and tilted by {tilt:.3f} slices a pixel"
        )
    linear, shift = change[1:3, 1:3], change[1:3, 3]
    x = np.asarray(map_image.pixels, np.float32)
    if np.abs(linear[[0, 1], [1, 0]]).max() * max(size) < 1e-3 and linear.diagonal().min() > 0:
        return _straight(x, linear.diagonal(), shift, size, mode, outside)
    index = np.indices(size, dtype=float).reshape(2, -1)
    where = linear @ index + shift[:, None]
    return _gather(x, where, mode, outside).reshape(len(x), *size)


def _straight(
    x: np.ndarray, scale: np.ndarray, shift: np.ndarray, size, mode: Mode, outside: float
) -> np.ndarray:
    """Axes run alike: one product an axis, and a frame of `outside` around what was kept."""
    inside = []
    for axis in (0, 1):
        n, s = x.shape[axis + 1], scale[axis]
        where = np.arange(size[axis]) * s + shift[axis]
        inside.append((where >= -0.5 - 1e-6) & (where <= n - 0.5 + 1e-6))
    for axis in (0, 1):
        s = float(round(scale[axis], 12))
        # (j + 0.5) s - 0.5 + offset = j s + shift
        offset = float(round(shift[axis] - 0.5 * s + 0.5, 9))
        x = resample(x, axis - 2, size[axis], s, offset, mode)
    return np.where(inside[0][:, None] & inside[1][None, :], x, np.float32(outside))


def _gather(x: np.ndarray, where: np.ndarray, mode: Mode, outside: float) -> np.ndarray:
    """x (C, Y, X) at real indices (2, P) -> (C, P)."""
    top = np.array(x.shape[1:])[:, None] - 1
    kept = ((where >= -0.5 - 1e-6) & (where <= top + 0.5 + 1e-6)).all(axis=0)
    where = np.clip(where, 0, top)
    if mode == "nearest":
        y, z = np.floor(where + 0.5).astype(int)
        return np.where(kept, x[:, y, z], np.float32(outside))
    low = np.minimum(np.floor(where).astype(int), np.maximum(top - 1, 0))
    high = np.minimum(low + 1, top)
    fy, fx = (where - low).astype(np.float32)
    upper = x[:, low[0], low[1]] * (1 - fx) + x[:, low[0], high[1]] * fx
    lower = x[:, high[0], low[1]] * (1 - fx) + x[:, high[0], high[1]] * fx
    return np.where(kept, upper * (1 - fy) + lower * fy, np.float32(outside))
