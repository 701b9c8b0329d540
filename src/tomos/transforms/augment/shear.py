"""Slant the picture."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from tomos.transforms.augment._step import Around, GeometryStep, Size, spread, still

# (what moves, with what) for each column, as rows and columns of the matrix.
_PAIRS = ((0, 1), (1, 0), (0, 2), (1, 2), (2, 0), (2, 1))


class Step(GeometryStep):
    """Slant rows (y moves with x), then columns (x moves with y), by an angle each.

    degrees   from .. to; a single number means -number .. number
    in_plane  leave the z axis of volumes alone; else x, y and z are slanted along each other
    """

    columns = ("degrees_x", "degrees_y")
    volume_columns = ("x_by_y", "y_by_x", "x_by_z", "y_by_z", "z_by_x", "z_by_y")
    chances, volume_chances = 2, 6

    degrees: Around = Field(default=(-5.0, 5.0), validate_default=True)
    in_plane: bool = False

    def values(self, u: np.ndarray) -> np.ndarray:
        found = spread(u, self.degrees)
        if self.in_plane:
            found[:, 2:] = 0
        return found

    def matrix(self, numbers: np.ndarray, size: Size) -> np.ndarray:
        slant = np.tan(np.deg2rad(numbers.astype(np.float64)))
        lower, upper = still(len(numbers), len(size)), still(len(numbers), len(size))
        for (row, column), by in zip(_PAIRS, slant.T, strict=False):
            (upper if row < column else lower)[:, row, column] = by
        # The product of two such keeps areas, so it can always be undone.
        return upper @ lower
