"""Two models' masks of the same cases: what differs, by how much, and whether it may be chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tomos.evaluate.mask_figures import OVERALL, Key, mask_figures, means
from tomos.evaluate.mask_score import mask_measured, overall, per_class
from tomos.evaluate.mask_table import MaskTable
from tomos.measures.comparison import holm
from tomos.measures.intervals import Bootstrap, percentile
from tomos.types import DatasetError

DRAWS = 10_000
ALL_SWAPS = 12  # patients up to which every one of the 2^G swaps is looked at
BLOCK = 2_000_000  # numbers held at once


def compare_masks(
    first: MaskTable,
    second: MaskTable,
    names: tuple[str, str] = ("first", "second"),
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict:
    """Differences (second minus first) of every figure, over classes and class by class.

    Intervals by the paired bootstrap: the same patients for both. P by swapping the two models
    patient by patient; adjusted (Holm) for the number of figures, and of classes for one figure.
    Of a class that only one model finds in a case where there is none, that model's case counts
    and the other's does not, as in each model's own figures.
    Raises DatasetError when the two do not share their cases, classes, truth and tolerances.
    """
    first, second = _matched(first, second)
    rows = _rows(first, second, resamples, seed)
    return {
        "schema": 1,
        "task": "segment",
        "comparison": list(names),
        "primary": "dice",
        "dataset": first.dataset,
        "split": first.split,
        "n_cases": len(first.cases),
        "n_patients": first.n_patients,
        "patients_known": first.patients_known,
        "distance_unit": "voxels" if first.unit == "voxels" else "mm",
        "metrics": rows[OVERALL],
        "per_class": {name: rows[name] for name in first.classes},
        "case_by_case": _case_by_case(first, second),
    }


def _rows(
    first: MaskTable, second: MaskTable, resamples: int, seed: int
) -> dict[str, dict[str, dict]]:
    """OVERALL or class -> figure -> both values and their difference, P values adjusted."""
    differences = _differences(first, second, resamples, seed)
    both = [_entries(table, resamples, seed) for table in (first, second)]
    rows = {
        name: {
            metric: {
                "first": both[0][name][metric],
                "second": both[1][name][metric],
                "difference": differences[name, metric],
            }
            for metric in _metrics(first, second)
        }
        for name in (OVERALL, *first.classes)
    }
    _adjust(list(rows[OVERALL].values()))
    for metric in _metrics(first, second):
        _adjust([rows[name][metric] for name in first.classes])
    return rows


def _metrics(first: MaskTable, second: MaskTable) -> list[str]:
    return [metric for metric in means(first) if metric in means(second)]


def _entries(table: MaskTable, resamples: int, seed: int) -> dict[str, dict]:
    values, _ = mask_measured(table, resamples, seed)
    return {OVERALL: overall(table, values), **per_class(table, values)}


def _adjust(rows: Sequence[dict]) -> None:
    """Write the P values adjusted for their number beside them."""
    p = [row["difference"]["p"] for row in rows]
    adjusted = holm([np.nan if value is None else value for value in p])
    for row, value in zip(rows, adjusted, strict=True):
        row["difference"]["p_holm"] = None if np.isnan(value) else value


def _matched(first: MaskTable, second: MaskTable) -> tuple[MaskTable, MaskTable]:
    """Both with the cases in the order of the first."""
    where = f"comparison on {first.dataset or 'a data set'}, {first.split}"
    if first.classes != second.classes or first.unit != second.unit:
        raise DatasetError(
            f"{where}: expected the same classes and unit, got {list(first.classes)} in "
            f"{first.unit} and {list(second.classes)} in {second.unit}"
        )
    place = {case: row for row, case in enumerate(second.cases)}
    strangers = set(first.cases) ^ set(place)
    if strangers:
        raise DatasetError(
            f"{where}: {len(strangers)} cases were given to one model only, such as "
            f"{sorted(strangers)[0]}; predict both on the same data set"
        )
    if not len(first.cases):
        raise DatasetError(f"{where}: no case has a mask to compare")
    other = second.at(np.array([place[case] for case in first.cases]))
    if not np.array_equal(first.of("voxels_truth"), other.of("voxels_truth")):
        raise DatasetError(f"{where}: the two tables do not agree on what is true")
    if first.tolerances != other.tolerances:
        raise DatasetError(
            f"{where}: the NSD was taken at {first.tolerances} and at {other.tolerances}; "
            "measure both at the same tolerance"
        )
    return first, other


def _differences(first: MaskTable, second: MaskTable, resamples: int, seed: int) -> dict[Key, dict]:
    """(class or OVERALL, figure) -> difference, interval and P."""
    of = [mask_figures(first), mask_figures(second)]
    names = (OVERALL, *first.classes)
    keys = [(name, metric) for metric in _metrics(first, second) for name in names]

    def difference(w_RN: np.ndarray) -> np.ndarray:
        a, b = (values(w_RN) for values in of)
        return np.stack([b[key] - a[key] for key in keys], 1)

    plain = difference(np.ones((1, len(first.cases)), np.int32))[0]
    drawn = Bootstrap(first.groups, None, resamples, seed).distribution(difference)
    p = [value for m in _metrics(first, second) for value in _swapped(first, second, m, seed)]
    return {
        key: _difference(float(plain[column]), drawn[:, column], p[column])
        for column, key in enumerate(keys)
    }


def _difference(value: float, drawn: np.ndarray, p: float) -> dict:
    if not np.isfinite(value):
        nothing: dict = dict.fromkeys(("value", "low", "high", "p"))
        return {**nothing, "method": "not defined"}
    low, high = percentile(drawn)
    # One patient only: every resample alike, which says nothing of others. Equal models do differ
    # by nothing.
    known = np.isfinite(low) and (high > low or value == 0)
    return {
        "value": value,
        "low": low if known else None,
        "high": high if known else None,
        "p": p,
        "method": "paired permutation by patient",
    }


def _swapped(first: MaskTable, second: MaskTable, metric: str, seed: int) -> list[float]:
    """Two-sided P of one figure: OVERALL, then of each class; NaN where it is not defined.

    The models swap places patient by patient and every mean is taken anew, so that a class that
    counts for one model only in some case is treated as in the figures themselves.
    """
    _, patient = np.unique(first.groups, return_inverse=True)
    one_GJ, other_GJ = (_sums(table.of(metric), patient) for table in (first, second))
    one_J, other_J, step_GJ = one_GJ.sum(0), other_GJ.sum(0), other_GJ - one_GJ

    def gaps(swap_RG: np.ndarray) -> np.ndarray:
        moved_RJ = swap_RG @ step_GJ
        left_RK, right_RK = _means(one_J + moved_RJ), _means(other_J - moved_RJ)
        whole_R = _over_classes(right_RK) - _over_classes(left_RK)
        return np.concatenate([whole_R[:, None], right_RK - left_RK], 1)

    return _share_beyond(gaps, step_GJ.any(1), seed)


def _sums(values_NK: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """(G, 2 K): of each patient the sum of the figure for each class, then the cases counted."""
    there = ~np.isnan(values_NK)
    columns = np.concatenate([np.where(there, values_NK, 0.0), there], 1)
    return np.stack([np.bincount(patient, column) for column in columns.T], 1)


def _means(sums_RJ: np.ndarray) -> np.ndarray:
    """(R, K) from sums and numbers (R, 2 K); NaN where a class counts nowhere."""
    total, n = np.split(sums_RJ, 2, axis=1)
    n = np.round(n)
    return np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)


def _over_classes(means_RK: np.ndarray) -> np.ndarray:
    known = np.isfinite(means_RK)
    n = known.sum(1)
    total = np.where(known, means_RK, 0.0).sum(1)
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)


def _share_beyond(
    gaps: Callable[[np.ndarray], np.ndarray], differs_G: np.ndarray, seed: int
) -> list[float]:
    """Share of swaps whose gap is at least the observed one; a swap without a figure counts."""
    observed = gaps(np.zeros((1, len(differs_G))))[0]
    limit = np.abs(observed) * (1 - 1e-9) - 1e-12
    at = np.flatnonzero(differs_G)
    n, whole = 0, len(at) <= ALL_SWAPS
    beyond = np.zeros(len(observed))
    rng = np.random.default_rng(seed)
    total = 2 ** len(at) if whole else DRAWS
    rows = max(1, BLOCK // max(1, len(differs_G)))
    while n < total:
        size = min(rows, total - n)
        swap = np.zeros((size, len(differs_G)))
        if whole:
            swap[:, at] = (np.arange(n, n + size)[:, None] >> np.arange(len(at))) & 1
        else:
            swap[:, at] = rng.integers(0, 2, (size, len(at)))
        beyond += (~(np.abs(gaps(swap)) < limit)).sum(0)
        n += size
    p = beyond / total if whole else (beyond + 1) / (total + 1)
    return np.where(np.isfinite(observed), p, np.nan).tolist()


def _case_by_case(first: MaskTable, second: MaskTable) -> Mapping[str, int]:
    """In how many cases each model has the higher Dice, mean over the classes that count."""
    a, b = first.case_mean(), second.case_mean()
    known = np.isfinite(a) & np.isfinite(b)
    gap = b[known] - a[known]
    return {
        "first": int((gap < -1e-12).sum()),
        "second": int((gap > 1e-12).sum()),
        "same": int((np.abs(gap) <= 1e-12).sum()),
    }
