"""Turn the picture about its middle."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from tomos.transforms.augment._step import Around, GeometryStep, Size, spread, still

# The plane that each column turns: its first axis goes towards minus the second.
_PLANES = ((0, 1), (2, 0), (1, 2))


class Step(GeometryStep):
    """Turn by an angle, positive counter-clockwise as the picture is seen (x right, y down).

    A volume is turned about x, then y, then z, the axis of its slices.

    degrees        from .. to; a single number means -number .. number
    degrees_y      the same about the y axis of a volume; left out: as `degrees`
    degrees_x      the same about the x axis of a volume; left out: as `degrees`. Slices much
                   thicker than pixels turn only in their plane: 0 for both
    quarter_turns  take 0, 90, 180 or 270 degrees instead, with no interpolation on square pictures;
                   in volumes about every axis whose degrees are not 0
    """

    columns = ("degrees",)
    volume_columns = ("degrees", "degrees_y", "degrees_x")
    chances, volume_chances = 1, 3

    degrees: Around = Field(default=(-10.0, 10.0), validate_default=True)
    degrees_y: Around | None = None
    degrees_x: Around | None = None
    quarter_turns: bool = False

    @property
    def _ranges(self) -> list[tuple[float, float]]:
        others = (self.degrees_y, self.degrees_x)
        return [self.degrees, *(self.degrees if each is None else each for each in others)]

    def values(self, u: np.ndarray) -> np.ndarray:
        if not self.quarter_turns:
            angles = [spread(u[:, i], self._ranges[i]) for i in range(u.shape[1])]
            return np.stack(angles, axis=1)
        return 90 * np.floor(4 * u) * self._turned(u.shape[1])

    def matrix(self, numbers: np.ndarray, size: Size) -> np.ndarray:
        angle = np.deg2rad(numbers.astype(np.float64))
        found = still(len(numbers), len(size))
        planes = _PLANES[: angle.shape[1]]
        for (first, second), by in zip(planes[::-1], angle.T[::-1], strict=True):
            turn = still(len(numbers), len(size))
            turn[:, first, first] = turn[:, second, second] = np.cos(by)
            turn[:, first, second] = np.sin(by)
            turn[:, second, first] = -np.sin(by)
            found = turn @ found
        return found

    def reach(self, half: np.ndarray, size: Size, spacing: np.ndarray) -> np.ndarray:
        """No corner leaves the ball about the middle, or goes further than the sines let it."""
        length = half * spacing
        most = np.eye(len(half))
        planes = _PLANES[: self.chances_of(len(half))]
        turned = self._turned(len(planes)) & self.quarter_turns
        for (first, second), span, whole in zip(planes, self._ranges, turned, strict=False):
            widest = 90.0 if whole else min(90.0, max(map(abs, span)))
            turn = np.eye(len(half))
            turn[first, second] = turn[second, first] = np.sin(np.deg2rad(widest))
            most = turn @ most
        ball = np.sqrt((most > 0) @ length**2)  # of what may be turned into each axis
        return np.maximum(np.minimum(np.minimum(most, 1) @ length, ball) / spacing, half)

    def _turned(self, angles: int) -> np.ndarray:
        """Which of the angles take quarter turns."""
        return np.array([angles == 1 or any(span) for span in self._ranges[:angles]])
