"""Every figure of masks as a function of resampling counts, so that all share one bootstrap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tomos.evaluate.mask_table import MEANS, MaskTable
from tomos.measures.segmentation import mean_over_cases

Key = tuple[str, str]  # class and figure; OVERALL in place of a class
Values = dict[Key, np.ndarray]
Figures = Callable[[np.ndarray], Values]
OVERALL = ""
LESIONS = ("lesion_sensitivity", "lesion_precision", "lesion_f1")
EXTENTS = ("volume_difference", "volume_absolute_difference", "volume_lower", "volume_upper")
NORMAL_95 = 1.96  # of Bland and Altman's limits


def means(table: MaskTable) -> list[str]:
    """The figures that are means over cases: `auroc` only where it was given."""
    return [*MEANS, *(["auroc"] if len(table.auroc) else [])]


def mask_figures(table: MaskTable) -> Figures:
    """Counts (R, N) -> (class or OVERALL, figure) -> (R,).

    `dice`, `iou`, `hd95`, `nsd`, `auroc` are means over the cases in which the class counts;
    OVERALL is their mean over the classes that count anywhere. A resample that lacks one of those
    classes has no OVERALL: NaN, as if it were drawn again. Lesions are pooled over cases.
    """
    parts = (_means(table), _lesions(table), _extents(table))

    def values(w_RN: np.ndarray) -> Values:
        out: Values = {}
        for part in parts:
            out.update(part(w_RN))
        return out

    return values


def _means(table: MaskTable) -> Figures:
    known = {metric: table.of(metric) for metric in means(table)}

    def values(w_RN: np.ndarray) -> Values:
        out: Values = {}
        for metric, values_NK in known.items():
            mean_RK, _ = mean_over_cases(values_NK, w_RN)
            somewhere = ~np.isnan(values_NK).all(0)
            whole = np.full(len(w_RN), np.nan)
            if somewhere.any():
                whole = mean_RK[:, somewhere].mean(1)
            out[OVERALL, metric] = whole
            out.update({(name, metric): mean_RK[:, i] for i, name in enumerate(table.classes)})
        return out

    return values


def _lesions(table: MaskTable) -> Figures:
    shape = (len(table.cases), len(table.classes), 4)
    counts_NK4 = lesion_counts(table).reshape(shape[0], -1).astype(float)

    def values(w_RN: np.ndarray) -> Values:
        true, hit, found, right = np.moveaxis((w_RN @ counts_NK4).reshape(-1, *shape[1:]), 2, 0)
        sensitivity, precision = _ratio(hit, true), _ratio(right, found)
        both = np.nan_to_num(sensitivity) + np.nan_to_num(precision)
        f1 = _ratio(2 * np.nan_to_num(sensitivity) * np.nan_to_num(precision), both)
        # As `Lesions.f1`: 0 where lesions stand on one side only, or none is shared.
        f1 = np.where(true + found > 0, np.nan_to_num(f1), np.nan)
        each = zip(LESIONS, (sensitivity, precision, f1), strict=True)
        return {
            (name, metric): figure_RK[:, i]
            for metric, figure_RK in each
            for i, name in enumerate(table.classes)
        }

    return values


def lesion_counts(table: MaskTable) -> np.ndarray:
    """(N, K, 4) integers: true, hit, found, right."""
    counts = [
        [(f.lesions.true, f.lesions.hit, f.lesions.found, f.lesions.right) for f in case.values()]
        for case in table.figures
    ]
    return np.array(counts, np.int64).reshape(len(table.cases), len(table.classes), 4)


def _extents(table: MaskTable) -> Figures:
    """Found minus true over the cases in which the class counts, and the limits of agreement.

    Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8: mean difference -+ 1.96 SD.
    """
    counted_NK = table.counted.astype(float)
    gap_NK = (table.extent("found") - table.extent("truth")) * counted_NK
    centre_K = _ratio(gap_NK.sum(0), counted_NK.sum(0))
    off_NK = np.where(counted_NK > 0, gap_NK - centre_K, 0.0)  # small numbers square exactly

    def values(w_RN: np.ndarray) -> Values:
        n_RK = w_RN @ counted_NK
        shift_RK = _ratio(w_RN @ off_NK, n_RK)
        squares_RK = w_RN @ off_NK**2 - n_RK * shift_RK**2
        deviation_RK = np.sqrt(np.maximum(_ratio(squares_RK, n_RK - 1), 0))
        mean_RK = centre_K + shift_RK
        reach_RK = NORMAL_95 * deviation_RK
        parts = (mean_RK, _ratio(w_RN @ np.abs(gap_NK), n_RK), mean_RK - reach_RK)
        each = zip(EXTENTS, (*parts, mean_RK + reach_RK), strict=True)
        return {
            (name, metric): figure_RK[:, i]
            for metric, figure_RK in each
            for i, name in enumerate(table.classes)
        }

    return values


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
