"""Two models on the same cases: what differs, by how much, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tomos.evaluate.figures import figures
from tomos.evaluate.score import METRICS, Points, measured, resampling, thresholds
from tomos.evaluate.table import Table
from tomos.measures.comparison import delong_test, holm, mcnemar, permutation
from tomos.measures.intervals import percentile
from tomos.types import DatasetError


def compare(
    first: Table,
    second: Table,
    operating: tuple[Points, Points] = (None, None),
    names: tuple[str, str] = ("first", "second"),
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict:
    """Differences (second minus first) of every figure, on the cases that both were given.

    The AUROC of two classes is tested by DeLong (clustered where a patient has several cases),
    accuracy and Brier score by swapping the models patient by patient, the rest by the paired
    bootstrap; P values are also adjusted for their number (Holm). McNemar's test counts the cases
    that only one got right.
    Raises DatasetError when the two do not share their cases, classes and truth.
    """
    first, second = _matched(first, second)
    limits = (thresholds(first, operating[0]), thresholds(second, operating[1]))
    rows = _rows(first, second, limits, resamples, seed)
    return {
        "schema": 1,
        "comparison": list(names),
        "dataset": first.dataset,
        "split": first.split,
        "n_cases": len(first.cases),
        "n_patients": first.n_patients,
        "patients_known": first.patients_known,
        "metrics": rows,
        "mcnemar": _mcnemar(first, second, limits),
    }


def _rows(
    first: Table, second: Table, limits: tuple[Mapping, Mapping], resamples: int, seed: int
) -> dict[str, dict]:
    """Figure -> both values and their difference, P values adjusted for their number."""
    values = [
        measured(table, limit, resamples, seed)[0]
        for table, limit in zip((first, second), limits, strict=True)
    ]
    differences = _differences(first, second, limits, resamples, seed)
    tested = _tests(first, second, limits)
    rows: dict[str, dict] = {}
    for metric in METRICS:
        key = f"overall/{metric}"
        if key in differences:
            difference = {**differences[key], **tested.get(metric, {})}
            rows[metric] = {
                "first": values[0][key],
                "second": values[1][key],
                "difference": difference,
            }
    p = [row["difference"]["p"] for row in rows.values()]
    adjusted = holm([np.nan if value is None else value for value in p])
    for row, value in zip(rows.values(), adjusted, strict=True):
        row["difference"]["p_holm"] = None if np.isnan(value) else value
    return rows


def _matched(first: Table, second: Table) -> tuple[Table, Table]:
    """Both with the assessed cases in the order of the first."""
    where = f"comparison on {first.dataset or 'a data set'}, {first.split}"
    if first.kind != second.kind or tuple(first.classes) != tuple(second.classes):
        raise DatasetError(
            f"{where}: expected the same classes, got {list(first.classes)} and "
            f"{list(second.classes)}"
        )
    if first.positive_index != second.positive_index:
        raise DatasetError(f"{where}: the models count different classes as the finding")
    place = {case: row for row, case in enumerate(second.cases)}
    strangers = set(first.cases) ^ set(place)
    if strangers:
        raise DatasetError(
            f"{where}: {len(strangers)} cases were given to one model only, such as "
            f"{sorted(strangers)[0]}; predict both on the same data set"
        )
    order = np.array([place[case] for case in first.cases])
    other = replace(second.rows(np.ones(len(order), bool)), columns={}, addresses=())
    other = replace(
        other,
        cases=list(first.cases),
        groups=first.groups,
        truth=second.truth[order],
        probabilities=second.probabilities[order],
    )
    if not np.array_equal(first.truth, other.truth, equal_nan=first.kind == "multilabel"):
        raise DatasetError(f"{where}: the two tables do not agree on what is true")
    return first.rows(first.assessed), other.rows(other.assessed)


def _differences(
    first: Table, second: Table, limits: tuple[Mapping, Mapping], resamples: int, seed: int
) -> dict[str, dict]:
    """Name -> difference, interval and P by the paired bootstrap: the same patients for both."""
    of = [figures(first, limits[0]), figures(second, limits[1])]

    def difference(w_RN: np.ndarray) -> np.ndarray:
        a, b = (values(w_RN) for values in of)
        return np.stack([b[name] - a[name] for name in b], 1)

    one = np.ones((1, len(first.cases)), np.int32)
    names = list(of[0](one))
    plain = difference(one)[0]
    drawn = resampling(first, resamples, seed).distribution(difference)
    out = {}
    for column, name in enumerate(names):
        value, values = float(plain[column]), drawn[:, column]
        if not np.isfinite(value):
            nothing: dict = dict.fromkeys(("value", "low", "high", "p"))
            out[name] = {**nothing, "method": "not defined"}
            continue
        low, high = percentile(values)
        known = values[np.isfinite(values)]
        sides = min((known <= 0).sum(), (known >= 0).sum())
        p = min(1.0, 2 * (sides + 1) / (len(known) + 1))
        undefined = not np.isfinite(low)
        out[name] = {
            "value": value,
            "low": None if undefined else low,
            "high": None if undefined else high,
            "p": None if undefined else float(p),
            "method": "paired bootstrap over patients",
        }
    return out


def _tests(first: Table, second: Table, limits: tuple[Mapping, Mapping]) -> dict[str, dict]:
    """Better tests than the bootstrap, where there are any."""
    if first.kind == "multilabel":
        return {}
    out: dict[str, dict] = {}
    several = first.n_patients < len(first.cases)
    if first.is_binary:
        _, positive, a = first.against_rest(first.positive_index)
        _, _, b = second.against_rest(second.positive_index)
        test = delong_test(positive, b, a, first.groups if several else None)
        if np.isfinite(test.p):
            out["auroc"] = {"low": test.low, "high": test.high, "p": test.p, "method": test.method}
    hot = first.truth[:, None] == np.arange(len(first.classes))
    by_case = {
        "accuracy": [
            (t.decided(limit) == t.truth).astype(float)
            for t, limit in zip((first, second), limits, strict=True)
        ],
        "brier": [((t.probabilities - hot) ** 2).sum(1) for t in (first, second)],
    }
    for metric, (a, b) in by_case.items():
        p = permutation(b, a, first.groups)
        out[metric] = {"p": p, "method": "paired permutation by patient"}
    return out


def _mcnemar(first: Table, second: Table, limits: tuple[Mapping, Mapping]) -> dict:
    right = [
        (t.decided(limit) == t.truth)[np.isfinite(t.truth)]
        for t, limit in zip((first, second), limits, strict=True)
    ]
    only_first, only_second, p = mcnemar(*right)
    several = first.n_patients < len(first.cases) or first.kind == "multilabel"
    note = "cases are not independent here: prefer the permutation test" if several else ""
    return {"only_first": only_first, "only_second": only_second, "p": p, "note": note}
