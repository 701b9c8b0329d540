"""Faint copies of the picture, as from breathing or the pulse."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep, Span, per_row, spread


class Step(IntensityStep):
    """Weaken every n-th line of k-space, which repeats the picture n times along one axis.

    strength  share by which those lines are weakened, from .. to
    ghosts    how many copies, from .. to
    """

    columns = ("strength", "ghosts", "along_x")
    chances = 3

    strength: Span = (0.1, 0.5)
    ghosts: tuple[int, int] = Field((2, 6))

    def values(self, u: np.ndarray) -> np.ndarray:
        low, high = self.ghosts
        copies = low + np.floor(u[:, 1] * (high - low + 1))
        return np.stack([spread(u[:, 0], self.strength), copies, np.floor(2 * u[:, 2])], axis=1)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        rows, columns = x.shape[-2:]
        space = torch.fft.fft2(x)
        strength, copies, along_x = (per_row(numbers[:, i], x) for i in range(3))
        ky = torch.fft.fftfreq(rows, 1 / rows, device=x.device).view(1, 1, -1, 1)
        kx = torch.fft.fftfreq(columns, 1 / columns, device=x.device).view(1, 1, 1, -1)
        line = torch.where(along_x > 0, kx, ky)
        # The zeroth line holds the mean of the picture and stays.
        weak = (torch.remainder(line, copies.clamp(min=1)) == 0) & (line != 0)
        return torch.fft.ifft2(space * (1 - strength * weak)).real
