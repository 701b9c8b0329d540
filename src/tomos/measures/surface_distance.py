"""Distances between the surfaces of two masks: HD95 and NSD.

A surface voxel belongs to the label and has a face neighbour that does not, or that lies outside
the grid. Distances go from centre to centre. The surface, the place of the percentile and the
single precision are those of MONAI 1.6 (`compute_hausdorff_distance`, `compute_surface_dice` with
their defaults), so that figures can be set beside published ones. Definitions: Maier-Hein, Reinke
et al. 2024, doi:10.1038/s41592-023-02151-z; NSD: Nikolov et al. 2021, doi:10.2196/26151.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tomos.measures.nearest import look_far, look_near, margin

SLAB = 1 << 19  # voxels compared together: near the processor


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """The surface voxels of every label.

    grid   the labels where they are surface, else 0, with an empty rim on all sides
    at     (N,) where they are in the flattened grid, rising
    label  (N,) what they are
    """

    grid: np.ndarray
    at: np.ndarray
    label: np.ndarray

    @staticmethod
    def of(labels: np.ndarray, rim: Sequence[int]) -> Surface:
        """The surfaces of `labels` (Y, X) or (Z, Y, X); `rim` is its width along each axis."""
        grid = np.zeros([n + 2 * r for n, r in zip(labels.shape, rim, strict=True)], labels.dtype)
        inside = grid[tuple(slice(r, r + n) for n, r in zip(labels.shape, rim, strict=True))]
        step = max(SLAB // max(int(np.prod(labels.shape[1:])), 1), 1)
        for first in range(0, len(labels), step):
            # One more on either side, whose own answer is not used.
            low, high = max(first - 1, 0), min(first + step + 1, len(labels))
            part = np.ascontiguousarray(labels[low:high])
            mine = slice(first - low, first - low + step)
            np.multiply(part[mine], _differs(part)[mine], out=inside[first : first + step])
        at = np.flatnonzero(grid != 0)
        return Surface(grid, at, grid.reshape(-1)[at])

    def points(self, chosen: np.ndarray) -> np.ndarray:
        """(n, axes) indices into the grid of those `chosen`, (N,) bool or places."""
        return np.column_stack(np.unravel_index(self.at[chosen], self.grid.shape))


def distances(
    found: np.ndarray, truth: np.ndarray, labels: int, spacing: Sequence[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each label 1..K: mm from every surface voxel of `found` to that of `truth`, and back.

    (N,) and (M,) float32, in no order that matters; infinite where the other has no such label.
    """
    rim = margin(spacing)
    one, other = Surface.of(found, rim), Surface.of(truth, rim)
    there = _to(one, other, labels, spacing)
    back = _to(other, one, labels, spacing)
    return list(zip(there, back, strict=True))


def hd95(there: np.ndarray, back: np.ndarray, farthest: float = np.inf) -> float:
    """The 95th percentile of the distances one way or back, the larger one, in mm.

    `there` and `back` are those of one label by `distances`. NaN where both masks are empty,
    `farthest` where one is: there is no distance then, and the case may not drop out of a mean.
    """
    if not (len(there) and len(back)):
        return farthest if len(there) or len(back) else float("nan")
    return max(_percentile(there, 0.95), _percentile(back, 0.95))


def nsd(there: np.ndarray, back: np.ndarray, tolerance_mm: float) -> float:
    """Share of both surfaces within `tolerance_mm` of the other; NaN where both are empty."""
    size = len(there) + len(back)
    limit = np.float32(tolerance_mm)
    near = np.count_nonzero(there <= limit) + np.count_nonzero(back <= limit)
    return int(near) / size if size else float("nan")


def _differs(labels: np.ndarray) -> np.ndarray:
    """Where a voxel has a face neighbour of another label, or none."""
    out = np.zeros(labels.shape, bool)
    flat, marks = labels.reshape(-1), out.reshape(-1)
    stride = 1
    for length in reversed(labels.shape):
        # Flat, the last of a row stands beside the first of the next: both are marked below.
        unequal = flat[stride:] != flat[:-stride]
        marks[stride:] |= unequal
        marks[:-stride] |= unequal
        stride *= length
    for axis in range(labels.ndim):
        ends = np.moveaxis(out, axis, 0)
        ends[0] = ends[-1] = True
    return out


def _to(one: Surface, other: Surface, labels: int, spacing: Sequence[float]) -> list[np.ndarray]:
    """Of each label, float32 mm from the surface `one` to the surface `other`."""
    far = look_near(other.grid, one.at, one.label, spacing)
    rest = np.flatnonzero(np.isnan(far))
    for label in np.unique(one.label[rest]):
        mine, theirs = rest[one.label[rest] == label], other.label == label
        far[mine] = np.inf
        if theirs.any():
            far[mine] = look_far(one.points(mine), other.points(theirs), spacing)
    order = np.argsort(one.label, kind="stable")
    counts = np.bincount(one.label, minlength=labels + 1)
    return np.split(far[order].astype(np.float32), np.cumsum(counts)[:-1])[1:]


def _percentile(values: np.ndarray, share: float) -> float:
    """Linear between the two nearest, its place reckoned in single precision as torch does.

    Over many thousand voxels that place is off by a thousandth: enough to differ in the sixth
    digit from one reckoned exactly.
    """
    place = np.float32(share) * np.float32(len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    ends = np.partition(values, (low, high))[[low, high]].astype(float)
    return float(ends[0] + (ends[1] - ends[0]) * float(place - np.float32(low)))
