"""How the voxels of a scan lie on a prepared grid, axis by axis."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tomos.types import GeometryError, Image

_HALF = 0.5 + 1e-6  # a voxel reaches half a voxel to each side; the rest is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where the pixels or voxels of an array lie.

    size    (Z, Y, X) or (Y, X)
    affine  (4, 4), index in array order (z, y, x) -> mm, as `Image`; a picture is slice 0
    """

    size: tuple[int, ...]
    affine: np.ndarray

    def __post_init__(self) -> None:
        if len(self.size) not in (2, 3) or min(self.size) < 1:
            raise GeometryError(f"expected a grid (Y, X) or (Z, Y, X), got size {self.size}")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise GeometryError(f"expected a finite (4, 4) affine, got {self.affine.tolist()}")

    @staticmethod
    def of(image: Image) -> Grid:
        return Grid(image.size, image.affine)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One axis of the scan, made from one of the prepared grid by two neighbours each.

    Output `first + i` is keep[i] times input low[i] plus share[i] times input high[i]; outputs
    before and after lie outside the prepared grid. `flipped`: outputs count from the scan's end.
    """

    first: int
    flipped: bool
    low: np.ndarray
    high: np.ndarray
    keep: np.ndarray
    share: np.ndarray

    def __len__(self) -> int:
        return len(self.low)

    def runs(self) -> np.ndarray:
        """(R, 4): low, high, first and one past the last of the outputs between the same inputs."""
        if not len(self):
            return np.zeros((0, 4), np.int64)
        ends = np.flatnonzero(np.diff(self.low) | np.diff(self.high)) + 1
        first, last = np.append(0, ends), np.append(ends, len(self))
        return np.stack([self.low[first], self.high[first], first, last], axis=1)

    def blocks(self, inputs: int, outputs: int) -> list[slice]:
        """Outputs in a row that lie within `inputs` inputs, at most `outputs` for each of these."""
        ends = np.flatnonzero(np.diff(self.low // inputs)) + 1
        most = inputs * outputs
        return [
            slice(start, min(start + most, last))
            for first, last in pairwise([0, *ends.tolist(), len(self)])
            for start in range(first, last, most)
        ]

    def part(self, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(low, high, keep, share) of some outputs."""
        return self.low[rows], self.high[rows], self.keep[rows], self.share[rows]


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """The scan's axes in the order of the prepared grid's: order[a] runs along prepared axis a."""

    order: tuple[int, ...]
    lines: tuple[Line, Line, Line]

    @property
    def covered(self) -> tuple[int, ...]:
        """Scan voxels along each prepared axis that lie on the prepared grid."""
        return tuple(len(line) for line in self.lines)

    def view(self, out: np.ndarray) -> np.ndarray:
        """The part of `out`, an array on the scan's grid, that is covered, axes as prepared."""
        turned = out.transpose(self.order)
        flips = tuple(slice(None, None, -1) if line.flipped else slice(None) for line in self.lines)
        cut = tuple(slice(line.first, line.first + len(line)) for line in self.lines)
        return turned[flips][cut]


def change(prepared: Grid, scan: Grid) -> np.ndarray:
    """(4, 4): index on the scan -> index on the prepared grid, both in array order."""
    try:
        return np.linalg.solve(prepared.affine, scan.affine)
    except np.linalg.LinAlgError:
        raise GeometryError(
            f"expected affines that can be inverted, got {prepared.affine.tolist()} for the "
            "prepared grid"
        ) from None


def between(prepared: Grid, scan: Grid) -> Between | None:
    """The axes of two volumes against each other; None where they are truly turned or sheared."""
    to_prepared = change(prepared, scan)
    order = _order(to_prepared[:3, :3])
    if order is None:
        raise GeometryError(
            f"expected a scan whose affine can be inverted, got {scan.affine.tolist()}"
        )
    # How far, in prepared voxels, an axis drifts from one end of the scan to the other because of
    # the axes that it should not depend on.
    reach = np.abs(to_prepared[:3, :3]) * (np.array(scan.size) - 1)
    for axis, own in enumerate(order):
        if reach[axis].sum() - reach[axis, own] > 1e-3:
            return None
    first, second, third = (
        _line(prepared.size[axis], scan.size[own], to_prepared[axis, own], to_prepared[axis, 3])
        for axis, own in enumerate(order)
    )
    return Between(order, (first, second, third))


def _order(linear: np.ndarray) -> tuple[int, ...] | None:
    """For each prepared axis the scan's axis along it, the clearest match first."""
    length = np.linalg.norm(linear, axis=0)
    if not length.all():
        return None
    left = np.abs(linear) / length
    order = [0, 0, 0]
    for _ in range(3):
        axis, own = np.unravel_index(np.argmax(left), left.shape)
        order[axis] = int(own)
        left[axis, :] = left[:, own] = -1
    return tuple(order)


def _line(n_in: int, n_out: int, scale: float, shift: float) -> Line:
    """Output j lies at input index j * scale + shift; beyond the rim the rim's value holds."""
    flipped = bool(scale < 0)
    if flipped:
        scale, shift = -scale, shift + scale * (n_out - 1)
    where = np.round(np.arange(n_out) * scale + shift, 7)
    # Resampling to a whole number of voxels may end a quarter of a prepared voxel inside the scan.
    # A scan voxel more than twice as small then lies outside without having been cut away.
    slack = _HALF + max(0.0, 0.25 - scale / 2)
    inside = np.flatnonzero((where >= -slack) & (where <= n_in - 1 + slack))
    where = np.clip(where[inside], 0, n_in - 1)
    low = np.floor(where).astype(np.int64)
    share = where - low
    return Line(
        first=int(inside[0]) if len(inside) else 0,
        flipped=flipped,
        low=low,
        high=low + (share > 0),
        keep=(1 - share).astype(np.float32),
        share=share.astype(np.float32),
    )
