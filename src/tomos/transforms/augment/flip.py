"""Mirror the picture."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from tomos.transforms.augment._step import GeometryStep, Size, still


class Step(GeometryStep):
    """Mirror left-right with probability `x`, top-bottom with `y`, volumes slice-wise with `z`.

    Only for pictures in which the side does not count: a mirrored chest has its heart on the right.
    """

    columns, volume_columns = ("x", "y"), ("x", "y", "z")
    chances, volume_chances = 2, 3

    x: float = Field(0.5, ge=0, le=1)
    y: float = Field(0.0, ge=0, le=1)
    z: float = Field(0.0, ge=0, le=1)

    def values(self, u: np.ndarray) -> np.ndarray:
        return (u < (self.x, self.y, self.z)[: u.shape[1]]).astype(float)

    def matrix(self, numbers: np.ndarray, size: Size) -> np.ndarray:
        found = still(len(numbers), len(size))
        axis = range(len(size))
        found[:, axis, axis] = 1 - 2 * numbers
        return found
