"""Every figure of a table as a function of resampling counts, so that all share one bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tomos.evaluate.table import Table
from tomos.measures import calibration, ranking
from tomos.measures import classification as c

Values = dict[str, np.ndarray]
Figures = Callable[[np.ndarray], Values]
OF_A_CLASS = ("auroc", "average_precision", "sensitivity", "specificity", "precision", "f1")


def figures(table: Table, thresholds: Mapping[str, float]) -> Figures:
    """Counts (R, N) -> name -> (R,), for names "overall/auroc", "class/NAME/sensitivity", ...

    All cases of `table` must be assessed. Two classes: of the positive one. More: `auroc`,
    `average_precision`, sensitivity and the like are means over classes (or labels) with cases.
    """
    if table.kind == "multilabel":
        return _multilabel(table, thresholds)
    return _exclusive(table, thresholds)


def _exclusive(table: Table, thresholds: Mapping[str, float]) -> Figures:
    decided = table.decided(thresholds)
    k, positive = len(table.classes), table.positive_index
    rankings = [ranking.Ranking(table.truth == i, table.probabilities[:, i]) for i in range(k)]
    brier, ece = _calibration(table)

    def values(w_RN: np.ndarray) -> Values:
        matrix = c.confusion(table.truth, decided, k, w_RN)
        total = w_RN.sum(1)
        each = {
            "auroc": np.stack([r.auroc(w_RN) for r in rankings], 1),
            "average_precision": np.stack([r.average_precision(w_RN) for r in rankings], 1),
            "sensitivity": c.sensitivity(matrix),
            "specificity": c.specificity(matrix),
            "precision": c.precision(matrix),
            "f1": c.f1(matrix),
        }
        out = {
            "overall/accuracy": c.accuracy(matrix),
            "overall/balanced_accuracy": c.balanced_accuracy(matrix),
            "overall/kappa": c.kappa(matrix),
            "overall/brier": (w_RN @ brier) / total,
            "overall/ece": ece(w_RN),
        }
        if table.kind == "ordinal":
            steps = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
            out["overall/quadratic_kappa"] = c.kappa(matrix, "quadratic")
            out["overall/mae"] = (matrix * steps).sum((1, 2)) / total
        for metric, of_class in each.items():
            whole = of_class[:, positive] if table.is_binary else c.macro(of_class, matrix)
            out[f"overall/{metric}"] = whole
            for i, name in enumerate(table.classes):
                out[f"class/{name}/{metric}"] = of_class[:, i]
        return out

    return values


def _multilabel(table: Table, thresholds: Mapping[str, float]) -> Figures:
    decided = table.decided(thresholds)
    parts = []
    for i, name in enumerate(table.classes):
        known, positive, p = table.against_rest(i)
        if known.any():
            one = ranking.Ranking(positive, p)
            parts.append((name, known, positive, p, decided[known, i], one))

    def values(w_RN: np.ndarray) -> Values:
        out: Values = {}
        for name, known, positive, p, called, one in parts:
            w = w_RN[:, known]
            matrix = c.confusion(positive.astype(int), called.astype(int), 2, w)
            of = {
                "auroc": one.auroc(w),
                "average_precision": one.average_precision(w),
                "sensitivity": c.sensitivity(matrix)[:, 1],
                "specificity": c.specificity(matrix)[:, 1],
                "precision": c.precision(matrix)[:, 1],
                "f1": c.f1(matrix)[:, 1],
                "accuracy": c.accuracy(matrix),
                "balanced_accuracy": c.balanced_accuracy(matrix),
                "kappa": c.kappa(matrix),
                "brier": (w @ calibration.brier_parts(p, positive)) / np.maximum(w.sum(1), 1),
                "ece": calibration.ece(p, positive, weights=w),
            }
            out.update({f"class/{name}/{metric}": value for metric, value in of.items()})
        metrics = dict.fromkeys(key.rsplit("/", 1)[1] for key in out)
        for metric in metrics:
            every = np.stack([v for key, v in out.items() if key.endswith(f"/{metric}")])
            known_R = np.isfinite(every).sum(0)
            mean = np.nansum(every, 0) / np.maximum(known_R, 1)
            out[f"overall/{metric}"] = np.where(known_R > 0, mean, np.nan)
        return out

    return values


def _calibration(table: Table) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Brier's score of each case, and ECE of counts: of the positive, or of the class decided."""
    if table.is_binary:
        positive = table.truth == table.positive_index
        p = table.probabilities[:, table.positive_index]
        return (
            calibration.brier_parts(p, positive),
            lambda w: np.asarray(calibration.ece(p, positive, weights=w)),
        )
    top = table.probabilities.max(1)
    right = table.probabilities.argmax(1) == table.truth
    hot = c.one_hot(table.truth, len(table.classes))
    return (
        calibration.brier_parts(table.probabilities, hot),
        lambda w: np.asarray(calibration.ece(top, right, weights=w)),
    )
