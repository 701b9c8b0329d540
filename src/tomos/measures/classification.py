"""Figures that follow from decisions: everything is read off the confusion matrix.

A confusion matrix is (..., K, K), rows truth, columns decision; leading axes are resamples, so one
implementation serves a value and its bootstrap distribution. What is not defined (a class without
cases, a class never decided for) is NaN, never a silent 0. Averages over classes leave out the
classes missing from truth; `missing` names them.

In a matrix of two classes the second row and column are the positive class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def confusion(
    truth: np.ndarray, decided: np.ndarray, classes: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Counts (K, K), or (R, K, K) for `weights` (R, N); truth and decided are (N,) in 0..K-1."""
    truth, decided = np.asarray(truth), np.asarray(decided)
    if truth.shape != decided.shape or truth.ndim != 1:
        raise ValueError(f"expected two arrays (N,), got {truth.shape} and {decided.shape}")
    for name, values in (("truth", truth), ("decided", decided)):
        if values.size and (values.min() < 0 or values.max() >= classes):
            raise ValueError(f"{name} holds classes outside 0..{classes - 1}")
    cell = truth.astype(np.int64) * classes + decided
    if weights is None:
        counts = np.bincount(cell, minlength=classes * classes).astype(float)
        return counts.reshape(classes, classes)
    # A product with the one-hot cells: BLAS beats a loop of bincounts over resamples.
    used = np.unique(cell)
    hot = (cell[:, None] == used).astype(float)
    counts = np.zeros((len(weights), classes * classes))
    counts[:, used] = weights @ hot
    return counts.reshape(-1, classes, classes)


def missing(matrix: np.ndarray) -> list[int]:
    """Classes without a case in truth, by index."""
    return np.flatnonzero(matrix.sum(-1) == 0).tolist()


def accuracy(matrix: np.ndarray) -> np.ndarray:
    """Share of right decisions."""
    return _ratio(_hits(matrix).sum(-1), matrix.sum((-2, -1)))


def sensitivity(matrix: np.ndarray) -> np.ndarray:
    """Recall of each class (..., K): right decisions among its cases."""
    return _ratio(_hits(matrix), matrix.sum(-1))


def specificity(matrix: np.ndarray) -> np.ndarray:
    """Of each class (..., K): how many of the other cases are not taken for it."""
    total, hits = matrix.sum((-2, -1))[..., None], _hits(matrix)
    other = total - matrix.sum(-1)
    return _ratio(total - matrix.sum(-1) - matrix.sum(-2) + hits, other)


def precision(matrix: np.ndarray) -> np.ndarray:
    """Of each class (..., K): right decisions among those taken for it; NaN if never decided."""
    return _ratio(_hits(matrix), matrix.sum(-2))


def negative_predictive_value(matrix: np.ndarray) -> np.ndarray:
    """Of each class (..., K): how many of those not taken for it indeed are not."""
    total, hits = matrix.sum((-2, -1))[..., None], _hits(matrix)
    not_decided = total - matrix.sum(-2)
    return _ratio(total - matrix.sum(-1) - matrix.sum(-2) + hits, not_decided)


def f1(matrix: np.ndarray) -> np.ndarray:
    """Of each class (..., K): 2 TP / (2 TP + FP + FN); NaN for a class without cases."""
    value = _ratio(2 * _hits(matrix), matrix.sum(-1) + matrix.sum(-2))
    return np.where(matrix.sum(-1) > 0, value, np.nan)


def balanced_accuracy(matrix: np.ndarray) -> np.ndarray:
    """Mean sensitivity over the classes that have cases."""
    return macro(sensitivity(matrix), matrix)


def macro(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Mean of (..., K) over the classes that have cases; an undefined one of those counts as 0.

    So the macro precision of a model that never decides for a present class falls, as it should.
    """
    present = matrix.sum(-1) > 0
    filled = np.where(present, np.nan_to_num(values), 0.0)
    return _ratio(filled.sum(-1), present.sum(-1))


def kappa(matrix: np.ndarray, weighting: str = "none") -> np.ndarray:
    """Cohen's kappa (1960); `weighting` "none", "linear" or "quadratic" (Cohen 1968).

    NaN when truth and decision both know one and the same class only.
    """
    classes = matrix.shape[-1]
    distance = np.abs(np.subtract.outer(np.arange(classes), np.arange(classes))).astype(float)
    if weighting == "none":
        cost = (distance > 0).astype(float)
    elif weighting in ("linear", "quadratic"):
        cost = distance if weighting == "linear" else distance**2
    else:
        raise ValueError(f"weighting: expected none, linear or quadratic, got {weighting!r}")
    total = matrix.sum((-2, -1))
    chance = matrix.sum(-1)[..., :, None] * matrix.sum(-2)[..., None, :]
    expected = _ratio((chance * cost).sum((-2, -1)), total)
    return 1 - _ratio((matrix * cost).sum((-2, -1)), expected)


def two_class(matrix: np.ndarray, index: int) -> np.ndarray:
    """One class against the rest: (..., K, K) -> (..., 2, 2), the class second."""
    total, hits = matrix.sum((-2, -1)), matrix[..., index, index]
    truth, decided = matrix[..., index, :].sum(-1), matrix[..., :, index].sum(-1)
    rest = total - truth - decided + hits
    rows = [[rest, decided - hits], [truth - hits, hits]]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def likelihood_ratios(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """LR+ and LR- of a (..., 2, 2) matrix: how a positive and a negative answer shift the odds.

    LR+ is infinite where no healthy case was called positive.
    """
    sens, spec = sensitivity(matrix)[..., 1], specificity(matrix)[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return sens / (1 - spec), (1 - sens) / spec


def one_hot(truth: np.ndarray, classes: int) -> np.ndarray:
    """(N,) class indices -> (N, K) 0/1 float."""
    return (np.asarray(truth)[:, None] == np.arange(classes)).astype(float)


def labels_and_counts(truth: np.ndarray, classes: Sequence[str]) -> dict[str, int]:
    """Class name -> number of cases, in class order, those without cases included."""
    counts = np.bincount(np.asarray(truth), minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=True)}


def _hits(matrix: np.ndarray) -> np.ndarray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    above, below = np.asarray(above, float), np.asarray(below, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below != 0, above / np.where(below != 0, below, 1), np.nan)
