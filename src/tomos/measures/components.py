"""Connected components of all labels at once, in numpy alone.

The grid is read as runs: stretches of one label along the last axis. There are far fewer runs than
voxels, and two runs of neighbouring rows touch when their stretches overlap, which sorted starts
and ends tell without a look at the voxels. Components are numbered in the order of their first
voxel.

connectivity  how many axes a step to a neighbour may move along, 1 to the number of axes: 1 faces
              only (6 neighbours in 3D), None all of them (26), as in scikit-image and MONAI
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tomos.types import GeometryError, SettingsError

SLAB = 1 << 22  # voxels looked at together: their comparisons stay small in memory


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The pieces of every label, and the runs they are made of.

    shape        of the labels
    start, stop  (R,) the runs, half open, as places in the flattened labels, rising
    piece        (R,) the component a run belongs to, 0..C-1
    label        (C,) its label
    voxels       (C,) how many voxels it has
    """

    shape: tuple[int, ...]
    start: np.ndarray
    stop: np.ndarray
    piece: np.ndarray
    label: np.ndarray
    voxels: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def numbered(self) -> np.ndarray:
        """`shape` int32: 0 where nothing is, else 1 + the number of the component."""
        edges = np.column_stack([self.start, self.stop]).ravel()
        lengths = np.diff(edges, prepend=0, append=int(np.prod(self.shape)))
        values = np.zeros(len(lengths), np.int32)
        values[1::2] = self.piece + 1
        return np.repeat(values, lengths).reshape(self.shape)

    def largest(self) -> np.ndarray:
        """(C,) bool: the largest of each label; of equal ones the last, as MONAI 1.6 keeps it."""
        order = np.lexsort((self.voxels, self.label))
        keep = np.zeros(len(self), bool)
        keep[order[np.diff(self.label[order], append=-1) != 0]] = True
        return keep

    def places(self, chosen: np.ndarray) -> np.ndarray:
        """Places in the flattened labels of the components (C,) bool `chosen`."""
        runs = chosen[self.piece]
        return ranges(self.start[runs], self.stop[runs])


def components(labels: np.ndarray, connectivity: int | None = None) -> Components:
    """The components of each label > 0 of (Y, X) or (Z, Y, X) unsigned integers or bool.

    Different labels never join. GeometryError for another kind of array, SettingsError for a
    `connectivity` outside 1 to the number of axes.
    """
    if labels.ndim not in (2, 3) or labels.dtype.kind not in "ub":
        raise GeometryError(
            f"components: expected labels (Y, X) or (Z, Y, X) of unsigned integers or bool, got "
            f"{labels.dtype} of shape {labels.shape}"
        )
    steps = labels.ndim if connectivity is None else connectivity
    if not 1 <= steps <= labels.ndim:
        raise SettingsError(f"connectivity: expected 1 to {labels.ndim}, got {connectivity}")
    start, stop, label = _runs(labels)
    first, second = _joined(*_spread(start, stop, labels.shape), label, labels.shape, steps)
    root = _roots(len(start), first, second)
    heads = root == np.arange(len(root))
    piece = (np.cumsum(heads) - 1)[root]
    voxels = np.bincount(piece, weights=stop - start, minlength=int(heads.sum())).astype(np.int64)
    return Components(labels.shape, start, stop, piece, label[heads], voxels)


def keep_largest(
    labels: np.ndarray, only: Sequence[int] | None = None, connectivity: int | None = None
) -> np.ndarray:
    """A copy of `labels` with the largest component of each label, the others set to 0.

    `only` names the labels to treat; the others stay whole. The same masks as MONAI 1.6's
    KeepLargestConnectedComponent(independent=True).
    """
    parts = components(labels, connectivity)
    return _without(labels, parts, ~parts.largest(), only)


def remove_small(
    labels: np.ndarray,
    spacing: Sequence[float],
    least: float,
    only: Sequence[int] | None = None,
    connectivity: int | None = None,
) -> np.ndarray:
    """A copy of `labels` without the components smaller than `least`.

    least  in mm³ for a volume (1 ml = 1,000 mm³), mm² for a picture, given `spacing` in mm along
           each axis of the array; a component of exactly this size stays
    only   the labels to treat; None is all
    """
    if len(spacing) != labels.ndim:
        raise GeometryError(f"expected a spacing for {labels.ndim} axes, got {tuple(spacing)}")
    parts = components(labels, connectivity)
    # A size that is met but for rounding is met.
    small = parts.voxels * float(np.prod(spacing)) < least * (1 - 1e-9)
    return _without(labels, parts, small, only)


def ranges(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """start[0]..stop[0]-1, start[1]..stop[1]-1, ..., one after the other."""
    lengths = stop - start
    before = np.cumsum(lengths) - lengths
    return np.repeat(start - before, lengths) + np.arange(int(lengths.sum()))


def _without(
    labels: np.ndarray, parts: Components, drop: np.ndarray, only: Sequence[int] | None
) -> np.ndarray:
    if only is not None:
        drop = drop & np.isin(parts.label, only)
    out = np.array(labels, order="C")
    out.reshape(-1)[parts.places(drop)] = 0
    return out


def _runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, stop and label of every run that is not background; a run never leaves its row."""
    row = labels.shape[-1]
    slice_size = max(int(np.prod(labels.shape[1:])), 1)
    step = max(SLAB // slice_size, 1)
    found = []
    for first in range(0, len(labels), step):
        flat = np.ascontiguousarray(labels[first : first + step]).reshape(-1)
        begins = np.empty(len(flat), bool)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:])
        begins[::row] = True
        start = np.flatnonzero(begins)
        stop = np.append(start[1:], len(flat))
        label = flat[start]
        there = label > 0
        shift = first * slice_size
        found.append((start[there] + shift, stop[there] + shift, label[there]))
    if not found:
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0, labels.dtype)
    start, stop, label = (np.concatenate(each) for each in zip(*found, strict=True))
    return start, stop, label.astype(np.int64)


def _spread(
    start: np.ndarray, stop: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The runs on a grid with an empty column after each row and an empty row after each slice.

    There a step over the border lands on an empty place, never in the next row or slice.
    """
    height, width = shape[-2:]
    rows, x = np.divmod(start, width)
    slices, y = np.divmod(rows, height)
    placed = (slices * (height + 1) + y) * (width + 1) + x
    return placed, placed + (stop - start)


def _joined(
    start: np.ndarray, stop: np.ndarray, label: np.ndarray, shape: tuple[int, ...], steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of touching runs of one label, (P,) and (P,)."""
    height, width = shape[-2:]
    pairs = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for dz, dy in ((0, 1), (1, -1), (1, 0), (1, 1)):
        left = steps - dz - abs(dy)
        if left < 0 or (dz and len(shape) == 2):
            continue
        shift = (dz * (height + 1) + dy) * (width + 1)
        reach = min(left, 1)  # a step along x may be added: stretches that meet at a corner join
        for begin in range(0, len(start), SLAB):
            few = slice(begin, begin + SLAB)
            low = np.searchsorted(stop, start[few] + (shift - reach), side="right")
            high = np.searchsorted(start, stop[few] + (shift + reach), side="left")
            first = np.repeat(np.arange(begin, begin + len(low)), high - low)
            second = ranges(low, high)
            same = label[first] == label[second]
            pairs.append((first[same], second[same]))
    first, second = (np.concatenate(each) for each in zip(*pairs, strict=True))
    return first, second


def _roots(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(count,) the lowest member each one is joined with, over any number of pairs.

    In every round each root is hung under the lowest root it touches, then all paths are cut
    short. Only roots with nothing lower beside them are left to the next, so a few rounds do.
    """
    root = np.arange(count)
    while len(first):
        one, other = root[first], root[second]
        apart = one != other
        low, high = np.minimum(one, other)[apart], np.maximum(one, other)[apart]
        np.minimum.at(root, high, low)
        while not np.array_equal(above := root[root], root):
            root = above
        first, second = low, high
    return root
