"""As if taken by a coarser scanner."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import field_validator

from tomos.transforms.augment._along import along
from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep, Span, fresh, spread


class Step(IntensityStep):
    """Shrink by `zoom` with averaging and enlarge again linearly, all axes alike.

    zoom      share of the pixels along an axis that is kept, from .. to
    in_plane  leave the z axis of volumes as it is
    """

    columns = ("lost",)
    chances = 1

    zoom: Span = (0.5, 1.0)
    in_plane: bool = False

    @field_validator("zoom")
    @classmethod
    def _sensible(cls, zoom: Span) -> Span:
        if not 0.01 <= zoom[0] <= zoom[1] <= 1:
            raise ValueError("expected a zoom (low, high) from 0.01 to 1")
        return zoom

    def values(self, u: np.ndarray) -> np.ndarray:
        return 1 - spread(u, self.zoom)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        kept = 1 - numbers[:, 0]
        if x.ndim == 5:
            axes = (-2, -1) if self.in_plane else (-3, -2, -1)
            for row, share in zip(x, kept.tolist(), strict=True):
                row.copy_(_volume(row, share, axes))
            return x
        rows, columns = x.shape[-2:]
        down = _matrices(rows, kept).to(x.device).unsqueeze(1)
        across = _matrices(columns, kept).to(x.device).unsqueeze(1)
        return down @ x @ across.transpose(-1, -2)


def _volume(x: torch.Tensor, kept: float, axes: tuple[int, ...]) -> torch.Tensor:
    """(C, Z, Y, X): the same, but shrunk along every axis before it is enlarged at once."""
    size = x.shape[1:]
    for axis in axes:
        x = _averaged(x, axis, _fewer(x.shape[axis], kept))
    return F.interpolate(x[None], size, mode="trilinear", align_corners=False)[0]


def _averaged(x: torch.Tensor, axis: int, fewer: int) -> torch.Tensor:
    length = x.shape[axis]
    if fewer == length:
        return x
    shrink = _averages(length, fewer)[0].astype(np.float32)
    first = np.arange(fewer) * length // fewer
    taps = int(np.ceil(length / fewer)) + 1
    if axis == -1 or taps > 4:
        return along(x, axis, torch.from_numpy(shrink).to(x.device))
    parts = []
    for tap in range(taps):
        at = np.minimum(first + tap, length - 1)
        weight = np.where(first + tap < length, shrink[np.arange(fewer), at], 0)
        by = torch.from_numpy(weight).to(x).view(-1, *[1] * (-1 - axis))
        part = fresh((*x.shape[:axis], fewer, *x.shape[axis:][1:]), x.dtype, x.device)
        torch.index_select(x, axis, torch.from_numpy(at).to(x.device), out=part)
        parts.append(part.mul_(by))
    for part in parts[1:]:
        parts[0].add_(part)
    return parts[0]


def _fewer(length: int, kept: float) -> int:
    return int(np.clip(np.round(length * kept), 1, length))


def _matrices(length: int, kept: np.ndarray) -> torch.Tensor:
    return torch.stack([_there_and_back(length, _fewer(length, share)) for share in kept.tolist()])


@lru_cache(maxsize=128)
def _there_and_back(length: int, fewer: int) -> torch.Tensor:
    """(length, length): what averaging to `fewer` pixels and linear enlarging does to an axis."""
    shrink, enlarge = _averages(length, fewer)
    return torch.from_numpy((enlarge @ shrink).astype(np.float32))


@lru_cache(maxsize=128)
def _averages(length: int, fewer: int) -> tuple[np.ndarray, np.ndarray]:
    """(fewer, length) that averages neighbours, (length, fewer) that goes back linearly."""
    if fewer == length:
        return np.eye(length), np.eye(length)
    edge = np.arange(fewer + 1) * (length / fewer)
    index = np.arange(length)
    overlap = np.minimum(edge[1:, None], index + 1) - np.maximum(edge[:-1, None], index)
    shrink = np.maximum(overlap, 0) * (fewer / length)
    place = np.clip((index + 0.5) * fewer / length - 0.5, 0, fewer - 1)
    return shrink, np.maximum(0, 1 - np.abs(place[:, None] - np.arange(fewer)))
