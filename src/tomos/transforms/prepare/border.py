"""Only the rim of the picture, or only its middle: does a model see there what it should not?"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from tomos.transforms.prepare._stack import StackStep, along
from tomos.types import Image


class Step(StackStep):
    """Blank the middle or the rim of each picture with the mean of what is kept.

    keep   "border" or "centre"
    share  how far the border reaches in from each side, as a share of that side's length

    A model that still tells classes apart from the border has found a shortcut (the scanner, the
    hospital, a marker), not the disease.
    """

    keep: Literal["border", "centre"] = "border"
    share: float = Field(0.1, gt=0, lt=0.5)

    def stack(self, x: np.ndarray, like: Image) -> tuple[np.ndarray, dict[str, Any]]:
        y, x_length = x.shape[-2:]
        dy, dx = max(1, round(self.share * y)), max(1, round(self.share * x_length))
        centre = np.zeros((y, x_length), bool)
        centre[dy : y - dy, dx : x_length - dx] = True
        kept = centre if self.keep == "centre" else ~centre
        out = x.astype(np.float32)
        mean = out[..., kept].reshape(len(x), -1).mean(axis=1) if kept.any() else np.zeros(len(x))
        return np.where(kept, out, along(mean.astype(np.float32), x)), {}
