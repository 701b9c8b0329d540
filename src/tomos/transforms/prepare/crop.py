"""The middle of the picture, or a stated box."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, model_validator

from tomos.transforms.prepare._grid import cut, placed
from tomos.transforms.prepare._stack import StackStep
from tomos.types import GeometryError, Image


class Step(StackStep):
    """Cut to the middle `size` pixels, or to the `box` (start and end index per axis, half open).

    An axis shorter than `size` stays as it is. Raises GeometryError for a box that the image does
    not hold, or with another number of axes.
    """

    size: tuple[int, ...] = Field((), max_length=3)
    box: tuple[tuple[int, int], ...] = Field((), max_length=3)

    @model_validator(mode="after")
    def _one_of_them(self) -> Step:
        if bool(self.size) == bool(self.box):
            raise ValueError("expected either size or box")
        if any(n < 1 for n in self.size) or any(a < 0 or b <= a for a, b in self.box):
            raise ValueError("expected sizes of at least 1 and boxes (start, end), start < end")
        return self

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        old = like.size
        asked = self.size or self.box
        if len(asked) != len(old):
            raise GeometryError(
                f"{like.origin.path or 'image'}: expected {len(asked)} spatial axes, got {old}"
            )
        if self.size:
            size = tuple(min(o, n) for o, n in zip(old, self.size, strict=True))
            start = tuple(placed(o, n) for o, n in zip(old, size, strict=True))
        else:
            start = tuple(a for a, _ in self.box)
            size = tuple(b - a for a, b in self.box)
            if any(b > n for (_, b), n in zip(self.box, old, strict=True)):
                raise GeometryError(
                    f"{like.origin.path or 'image'}: expected an image that holds the box "
                    f"{self.box}, got size {old}"
                )
        x, affine = cut(x, like.affine, start, size)
        return x, {"affine": affine}
