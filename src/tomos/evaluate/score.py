"""A table -> `metrics.json`: every figure with its 95 % interval over patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tomos.evaluate.figures import OF_A_CLASS, figures
from tomos.evaluate.subgroups import levels
from tomos.evaluate.table import Table
from tomos.measures import classification as c
from tomos.measures.intervals import Bootstrap, percentile, perfect_auroc, wilson
from tomos.measures.operating import OperatingPoint
from tomos.measures.usefulness import predictive_intervals, predictive_values
from tomos.types import DatasetError

METRICS = (
    "auroc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "precision",
    "f1",
    "kappa",
    "brier",
    "ece",
    "quadratic_kappa",
    "mae",
)
IN_SUBGROUPS = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity")
FEW_CASES, FEW_OF_A_CLASS = 30, 10
PREVALENCES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
SHARES = {"accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "f1", "kappa"}

Points = OperatingPoint | Mapping[str, OperatingPoint] | None


def score(
    table: Table,
    operating: Points = None,
    *,
    prevalence: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
    subgroups: Sequence[str] | None = None,
    others: Sequence[tuple[Table, Points]] = (),
) -> dict:
    """Figures of the primary target, in the form of `metrics.json`.

    operating   the threshold chosen on validation (`measures.operating.choose`); for multilabel
                one for each class by name; None = 0.5, or the most probable of several classes
    prevalence  how common the finding is where the model will be used, for PPV and NPV; that of
                the test cases when not given (and then said)
    subgroups   columns to split by; every suitable one when None
    others      further targets, each with its operating point
    Cases that were not assessed are left out and counted (`n_not_assessed`).
    Raises DatasetError when no case was assessed.
    """
    arguments = (prevalence, resamples, seed, subgroups)
    primary = _target(table, operating, *arguments)
    targets = {table.target: primary}
    for other, points in others:
        targets[other.target] = _target(other, points, *arguments)
    head = {
        "schema": 1,
        "task": "classify",
        "dataset": table.dataset,
        "split": table.split,
        "resamples": resamples,
        "level": 0.95,
    }
    return {**head, **primary, "targets": targets}


def thresholds(table: Table, operating: Points) -> dict[str, float]:
    """Class -> threshold, as `Table.decided` wants it."""
    if operating is None:
        return {}
    if isinstance(operating, OperatingPoint):
        return {table.classes[table.positive_index]: operating.threshold}
    return {name: point.threshold for name, point in operating.items()}


def resampling(table: Table, resamples: int = 1000, seed: int = 0) -> Bootstrap:
    """Patients drawn again so that no resample lacks a class that the cases have."""
    k = len(table.classes)
    if table.kind == "multilabel":
        required = np.concatenate([(table.truth == 1).T, (table.truth == 0).T])
    else:
        required = table.truth == np.arange(k)[:, None]
    return Bootstrap(table.groups, required, resamples, seed)


def _target(
    table: Table,
    operating: Points,
    prevalence: float | None,
    resamples: int,
    seed: int,
    subgroups: Sequence[str] | None,
) -> dict:
    known = table.rows(table.assessed)
    if not len(known.cases):
        raise DatasetError(
            f"{table.dataset}, {table.split}: no case has a label for {table.target!r}; "
            "nothing can be evaluated"
        )
    limits = thresholds(known, operating)
    values, method = measured(known, limits, resamples, seed)
    counts = _class_counts(known)
    return {
        "kind": known.kind,
        "classes": list(known.classes),
        "n_cases": len(known.cases),
        "n_patients": known.n_patients,
        "n_not_assessed": len(table.cases) - len(known.cases),
        "patients_known": known.patients_known,
        "n_per_class": counts,
        "missing_classes": [name for name, n in counts.items() if n == 0],
        "intervals": method if known.patients_known else method.replace("patients", "images"),
        "overall": _part(values, "overall/"),
        "per_class": {
            name: {
                metric: {**entry, "n_positive": counts[name]}
                for metric, entry in _part(values, f"class/{name}/").items()
            }
            for name in known.classes
        },
        "subgroups": _subgroups(known, limits, subgroups, resamples, seed),
        "operating_point": _operating(known, operating, prevalence, resamples, seed),
    }


def measured(
    table: Table, limits: Mapping[str, float], resamples: int, seed: int
) -> tuple[dict[str, dict], str]:
    """Figure name -> {"value", "low", "high", "n"}, and how the intervals were made, in words."""
    of = figures(table, limits)
    bootstrap = resampling(table, resamples, seed)
    plain = of(np.ones((1, len(table.cases)), np.int32))
    names = list(plain)
    drawn = bootstrap.distribution(lambda w: np.stack(list(of(w).values()), 1))
    out = {}
    for column, name in enumerate(names):
        value = float(plain[name][0])
        low, high = percentile(drawn[:, column])
        if name.endswith("/ece"):
            low, high = _unbiased(value, low, high, drawn[:, column])
        entry = {"value": value, "low": low, "high": high, "n": len(table.cases)}
        if np.isfinite(value) and high - low < 1e-12:
            entry.update(_not_certain(table, name, value))
        out[name] = _plain(entry)
    return out, bootstrap.method


def _unbiased(value: float, low: float, high: float, drawn: np.ndarray) -> tuple[float, float]:
    """An ECE is a sum of absolute gaps: resampling can only add to it. That much is taken off."""
    added = float(np.nanmean(drawn)) - value
    return min(value, max(0.0, low - added)), max(value, high - added)


def _not_certain(table: Table, name: str, value: float) -> dict:
    """An interval for a figure that every resample gives alike: all right is not certainty.

    Counted over the patients of the smallest side that the figure looks at.
    """
    metric = name.rsplit("/", 1)[1]
    sides = [len(np.unique(table.groups[side])) for side in _sides(table, name) if side.any()]
    if not sides or value not in (0.0, 1.0):
        return {}
    if metric in ("auroc", "average_precision") and value == 1.0:
        interval = perfect_auroc(min(sides))
    elif metric in SHARES:
        interval = wilson(value * min(sides), min(sides))
    else:
        return {}
    low, high = min(interval.low, value), max(interval.high, value)
    return {"low": low, "high": high, "method": f"{interval.method}, {min(sides)} patients"}


def _sides(table: Table, name: str) -> list[np.ndarray]:
    """Which cases (N,) bool a figure is a share of."""
    scope, metric = name.rsplit("/", 1)
    every = range(len(table.classes))
    if table.kind == "multilabel":
        chosen = [i for i in every if scope in ("overall", f"class/{table.classes[i]}")]
        pairs = [(table.truth[:, i] == 1, table.truth[:, i] == 0) for i in chosen]
    elif scope != "overall" or table.is_binary:
        name_of = table.classes[table.positive_index] if scope == "overall" else scope[6:]
        mine = table.truth == table.classes.index(name_of)
        pairs = [(mine, ~mine)]
    else:
        pairs = [(table.truth == i, table.truth != i) for i in every]
    if metric == "accuracy":
        return [np.ones(len(table.cases), bool)]
    if metric in ("sensitivity", "specificity"):
        return [pair[metric == "specificity"] for pair in pairs]
    return [side for pair in pairs for side in pair]


def _part(values: dict[str, dict], prefix: str) -> dict[str, dict]:
    found = {k[len(prefix) :]: v for k, v in values.items() if k.startswith(prefix)}
    order = METRICS if prefix == "overall/" else (*OF_A_CLASS, *METRICS)
    return {metric: found[metric] for metric in dict.fromkeys(order) if metric in found}


def _subgroups(
    table: Table,
    limits: Mapping[str, float],
    wanted: Sequence[str] | None,
    resamples: int,
    seed: int,
) -> dict:
    out: dict[str, dict] = {}
    for column, level, mask in levels(table, wanted):
        part = table.rows(mask)
        values, _ = measured(part, limits, resamples, seed)
        counts = {k: v for k, v in _class_counts(part).items() if table.kind != "multilabel"}
        few = len(part.cases) < FEW_CASES or min(counts.values(), default=99) < FEW_OF_A_CLASS
        entry: dict = {
            metric: values[f"overall/{metric}"]
            for metric in IN_SUBGROUPS
            if f"overall/{metric}" in values
        }
        for figure in entry.values():
            figure["n_patients"] = part.n_patients
            if few:
                figure["note"] = "few cases"
        out.setdefault(column, {})[level] = entry
    return out


def _operating(
    table: Table, operating: Points, prevalence: float | None, resamples: int, seed: int
) -> dict:
    """Thresholds with how they were chosen, and what they give on these cases."""
    if table.kind == "multilabel":
        return {"per_class": _operating_labels(table, operating, prevalence, resamples, seed)}
    if not table.is_binary:
        return {"rule": "arg-max"}
    name = table.classes[table.positive_index]
    point = operating if isinstance(operating, OperatingPoint) else None
    if isinstance(operating, Mapping):
        point = operating.get(name)
    head: dict = {
        "positive": name,
        "threshold": point.threshold if point else 0.5,
        "rule": point.rule if point else "not chosen: 0.5",
        "chosen_on": "validation" if point else "",
    }
    if point:
        head["choice"] = _plain(point.data())
    positive = (table.truth == table.positive_index).astype(int)
    called = (table.decided(thresholds(table, operating)) == table.positive_index).astype(int)
    return head | _in_use(positive, called, resampling(table, resamples, seed), prevalence)


def _operating_labels(
    table: Table, operating: Points, prevalence: float | None, resamples: int, seed: int
) -> dict:
    """Label -> its threshold as it was chosen, and what that gives on the cases assessed for it."""
    given = operating if isinstance(operating, Mapping) else {}
    decided = table.decided(thresholds(table, operating))
    found = {}
    for index, name in enumerate(table.classes):
        entry = _plain(given[name].data()) if name in given else {"threshold": 0.5}
        known, positive, _ = table.against_rest(index)
        if positive.any() and not positive.all():
            sides = np.stack([positive, ~positive])
            bootstrap = Bootstrap(table.groups[known], sides, resamples, seed)
            called = decided[known, index].astype(int)
            entry |= _in_use(positive.astype(int), called, bootstrap, prevalence)
        found[name] = entry
    return found


def _in_use(
    positive: np.ndarray, called: np.ndarray, bootstrap: Bootstrap, prevalence: float | None
) -> dict:
    """Counts of (N,) 0/1 truth and calls, and predictive values at the prevalence, stated or of
    these cases, and at several others."""
    share = float(prevalence if prevalence is not None else positive.mean())
    matrix = c.confusion(positive, called, 2)
    drawn = bootstrap.distribution(lambda w: c.confusion(positive, called, 2, w))
    names = (("tn", 0, 0), ("fp", 0, 1), ("fn", 1, 0), ("tp", 1, 1))
    return {
        "prevalence": share,
        "prevalence_stated": prevalence is not None,
        "confusion": {key: int(matrix[row, column]) for key, row, column in names},
        "measured": _useful(matrix, drawn, share),
        "by_prevalence": [
            {"prevalence": p, **{name: useful[name] for name in ("ppv", "npv")}}
            for p in sorted({*PREVALENCES, share})
            for useful in [_useful(matrix, drawn, p)]
        ],
    }


def _useful(matrix: np.ndarray, drawn: np.ndarray, prevalence: float) -> dict:
    """PPV and NPV at the prevalence, and likelihood ratios, with intervals over patients.

    matrix (2, 2) and its resamples (R, 2, 2).
    """

    def of(counts: np.ndarray) -> np.ndarray:
        sens, spec = c.sensitivity(counts)[..., 1], c.specificity(counts)[..., 1]
        useful = (*predictive_values(sens, spec, prevalence), *c.likelihood_ratios(counts))
        return np.stack(useful, -1)

    plain, resampled, n = of(matrix), of(drawn), int(matrix.sum())
    out: dict[str, dict] = {}
    for column, name in enumerate(("ppv", "npv", "lr_positive", "lr_negative")):
        low, high = percentile(resampled[:, column])
        out[name] = {"value": float(plain[column]), "low": low, "high": high, "n": n}
    for entry in out.values():
        if not entry["high"] - entry["low"] > 1e-12:  # every resample alike: no interval in that
            entry.update(low=None, high=None)
    if matrix.sum(1).all():
        for name, exact in zip(
            ("ppv", "npv"), predictive_intervals(matrix, prevalence), strict=True
        ):
            if out[name]["low"] is None:
                out[name].update(low=exact.low, high=exact.high, method=exact.method)
    return {name: _plain(entry) for name, entry in out.items()}


def _class_counts(table: Table) -> dict[str, int]:
    if table.kind == "multilabel":
        return {n: int((table.truth[:, i] == 1).sum()) for i, n in enumerate(table.classes)}
    return c.labels_and_counts(table.truth, table.classes)


def _plain(entry: Mapping) -> dict:
    """NaN and infinity are not JSON: None, and a note that it is not defined."""
    out = {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in entry.items()}
    if "value" in out and out["value"] is None:
        out["note"] = "not defined on these cases"
    return out
