"""Out of focus."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import field_validator

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._smooth import smooth
from tomos.transforms.augment._step import IntensityStep, Span, spread


class Step(IntensityStep):
    """Smooth with a Gaussian.

    sigma     its width in pixels, from .. to
    in_plane  leave the z axis of volumes as it is
    """

    columns = ("sigma",)
    chances = 1

    sigma: Span = (0.3, 1.0)
    in_plane: bool = False

    @field_validator("sigma")
    @classmethod
    def _sensible(cls, sigma: Span) -> Span:
        if not 0 <= sigma[0] <= sigma[1] <= 20:
            raise ValueError("expected a sigma (low, high) from 0 to 20 pixels")
        return sigma

    def values(self, u: np.ndarray) -> np.ndarray:
        return spread(u, self.sigma)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        return smooth(x, numbers[:, 0], self.sigma[1], self.in_plane)
