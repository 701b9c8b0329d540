"""How far two masks cover the same voxels: Dice and IoU, read off one table of counts.

Definitions after Maier-Hein, Reinke et al., Metrics reloaded, Nature Methods 2024,
doi:10.1038/s41592-023-02151-z.
"""

from __future__ import annotations

import numpy as np

SLAB = 1 << 22  # voxels looked at together: their comparisons stay small in memory


def tally(found: np.ndarray, truth: np.ndarray, labels: int) -> np.ndarray:
    """Voxels (K+1, K+1) of labels 0..K, rows truth, columns found, of two arrays of one shape.

    Counted by stretches over which neither array changes, not voxel by voxel.
    """
    size = labels + 1
    table = np.zeros(size * size)
    found, truth = found.reshape(-1), truth.reshape(-1)
    for first in range(0, len(found), SLAB):
        one, other = found[first : first + SLAB], truth[first : first + SLAB]
        begins = np.ones(len(one), bool)
        np.not_equal(one[1:], one[:-1], out=begins[1:])
        begins[1:] |= other[1:] != other[:-1]
        start = np.flatnonzero(begins)
        cell = other[start].astype(np.int64) * size + one[start]
        table += np.bincount(cell, np.diff(start, append=len(one)), minlength=size * size)
    return table.astype(np.int64).reshape(size, size)


def dice(table: np.ndarray) -> np.ndarray:
    """(K,) of labels 1..K: 2 |A and B| / (|A| + |B|); NaN where both are empty."""
    both, found, truth = _parts(table)
    return _ratio(2 * both, found + truth)


def iou(table: np.ndarray) -> np.ndarray:
    """(K,) of labels 1..K: |A and B| / |A or B|; NaN where both are empty."""
    both, found, truth = _parts(table)
    return _ratio(both, found + truth - both)


def _parts(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.diagonal(table)[1:], table.sum(0)[1:], table.sum(1)[1:]


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below != 0)
