"""Turn the picture about its middle."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from tomos.transforms.augment._step import Around, GeometryStep, spread


class Step(GeometryStep):
    """Turn by an angle, positive counter-clockwise as the picture is seen (x right, y down).

    degrees        from .. to; a single number means -number .. number
    quarter_turns  take 0, 90, 180 or 270 degrees instead, with no interpolation on square pictures
    """

    columns = ("degrees",)
    chances = 1

    degrees: Around = Field(default=(-10.0, 10.0), validate_default=True)
    quarter_turns: bool = False

    def values(self, u: np.ndarray) -> np.ndarray:
        return 90 * np.floor(4 * u) if self.quarter_turns else spread(u, self.degrees)

    def matrix(self, numbers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        angle = np.deg2rad(numbers[:, 0].astype(np.float64))
        found = np.tile(np.eye(3), (len(numbers), 1, 1))
        found[:, 0, 0] = found[:, 1, 1] = np.cos(angle)
        found[:, 0, 1] = np.sin(angle)
        found[:, 1, 0] = -np.sin(angle)
        return found
