"""A part is hidden."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import field_validator

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep, Span, per_row, spread


class Step(IntensityStep):
    """Cover a box at a random place with the mean of its picture, channel by channel.

    share  its sides as shares of the picture's, from .. to (DeVries and Taylor, Improved
           regularization of convolutional neural networks with cutout, 2017). Labels stay
    """

    columns = ("height", "width", "y", "x")
    volume_columns = ("depth", "height", "width", "z", "y", "x")
    chances, volume_chances = 4, 6

    share: Span = (0.1, 0.3)

    @field_validator("share")
    @classmethod
    def _sensible(cls, share: Span) -> Span:
        if not 0 <= share[0] <= share[1] <= 1:
            raise ValueError("expected shares (low, high) from 0 to 1")
        return share

    def values(self, u: np.ndarray) -> np.ndarray:
        axes = u.shape[1] // 2
        sides = spread(u[:, :axes], self.share)
        return np.concatenate([sides, u[:, axes:] * (1 - sides)], axis=1)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        axes = x.ndim - 2
        covered = torch.ones((), dtype=torch.bool, device=x.device)
        for axis in range(axes):
            n = x.shape[2 + axis]
            first = np.round(numbers[:, axes + axis] * n)
            last = first + np.round(numbers[:, axis] * n)
            index = torch.arange(n, device=x.device).view(-1, *[1] * (axes - 1 - axis))
            covered = covered & (index >= per_row(first, x)) & (index < per_row(last, x))
        mean = x.flatten(2).mean(2).view(*x.shape[:2], *[1] * axes)
        return torch.where(covered, mean, x, out=x)
