"""Gaussian smoothing with a width a row."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from tomos.transforms.augment._step import fresh


def smooth(
    x: torch.Tensor, sigma: np.ndarray, largest: float, in_plane: bool = False
) -> torch.Tensor:
    """x (B, C, [Z,] Y, X) smoothed by `sigma` (B,) pixels; the rim is continued by its own pixels.

    largest   the widest sigma there may be, which sets how far the weights reach: for every row the
              same, so that a row does not depend on its neighbours
    in_plane  leave the z axis of volumes alone

    A volume is written into.
    """
    reach = max(1, int(np.ceil(3 * largest)))
    away = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (away / np.maximum(sigma, 1e-3)[:, None]) ** 2)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    if x.ndim == 4:
        return _picture(x, weights, reach)
    other = fresh(tuple(x.shape), x.dtype, x.device)
    for axis in (3, 2) if in_plane else (3, 2, 1):
        for row, own, out in zip(x, weights[:, reach:].tolist(), other, strict=True):
            _volume(row, own, axis, out)
        x, other = other, x
    return x


def _picture(x: torch.Tensor, weights: np.ndarray, reach: int) -> torch.Tensor:
    batch, channels, rows, columns = x.shape
    n = batch * channels
    kernel = torch.from_numpy(np.repeat(weights, channels, axis=0)).to(x.device)
    flat = x.reshape(1, n, rows, columns)
    flat = F.pad(flat, (reach, reach, 0, 0), mode="replicate")
    flat = F.conv2d(flat, kernel.view(n, 1, 1, -1), groups=n)
    flat = F.pad(flat, (0, 0, reach, reach), mode="replicate")
    return F.conv2d(flat, kernel.view(n, 1, -1, 1), groups=n).view_as(x)


def _volume(x: torch.Tensor, weights: list[float], axis: int, out: torch.Tensor) -> None:
    """x (C, Z, Y, X) smoothed along one axis into `out`; `weights` from the middle outwards.

    Shifted copies, weighed and summed, take a tenth of the time of a volume's convolution.
    """
    n = x.shape[axis]
    torch.mul(x, weights[0], out=out)
    for away, weight in enumerate(weights[1:], 1):
        by = min(away, n)
        first, last = x.narrow(axis, 0, 1), x.narrow(axis, n - 1, 1)
        out.narrow(axis, 0, by).add_(first, alpha=weight)
        out.narrow(axis, n - by, by).add_(last, alpha=weight)
        if by < n:
            out.narrow(axis, by, n - by).add_(x.narrow(axis, 0, n - by), alpha=weight)
            out.narrow(axis, 0, n - by).add_(x.narrow(axis, by, n - by), alpha=weight)
