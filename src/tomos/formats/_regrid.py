"""An image on the grid of another one, by linear interpolation, a few planes at a time.

The steps of a preparation, which resample, too, are out of reach here: formats know no transforms.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from tomos.types import GeometryError, Image

# Of the Gaussian that a voxel of a coarser grid sees with, in finer voxels: half its height is as
# wide as sqrt(f^2 - 1) for grids f times apart (Cardoso et al. 2015,
# doi:10.1007/978-3-319-24571-3_81).
SIGMA = 1 / np.sqrt(8 * np.log(2))
ALIKE = 1.1  # times: steps no further apart are not smoothed for
EDGE = 1e-6
AT_ONCE = 2**18  # voxels whose places are computed at once


def regridded(image: Image, onto: Image) -> tuple[np.ndarray, float]:
    """(C, Z, Y, X) float32 of a volume on the grid of the volume `onto`, and the share of that grid
    that lies inside of it; what does not gets its lowest value.

    Where the new grid is coarser, the image is smoothed first, so that nothing is skipped. Raises
    GeometryError for an affine that cannot be inverted.
    """
    try:
        change = np.linalg.solve(image.affine, onto.affine)  # index on the grid -> in the image
    except np.linalg.LinAlgError:
        raise GeometryError(
            f"{image.origin.path or 'image'}: its affine maps the volume onto a plane: "
            f"{image.affine.tolist()}"
        ) from None
    out = np.empty((image.channels, *onto.size), np.float32)
    lowest = image.pixels.reshape(image.channels, -1).min(axis=1).astype(np.float32)
    pixels = _smoothed(image.pixels, np.linalg.norm(change[:3, :3], axis=1))
    y, x = np.arange(onto.size[1])[:, None], np.arange(onto.size[2])
    top, within = np.array(image.size).reshape(3, 1, 1, 1) - 1, 0
    out[...] = lowest.reshape(-1, 1, 1, 1)
    step = max(1, AT_ONCE // (onto.size[1] * onto.size[2]))
    for start in range(0, onto.size[0], step):
        z = np.arange(start, min(start + step, onto.size[0])).reshape(-1, 1, 1)
        where = np.stack([row[0] * z + row[1] * y + row[2] * x + row[3] for row in change[:3]])
        inside = ((where >= -0.5 - EDGE) & (where <= top + 0.5 + EDGE)).all(axis=0)
        within += int(np.count_nonzero(inside))
        if inside.any():
            slab = out[:, start : start + len(z)]
            slab[:, inside] = _gathered(pixels, np.clip(where, 0, top)[:, inside])
    return out, within / out[0].size


def _gathered(pixels: np.ndarray, where: np.ndarray) -> np.ndarray:
    """(C, P) at real indices (3, P) inside of pixels (C, Z, Y, X)."""
    size = pixels.shape[1:]
    low = np.floor(where).astype(np.intp)
    part, top = (where - low).astype(np.float32), np.array(size)[:, None] - 1
    flat = pixels.reshape(len(pixels), -1)
    out = np.zeros((len(pixels), where.shape[1]), np.float32)
    for corner in product((0, 1), repeat=3):
        up = np.array(corner)[:, None]
        weight = np.where(up, part, 1 - part).prod(axis=0)
        at = np.ravel_multi_index(tuple(np.minimum(low + up, top)), size)
        out += weight * np.take(flat, at, axis=1)
    return out


def _smoothed(pixels: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """(C, Z, Y, X) smoothed along each axis of which a new voxel covers `steps` old ones."""
    for axis, step in enumerate(steps, 1):
        if step <= ALIKE:
            continue
        sigma = SIGMA * np.sqrt(step**2 - 1)
        reach = int(np.ceil(3 * sigma))
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        weights = (weights / weights.sum()).astype(np.float32)
        width = [(0, 0)] * pixels.ndim
        width[axis] = (reach, reach)
        rim = np.moveaxis(np.pad(pixels.astype(np.float32), width, mode="edge"), axis, 0)
        length, total = pixels.shape[axis], np.float32(0)
        for k, weight in enumerate(weights):
            total = total + weight * rim[k : k + length]
        pixels = np.moveaxis(np.asarray(total), 0, axis)
    return np.ascontiguousarray(pixels)
