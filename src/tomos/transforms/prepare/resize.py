"""To a fixed number of pixels, by anti-aliased resampling."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from tomos.transforms.prepare._grid import Fill, padded, placed
from tomos.transforms.prepare._resample import Filter, resample, shifted
from tomos.transforms.prepare._stack import StackStep, limits
from tomos.types import GeometryError, Image


class Step(StackStep):
    """Bring the picture to `size` pixels, (Y, X) or (Z, Y, X).

    mode    "stretch" each axis by itself; "pad" keep the shape of things (in mm, where the spacing
            is known) and fill the rest; "crop" keep the shape and cut what sticks out
    fill    "edge" (repeat the rim), "minimum" (of the picture), or a value
    filter  "linear" (triangle, widened when shrinking), "cubic", "area", "nearest" (for labels)

    Raises GeometryError when `size` has not as many axes as the image.
    """

    size: tuple[int, ...] = Field(min_length=2, max_length=3)
    mode: Literal["stretch", "pad", "crop"] = "stretch"
    fill: Fill = "edge"
    filter: Filter = "linear"

    @field_validator("size")
    @classmethod
    def _positive(cls, size: tuple[int, ...]) -> tuple[int, ...]:
        if min(size) < 1 or max(size) > 16384:
            raise ValueError("expected sizes from 1 to 16384")
        return size

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        old = like.size
        if len(self.size) != len(old):
            raise GeometryError(
                f"{like.origin.path or 'image'}: expected {len(self.size)} spatial axes for size "
                f"{self.size}, got {old}"
                + (
                    "; to use one slice of a volume say so with the step `slice`"
                    if len(old) == 3
                    else ""
                )
            )
        inner = self._inner(like)
        if self.mode == "crop":
            return self._crop(x, like, inner)
        # Axes that shrink most go first, so that the others have less to do; ties: rows first,
        # which is the product that leaves memory in order.
        order = sorted(range(len(old)), key=lambda a: inner[a] / old[a])
        bounds = limits(like)
        for axis in order:
            x = resample(x, axis - len(old), inner[axis], kind=self.filter)
        scale = tuple(o / i for o, i in zip(old, inner, strict=True))
        affine = shifted(like.affine, scale, (0.0,) * len(old))
        if inner != self.size:
            x, affine = padded(x, affine, self.size, self.fill)
        return x, {"affine": affine, "value_range": bounds}

    def _inner(self, like: Image) -> tuple[int, ...]:
        """Pixels the whole picture takes on the new grid (in "crop": at least `size`)."""
        if self.mode == "stretch":
            return self.size
        extent = [n * s for n, s in zip(like.size, like.spacing, strict=True)]
        steps = [e / n for e, n in zip(extent, self.size, strict=True)]
        step = max(steps) if self.mode == "pad" else min(steps)
        inner = tuple(max(1, round(e / step)) for e in extent)
        limit = min if self.mode == "pad" else max
        return tuple(limit(i, n) for i, n in zip(inner, self.size, strict=True))

    def _crop(
        self, x: np.ndarray, like: Image, inner: tuple[int, ...]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Resample only what is kept, the middle."""
        bounds = limits(like)
        old = like.size
        scale = tuple(o / i for o, i in zip(old, inner, strict=True))
        start = tuple(placed(i, n) * s for i, n, s in zip(inner, self.size, scale, strict=True))
        for axis in range(len(old)):
            n, s, o = self.size[axis], scale[axis], start[axis]
            x = resample(x, axis - len(old), n, s, o, self.filter)
        return x, {"affine": shifted(like.affine, scale, start), "value_range": bounds}
