"""As if taken by a coarser scanner."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from pydantic import field_validator

from tomos.transforms.augment._bank import Bank
from tomos.transforms.augment._step import IntensityStep, Span, spread


class Step(IntensityStep):
    """Shrink by `zoom` with averaging and enlarge again linearly, both axes alike.

    zoom  share of the pixels along an axis that is kept, from .. to
    """

    columns = ("lost",)
    chances = 1

    zoom: Span = (0.5, 1.0)

    @field_validator("zoom")
    @classmethod
    def _sensible(cls, zoom: Span) -> Span:
        if not 0.01 <= zoom[0] <= zoom[1] <= 1:
            raise ValueError("expected a zoom (low, high) from 0.01 to 1")
        return zoom

    def values(self, u: np.ndarray) -> np.ndarray:
        return 1 - spread(u, self.zoom)

    def change(self, x: torch.Tensor, numbers: np.ndarray, bank: Bank) -> torch.Tensor:
        rows, columns = x.shape[-2:]
        kept = 1 - numbers[:, 0]
        down = _matrices(rows, kept).to(x.device).unsqueeze(1)
        across = _matrices(columns, kept).to(x.device).unsqueeze(1)
        return down @ x @ across.transpose(-1, -2)


def _matrices(length: int, kept: np.ndarray) -> torch.Tensor:
    fewer = np.clip(np.round(length * kept), 1, length).astype(int).tolist()
    return torch.stack([_there_and_back(length, n) for n in fewer])


@lru_cache(maxsize=128)
def _there_and_back(length: int, fewer: int) -> torch.Tensor:
    """(length, length): what averaging to `fewer` pixels and linear enlarging does to an axis."""
    if fewer == length:
        return torch.eye(length)
    edge = np.arange(fewer + 1) * (length / fewer)
    index = np.arange(length)
    overlap = np.minimum(edge[1:, None], index + 1) - np.maximum(edge[:-1, None], index)
    shrink = np.maximum(overlap, 0) * (fewer / length)
    place = np.clip((index + 0.5) * fewer / length - 0.5, 0, fewer - 1)
    enlarge = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(fewer)))
    return torch.from_numpy((enlarge @ shrink).astype(np.float32))
