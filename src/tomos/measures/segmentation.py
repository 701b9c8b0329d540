"""All figures of a predicted mask against the truth, label by label, and their means.

Conventions, as every report states them:
- both masks empty: the label does not count in this case; its figures are NaN and a mean tells
  over how many cases it was taken;
- one of them empty: Dice, IoU and NSD are 0, and HD95 is the diagonal of the grid: no distance
  exists, an infinite one would swallow every mean, and leaving the case out would reward a model
  that finds nothing. The diagonal is more than any two voxels of the grid can be apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tomos.measures import overlap
from tomos.measures.lesions import Lesions, lesions
from tomos.measures.surface_distance import distances, hd95, nsd
from tomos.types import GeometryError, SettingsError


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """One label in one case.

    dice, iou      0 to 1
    hd95           mm, or the unit of the spacing
    nsd            0 to 1, at `tolerance_mm`
    voxels_found, voxels_truth  how many
    volume_found, volume_truth  mm³ of a volume (1 ml = 1,000 mm³), mm² of a picture
    lesions        its components; hit when they share a voxel (other rules: `lesions`)
    """

    dice: float
    iou: float
    hd95: float
    nsd: float
    tolerance_mm: float
    voxels_found: int
    voxels_truth: int
    volume_found: float
    volume_truth: float
    lesions: Lesions

    @property
    def counted(self) -> bool:
        """False where both masks are empty."""
        return bool(self.voxels_found or self.voxels_truth)


def measure(
    found: np.ndarray,
    truth: np.ndarray,
    labels: Sequence[str],
    spacing: Sequence[float],
    tolerance_mm: float | Sequence[float],
    roi: np.ndarray | None = None,
) -> dict[str, LabelFigures]:
    """The figures of each label.

    found, truth  (Y, X) or (Z, Y, X) unsigned integers or bool on one grid: 0 = background,
                  i = labels[i - 1], as in `Mask`
    spacing       mm along each axis of the arrays
    tolerance_mm  of the NSD: one for all labels, or one for each
    roi           bool of the same shape; outside it both masks are taken for background, so that
                  its border is a surface of both where it cuts through both

    GeometryError where the arrays do not fit together, SettingsError for the tolerance.
    """
    tolerances = _tolerances(tolerance_mm, len(labels))
    steps = _checked(found, truth, len(labels), spacing, roi)
    farthest = float(np.linalg.norm(np.multiply(found.shape, steps)))
    found, truth = _cropped(found, truth, roi, len(labels))
    table = overlap.tally(found, truth, len(labels))
    dice, iou = overlap.dice(table), overlap.iou(table)
    voxels_found, voxels_truth = table.sum(0)[1:].tolist(), table.sum(1)[1:].tolist()
    between = distances(found, truth, len(labels), steps)
    pieces = lesions(found, truth, len(labels))
    one = float(np.prod(steps))
    return {
        name: LabelFigures(
            dice=float(dice[i]),
            iou=float(iou[i]),
            hd95=hd95(*between[i], farthest),
            nsd=nsd(*between[i], tolerances[i]),
            tolerance_mm=tolerances[i],
            voxels_found=voxels_found[i],
            voxels_truth=voxels_truth[i],
            volume_found=voxels_found[i] * one,
            volume_truth=voxels_truth[i] * one,
            lesions=pieces[i],
        )
        for i, name in enumerate(labels)
    }


def figure_table(cases: Sequence[Mapping[str, LabelFigures]], figure: str) -> np.ndarray:
    """(N, K) of one figure ("dice", "hd95", ...) over cases and labels; NaN is not counted."""
    return np.array([[getattr(each, figure) for each in case.values()] for case in cases], float)


def mean_over_cases(
    values_NK: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each label over the cases in which it counts, and in how many: (K,) and (K,).

    With `weights` (R, N), how often each case counts in each of R resamples, (R, K) and (R, K).
    NaN for a label that counts nowhere. The figure over all labels is `np.nanmean` of the last
    axis: over cases first, then over labels.
    """
    there = ~np.isnan(values_NK)
    w_RN = np.ones((1, len(values_NK))) if weights is None else weights
    count = w_RN @ there.astype(float)
    total = w_RN @ np.where(there, values_NK, 0.0)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    count = count.astype(np.int64)
    return (mean[0], count[0]) if weights is None else (mean, count)


def _tolerances(given: float | Sequence[float], labels: int) -> list[float]:
    each = list(given) if isinstance(given, Sequence) else [given] * labels
    if len(each) != labels or not all(0 <= t < np.inf for t in each):
        raise SettingsError(
            f"tolerance_mm: expected one number of mm, 0 or more, or {labels} of them, one for "
            f"each label; got {given}"
        )
    return [float(t) for t in each]


def _checked(
    found: np.ndarray,
    truth: np.ndarray,
    labels: int,
    spacing: Sequence[float],
    roi: np.ndarray | None,
) -> tuple[float, ...]:
    """The spacing as plain numbers, once everything fits together."""
    for name, values in (("found", found), ("truth", truth)):
        if values.ndim not in (2, 3) or values.dtype.kind not in "ub" or not values.size:
            raise GeometryError(
                f"{name}: expected labels (Y, X) or (Z, Y, X) of unsigned integers or bool, got "
                f"{values.dtype} of shape {values.shape}"
            )
        if (highest := int(values.max())) > labels:
            raise GeometryError(f"{name}: expected labels up to {labels}, got {highest}")
    if found.shape != truth.shape:
        raise GeometryError(
            f"expected two masks on one grid, got {found.shape} found and {truth.shape} true; "
            "bring the mask to the grid of the truth first"
        )
    if roi is not None and (roi.shape != truth.shape or roi.dtype != bool):
        raise GeometryError(
            f"roi: expected bool of shape {truth.shape}, got {roi.dtype} of {roi.shape}"
        )
    steps = tuple(float(s) for s in spacing)
    if len(steps) != truth.ndim or not all(0 < s < np.inf for s in steps):
        raise GeometryError(
            f"spacing: expected {truth.ndim} lengths in mm above 0, one for each axis of the "
            f"masks, got {steps}"
        )
    return steps


def _cropped(
    found: np.ndarray, truth: np.ndarray, roi: np.ndarray | None, labels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both masks inside the box that holds every label of either, in as few bytes as will do."""
    if roi is not None:
        found, truth = found * roi, truth * roi
    one, other = _box(found), _box(truth)
    box = tuple(slice(min(a, c), max(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))
    kind = np.uint8 if labels < 256 else np.uint16 if labels < 65536 else np.uint32
    return np.ascontiguousarray(found[box], kind), np.ascontiguousarray(truth[box], kind)


def _box(labels: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last index with a label, along each axis; (n, 0) where none is."""
    ends = []
    shadow = labels
    for _ in range(labels.ndim):
        there = np.flatnonzero(shadow.reshape(len(shadow), -1).max(1))
        ends.append((int(there[0]), int(there[-1]) + 1) if len(there) else (len(shadow), 0))
        if len(there):
            shadow = shadow[there[0] : there[-1] + 1]
        shadow = shadow.max(0)
    return ends
