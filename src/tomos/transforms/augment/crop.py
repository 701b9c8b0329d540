"""A part of the picture, enlarged to the whole."""

from __future__ import annotations

import numpy as np
from pydantic import field_validator

from tomos.transforms.augment._step import GeometryStep, Size, Span, spread, spread_log, still


class Step(GeometryStep):
    """Take a box of a share `area` of the picture at a random place and fill the picture with it.

    area   share of the picture's area, or of the volume, from .. to
    ratio  width over height of the box, in shares of the picture's own, uniform in its logarithm
    """

    columns = ("log_x", "log_y", "x", "y")
    volume_columns = ("log_x", "log_y", "log_z", "x", "y", "z")
    chances, volume_chances = 4, 5

    area: Span = (0.7, 1.0)
    ratio: Span = (0.9, 1.1)

    @field_validator("area", "ratio")
    @classmethod
    def _sensible(cls, span: Span) -> Span:
        if not 0.01 <= span[0] <= span[1] <= 100:
            raise ValueError("expected (low, high), low at least 0.01")
        return span

    def values(self, u: np.ndarray) -> np.ndarray:
        axes = u.shape[1] - 2
        # Twice the logarithm of the usual side; width and height share the ratio between them.
        side = np.log(np.minimum(spread(u[:, 0], self.area), 1)) * 2 / axes
        ratio = spread_log(u[:, 1], self.ratio)
        sides = np.stack([side + ratio, side - ratio, side][:axes], axis=1)
        sides = np.minimum(sides / 2, 0)
        return np.concatenate([-sides, (u[:, 2:] - 0.5) * (1 - np.exp(sides))], axis=1)

    def matrix(self, numbers: np.ndarray, size: Size) -> np.ndarray:
        axes = len(size)
        axis = range(axes)
        zoom = np.exp(numbers[:, :axes].astype(np.float64))
        found = still(len(numbers), len(size))
        found[:, axis, axis] = zoom
        found[:, :axes, axes] = -zoom * numbers[:, axes:] * size[::-1]
        return found
