"""Harder or flatter."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import field_validator

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep, Span, mean_of, per_row, spread_log


class Step(IntensityStep):
    """Stretch values about the picture's mean by `factor`, uniform in its logarithm."""

    columns = ("log_factor",)
    chances = 1
    everywhere = True

    factor: Span = (0.75, 1.33)

    @field_validator("factor")
    @classmethod
    def _sensible(cls, factor: Span) -> Span:
        if not 0.01 <= factor[0] <= factor[1] <= 100:
            raise ValueError("expected factors (low, high) from 0.01 to 100")
        return factor

    def values(self, u: np.ndarray) -> np.ndarray:
        return spread_log(u, self.factor)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        factor = per_row(np.exp(numbers[:, 0]), x)
        mean = mean_of(x)
        return x.mul_(factor).add_(mean * (1 - factor))
