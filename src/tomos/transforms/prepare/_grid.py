"""Cutting and padding a stack of pictures together with its affine."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tomos.transforms.prepare._resample import shifted
from tomos.transforms.prepare._stack import along

Fill = Literal["edge", "minimum"] | float


def placed(n: int, n_new: int) -> int:
    """Where the middle `n_new` of `n` begin; negative when there are fewer."""
    return (n - n_new) // 2


def cut(
    x: np.ndarray, affine: np.ndarray, start: tuple[int, ...], size: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The box from index `start`, of `size`, which must lie inside x (N, C, ...)."""
    box = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
    moved = shifted(affine, (1.0,) * len(start), tuple(float(s) for s in start))
    return x[(slice(None), slice(None), *box)], moved


def padded(
    x: np.ndarray, affine: np.ndarray, size: tuple[int, ...], fill: Fill
) -> tuple[np.ndarray, np.ndarray]:
    """x (N, C, ...) in the middle of a grid of at least its size; type kept."""
    old = x.shape[2:]
    before = tuple(-placed(o, n) for o, n in zip(old, size, strict=True))
    after = tuple(n - o - b for o, n, b in zip(old, size, before, strict=True))
    moved = shifted(affine, (1.0,) * len(old), tuple(-float(b) for b in before))
    if fill == "edge":
        width = ((0, 0), (0, 0), *zip(before, after, strict=True))
        return np.pad(x, width, mode="edge"), moved
    out = np.empty((*x.shape[:2], *size), x.dtype)
    value = x.reshape(len(x), -1).min(axis=1) if fill == "minimum" else np.full(len(x), fill)
    out[...] = along(value.astype(x.dtype), x)
    inside = tuple(slice(b, b + o) for b, o in zip(before, old, strict=True))
    out[(slice(None), slice(None), *inside)] = x
    return out, moved
