"""The distance from each voxel of one set to the nearest of another, exact, in numpy alone.

Two ways, each where it is quick. Near: the places around a voxel are looked up in the order of
their distance, and the first that is taken is the nearest. Far: both sets are cut into cells of a
few voxels; the boxes of two cells bound the distance from below and above, and only cells that
can hold the nearest point are compared point by point.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tomos.measures.components import ranges

NEAR = 300  # places looked up around a voxel before the far way is taken
LOOKS = 1 << 19  # places looked up together: about 4 MB of indices, near the processor
CELL = 12  # voxels along an edge of a cell, on average over the axes
PAIRS = 1 << 19  # bounds and distances held at once


@lru_cache(maxsize=16)
def around(spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The NEAR nearest steps (S, axes) on a grid of `spacing`, by rising distance (S,) in mm."""
    # A ball of this radius holds more than NEAR places, whatever the spacing.
    reach, axes = 1.0, len(spacing)
    while True:
        radius = reach * float(np.prod(spacing)) ** (1 / axes)
        sides = [np.arange(-(n := int(radius / s)), n + 1) for s in spacing]
        steps = np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, axes)
        away = np.sqrt(((steps * np.asarray(spacing)) ** 2).sum(1))
        inside = away <= radius
        if inside.sum() >= NEAR:
            order = np.argsort(away[inside], kind="stable")[:NEAR]
            return steps[inside][order], away[inside][order]
        reach *= 1.25


def margin(spacing: Sequence[float]) -> tuple[int, ...]:
    """How far the steps of `around` go along each axis."""
    steps, _ = around(tuple(spacing))
    return tuple(int(n) for n in np.abs(steps).max(0))


def look_near(
    grid: np.ndarray, at: np.ndarray, label: np.ndarray, spacing: Sequence[float]
) -> np.ndarray:
    """(N,) mm from places `at` of the flattened `grid` to the nearest voxel of the same `label`.

    grid   labels, 0 where nothing is, with an empty rim of `margin`
    at     (N,) inside the rim
    NaN where none lies within the NEAR nearest steps.
    """
    steps, away = around(tuple(spacing))
    strides = np.append(np.cumprod(grid.shape[:0:-1])[::-1], 1)
    shifts = steps @ strides
    flat = grid.reshape(-1)
    distance = np.full(len(at), np.nan)
    label = label.astype(grid.dtype)
    rest = np.arange(len(at))
    # A few first, since most voxels lie near, then more at once.
    for low, high in _portions(len(shifts)):
        block = max(LOOKS // (high - low), 1)
        missed = []
        for start in range(0, len(rest), block):
            rows = rest[start : start + block]
            hit = flat.take(at[rows, None] + shifts[low:high]) == label[rows, None]
            first = hit.argmax(1)
            seen = hit[np.arange(len(rows)), first]
            distance[rows[seen]] = away[low:high][first[seen]]
            missed.append(rows[~seen])
        rest = np.concatenate(missed) if missed else rest
        if not len(rest):
            break
    return distance


def look_far(points: np.ndarray, others: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """(N,) mm from `points` (N, axes) to the nearest of `others` (M, axes), M > 0, as indices."""
    scale = np.asarray(spacing, float)
    side = np.maximum(np.rint(CELL * np.prod(scale) ** (1 / len(scale)) / scale), 1).astype(int)
    mine, theirs = _Cells(points, side, scale), _Cells(others, side, scale)
    squared = np.empty(len(points))
    block = max(PAIRS // len(theirs.start), 1)
    for first in range(0, len(mine.start), block):
        few = slice(first, first + block)
        candidates = theirs.low[None] - mine.high[few, None]
        np.maximum(candidates, mine.low[few, None] - theirs.high[None], out=candidates)
        below = (np.maximum(candidates, 0) ** 2).sum(-1)
        reach = np.maximum(mine.high[few, None] - theirs.one, theirs.one - mine.low[few, None])
        above = (reach**2).sum(-1).min(1, keepdims=True)
        for cell, near in enumerate(below <= above * (1 + 1e-9), first):
            rows = slice(mine.start[cell], mine.stop[cell])
            chosen = theirs.mm[ranges(theirs.start[near], theirs.stop[near])]
            squared[mine.order[rows]] = _least(mine.mm[rows], chosen)
    return np.sqrt(squared)


class _Cells:
    """Points by the cell they lie in.

    order        (N,) that sorts the points by cell
    mm           (N, axes) sorted, in mm
    start, stop  (C,) the stretch of each cell
    low, high    (C, axes) the box of its points; one: a point of it
    """

    def __init__(self, points: np.ndarray, side: np.ndarray, scale: np.ndarray):
        cell = points // side
        cell = np.ravel_multi_index(tuple(cell.T), tuple(cell.max(0) + 1))
        self.order = np.argsort(cell, kind="stable")
        self.mm = points[self.order] * scale
        self.start = np.flatnonzero(np.diff(cell[self.order], prepend=-1))
        self.stop = np.append(self.start[1:], len(points))
        self.low = np.minimum.reduceat(self.mm, self.start)
        self.high = np.maximum.reduceat(self.mm, self.start)
        self.one = self.mm[(self.start + self.stop) // 2]


def _least(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) the least squared distance from `points` (N, axes) to `others` (M, axes)."""
    centre = points[0]
    points, others = points - centre, others - centre
    # |a - b|² less |a|² is |b|² - 2ab: one matrix product, which names the nearest.
    left = np.column_stack([np.ones(len(points)), -2 * points])
    right = np.column_stack([(others**2).sum(1), others])
    least = np.full(len(points), np.inf)
    block = max(PAIRS // len(points), 1)
    for first in range(0, len(others), block):
        some = others[first : first + block]
        nearest = (left @ right[first : first + block].T).argmin(1)
        # Its distance is taken anew: the product loses digits where points nearly meet.
        np.minimum(least, ((points - some[nearest]) ** 2).sum(1), out=least)
    return least


def _portions(count: int) -> list[tuple[int, int]]:
    ends = [end for end in (1, 7, 19, 35, 67) if end < count]
    ends += [*range(ends[-1] + 64, count, 64), count]
    return list(zip([0, *ends[:-1]], ends, strict=True))
