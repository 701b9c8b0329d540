"""Separable resampling as products with banded weight matrices.

A pixel is a square of side one around its index, so output index j looks at input index
(j + 0.5) * scale - 0.5 + offset. When shrinking, the filter widens with the scale (anti-aliasing);
at the rim, weights outside the picture are left out and the rest sums to one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

Filter = Literal["linear", "cubic", "area", "nearest"]

_BLOCK = 32  # outputs in one product: few enough that each looks at a small part of the input


class Band(NamedTuple):
    """Outputs `rows` are `weights` (rows, columns) times inputs `columns`."""

    rows: slice
    columns: slice
    weights: np.ndarray


@lru_cache(maxsize=256)
def bands(n_in: int, n_out: int, scale: float, offset: float, kind: Filter) -> tuple[Band, ...]:
    """The weights of one axis, cut into blocks that leave out the zeros; read-only, cached."""
    dense = _weights(n_in, n_out, scale, offset, kind)
    block = n_out if n_in <= 2 * _BLOCK else _BLOCK
    found = []
    for start in range(0, n_out, block):
        part = dense[start : start + block]
        used = np.flatnonzero(part.any(axis=0))
        first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        weights = np.ascontiguousarray(part[:, first:last], dtype=np.float32)
        weights.setflags(write=False)
        found.append(Band(slice(start, start + len(part)), slice(first, last), weights))
    return tuple(found)


def resample(
    x: np.ndarray,
    axis: int,
    n_out: int,
    scale: float | None = None,
    offset: float = 0.0,
    kind: Filter = "linear",
) -> np.ndarray:
    """(..., n_in, ...) -> (..., n_out, ...) float32 along one (negative) axis.

    scale   input pixels per output pixel; None stretches the whole axis
    offset  input index at which output begins, in input pixels
    """
    n_in = x.shape[axis]
    scale = n_in / n_out if scale is None else scale
    x = np.asarray(x, dtype=np.float32)
    if n_in == n_out and scale == 1 and offset == 0:
        return x
    parts = bands(n_in, n_out, scale, offset, kind)
    if axis == -1:
        return _last(x, n_out, parts)
    tail = x.shape[axis + 1 :]
    rows = x.reshape(*x.shape[:axis], n_in, -1) if len(tail) > 1 else x
    out = np.empty((*rows.shape[:-2], n_out, rows.shape[-1]), np.float32)
    for band in parts:
        np.matmul(band.weights, rows[..., band.columns, :], out=out[..., band.rows, :])
    return out.reshape(*x.shape[:axis], n_out, *tail)


def _last(x: np.ndarray, n_out: int, parts: tuple[Band, ...]) -> np.ndarray:
    rows = x.reshape(-1, x.shape[-1])
    out = np.empty((len(rows), n_out), np.float32)
    for band in parts:
        np.matmul(rows[:, band.columns], band.weights.T, out=out[:, band.rows])
    return out.reshape(*x.shape[:-1], n_out)


def _weights(n_in: int, n_out: int, scale: float, offset: float, kind: Filter) -> np.ndarray:
    """(n_out, n_in) float64, each row summing to one."""
    centre = (np.arange(n_out)[:, None] + 0.5) * scale - 0.5 + offset
    centre = np.clip(centre, 0, n_in - 1) if kind != "area" else centre
    index = np.arange(n_in)[None, :]
    if kind == "nearest":
        return (index == np.floor(centre + 0.5)).astype(np.float64)
    width = max(scale, 1.0)
    distance = np.abs(index - centre) / width
    if kind == "linear":
        weights = np.maximum(0.0, 1.0 - distance)
    elif kind == "cubic":
        weights = _keys(distance)
    else:
        # The share of each input pixel that the output pixel covers.
        low, high = centre - width / 2, centre + width / 2
        overlap = np.minimum(high, index + 0.5) - np.maximum(low, index - 0.5)
        weights = np.maximum(0.0, overlap)
    total = weights.sum(axis=1, keepdims=True)
    return weights / np.where(total == 0, 1.0, total)


def _keys(distance: np.ndarray) -> np.ndarray:
    """Cubic convolution with a = -0.5 (Keys, IEEE Trans. ASSP 29, 1981, eq. 15)."""
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def shifted(affine: np.ndarray, scale: tuple[float, ...], start: tuple[float, ...]) -> np.ndarray:
    """The affine of a grid whose index j lies at old index (j + 0.5) * scale - 0.5 + start.

    `scale` and `start` are (y, x) or (z, y, x).
    """
    change = np.eye(4)
    first = 3 - len(scale)
    for axis, (s, o) in enumerate(zip(scale, start, strict=True), first):
        change[axis, axis] = s
        change[axis, 3] = 0.5 * s - 0.5 + o
    return affine @ change
