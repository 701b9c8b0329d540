"""Enlarge or shrink the picture about its middle."""

from __future__ import annotations

import numpy as np
from pydantic import Field, field_validator

from tomos.transforms.augment._step import GeometryStep, Size, Span, spread_log, still


class Step(GeometryStep):
    """Enlarge by a factor (below 1: shrink), uniform in its logarithm.

    each_axis  draw a factor for each axis, which changes the shape of things
    """

    columns, volume_columns = ("log_x", "log_y"), ("log_x", "log_y", "log_z")
    chances, volume_chances = 2, 3

    factor: Span = (0.9, 1.1)
    each_axis: bool = Field(False)

    @field_validator("factor")
    @classmethod
    def _sensible(cls, factor: Span) -> Span:
        if not 0.05 <= factor[0] <= factor[1] <= 20:
            raise ValueError("expected factors (low, high) from 0.05 to 20")
        return factor

    def values(self, u: np.ndarray) -> np.ndarray:
        return spread_log(u if self.each_axis else u[:, [0] * u.shape[1]], self.factor)

    def matrix(self, numbers: np.ndarray, size: Size) -> np.ndarray:
        found = still(len(numbers), len(size))
        axis = range(len(size))
        found[:, axis, axis] = np.exp(numbers.astype(np.float64))
        return found
