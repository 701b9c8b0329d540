"""Move the picture."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from tomos.transforms.augment._step import Around, GeometryStep, spread


class Step(GeometryStep):
    """Move right and down by shares of the picture's length, drawn for each axis.

    share  from .. to; a single number means -number .. number
    whole  move by whole pixels, with no interpolation
    """

    columns = ("x", "y")
    chances = 2

    share: Around = Field(default=(-0.05, 0.05), validate_default=True)
    whole: bool = False

    def values(self, u: np.ndarray) -> np.ndarray:
        return spread(u, self.share)

    def matrix(self, numbers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        found = np.tile(np.eye(3), (len(numbers), 1, 1))
        pixels = numbers.astype(np.float64) * (size[1], size[0])
        found[:, :2, 2] = np.round(pixels) if self.whole else pixels
        return found
