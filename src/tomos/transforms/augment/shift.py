"""Move the picture."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from tomos.transforms.augment._step import Around, GeometryStep, Size, spread, still


class Step(GeometryStep):
    """Move along each axis by its own share of the picture's length there.

    share  from .. to; a single number means -number .. number
    whole  move by whole pixels, with no interpolation
    """

    columns, volume_columns = ("x", "y"), ("x", "y", "z")
    chances, volume_chances = 2, 3

    share: Around = Field(default=(-0.05, 0.05), validate_default=True)
    whole: bool = False

    def values(self, u: np.ndarray) -> np.ndarray:
        return spread(u, self.share)

    def matrix(self, numbers: np.ndarray, size: Size) -> np.ndarray:
        found = still(len(numbers), len(size))
        pixels = numbers.astype(np.float64) * size[::-1]
        found[:, : len(size), len(size)] = np.round(pixels) if self.whole else pixels
        return found
