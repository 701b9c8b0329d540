"""A part is hidden."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import field_validator

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep, Span, per_row, spread


class Step(IntensityStep):
    """Cover a rectangle at a random place with the mean of its picture, channel by channel.

    share  its height and width as shares of the picture's, from .. to (DeVries and Taylor, Improved
           regularization of convolutional neural networks with cutout, 2017)
    """

    columns = ("height", "width", "y", "x")
    chances = 4

    share: Span = (0.1, 0.3)

    @field_validator("share")
    @classmethod
    def _sensible(cls, share: Span) -> Span:
        if not 0 <= share[0] <= share[1] <= 1:
            raise ValueError("expected shares (low, high) from 0 to 1")
        return share

    def values(self, u: np.ndarray) -> np.ndarray:
        sides = spread(u[:, :2], self.share)
        return np.concatenate([sides, u[:, 2:] * (1 - sides)], axis=1)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        covered = []
        for axis in (0, 1):
            n = x.shape[2 + axis]
            first = np.round(numbers[:, 2 + axis] * n)
            last = first + np.round(numbers[:, axis] * n)
            index = torch.arange(n, device=x.device).view(
                (1, 1, -1, 1) if axis == 0 else (1, 1, 1, -1)
            )
            covered.append((index >= per_row(first, x)) & (index < per_row(last, x)))
        mean = x.flatten(2).mean(2)[:, :, None, None]
        return torch.where(covered[0] & covered[1], mean, x)
