"""A table of masks -> `metrics.json`: every figure with its 95 % interval over patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tomos.evaluate.mask_figures import (
    EXTENTS,
    LESIONS,
    OVERALL,
    Key,
    lesion_counts,
    mask_figures,
    means,
)
from tomos.evaluate.mask_table import MaskTable
from tomos.evaluate.subgroups import levels
from tomos.measures.intervals import Bootstrap, percentile, wilson
from tomos.measures.lesions import Match
from tomos.types import DatasetError

FEW_CASES = 20
CONVENTIONS = (
    "dice, iou, hd95, nsd, auroc: mean over cases, then over classes in the data set's order, "
    "background never among them. A class that is in neither mask of a case is not counted there. "
    "In one mask only: dice, iou and nsd are 0, hd95 is the diagonal of the grid."
)


def score_masks(
    table: MaskTable,
    subgroups: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict:
    """Figures of one mask target, in the form of `metrics.json`.

    subgroups  columns to split by; every suitable one when None
    All intervals come from the same resamples of patients. A figure that every resample gives
    alike, as with one patient, has no interval; a figure that is not defined is None.
    Raises DatasetError when there is no case.
    """
    if not len(table.cases):
        raise DatasetError(
            f"{table.where}: no case has a mask to compare; nothing can be evaluated"
        )
    primary = _target(table, subgroups, resamples, seed)
    head = {
        "schema": 1,
        "task": "segment",
        "dataset": table.dataset,
        "split": table.split,
        "resamples": resamples,
        "level": 0.95,
    }
    return {**head, **primary, "targets": {table.target: primary}}


def mask_measured(table: MaskTable, resamples: int, seed: int) -> tuple[dict[Key, dict], str]:
    """(class or OVERALL, figure) -> {"value", "low", "high"}, and how the intervals were made."""
    of = mask_figures(table)
    plain = of(np.ones((1, len(table.cases)), np.int32))
    bootstrap = Bootstrap(table.groups, None, resamples, seed)
    drawn = bootstrap.distribution(lambda w: np.stack(list(of(w).values()), 1))
    counts = lesion_counts(table)
    out = {}
    for column, (key, values) in enumerate(plain.items()):
        value = float(values[0])
        low, high = percentile(drawn[:, column])
        entry: dict = {"value": value, "low": min(low, value), "high": max(high, value)}
        used = int(np.isfinite(drawn[:, column]).sum())
        if used < len(drawn):
            entry["resamples"] = used  # those that hold every class
        if not np.isfinite(low):
            entry.update(low=None, high=None, note="too few resamples hold every class")
        elif high - low <= 1e-12 * max(1.0, abs(value)):
            entry.update(_without_spread(table, counts, key, value))
        out[key] = _plain(entry)
    words = bootstrap.method
    return out, words if table.patients_known else words.replace("patients", "images")


def _without_spread(table: MaskTable, counts_NK4: np.ndarray, key: Key, value: float) -> dict:
    """What to say of a figure that every resample gives alike: that is not certainty.

    A share of lesions that is 0 or 1 has Wilson's interval over the patients who have lesions.
    """
    name, metric = key
    if metric in LESIONS[:2] and value in (0.0, 1.0):
        side = counts_NK4[:, table.classes.index(name), 2 * LESIONS.index(metric)]
        n = len(np.unique(table.groups[side > 0]))
        exact = wilson(value * n, n)
        return {"low": exact.low, "high": exact.high, "method": f"Wilson, {n} patients"}
    return {"low": None, "high": None, "note": "every resample of patients gives the same"}


def _target(table: MaskTable, subgroups: Sequence[str] | None, resamples: int, seed: int) -> dict:
    values, method = mask_measured(table, resamples, seed)
    counts = case_counts(table)
    present = {name: n["present"] for name, n in counts.items()}
    return {
        "kind": "mask",
        "classes": list(table.classes),
        "n_cases": len(table.cases),
        "n_patients": table.n_patients,
        "n_failed": len(table.failed),
        "n_referred": sum(verdict == "refer" for verdict, _ in table.verdicts),
        "patients_known": table.patients_known,
        "n_per_class": present,
        "missing_classes": [name for name, n in present.items() if n == 0],
        "counts": counts,
        "unit": table.unit,
        "distance_unit": "voxels" if table.unit == "voxels" else "mm",
        "lesion_rule": Match().words,
        "conventions": CONVENTIONS,
        "intervals": method,
        "overall": overall(table, values),
        "per_class": per_class(table, values),
        "subgroups": _subgroups(table, subgroups, resamples, seed),
        "operating_point": {"rule": "arg-max"},
    }


def case_counts(table: MaskTable) -> dict[str, dict[str, int]]:
    """Class -> in how many cases it is in the truth, in neither mask, or in one of them only."""
    truth, found = table.present, table.of("voxels_found") > 0
    sides = {
        "present": truth,
        "counted": truth | found,
        "both_empty": ~truth & ~found,
        "missed": truth & ~found,
        "found_only": found & ~truth,
    }
    return {
        name: {side: int(holds[:, i].sum()) for side, holds in sides.items()}
        for i, name in enumerate(table.classes)
    }


def overall(table: MaskTable, values: Mapping[Key, dict]) -> dict[str, dict]:
    """The means over classes; `n`: cases in which any class counts."""
    out = {}
    for metric in means(table):
        known = ~np.isnan(table.of(metric))
        entry = {**values[OVERALL, metric], "n": int(known.any(1).sum())}
        entry["n_classes"] = int(known.any(0).sum())
        if metric == "nsd":
            each = table.tolerances
            same = len(set(each.values())) == 1
            entry["tolerance_mm"] = next(iter(each.values())) if same else each
        out[metric] = entry
    return out


def per_class(table: MaskTable, values: Mapping[Key, dict]) -> dict[str, dict]:
    """Class -> figure -> its entry; `n`, `sd` and `median` over the cases that count."""
    known, lesions = {metric: table.of(metric) for metric in means(table)}, lesion_counts(table)
    extents, counted = (table.extent("found"), table.extent("truth")), table.counted
    out = {}
    for at, name in enumerate(table.classes):
        entries = {
            metric: {**values[name, metric], **_spread(of_NK[~np.isnan(of_NK[:, at]), at])}
            for metric, of_NK in known.items()
        }
        entries["nsd"]["tolerance_mm"] = table.tolerances[name]
        true, hit, found, right = lesions[:, at].sum(0).tolist()
        of = {"true": true, "hit": hit, "found": found, "right": right}
        for metric, n in zip(LESIONS, (true, found, true + found), strict=True):
            entries[metric] = {**values[name, metric], "n": n, **of}
        sides = tuple(side[counted[:, at], at] for side in extents)
        mine = [values[name, metric] for metric in EXTENTS]
        out[name] = entries | _extents(table.unit, mine, *sides)
    return out


def _spread(known: np.ndarray) -> dict:
    """Number, standard deviation (n - 1) and median over the cases that count."""
    n = len(known)
    return {
        "n": n,
        "sd": float(known.std(ddof=1)) if n > 1 else None,
        "median": float(np.median(known)) if n else None,
    }


def _extents(
    unit: str, entries: Sequence[dict], found: np.ndarray, truth: np.ndarray
) -> dict[str, dict]:
    """The entries of `EXTENTS` as two figures; how much was found and true, (n,) each."""
    bias, gap, lower, upper = entries
    shared = {"unit": unit, **_spread(found - truth)}
    shared["mean_truth"] = float(truth.mean()) if len(truth) else None
    limits = {"lower": lower, "upper": upper} if shared["n"] > 1 else None
    off = _spread(np.abs(found - truth))
    return {
        "volume_difference": {**bias, **shared, "limits_of_agreement": limits},
        "volume_absolute_difference": {**gap, "unit": unit, **off},
    }


def _subgroups(table: MaskTable, wanted: Sequence[str] | None, resamples: int, seed: int) -> dict:
    out: dict[str, dict] = {}
    for column, level, mask in levels(table, wanted):
        part = table.rows(mask)
        entry = overall(part, mask_measured(part, resamples, seed)[0])
        for figure in entry.values():
            figure["n_patients"] = part.n_patients
            if len(part.cases) < FEW_CASES:
                figure["note"] = "few cases"
        out.setdefault(column, {})[level] = entry
    return out


def _plain(entry: dict) -> dict:
    """NaN and infinity are not JSON: None, and a note that it is not defined."""
    out = {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in entry.items()}
    if out["value"] is None:
        out.update(low=None, high=None, note="not defined on these cases")
    return out
