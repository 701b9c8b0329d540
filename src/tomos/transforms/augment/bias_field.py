"""Uneven sensitivity, as of an MR coil or a lamp."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from pydantic import Field

from tomos.transforms.augment._along import along
from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep

# Powers (y, x) or (z, y, x) of the polynomial of third order, without the constant.
_POWERS = {axes: [p for p in product(range(4), repeat=axes) if 1 <= sum(p) <= 3] for axes in (2, 3)}


class Step(IntensityStep):
    """Multiply values, counted from the picture's lowest, by the exponential of a polynomial.

    strength  every coefficient is drawn from -strength .. strength; coordinates run from -1 to 1
              (van Leemput et al., IEEE Trans. Med. Imaging 18, 1999, for the model of the field)
    """

    columns = tuple(f"y{y}x{x}" for y, x in _POWERS[2])
    volume_columns = tuple(f"z{z}y{y}x{x}" for z, y, x in _POWERS[3])
    chances, volume_chances = len(_POWERS[2]), len(_POWERS[3])

    strength: float = Field(0.3, gt=0, le=2)

    def values(self, u: np.ndarray) -> np.ndarray:
        return (2 * u - 1) * self.strength

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        axes = x.ndim - 2
        coefficients = np.zeros((len(x), 1, *[4] * axes), np.float32)
        coefficients[:, 0, *np.transpose(_POWERS[axes])] = numbers
        logarithm = torch.from_numpy(coefficients).to(x.device)
        for axis in range(-1, -1 - axes, -1):
            place = torch.linspace(-1, 1, x.shape[axis], device=x.device)
            powers = torch.stack([place**power for power in range(4)], dim=1)
            logarithm = along(logarithm, axis, powers)
        low = x.flatten(1).amin(1).view(-1, *[1] * (x.ndim - 1))
        return x.sub_(low).mul_(logarithm.exp_()).add_(low)
