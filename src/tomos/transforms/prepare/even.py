"""Take out uneven light: what differs from its surroundings counts, not how bright these are."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from tomos.transforms.prepare._stack import StackStep
from tomos.types import Image

PASSES = 2  # a box twice over is a tent: no step is seen where a bright spot leaves the window


class Step(StackStep):
    """Each channel less its local mean, divided by its local spread, in the plane of each slice:
    local contrast normalisation (Jarrett et al. 2009, doi:10.1109/ICCV.2009.5459469).

    window  side of the surroundings, in pixels
    floor   least spread to divide by, as a share of the median one: flat parts stay flat

    Beyond the rim the picture is continued by what is inside the window. Values are clipped to
    -5 .. 5. A picture of one value becomes 0.
    """

    window: int = Field(33, ge=3, le=1023)
    floor: float = Field(0.3, gt=0, le=1)

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        x = x.astype(np.float32)
        middle = x - _mean(x, self.window)
        spread = np.sqrt(_mean(middle * middle, self.window))
        usual = np.median(spread.reshape(*x.shape[:2], -1), axis=-1)
        least = (self.floor * usual).reshape(*x.shape[:2], *[1] * (x.ndim - 2))
        there = np.maximum(spread, least)
        even = np.divide(middle, there, out=np.zeros_like(middle), where=there > 0)
        return np.clip(even, -5, 5), {"value_range": None, "window": None, "unit": "1"}


def _mean(x: np.ndarray, window: int) -> np.ndarray:
    """The mean over the part of the window that lies in the picture, plane by plane."""
    out = np.empty_like(x)
    for there, plane in zip(
        out.reshape(-1, *x.shape[-2:]), x.reshape(-1, *x.shape[-2:]), strict=True
    ):
        for _ in range(PASSES):
            plane = _along_columns(_along_columns(plane, window).T, window).T
        there[...] = plane
    return out


def _along_columns(plane: np.ndarray, window: int) -> np.ndarray:
    """(Y, X) float32: means of each column, by differences of running sums."""
    n, half = len(plane), window // 2
    # In double precision: sums of a long column would lose the small differences.
    sums = np.cumsum(plane, axis=0, dtype=np.float64)
    last = np.minimum(np.arange(n) + half, n - 1)
    first = np.maximum(np.arange(n) - half, 0)
    mean = np.empty_like(sums)
    inside = max(0, n - half)
    mean[:inside], mean[inside:] = sums[n - inside :], sums[-1]
    mean[half + 1 :] -= sums[: max(0, n - half - 1)]
    mean /= (last - first + 1)[:, None]
    return mean.astype(np.float32)
