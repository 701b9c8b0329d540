"""Faint copies of the picture, as from breathing or the pulse."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep, Span, per_row, spread

_AXES = (-2, -1, -3)  # what the last number says: along y, x, z


class Step(IntensityStep):
    """Weaken every n-th line of k-space, which repeats the picture n times along one axis.

    strength  share by which those lines are weakened, from .. to
    ghosts    how many copies, from .. to
    """

    columns = ("strength", "ghosts", "along_x")
    volume_columns = ("strength", "ghosts", "axis")
    chances, volume_chances = 3, 5

    strength: Span = (0.1, 0.5)
    ghosts: tuple[int, int] = Field((2, 6))

    def values(self, u: np.ndarray) -> np.ndarray:
        low, high = self.ghosts
        copies = low + np.floor(u[:, 1] * (high - low + 1))
        axis = np.floor(2 * u[:, 2]) if u.shape[1] == 3 else u[:, 2:].argmax(axis=1)
        return np.stack([spread(u[:, 0], self.strength), copies, axis], axis=1)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        for code in np.unique(numbers[:, 2]).astype(int):
            rows = np.flatnonzero(numbers[:, 2] == code)
            index = torch.from_numpy(rows).to(x.device)
            x[index] = _weakened(x.index_select(0, index), numbers[rows], _AXES[code])
        return x


def _weakened(x: torch.Tensor, numbers: np.ndarray, axis: int) -> torch.Tensor:
    n = x.shape[axis]
    space = torch.fft.rfft(x, dim=axis)
    line = torch.arange(space.shape[axis], device=x.device).view(-1, *[1] * (-1 - axis))
    # The zeroth line holds the mean of the picture and stays.
    weak = (torch.remainder(line, per_row(numbers[:, 1], x).clamp(min=1)) == 0) & (line != 0)
    space *= 1 - per_row(numbers[:, 0], x) * weak
    return torch.fft.irfft(space, n, dim=axis)
