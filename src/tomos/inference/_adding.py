"""A tile times its weights, added to the sums it lies on: the inner loop of stitching.

numpy needs two passes, one of them over rows as short as a tile. Compiled by numba it is one, about
twice as fast where memory is what limits; both round alike, so the sums are the same to the bit.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

# Scores to be added from which on numba pays its import: numpy adds so many in half a second.
LARGE = 2**29


def compiled(scores: int) -> Any | None:
    """`_add` as machine code; None where numba is not installed or the work is small."""
    if scores < LARGE or find_spec("numba") is None:
        return None
    return _compiled()


@cache
def _compiled() -> Any:
    import numba

    try:
        return numba.njit(cache=True, nogil=True)(_add)
    except RuntimeError:  # no folder in which the machine code could be kept
        return numba.njit(nogil=True)(_add)


def standing(x: np.ndarray) -> np.ndarray:
    """Rows of a picture (Y, X) as (Y, 1, X); a volume as it is."""
    return x[:, None] if x.ndim == 2 else x


def _add(sums, scores, weights, rows, y0, x0):
    """scores (Z, Y, X) times weights, added to sums[rows[z], y0 + y, x0 + x]."""
    for z in range(scores.shape[0]):
        for y in range(scores.shape[1]):
            into = sums[rows[z], y0 + y, x0 : x0 + scores.shape[2]]
            given, counts = scores[z, y], weights[z, y]
            for x in range(len(given)):
                into[x] += given[x] * counts[x]
