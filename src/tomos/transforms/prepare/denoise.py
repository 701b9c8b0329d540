"""Take out speckle or grain."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from tomos.transforms.prepare._stack import StackStep, limits
from tomos.types import Image

# Compare-and-swap pairs after which place 4 of nine holds the median
# (J. L. Smith, Implementing median filters in XC4000E FPGAs, XCELL 23, 1996).
_MEDIAN_OF_NINE = (
    *((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3)),
    *((5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2)),
)


class Step(StackStep):
    """Smooth in the plane of each slice; the rim is continued by its own pixels.

    kind   "median" of 3x3 pixels, or "gaussian" with `sigma` in pixels
    """

    kind: Literal["median", "gaussian"] = "median"
    sigma: float = Field(1.0, gt=0, le=20)

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        if self.kind == "median":
            return _median(x), {}
        return _gaussian(x.astype(np.float32), self.sigma), {"value_range": limits(like)}


def _median(x: np.ndarray) -> np.ndarray:
    rim = np.pad(x, (*[(0, 0)] * (x.ndim - 2), (1, 1), (1, 1)), mode="edge")
    rows, columns = x.shape[-2:]
    nine = [rim[..., i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    for a, b in _MEDIAN_OF_NINE:
        nine[a], nine[b] = np.minimum(nine[a], nine[b]), np.maximum(nine[a], nine[b])
    return nine[4]


def _gaussian(x: np.ndarray, sigma: float) -> np.ndarray:
    radius = int(np.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (-2, -1):
        width = [(0, 0)] * x.ndim
        width[axis] = (radius, radius)
        rim = np.moveaxis(np.pad(x, width, mode="edge"), axis, 0)
        n = x.shape[axis]
        x = np.moveaxis(sum(w * rim[k : k + n] for k, w in enumerate(weights)), 0, axis)
    return x
