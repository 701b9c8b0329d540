"""One slice of a volume, for a model of pictures."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tomos.transforms.prepare._stack import StackStep
from tomos.types import GeometryError, Image


class Step(StackStep):
    """Take one slice of a volume; a picture passes as it is.

    index  "middle", or the number of the slice, negative from the end
    axis   "z", "y" or "x": what the slice is taken across

    A model of pictures refuses a volume unless its preparation has this step. Raises GeometryError
    when the volume has no such slice.
    """

    index: Literal["middle"] | int = "middle"
    axis: Literal["z", "y", "x"] = "z"

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        if not like.is_volume:
            return x, {}
        axis = "zyx".index(self.axis)
        n = like.size[axis]
        index = n // 2 if self.index == "middle" else self.index
        if not -n <= index < n:
            raise GeometryError(
                f"{like.origin.path or 'volume'}: expected at least {abs(index) + (index >= 0)} "
                f"slices along {self.axis}, got {n}"
            )
        place = index % n
        affine = like.affine.copy()
        affine[:3, 3] += place * like.affine[:3, axis]
        rest = [a for a in range(3) if a != axis]
        affine[:3, :3] = like.affine[:3, [axis, *rest]]
        return x.take(place, axis=2 + axis), {"affine": affine}
