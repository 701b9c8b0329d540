"""Gaussian smoothing with a width a row."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def smooth(x: torch.Tensor, sigma: np.ndarray, largest: float) -> torch.Tensor:
    """x (B, C, Y, X) smoothed by `sigma` (B,) pixels; the rim is continued by its own pixels.

    largest  the widest sigma there may be, which sets how far the weights reach: for every row the
             same, so that a row does not depend on its neighbours
    """
    batch, channels, rows, columns = x.shape
    reach = max(1, int(np.ceil(3 * largest)))
    away = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (away / np.maximum(sigma, 1e-3)[:, None]) ** 2)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    kernel = torch.from_numpy(np.repeat(weights, channels, axis=0)).to(x.device)
    flat = x.reshape(1, batch * channels, rows, columns)
    n = batch * channels
    flat = F.pad(flat, (reach, reach, 0, 0), mode="replicate")
    flat = F.conv2d(flat, kernel.view(n, 1, 1, -1), groups=n)
    flat = F.pad(flat, (0, 0, reach, reach), mode="replicate")
    return F.conv2d(flat, kernel.view(n, 1, -1, 1), groups=n).view_as(x)
