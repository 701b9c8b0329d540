"""A part of the picture, enlarged to the whole."""

from __future__ import annotations

import numpy as np
from pydantic import field_validator

from tomos.transforms.augment._step import GeometryStep, Span, spread, spread_log


class Step(GeometryStep):
    """Take a box of a share `area` of the picture at a random place and fill the picture with it.

    area   share of the picture's area, from .. to
    ratio  width over height of the box, in shares of the picture's own, uniform in its logarithm
    """

    columns = ("log_x", "log_y", "x", "y")
    chances = 4

    area: Span = (0.7, 1.0)
    ratio: Span = (0.9, 1.1)

    @field_validator("area", "ratio")
    @classmethod
    def _sensible(cls, span: Span) -> Span:
        if not 0.01 <= span[0] <= span[1] <= 100:
            raise ValueError("expected (low, high), low at least 0.01")
        return span

    def values(self, u: np.ndarray) -> np.ndarray:
        area = np.log(np.minimum(spread(u[:, 0], self.area), 1))
        ratio = spread_log(u[:, 1], self.ratio)
        sides = np.minimum(np.stack([area + ratio, area - ratio], axis=1) / 2, 0)
        return np.concatenate([-sides, (u[:, 2:] - 0.5) * (1 - np.exp(sides))], axis=1)

    def matrix(self, numbers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        zoom = np.exp(numbers[:, :2].astype(np.float64))
        found = np.tile(np.eye(3), (len(numbers), 1, 1))
        found[:, [0, 1], [0, 1]] = zoom
        found[:, :2, 2] = -zoom * numbers[:, 2:] * (size[1], size[0])
        return found
