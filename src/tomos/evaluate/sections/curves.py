"""Curves, distributions and the confusion matrix."""

from __future__ import annotations

from html import escape

import numpy as np

from tomos.evaluate import charts
from tomos.evaluate.language import both
from tomos.evaluate.markup import section
from tomos.evaluate.score import thresholds
from tomos.evaluate.view import View
from tomos.measures.classification import confusion
from tomos.types import Words

MOST_IN_MATRIX = 20


def curves(view: View) -> str:
    """All charts of the scores, two a row where there is room."""
    if not view.curves:
        return ""
    boxes = [
        charts.roc(view),
        charts.precision_recall(view),
        charts.reliability(view),
        charts.decision(view),
        *charts.distributions(view),
        matrix(view),
    ]
    lead = Words("")
    if len(view.table.classes) > len(view.curves) and not view.table.is_binary:
        n = len(view.curves)
        lead = Words(
            f"The first {n} classes with cases are drawn.", f"仅绘出前 {n} 个有病例的类别。"
        )
    body = f'<div class="figures">{"".join(boxes)}</div>'
    return section("curves", Words("Curves", "曲线"), body, lead if lead.en else "")


def matrix(view: View) -> str:
    """Truth against decision, in cases and in shares of the true class."""
    table, k = view.table, len(view.table.classes)
    if table.kind == "multilabel" or k > MOST_IN_MATRIX:
        return ""
    decided = table.decided(thresholds(table, view.report.operating))
    counts = confusion(table.truth, decided, k)
    order = [table.positive_index, 1 - table.positive_index] if k == 2 else list(range(k))
    names = [table.classes[i] for i in order]
    counts = counts[np.ix_(order, order)]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = "".join(_row(names[i], counts[i], i) for i in range(k))
    title = both(Words("Confusion matrix", "混淆矩阵"))
    corner = both(Words("true ↓  called →", "真值 ↓  判断 →"))
    caption = Words(
        f"Cases, and their share of the true class. {view.cases.en}.",
        f"例数及其占该真实类别的比例。{view.cases.zh}。",
    )
    return (
        f'<figure><h3>{title}</h3><div class="scroll" tabindex="0"><table class="matrix"><thead>'
        f'<tr><th scope="col">{corner}</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"<figcaption>{both(caption)}</figcaption></figure>"
    )


def _row(name: str, counts: np.ndarray, own: int) -> str:
    total = counts.sum()
    cells = []
    for place, count in enumerate(counts):
        share = count / total if total else 0.0
        tone = "right" if place == own else "wrong"
        text = f"{share:.1%}" if total else "–"
        cells.append(
            f'<td class="{tone}" style="--s:{share:.3f}"><b>{int(count):,}</b><small>{text}</small>'
            "</td>"
        )
    return f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>'
