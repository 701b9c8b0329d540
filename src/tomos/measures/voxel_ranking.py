"""AUROC over voxels: millions of scores, many of them equal."""

from __future__ import annotations

import numpy as np

from tomos.types import GeometryError


def voxel_auroc(scores: np.ndarray, truth: np.ndarray, roi: np.ndarray | None = None) -> float:
    """P(score of a positive voxel > score of a negative one) + P(equal) / 2, exact.

    scores, truth  of one shape; truth is 0/1 or bool, or a label's `labels == k`
    roi            bool of that shape: voxels outside do not count
    NaN where the voxels are all positive or all negative. The same figure as `ranking.auroc`, for
    which a case is a voxel; here the scores keep their type and only the values are sorted.
    """
    scores, truth = np.asarray(scores), np.asarray(truth)
    for name, values in (("truth", truth), ("roi", roi)):
        if values is not None and values.shape != scores.shape:
            raise GeometryError(
                f"voxel AUROC: expected {name} of the shape of the scores {scores.shape}, got "
                f"{values.shape}"
            )
    if truth.dtype != bool:
        if truth.size and (truth.min() < 0 or truth.max() > 1):
            raise GeometryError("voxel AUROC: expected truth of 0 and 1; give `labels == k`")
        truth = truth.astype(bool)
    if roi is not None:
        if roi.dtype != bool:
            raise GeometryError(f"voxel AUROC: expected a roi of bool, got {roi.dtype}")
        scores, truth = scores[roi], truth[roi]
    if scores.dtype.kind == "f" and np.isnan(scores).any():
        raise GeometryError("voxel AUROC: the scores hold NaN; leave out what was not scored")
    positive, negative = np.sort(scores[truth]), np.sort(scores[~truth])
    pairs = len(positive) * len(negative)
    if not pairs:
        return float("nan")
    # The smaller side is looked up in the larger one.
    if len(positive) <= len(negative):
        return _won(positive, negative) / (2 * pairs)
    return 1 - _won(negative, positive) / (2 * pairs)


def _won(few: np.ndarray, many: np.ndarray) -> int:
    """Twice the number of pairs in which `few` is higher, equal ones counted once; both sorted."""
    below = np.searchsorted(many, few, side="left").sum(dtype=np.int64)
    up_to = np.searchsorted(many, few, side="right").sum(dtype=np.int64)
    return int(below) + int(up_to)
