"""Bend the picture smoothly, as soft tissue bends."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from pydantic import Field, model_validator

from tomos.transforms.augment._bank import Bank, start
from tomos.transforms.augment._step import GeometryStep, Span, spread

# Cubic B-splines through random control values of spread 1 have on average this spread in 2D:
# the sum of squared weights along one axis, averaged over a cell, is 0.4794 = 151/315.
_SPREAD = 151 / 315


class Step(GeometryStep):
    """Displace pixels by a field of cubic B-splines over `points` x `points` cells.

    strength  usual (root mean square) displacement along each axis, as a share of the picture's
              length, from .. to

    Control values are held within 0.4 of a cell, below which the field cannot fold (Choi and Lee,
    Computer-Aided Design 32, 2000), so that every point has one place to go.
    """

    columns = ("strength", "start")
    chances = 2

    strength: Span = (0.0, 0.02)
    points: int = Field(5, ge=2, le=32)

    @model_validator(mode="after")
    def _sensible(self) -> Step:
        if not 0 <= self.strength[0] <= self.strength[1] <= 0.4 / self.points:
            raise ValueError(
                f"expected a strength (low, high) of at most {0.4 / self.points:.3f}, 0.4 of a cell"
            )
        return self

    def values(self, u: np.ndarray) -> np.ndarray:
        return np.stack([spread(u[:, 0], self.strength), start(u[:, 1])], axis=1)

    def matrix(self, numbers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return np.tile(np.eye(3), (len(numbers), 1, 1))

    def control(self, numbers: np.ndarray, bank: Bank, device: torch.device) -> torch.Tensor:
        """(B, 2, points + 3, points + 3): control values of (x, y), as shares of the length."""
        g = self.points + 3
        values = bank.rows(numbers[:, 1], 2 * g * g, device).view(-1, 2, g, g)
        by = torch.from_numpy(np.ascontiguousarray(numbers[:, 0] / _SPREAD)).to(values)
        held = 0.4 / self.points
        return (values * by.view(-1, 1, 1, 1)).clamp_(-held, held)

    def field(
        self, numbers: np.ndarray, size: tuple[int, int], bank: Bank, device: torch.device
    ) -> torch.Tensor:
        """(B, Y, X, 2) displacement (x, y) in pixels."""
        control = self.control(numbers, bank, device)
        down, across = (torch.from_numpy(_basis_grid(n, self.points)).to(device) for n in size)
        field = (down @ control @ across.T).permute(0, 2, 3, 1)
        return field * torch.tensor([size[1], size[0]], dtype=torch.float32, device=device)

    def at(self, numbers: np.ndarray, points: np.ndarray, size, bank: Bank) -> np.ndarray:
        """The displacement (B, P, 2) in pixels (x, y) at output indices `points` (B, P, 2)."""
        control = self.control(numbers, bank, torch.device("cpu")).numpy().astype(np.float64)
        across = basis(points[..., 0], size[1], self.points)
        down = basis(points[..., 1], size[0], self.points)
        return np.einsum("bpy,bcyx,bpx->bpc", down, control, across) * (size[1], size[0])


def basis(index: np.ndarray, length: int, points: int) -> np.ndarray:
    """(..., points + 3) weights of the uniform cubic B-spline at an index of an axis."""
    place = np.clip((index + 0.5) / length, 0, 1)[..., None] * points
    distance = np.abs(place + 1 - np.arange(points + 3))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance) ** 3 / 6
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


@lru_cache(maxsize=32)
def _basis_grid(length: int, points: int) -> np.ndarray:
    return basis(np.arange(length), length, points).astype(np.float32)
