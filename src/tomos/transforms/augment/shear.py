"""Slant the picture."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from tomos.transforms.augment._step import Around, GeometryStep, spread


class Step(GeometryStep):
    """Slant rows (y moves with x), then columns (x moves with y), by an angle each.

    degrees  from .. to; a single number means -number .. number
    """

    columns = ("degrees_x", "degrees_y")
    chances = 2

    degrees: Around = Field(default=(-5.0, 5.0), validate_default=True)

    def values(self, u: np.ndarray) -> np.ndarray:
        return spread(u, self.degrees)

    def matrix(self, numbers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        slant = np.tan(np.deg2rad(numbers.astype(np.float64)))
        found = np.tile(np.eye(3), (len(numbers), 1, 1))
        # Rows first, then columns: the product keeps areas, so it can always be undone.
        found[:, 0, 0] += slant[:, 0] * slant[:, 1]
        found[:, 0, 1], found[:, 1, 0] = slant[:, 0], slant[:, 1]
        return found
