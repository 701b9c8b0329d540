"""Lighter or darker."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import Around, IntensityStep, per_row, spread, spread_of


class Step(IntensityStep):
    """Add one value to the whole picture.

    shift     from .. to; a single number means -number .. number
    relative  whether shift is a share of the picture's own spread, or in the unit of the values
    """

    columns = ("shift",)
    chances = 1

    shift: Around = Field(default=(-0.2, 0.2), validate_default=True)
    relative: bool = True

    def values(self, u: np.ndarray) -> np.ndarray:
        return spread(u, self.shift)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        shift = per_row(numbers[:, 0], x)
        return x.add_(shift * spread_of(x) if self.relative else shift)
