"""Which cases to look at: those the model is most sure of and wrong about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tomos.evaluate.score import Points, thresholds
from tomos.evaluate.table import Table


@dataclass(frozen=True, slots=True)
class Worst:
    """One case: its row in the table, what is true, what the model said and how probable."""

    row: int
    case: str
    address: str
    truth: str
    said: str
    probability: float
    right: bool


def worst(table: Table, operating: Points = None, n: int = 8) -> list[Worst]:
    """The `n` wrong cases with the least probability on what is true, one patient only once.

    When fewer are wrong, the right ones that came nearest to being wrong follow. Multilabel: a
    case counts by the label it is worst at, and `truth`, `said` are "NAME" or "no NAME".
    """
    decided = table.decided(thresholds(table, operating))
    judge = _multilabel if table.kind == "multilabel" else _exclusive
    judged = [judge(table, row, decided) for row in np.flatnonzero(table.assessed).tolist()]
    judged.sort(key=lambda item: (item[1].right, item[0]))
    kept: list[Worst] = []
    seen = set()
    for _, found in judged:
        if len(kept) < n and table.groups[found.row] not in seen:
            seen.add(table.groups[found.row])
            kept.append(found)
    return kept


def _exclusive(table: Table, row: int, decided: np.ndarray) -> tuple[float, Worst]:
    """Probability of what is true, and the case."""
    truth, said = int(table.truth[row]), int(decided[row])
    p = table.probabilities[row]
    names = (table.classes[truth], table.classes[said])
    return float(p[truth]), _worst(table, row, names, float(p[said]))


def _multilabel(table: Table, row: int, decided: np.ndarray) -> tuple[float, Worst]:
    """The same, by the label that this case is worst at."""
    truth, p = table.truth[row], table.probabilities[row]
    on_truth = np.where(np.isfinite(truth), np.where(truth == 1, p, 1 - p), 2.0)
    wrong = np.isfinite(truth) & ((truth == 1) != decided[row])
    label = int(np.argmin(np.where(wrong, on_truth, on_truth + 2)))
    name, wanted, called = table.classes[label], truth[label] == 1, bool(decided[row, label])
    names = (name if wanted else f"no {name}", name if called else f"no {name}")
    said = float(p[label] if called else 1 - p[label])
    return float(on_truth[label]), _worst(table, row, names, said)


def _worst(table: Table, row: int, names: tuple[str, str], probability: float) -> Worst:
    address = table.addresses[row] if len(table.addresses) else ""
    return Worst(row, table.cases[row], address, *names, probability, names[0] == names[1])
