"""A label's surface: closed, smoothed without shrinking, in millimetres.

Marching cubes on the label itself, each vertex half way between a voxel that is in and one that is
not; then Taubin's smoothing takes the steps of the voxels away. All in numpy: a library for it
would have to be installed, and does not promise a surface that is closed for every mask.
"""

from __future__ import annotations

import numpy as np

from tomos.formats._colours import colour_of
from tomos.formats._cubes import triangles
from tomos.formats._mesh import Mesh
from tomos.types import GeometryError, Mask, SettingsError

# Taubin, "A signal processing approach to fair surface design", SIGGRAPH 1995: a step forward and a
# slightly longer one back, 1 / FORWARD + 1 / BACK = 0.1, the pass band of his examples.
FORWARD = 0.5
BACK = 1 / (0.1 - 1 / FORWARD)
SMOOTH = 20
ORIGIN = np.array([[c >> 2 & 1, c >> 1 & 1, c & 1] for c in range(8)])  # of corner c: z, y, x


def surface(mask: Mask, name: str, smooth: int = SMOOTH) -> Mesh:
    """The surface of one label of a volume, outward, RAS mm.

    smooth  passes of Taubin's smoothing; 0 leaves the steps of the voxels
    Every edge has exactly two triangles, also where the label ends with the image. What is one
    voxel thin comes out thinner than it is: measure volumes on the mask. Raises SettingsError for a
    name that the mask has not, GeometryError for a picture, for a mask without millimetres, and
    where no voxel has the label.
    """
    if name not in mask.names:
        raise SettingsError(f"{name!r} is no label of the mask; it has {', '.join(mask.names)}")
    label = mask.names.index(name) + 1
    _check(mask)
    inside = mask.labels == label
    if not inside.any():
        where = mask.origin.path or "the mask"
        raise GeometryError(f"{where}: no voxel is {name}, so that it has no surface")
    vertices, faces = extract(inside)
    vertices = taubin(vertices, faces, smooth)
    if np.linalg.det(mask.affine[:3, :3]) < 0:  # seen in a mirror, they run the other way round
        faces = faces[:, ::-1]
    world = vertices @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    return Mesh(name, world, np.ascontiguousarray(faces), colour_of(label))


def surfaces(mask: Mask, smooth: int = SMOOTH) -> list[Mesh]:
    """The surfaces of all labels that are there, in the order of the names. Raises GeometryError as
    `surface` does, but for a label that is not there."""
    _check(mask)
    # Plane by plane: a whole volume at once would be copied.
    there = set().union(*(np.unique(plane).tolist() for plane in mask.labels))
    return [
        surface(mask, name, smooth) for label, name in enumerate(mask.names, 1) if label in there
    ]


def _check(mask: Mask) -> None:
    if not mask.is_volume or mask.frame == "pixel":
        raise GeometryError(
            f"{mask.origin.path or 'the mask'}: a surface in millimetres is made of a volume whose "
            f"voxels have a size, got labels {mask.size} in the frame {mask.frame!r}"
        )


def extract(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(Z, Y, X) bool -> vertices (V, 3) as index (z, y, x), faces (F, 3)."""
    start, inside = _cropped(inside)
    codes = _codes(inside)
    cells = np.flatnonzero((codes != 0) & (codes != 255))
    counts, starts, table = triangles()
    code = codes.ravel()[cells]
    several = counts[code]
    within = np.arange(several.sum()) - np.repeat(np.cumsum(several) - several, several)
    edges = table[np.repeat(starts[code], several) + within]
    # The number of a grid line is three times that of the point it starts from, plus its axis.
    shape = inside.shape
    points = np.ravel_multi_index(np.unravel_index(cells, codes.shape), shape)
    corner = ORIGIN @ [shape[1] * shape[2], shape[2], 1]
    lines = 3 * (np.repeat(points, several)[:, None] + corner[edges // 3]) + edges % 3
    used, faces = np.unique(lines, return_inverse=True)
    vertices = np.stack(np.unravel_index(used // 3, shape), axis=1) + 0.5 * np.eye(3)[used % 3]
    return vertices + start, faces.reshape(-1, 3)


def taubin(vertices: np.ndarray, faces: np.ndarray, passes: int) -> np.ndarray:
    """Smooth a closed surface without shrinking it."""
    # Every edge has two triangles, which run along it both ways: each neighbour comes once.
    order = np.argsort(faces.ravel(), kind="stable")
    neighbours = np.roll(faces, -1, axis=1).ravel()[order]
    counts = np.bincount(faces.ravel(), minlength=len(vertices))
    starts = np.cumsum(counts) - counts
    for _ in range(passes):
        for step in (FORWARD, BACK):
            mean = np.add.reduceat(vertices[neighbours], starts) / counts[:, None]
            vertices = vertices + step * (mean - vertices)
    return vertices


def _cropped(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part that is not empty with one voxel around it, and the index where that begins."""
    ranges = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        found = np.flatnonzero(inside.any(axis=others))
        ranges.append(slice(int(found[0]), int(found[-1]) + 1))
    start = np.array([each.start - 1 for each in ranges])
    return start, np.pad(inside[tuple(ranges)], 1)


def _codes(inside: np.ndarray) -> np.ndarray:
    """(Z - 1, Y - 1, X - 1) uint8: bit k says whether corner k of the cell is in."""
    codes = np.zeros(tuple(length - 1 for length in inside.shape), np.uint8)
    for corner, (z, y, x) in enumerate(ORIGIN):
        part = inside[z : z + codes.shape[0], y : y + codes.shape[1], x : x + codes.shape[2]]
        codes |= part.view(np.uint8) << np.uint8(corner)
    return codes
