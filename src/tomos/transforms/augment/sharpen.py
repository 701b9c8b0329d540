"""Crisper edges."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._smooth import smooth
from tomos.transforms.augment._step import IntensityStep, Span, per_row, spread


class Step(IntensityStep):
    """Add `amount` times what smoothing by `sigma` pixels takes away (unsharp mask)."""

    columns = ("amount",)
    chances = 1

    amount: Span = (0.2, 1.0)
    sigma: float = Field(1.0, gt=0, le=20)

    def values(self, u: np.ndarray) -> np.ndarray:
        return spread(u, self.amount)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        smoothed = smooth(x.clone() if x.ndim == 5 else x, np.full(len(x), self.sigma), self.sigma)
        return x + per_row(numbers[:, 0], x) * (x - smoothed)
