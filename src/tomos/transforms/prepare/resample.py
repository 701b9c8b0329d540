"""To a fixed distance between pixels, in mm."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, field_validator

from tomos.transforms.prepare._resample import Filter, resample, shifted
from tomos.transforms.prepare._stack import StackStep, limits
from tomos.types import GeometryError, Image


class Step(StackStep):
    """Resample so that neighbours lie `spacing` apart, (y, x) or (z, y, x), in mm.

    The picture keeps its middle and its extent to within half a new pixel on each side. Raises
    GeometryError when the image has no physical size, or another number of axes.
    """

    spacing: tuple[float, ...] = Field(min_length=2, max_length=3)
    filter: Filter = "linear"

    @field_validator("spacing")
    @classmethod
    def _positive(cls, spacing: tuple[float, ...]) -> tuple[float, ...]:
        if min(spacing) <= 0:
            raise ValueError("expected distances above 0 mm")
        return spacing

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        old = like.size
        if like.frame == "pixel" or len(old) != len(self.spacing):
            raise GeometryError(
                f"{like.origin.path or 'image'}: expected {len(self.spacing)} spatial axes with a "
                f"known spacing in mm, got size {old} with frame {like.frame!r}; "
                "use the step `resize`, which needs no spacing"
            )
        bounds = limits(like)
        scale = tuple(new / now for new, now in zip(self.spacing, like.spacing, strict=True))
        size = tuple(max(1, round(n / s)) for n, s in zip(old, scale, strict=True))
        start = tuple((n - m * s) / 2 for n, m, s in zip(old, size, scale, strict=True))
        for axis in sorted(range(len(old)), key=lambda a: size[a] / old[a]):
            x = resample(x, axis - len(old), size[axis], scale[axis], start[axis], self.filter)
        return x, {"affine": shifted(like.affine, scale, start), "value_range": bounds}
