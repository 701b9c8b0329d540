"""At least so many pixels, the picture in the middle."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from tomos.transforms.prepare._grid import Fill, padded
from tomos.transforms.prepare._stack import StackStep
from tomos.types import GeometryError, Image


class Step(StackStep):
    """Pad to `size` pixels; an axis that is longer stays as it is.

    fill  "edge" (repeat the rim), "minimum" (of the picture), or a value

    Raises GeometryError when `size` has not as many axes as the image.
    """

    size: tuple[int, ...] = Field(min_length=2, max_length=3)
    fill: Fill = "edge"

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        if len(self.size) != len(like.size):
            raise GeometryError(
                f"{like.origin.path or 'image'}: expected {len(self.size)} spatial axes, "
                f"got {like.size}"
            )
        size = tuple(max(o, n) for o, n in zip(like.size, self.size, strict=True))
        x, affine = padded(x, like.affine, size, self.fill)
        return x, {"affine": affine}
