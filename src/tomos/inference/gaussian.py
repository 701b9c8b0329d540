"""How far a vector lies from the usual ones: within the directions they vary in, and outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

KEPT = 0.95  # share of the variance that counts as the directions vectors vary in
MOST = 96
SHRINK = 0.1
EXACT = 1024  # rows of a matrix up to which all its eigenvectors are computed
SPARE, PASSES = 32, 6  # of the iteration for larger ones


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """A Gaussian in the K leading directions of D numbers, and one spread for the rest.

    centre, unit  (D,) a vector z is (x - centre) / unit
    directions    (K, D) orthonormal
    variance      (K + 1,) along each of them, shrunk to their mean; the last is all that is left
    """

    centre: np.ndarray
    unit: np.ndarray
    directions: np.ndarray
    variance: np.ndarray

    @property
    def length(self) -> int:
        return len(self.centre)

    @staticmethod
    def fit(x_ND: np.ndarray) -> Gaussian:
        """Fit on N vectors; K is at most N / 10, so that each variance has ten vectors to go by."""
        x = np.asarray(x_ND, np.float64)
        centre, unit = x.mean(axis=0), x.std(axis=0)
        unit = unit + 1e-3 * x.std() + 1e-9
        z = (x - centre) / unit
        values, directions = leading(z)
        total = max(float(np.square(z).sum() / len(z)), 1e-12)
        enough = int(np.searchsorted(np.cumsum(values) / total, KEPT)) + 1
        k = min(enough, MOST, max(1, len(x) // 10), len(values))
        variance = (1 - SHRINK) * values[:k] + SHRINK * values[:k].mean()
        rest = max(total - values[:k].sum(), 1e-3 * total)
        # Kept as it will be read again: half precision, so that thresholds fit what is judged.
        return Gaussian(
            _half(centre), _half(unit), _half(directions[:k]), _half(np.append(variance, rest))
        )

    def __call__(self, x_ND: np.ndarray) -> np.ndarray:
        """(N, 2): logarithms of the mean squared distance along and outside the directions."""
        z = (np.asarray(x_ND, np.float32) - self.centre) / self.unit
        along = z @ self.directions.T
        left = z - along @ self.directions
        inside = (np.square(along) / self.variance[:-1]).mean(axis=1)
        outside = np.square(left).sum(axis=1) / self.variance[-1]
        return np.log(np.stack([inside, outside], axis=1).astype(np.float64) + 1e-6)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """For a model file; `of` reads them back."""
        return {
            f"{name}_centre": self.centre,
            f"{name}_unit": self.unit,
            f"{name}_directions": self.directions,
            f"{name}_variance": self.variance,
        }

    @staticmethod
    def known(arrays: Mapping[str, np.ndarray], name: str) -> bool:
        """Whether all four arrays are there and fit together."""
        parts = [arrays.get(f"{name}_{part}") for part in ("centre", "unit", "directions")]
        variance = arrays.get(f"{name}_variance")
        if any(part is None for part in parts) or variance is None:
            return False
        centre, unit, directions = (part for part in parts if part is not None)
        return (
            centre.ndim == unit.ndim == variance.ndim == 1
            and centre.shape == unit.shape
            and directions.shape == (len(variance) - 1, len(centre))
            and bool((unit > 0).all() and (variance > 0).all())
        )

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray], name: str) -> Gaussian:
        return Gaussian(
            *(
                np.asarray(arrays[f"{name}_{part}"], np.float32)
                for part in ("centre", "unit", "directions", "variance")
            )
        )


def leading(z_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues (K,), falling, and eigenvectors (K, D) of the covariance of N centred
    vectors; K is at least `MOST` where there are so many.

    All of them by the smaller of z'z (D, D) and zz' (N, N), which share their eigenvalues; where
    both are large, only the first by subspace iteration (Halko, Martinsson, Tropp 2011,
    arXiv:0909.4061): 4096 features take a second, not minutes.
    """
    n, d = z_ND.shape
    if d <= min(n, EXACT):
        values, vectors = np.linalg.eigh(z_ND.T @ z_ND / n)
        return np.maximum(values[::-1], 0), vectors[:, ::-1].T
    if n <= EXACT:
        values, vectors = np.linalg.eigh(z_ND @ z_ND.T / n)
        # Centred vectors span less than N directions; those of no variance have no length.
        kept = max(1, int((values > 1e-10 * values[-1]).sum()))
        values, vectors = np.maximum(values[::-1][:kept], 0), vectors[:, ::-1][:, :kept]
        return values, (z_ND.T @ vectors / np.sqrt(np.maximum(n * values, 1e-30))).T
    basis = np.random.default_rng(0).standard_normal((d, MOST + SPARE))
    for _ in range(PASSES):
        basis = np.linalg.qr(z_ND.T @ (z_ND @ basis))[0]
    seen = z_ND @ basis
    values, vectors = np.linalg.eigh(seen.T @ seen / n)
    return np.maximum(values[::-1], 0), (basis @ vectors[:, ::-1]).T


def cross_fitted(x_ND: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, 2) distances of each vector from a Gaussian of the other folds."""
    # With few vectors each one left out is missed more; with many, more folds only cost time.
    folds = 25 if len(x_ND) < 1500 else 10
    fold = rng.permutation(len(x_ND)) % folds
    distances = np.empty((len(x_ND), 2))
    for part in range(folds):
        distances[fold == part] = Gaussian.fit(x_ND[fold != part])(x_ND[fold == part])
    return distances


def _half(array: np.ndarray) -> np.ndarray:
    """float32 values that float16 holds too, where it holds them well."""
    with np.errstate(over="ignore"):  # too large for half precision: `fits` says so
        half = array.astype(np.float16).astype(np.float32)
    fits = np.isfinite(half).all() and np.allclose(half, array, rtol=1e-2, atol=1e-6)
    return half if fits else array.astype(np.float32)
