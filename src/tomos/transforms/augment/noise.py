"""Grain."""

from __future__ import annotations

import numpy as np
import torch

from tomos.transforms.augment._bank import Bank, start
from tomos.transforms.augment._step import IntensityStep, Span, per_row, spread, spread_of


class Step(IntensityStep):
    """Add Gaussian noise, every pixel and channel by itself.

    sigma     its spread, from .. to
    relative  whether sigma is a share of the picture's own spread, or in the unit of the values
    """

    columns = ("sigma", "start")
    chances = 2

    sigma: Span = (0.0, 0.1)
    relative: bool = True

    def values(self, u: np.ndarray) -> np.ndarray:
        return np.stack([spread(u[:, 0], self.sigma), start(u[:, 1])], axis=1)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        sigma = per_row(numbers[:, 0], x)
        if self.relative:
            sigma = sigma * spread_of(x)
        return bank.add(x, numbers[:, 1], sigma)
