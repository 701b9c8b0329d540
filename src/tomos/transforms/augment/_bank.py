"""Gaussian numbers, drawn once, from which every row takes its own stretch.

Drawing 50,000 normal numbers takes longer than resampling the picture they go onto. So one long
stretch is drawn, and a row's number says where in it the row begins: a pure function of that
number, on any device, whatever else is in the batch.
"""

from __future__ import annotations

import numpy as np
import torch

STARTS = 2**20  # places where a row may begin; exact in float32


class Bank:
    """Standard normal numbers of a seed, on as many devices as ask for them."""

    def __init__(self, seed: int):
        self.seed = seed
        self._numbers = np.empty(0, np.float32)
        self._on: dict[torch.device, torch.Tensor] = {}

    def _all(self, length: int, device: torch.device) -> torch.Tensor:
        if len(self._numbers) < STARTS + length:
            # The same seed gives the same beginning, so a longer bank changes no row.
            generator = np.random.default_rng([self.seed, 0x62616E6B])
            self._numbers = generator.standard_normal(STARTS + length, dtype=np.float32)
            self._on.clear()
        if device not in self._on:
            self._on[device] = torch.from_numpy(self._numbers).to(device)
        return self._on[device]

    def rows(self, starts: np.ndarray, length: int, device: torch.device) -> torch.Tensor:
        """(B, length) float32: the stretches that begin at `starts` (B,)."""
        numbers = self._all(length, device)
        index = torch.from_numpy(starts.astype(np.int64)).to(device)
        return numbers.unfold(0, length, 1)[index]

    def add(self, x: torch.Tensor, starts: np.ndarray, strength: torch.Tensor) -> torch.Tensor:
        """x (B, ...) plus `strength` (B,) times the row's stretch, in place."""
        length = x[0].numel()
        # Copying long stretches together costs more than the calls of a loop; rows stay equal
        # whatever the batch, since the choice depends on the picture's size alone.
        if length < 8192 or x.is_cuda or not x.is_contiguous():
            noise = self.rows(starts, length, x.device).view_as(x)
            return x.addcmul_(noise, strength.view(-1, *[1] * (x.ndim - 1)))
        numbers = self._all(length, x.device)
        flat = x.view(len(x), length)
        for row, (start, by) in enumerate(
            zip(starts.astype(int).tolist(), strength.flatten().tolist(), strict=True)
        ):
            flat[row].add_(numbers[start : start + length], alpha=by)
        return x


def start(u: np.ndarray) -> np.ndarray:
    """Uniform in [0, 1) -> a place to begin, never 0 (which says: not drawn)."""
    return 1 + np.floor(u * (STARTS - 1))
