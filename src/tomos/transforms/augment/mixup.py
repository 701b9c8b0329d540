"""Two pictures laid over each other, and their targets with them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from pydantic import Field

from tomos.transforms.augment._step import RandomStep


class Step(RandomStep):
    """Mix a picture with another of its batch, in proportions Beta(alpha, alpha).

    Carried out by `Chain.mix`, since the targets change too (Zhang et al., mixup: beyond empirical
    risk minimization, ICLR 2018). The other picture's share is at most a half: beyond that the two
    would only change places.
    """

    columns = ("share", "partner")
    chances = 2

    alpha: float = Field(0.2, gt=0, le=20)

    def values(self, u: np.ndarray) -> np.ndarray:
        levels, shares = _half_beta(self.alpha)
        return np.stack([np.interp(u[:, 0], levels, shares), u[:, 1]], axis=1)

    def pairs(self, numbers: np.ndarray) -> np.ndarray:
        """(B,) the row each row is mixed with: the next in a random order of the batch."""
        order = np.argsort(numbers[:, 1], kind="stable")
        partner = np.empty(len(order), np.int64)
        partner[order] = np.roll(order, -1)
        return partner


@lru_cache(maxsize=8)
def _half_beta(alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Distribution of the smaller of v and 1 - v, v ~ Beta(alpha, alpha): levels and values.

    With s = v ** alpha the density's pole at 0 is gone: v^(a-1) (1-v)^(a-1) dv
    = (1-v)^(a-1) ds / a.
    """
    s = np.linspace(0, 0.5**alpha, 4097)
    shares = s ** (1 / alpha)
    density = (1 - shares) ** (alpha - 1)
    levels = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return levels / levels[-1], shares
