"""A matrix applied along one axis of a batch."""

from __future__ import annotations

import torch


def along(x: torch.Tensor, axis: int, matrix: torch.Tensor) -> torch.Tensor:
    """x (..., n, ...) -> (..., m, ...): `matrix` (m, n) applied along `axis`, -1, -2 or -3."""
    if axis == -1:
        return x @ matrix.transpose(-1, -2)
    if axis == -2:
        return matrix @ x
    flat = matrix @ x.flatten(-2)
    return flat.unflatten(-1, x.shape[-2:])
