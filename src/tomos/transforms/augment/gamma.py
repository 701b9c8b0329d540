"""Another curve from dark to bright."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import field_validator

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep, Span, per_row, spread_log


class Step(IntensityStep):
    """Raise values, as a share of the picture's own range, to the power `gamma`.

    gamma  from .. to, uniform in its logarithm; above 1 darkens the middle. The darkest and the
           brightest value stay as they are
    """

    columns = ("log_gamma",)
    chances = 1

    gamma: Span = (0.7, 1.5)

    @field_validator("gamma")
    @classmethod
    def _sensible(cls, gamma: Span) -> Span:
        if not 0.05 <= gamma[0] <= gamma[1] <= 20:
            raise ValueError("expected gammas (low, high) from 0.05 to 20")
        return gamma

    def values(self, u: np.ndarray) -> np.ndarray:
        return spread_log(u, self.gamma)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        flat = x.flatten(1)
        low = flat.amin(1).view(-1, 1, 1, 1)
        width = (flat.amax(1).view(-1, 1, 1, 1) - low).clamp_(min=1e-12)
        gamma = per_row(np.exp(numbers[:, 0]), x)
        # exp(g log v) costs two thirds of pow; log 0 = -inf comes back as exp -inf = 0.
        share = x.sub_(low).mul_(1 / width)
        return share.log_().mul_(gamma).exp_().mul_(width).add_(low)
