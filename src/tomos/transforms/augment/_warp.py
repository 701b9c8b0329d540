"""One resampling of a batch: a matrix a row, and where wanted a smooth displacement.

A row says for each output index (x, y) which input index it looks at. Rows that only move pixels to
whole places (flips, quarter turns, whole shifts) are copied, not interpolated.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from tomos.transforms.augment._step import Padding, Size


def look_up(moves: np.ndarray, size_in: Size, size_out: Size) -> np.ndarray:
    """Moves (B, 3, 3) about the middle -> (B, 2, 3) output index (x, y, 1) -> input index (x, y).

    Where the sizes differ by an odd number the middles are a whole pixel apart, not a half, so that
    a picture that is not moved is cropped, not interpolated.
    """
    start = [(i - o) // 2 for i, o in zip(size_in, size_out, strict=True)]
    return look_from(moves, np.array(start), size_out)


def look_from(moves: np.ndarray, start: np.ndarray, size: Size) -> np.ndarray:
    """The same for any number of axes, where unmoved output begins at input index `start` (axes,)
    or (B, axes), array order: (B, axes, axes + 1), output (x, y[, z], 1) -> input (x, y[, z])."""
    axes = len(size)
    back = np.linalg.inv(moves.astype(np.float64))
    out = np.array([(n - 1) / 2 for n in size[::-1]])
    found = back[:, :axes].copy()
    found[:, :, axes] += out + start[..., ::-1] - found[:, :, :axes] @ out
    return found


def exact(found: np.ndarray) -> np.ndarray:
    """(B,) whether a row of `look_up` takes whole pixels, each once."""
    whole = np.abs(found - np.round(found)).max(axis=(1, 2)) < 1e-6
    turn = np.abs(np.round(found[:, :, :-1]))
    return whole & (turn.sum(axis=1) == 1).all(axis=1) & (turn.sum(axis=2) == 1).all(axis=1)


def warp(
    x: torch.Tensor,
    found: np.ndarray,
    size: Size,
    padding: Padding,
    displacement: torch.Tensor | None = None,
    nearest: bool = False,
) -> torch.Tensor:
    """x (B, C, Y, X) float32 looked up by `found` (B, 2, 3) -> new (B, C, *size).

    displacement  (B, size, 2) pixels (x, y) added to where an output pixel looks, or None
    """
    if displacement is not None:
        return _interpolated(x, found, size, padding, displacement, nearest)
    kept = exact(found)
    if kept.all():
        return _copied(x, found, size, padding)
    if not kept.any():
        return _interpolated(x, found, size, padding, None, nearest)
    out = x.new_empty((len(x), x.shape[1], *size))
    for rows, way in ((np.flatnonzero(kept), 0), (np.flatnonzero(~kept), 1)):
        index = torch.from_numpy(rows).to(x.device)
        part = x.index_select(0, index)
        if way == 0:
            out[index] = _copied(part, found[rows], size, padding)
        else:
            out[index] = _interpolated(part, found[rows], size, padding, None, nearest)
    return out


def _interpolated(
    x: torch.Tensor,
    found: np.ndarray,
    size: Size,
    padding: Padding,
    displacement: torch.Tensor | None,
    nearest: bool,
) -> torch.Tensor:
    # torch's coordinate of index i of n is (2 i + 1) / n - 1 (align_corners=False).
    rows, columns = x.shape[-2:]
    n = np.array([columns, rows], np.float64)
    factor = found * (2 / n)[None, :, None]
    factor[:, :, 2] += 1 / n - 1
    # A pair (x, y) as one complex number: the grid is a single sum, written in memory order, which
    # takes a quarter of the time of two strided ones.
    pair = torch.from_numpy((factor[:, 0] + 1j * factor[:, 1]).astype(np.complex64)).to(x.device)
    across = torch.arange(size[1], dtype=torch.float32, device=x.device)
    down = torch.arange(size[0], dtype=torch.float32, device=x.device)
    part_x = (pair[:, 0, None] * across).unsqueeze(1)
    part_y = (pair[:, 1, None] * down + pair[:, 2, None]).unsqueeze(2)
    grid = torch.view_as_real(part_x + part_y)
    if displacement is not None:
        grid += displacement * torch.tensor(2 / n, dtype=torch.float32, device=x.device)
    mode = "nearest" if nearest else "bilinear"
    return F.grid_sample(x, grid, mode=mode, padding_mode=padding, align_corners=False)


def _copied(x: torch.Tensor, found: np.ndarray, size: Size, padding: Padding) -> torch.Tensor:
    whole = np.round(found).astype(np.int64)
    rows, columns = x.shape[-2:]
    same = np.array([[1, 0, 0], [0, 1, 0]])
    if size == (rows, columns) and (whole == same).all():
        return x.clone()
    across, down = np.arange(size[1]), np.arange(size[0])

    def place(axis: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        a = whole[:, axis]
        index = (a[:, 0, None] * across)[:, None, :] + (a[:, 1, None] * down + a[:, 2:])[:, :, None]
        outside = (index < 0) | (index >= length)
        if padding == "reflection":
            index = np.mod(index, 2 * length)
            index = np.where(index >= length, 2 * length - 1 - index, index)
        return np.clip(index, 0, length - 1), outside

    (ix, out_x), (iy, out_y) = place(0, columns), place(1, rows)
    index = torch.from_numpy((iy * columns + ix).reshape(len(x), 1, -1)).to(x.device)
    flat = x.flatten(2)
    got = torch.gather(flat, 2, index.expand(-1, x.shape[1], -1)).view(*x.shape[:2], *size)
    if padding == "zeros" and (out_x.any() or out_y.any()):
        blank = torch.from_numpy(out_x | out_y).to(x.device)
        got.masked_fill_(blank.unsqueeze(1), 0.0)
    return got
