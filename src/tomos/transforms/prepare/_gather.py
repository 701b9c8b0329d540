"""Values between the voxels of a volume."""

from __future__ import annotations

from itertools import product

import numpy as np


def gathered(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Values (K, Z, Y, X) at real indices (3, P) inside them -> (K, P) float32, linearly."""
    size = values.shape[1:]
    low = np.floor(where).astype(np.int64)
    share, top = where - low, np.array(size)[:, None] - 1
    whole = values.reshape(len(values), -1)
    found = np.zeros((len(whole), where.shape[1]), np.float32)
    for corner in product((0, 1), repeat=3):
        up = np.array(corner)[:, None]
        weight = np.where(up, share, 1 - share).prod(axis=0).astype(np.float32)
        at = np.ravel_multi_index(tuple(np.minimum(low + up, top)), size)
        found += np.take(whole, at, axis=1) * weight
    return found
