"""Mirror the picture."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from tomos.transforms.augment._step import GeometryStep


class Step(GeometryStep):
    """Mirror left-right with probability `x`, top-bottom with probability `y`.

    Only for pictures in which the side does not count: a mirrored chest has its heart on the right.
    """

    columns = ("x", "y")
    chances = 2

    x: float = Field(0.5, ge=0, le=1)
    y: float = Field(0.0, ge=0, le=1)

    def values(self, u: np.ndarray) -> np.ndarray:
        return (u < (self.x, self.y)).astype(float)

    def matrix(self, numbers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        found = np.tile(np.eye(3), (len(numbers), 1, 1))
        found[:, 0, 0] = 1 - 2 * numbers[:, 0]
        found[:, 1, 1] = 1 - 2 * numbers[:, 1]
        return found
