"""Another curve from dark to bright."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import field_validator

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import (
    IntensityStep,
    Span,
    mean_of,
    per_row,
    spread_log,
    spread_of,
)


class Step(IntensityStep):
    """Raise values, as a share of the picture's own range, to the power `gamma`.

    gamma     from .. to, uniform in its logarithm; above 1 darkens the middle. The darkest and the
              brightest value stay as they are
    inverted  bend the curve of the negative instead: above 1 brightens the middle
    moments   afterwards bring mean and spread back to what they were
    """

    columns = ("log_gamma",)
    chances = 1

    gamma: Span = (0.7, 1.5)
    inverted: bool = False
    moments: bool = False

    @field_validator("gamma")
    @classmethod
    def _sensible(cls, gamma: Span) -> Span:
        if not 0.05 <= gamma[0] <= gamma[1] <= 20:
            raise ValueError("expected gammas (low, high) from 0.05 to 20")
        return gamma

    def values(self, u: np.ndarray) -> np.ndarray:
        return spread_log(u, self.gamma)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        before = (mean_of(x), spread_of(x)) if self.moments else None
        x = self._bent(x, per_row(np.exp(numbers[:, 0]), x))
        if before is not None:
            by = before[1] / spread_of(x).clamp_(min=1e-12)
            x.mul_(by).add_(before[0] - mean_of(x))
        return x

    def _bent(self, x: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
        flat, shape = x.flatten(1), (-1, *[1] * (x.ndim - 1))
        low, high = flat.amin(1).view(shape), flat.amax(1).view(shape)
        width = (high - low).clamp_(min=1e-12)
        if self.inverted:
            low, width = high, -width
        # 2^(g log2 v) costs half of pow; log 0 = -inf comes back as 2^-inf = 0.
        share = x.sub_(low).mul_(1 / width)
        return share.log2_().mul_(gamma).exp2_().mul_(width).add_(low)
