"""The patient moved during the scan."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field, field_validator

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep, Span, per_row, spread


class Step(IntensityStep):
    """Take the last lines of k-space from a picture that has moved.

    shift  farthest move along each axis, as a share of its length
    lines  share of the lines acquired after the move, from .. to; below a half, so that the middle
           of k-space, which says where things are, is from before it

    Lines run along x and are acquired from one end of k-space to the other, as in a plain Cartesian
    MR scan.
    """

    columns = ("x", "y", "lines")
    chances = 3

    shift: float = Field(0.05, gt=0, le=0.5)
    lines: Span = (0.3, 0.48)

    @field_validator("lines")
    @classmethod
    def _before_the_middle(cls, lines: Span) -> Span:
        if not 0 <= lines[0] <= lines[1] < 0.5:
            raise ValueError("expected shares (low, high) from 0 to below 0.5")
        return lines

    def values(self, u: np.ndarray) -> np.ndarray:
        move = spread(u[:, :2], (-self.shift, self.shift))
        return np.concatenate([move, spread(u[:, 2:], self.lines)], axis=1)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        rows, columns = x.shape[-2:]
        space = torch.fft.fft2(x)
        ky = torch.fft.fftfreq(rows, device=x.device)[:, None]
        kx = torch.fft.fftfreq(columns, device=x.device)[None, :]
        # A move by d multiplies frequency k by exp(-2 pi i k d).
        turn = per_row(numbers[:, 1] * rows, x) * ky + per_row(numbers[:, 0] * columns, x) * kx
        late = ky > 0.5 - per_row(numbers[:, 2], x)
        angle = torch.where(late, turn * (-2 * torch.pi), torch.zeros_like(turn))
        space = space * torch.polar(torch.ones_like(angle), angle)
        return torch.fft.ifft2(space).real
