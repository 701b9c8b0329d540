"""How far a picture's looks lie from those of the training pictures, as one number.

Each view of a picture (see `appearance`) has a Gaussian, which gives two distances. They are put on
one scale by their spread on pictures that the Gaussians were not fitted on, those beyond the usual
are added up, and one threshold is set on the sum. Why: `tomos.inference.envelope`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tomos.inference.appearance import WHY
from tomos.inference.gaussian import Gaussian, cross_fitted

EXPONENT = 1.25  # 1 adds the distances up, 2 is their Euclidean length, infinity the largest
Views = Mapping[str, np.ndarray]


def fit(
    views: Views, others: Views, alpha: float, rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Plain data and arrays for `Looks`.

    views   name -> (N, D) of the pictures to fit on
    others  the same of pictures that are kept apart; may be empty
    alpha   share of the usual pictures beyond the threshold
    """
    arrays: dict[str, np.ndarray] = {}
    usual: dict[str, list[float]] = {}
    own, held = [], []
    for name, values in views.items():
        gaussian = Gaussian.fit(values)
        arrays |= gaussian.arrays(name)
        folded = cross_fitted(values, rng)
        fresh = gaussian(others[name]) if name in others else folded[:0]
        median, spread = _scale(np.concatenate([folded, fresh]))
        usual[name] = [*median, *spread]
        own.append((folded - median) / spread)
        held.append((fresh - median) / spread)
    threshold = _threshold(_total(np.hstack(own)), _total(np.hstack(held)), alpha)
    return {"usual": usual, "threshold": threshold}, arrays


class Looks:
    """What `fit` gave, to measure pictures by; {} of a model without measures nothing."""

    def __init__(self, data: Mapping[str, Any], arrays: Mapping[str, np.ndarray]):
        self._limit = float(data.get("threshold", np.inf))
        self._usual = {
            name: np.array(values, float).reshape(2, 2)
            for name, values in (data.get("usual") or {}).items()
            if name in WHY and Gaussian.known(arrays, name)
        }
        self._gaussians = {name: Gaussian.of(arrays, name) for name in self._usual}

    def __bool__(self) -> bool:
        return bool(self._gaussians)

    def odd(self, views: Views, n: int) -> np.ndarray:
        """(n, 2 a view) distances in units of their spread on usual pictures; 0 of a view that is
        not there, or of another length."""
        columns = [np.zeros((n, 0))]
        for name, gaussian in self._gaussians.items():
            median, spread = self._usual[name]
            if name in views and views[name].shape[1] == gaussian.length:
                columns.append((gaussian(views[name]) - median) / spread)
            else:
                columns.append(np.zeros((n, 2)))
        return np.hstack(columns)

    def distance(self, odd: np.ndarray) -> np.ndarray:
        """(n,) of what `odd` gave: 1 at the threshold, 0 as usual as can be."""
        return _total(odd) / self._limit

    def why(self, odd: np.ndarray, distance: float) -> str:
        """In words, of one row of `odd`."""
        by_view = odd.reshape(-1, 2).max(axis=1)
        names = list(self._gaussians)
        worst = [names[i] for i in np.argsort(-by_view) if by_view[i] > 0.8][:2] or names[:1]
        why = " and ".join(WHY[name] for name in worst)
        return (
            f"unlike the pictures the model was made for ({distance:.1f} times the distance that "
            f"is usual at most): {why}"
        )


def _threshold(own: np.ndarray, held: np.ndarray, alpha: float) -> float:
    """The share of pictures above it is `alpha`, of all and of the held-out ones alone.

    The network's features are tighter on what it learnt from, so where the held-out pictures are
    enough to know their own tail, the larger of the two counts.
    """
    both = float(np.quantile(np.concatenate([own, held]), 1 - alpha))
    if len(held) < 1 / alpha:
        return both
    return max(both, float(np.quantile(held, 1 - alpha)))


def _scale(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median, and how far above it the most distant fiftieth begins, of each column."""
    median = np.median(distances, axis=0)
    return median, np.maximum(np.quantile(distances, 0.98, axis=0) - median, 1e-3)


def _total(odd: np.ndarray) -> np.ndarray:
    """(N, D) -> (N,): the distances beyond the median, as one length."""
    return (np.maximum(odd, 0) ** EXPONENT).sum(axis=1) ** (1 / EXPONENT)
