"""The patient moved during the scan."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field, field_validator

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep, Span, per_row, spread


class Step(IntensityStep):
    """Take the last lines of k-space from a picture, or a volume, that has moved.

    shift  farthest move along each axis, as a share of its length
    lines  share of the lines acquired after the move, from .. to; below a half, so that the middle
           of k-space, which says where things are, is from before it

    Lines run along x and are acquired from one end of k-space to the other, as in a plain Cartesian
    MR scan.
    """

    columns, volume_columns = ("x", "y", "lines"), ("x", "y", "z", "lines")
    chances, volume_chances = 3, 4

    shift: float = Field(0.05, gt=0, le=0.5)
    lines: Span = (0.3, 0.48)

    @field_validator("lines")
    @classmethod
    def _before_the_middle(cls, lines: Span) -> Span:
        if not 0 <= lines[0] <= lines[1] < 0.5:
            raise ValueError("expected shares (low, high) from 0 to below 0.5")
        return lines

    def values(self, u: np.ndarray) -> np.ndarray:
        move = spread(u[:, :-1], (-self.shift, self.shift))
        return np.concatenate([move, spread(u[:, -1:], self.lines)], axis=1)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        dims = tuple(range(2, x.ndim))
        space = torch.fft.fftn(x, dim=dims)
        k = [
            torch.fft.fftfreq(n, device=x.device).view(-1, *[1] * place)
            for place, n in enumerate(x.shape[:1:-1])  # x, y[, z]
        ]
        # A move by d multiplies frequency k by exp(-2 pi i k d).
        turn = sum(
            per_row(move * n, x) * each
            for move, n, each in zip(numbers.T[:-1], x.shape[:1:-1], k, strict=True)
        )
        late = k[1] > 0.5 - per_row(numbers[:, -1], x)
        angle = torch.where(late, turn * (-2 * torch.pi), torch.zeros_like(turn))
        space *= torch.polar(torch.ones_like(angle), angle)
        return torch.fft.ifftn(space, dim=dims).real
