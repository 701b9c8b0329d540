"""Bend the picture smoothly, as soft tissue bends."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from pydantic import Field, model_validator

from tomos.transforms.augment._along import along
from tomos.transforms.augment._bank import Bank, start
from tomos.transforms.augment._step import GeometryStep, Size, Span, spread, still

# The sum of the squared weights of cubic B-splines along one axis, averaged over a cell: control
# values of spread 1 make a field whose variance is this, once for each axis.
_SPREAD = 151 / 315


class Step(GeometryStep):
    """Displace pixels by a field of cubic B-splines over `points` x `points` cells, in volumes
    `points` more.

    strength  usual (root mean square) displacement along each axis, as a share of the picture's
              length, from .. to
    in_plane  leave the z coordinate of volumes as it is

    Control values are held within 0.4 of a cell, below which the field cannot fold (Choi and Lee,
    Computer-Aided Design 32, 2000), so that every point has one place to go.
    """

    columns = ("strength", "start")
    chances = 2

    strength: Span = (0.0, 0.02)
    points: int = Field(5, ge=2, le=32)
    in_plane: bool = False

    @model_validator(mode="after")
    def _sensible(self) -> Step:
        if not 0 <= self.strength[0] <= self.strength[1] <= self.furthest:
            raise ValueError(
                f"expected a strength (low, high) of at most {self.furthest:.3f}, 0.4 of a cell"
            )
        return self

    @property
    def furthest(self) -> float:
        """The largest displacement there can be, as a share of the length."""
        return 0.4 / self.points

    def values(self, u: np.ndarray) -> np.ndarray:
        return np.stack([spread(u[:, 0], self.strength), start(u[:, 1])], axis=1)

    def matrix(self, numbers: np.ndarray, size: Size) -> np.ndarray:
        return still(len(numbers), len(size))

    def control(
        self, numbers: np.ndarray, bank: Bank, device: torch.device, axes: int = 2
    ) -> torch.Tensor:
        """(B, axes, points + 3, ...): control values of (x, y[, z]), as shares of the length."""
        shape = (axes, *[self.points + 3] * axes)
        values = bank.rows(numbers[:, 1], int(np.prod(shape)), device).view(-1, *shape)
        by = torch.from_numpy(numbers[:, 0] / np.float32(_SPREAD ** (axes / 2))).to(values)
        held = (values * by.view(-1, *[1] * len(shape))).clamp_(-self.furthest, self.furthest)
        if self.in_plane:
            held[:, 2:] = 0
        return held

    def field(
        self, numbers: np.ndarray, size: Size, bank: Bank, device: torch.device
    ) -> torch.Tensor:
        """(B, *size, axes): the displacement (x, y[, z]) in pixels."""
        return planes(self.control(numbers, bank, device, len(size)), size).movedim(1, -1)

    def at(self, numbers: np.ndarray, points: np.ndarray, size: Size, bank: Bank) -> np.ndarray:
        """The displacement (B, P, axes) in pixels at output indices `points` (B, P, axes), both
        (x, y[, z])."""
        control = self.control(numbers, bank, torch.device("cpu"), len(size))
        found = control.numpy().astype(np.float64)[:, None]  # (B, 1, axes, ..., y, x)
        for axis, length in enumerate(reversed(size)):
            weights = basis(points[..., axis], length, self.points)
            found = np.einsum("bp...k,bpk->bp...", found, weights)
        return found * size[::-1]


def planes(control: torch.Tensor, size: Size) -> torch.Tensor:
    """Control values (B, axes, points + 3, ...) -> (B, axes, *size): the displacement in pixels."""
    points = control.shape[-1] - 3
    for axis in range(-1, -1 - len(size), -1):
        weights = torch.from_numpy(basis_grid(size[axis], points)).to(control.device)
        control = along(control, axis, weights)
    lengths = torch.tensor(size[::-1], dtype=torch.float32, device=control.device)
    return control * lengths.view(-1, *[1] * len(size))


def basis(index: np.ndarray, length: int, points: int) -> np.ndarray:
    """(..., points + 3) weights of the uniform cubic B-spline at an index of an axis."""
    place = np.clip((index + 0.5) / length, 0, 1)[..., None] * points
    distance = np.abs(place + 1 - np.arange(points + 3))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance) ** 3 / 6
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


@lru_cache(maxsize=32)
def basis_grid(length: int, points: int) -> np.ndarray:
    """(length, points + 3) float32: the weights at every index of an axis."""
    return basis(np.arange(length), length, points).astype(np.float32)
