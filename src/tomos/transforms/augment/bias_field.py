"""Uneven sensitivity, as of an MR coil or a lamp."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep, per_row

# Powers (y, x) of the polynomial of third order, without the constant.
_POWERS = ((0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0))


class Step(IntensityStep):
    """Multiply values, counted from the picture's lowest, by the exponential of a polynomial.

    strength  every coefficient is drawn from -strength .. strength; coordinates run from -1 to 1
              (van Leemput et al., IEEE Trans. Med. Imaging 18, 1999, for the model of the field)
    """

    columns = tuple(f"y{y}x{x}" for y, x in _POWERS)
    chances = len(_POWERS)

    strength: float = Field(0.3, gt=0, le=2)

    def values(self, u: np.ndarray) -> np.ndarray:
        return (2 * u - 1) * self.strength

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        rows, columns = x.shape[-2:]
        down = torch.linspace(-1, 1, rows, device=x.device)
        across = torch.linspace(-1, 1, columns, device=x.device)
        logarithm = x.new_zeros((len(x), 1, rows, columns))
        for column, (power_y, power_x) in enumerate(_POWERS):
            term = (down**power_y)[:, None] * (across**power_x)[None, :]
            logarithm.addcmul_(per_row(numbers[:, column], x), term)
        low = x.flatten(1).amin(1).view(-1, 1, 1, 1)
        return (x - low).mul_(logarithm.exp_()).add_(low)
