"""Labels from one grid onto another, by their two affines alone. No label is ever mixed."""

from __future__ import annotations

import numpy as np

from tomos.types import GeometryError, Image, Mask

STRAIGHT = 1e-3  # voxels by which an axis may stray over its whole length and still count as one
AT_ONCE = 2**22  # voxels whose places are computed at once where the grids are turned


def carry_labels(mask: Mask, grid: Image, outside: int = 0) -> np.ndarray:
    """The labels of `mask` on the grid of `grid`, by the nearest voxel: (Z, Y, X) or (Y, X).

    Where the mask has nothing, the label is `outside`. Axes may be swapped, flipped, cut, padded
    and resampled; grids that are turned against each other are looked up voxel by voxel. Raises
    GeometryError when one is a volume and the other a picture.
    """
    if mask.is_volume != grid.is_volume:
        raise GeometryError(
            f"{mask.origin.path or 'mask'}: expected labels for {grid.size}, got {mask.size}"
        )
    try:
        change = np.linalg.solve(mask.affine, grid.affine)
    except np.linalg.LinAlgError:
        raise GeometryError(
            f"{mask.origin.path or 'mask'}: expected an affine that can be inverted, "
            f"got {mask.affine.tolist()}"
        ) from None
    labels = mask.labels if mask.is_volume else mask.labels[None]
    size = grid.size if grid.is_volume else (1, *grid.size)
    axes = _straight(change[:3, :3], size)
    if axes is None:
        found = _turned(labels, change, size, outside)
    else:
        found = _along(labels, change, axes, size, outside)
    return found if grid.is_volume else found[0]


def _straight(linear: np.ndarray, size: tuple[int, ...]) -> tuple[int, ...] | None:
    """Which new axis each old one runs along; None where they run slantwise."""
    axes = tuple(int(a) for a in np.abs(linear).argmax(axis=1))
    rest = np.abs(linear * np.array(size))
    rest[range(3), axes] = 0
    return axes if sorted(axes) == [0, 1, 2] and rest.max() < STRAIGHT else None


def _along(labels: np.ndarray, change: np.ndarray, axes, size, outside: int) -> np.ndarray:
    """Old index k is a function of new index axes[k] alone."""
    places, inside = [], []
    for old, new in enumerate(axes):
        # A little less than half: 0.5 voxels away from both is decided alike for every rounding.
        at = np.floor(change[old, new] * np.arange(size[new]) + change[old, 3] + 0.5 - 1e-6)
        inside.append((at >= 0) & (at < labels.shape[old]))
        places.append(at.clip(0, labels.shape[old] - 1).astype(np.intp))
    found = labels[np.ix_(*places)].transpose(np.argsort(axes))
    if all(part.all() for part in inside):
        return np.ascontiguousarray(found)
    z, y, x = (inside[axes.index(new)] for new in range(3))
    kept = z[:, None, None] & y[:, None] & x
    return np.where(kept, found, np.asarray(outside, labels.dtype))


def _turned(labels: np.ndarray, change: np.ndarray, size, outside: int) -> np.ndarray:
    found = np.full(size, outside, labels.dtype)
    step = max(1, AT_ONCE // max(1, size[1] * size[2]))
    y, x = np.arange(size[1])[:, None], np.arange(size[2])
    for start in range(0, size[0], step):
        z = np.arange(start, min(start + step, size[0]))[:, None, None]
        places = [
            np.floor(row[0] * z + row[1] * y + row[2] * x + row[3] + 0.5 - 1e-6).astype(np.intp)
            for row in change[:3]
        ]
        kept = np.ones(places[0].shape, bool)
        for at, length in zip(places, labels.shape, strict=True):
            kept &= (at >= 0) & (at < length)
        found[start : start + len(z)][kept] = labels[tuple(at[kept] for at in places)]
    return found
