"""How Dice spreads over the cases, what was found against what is true, and the lesions."""

from __future__ import annotations

from html import escape

import numpy as np

from tomos.evaluate.language import both
from tomos.evaluate.markup import section, table, with_interval
from tomos.evaluate.mask_charts import against_truth, agreement, strip
from tomos.evaluate.mask_view import MaskView
from tomos.evaluate.names import metric
from tomos.evaluate.numbers import count, decimals, figure, interval
from tomos.measures.lesions import Match
from tomos.types import Words

MOST_DRAWN = 6  # classes with two charts each
LESIONS = ("lesion_sensitivity", "lesion_precision", "lesion_f1")


def mask_spread(view: MaskView) -> str:
    """A strip of dots a class on one scale: a mean hides the cases that went wrong."""
    dice = view.table.of("dice")
    known = [column[~np.isnan(column)] for column in dice.T]
    if not any(len(values) for values in known):
        return ""
    low = 0.5 if min(values.min() for values in known if len(values)) >= 0.5 else 0.0
    rows = []
    for name, values in zip(view.table.classes, known, strict=True):
        drawn = said = ""
        if len(values):
            alt = Words(f"Dice of {name} over cases", f"{name} 各病例的 Dice 系数")
            q1, middle, q3 = (figure(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
            drawn = strip(values, low, alt)
            quartiles = both(Words(f"({q1} to {q3})", f"（{q1} 至 {q3}）"))
            said = f'<b>{middle}</b> <span class="ci">{quartiles}</span>'
        n = f"n = {count(len(values))}"
        rows.append(
            f'<li><div class="name">{escape(name)}</div><div class="drawn">{drawn}</div>'
            f'<div class="value">{said}</div><div class="note">{n}</div></li>'
        )
    ends = (
        '<li class="scale" aria-hidden="true"><div></div><div class="ends">'
        f"<span>{low:g}</span><span>{(1 + low) / 2:g}</span><span>1</span></div></li>"
    )
    lead = Words(
        "Each dot is a case. The box holds the middle half of them, the upright line is the "
        "median; beside it the median and the quartiles. Cases in which neither outline holds the "
        f"class are not drawn. {view.cases.en}.",
        "每点为一例。方框为中间一半病例，竖线为中位数；右侧为中位数与四分位数。"
        f"参考与预测中均无该类别的病例不绘出。{view.cases.zh}。",
    )
    body = f'<ul class="forest strips">{"".join(rows)}{ends}</ul>'
    return section("spread", Words("Dice over the cases", "各病例的 Dice 系数"), body, lead)


def mask_extents(view: MaskView) -> str:
    """Volumes found against true: a table of all classes, two charts of the first six."""
    extent, unit = view.extent, view.unit
    head = [
        Words("Class", "类别"),
        Words("Cases", "例数"),
        Words(f"True {extent.en}, mean", f"参考{extent.zh}均值"),
        Words("Mean difference", "平均差值"),
        Words("Limits of agreement", "一致性界限"),
        Words("Mean absolute difference", "平均绝对差值"),
    ]
    rows = [_extent_row(view, name) for name in view.table.classes]
    shown = [i for i in range(len(view.table.classes)) if view.table.counted[:, i].sum() > 1]
    charts = [part(view, i) for i in shown[:MOST_DRAWN] for part in (against_truth, agreement)]
    left = Words("", "")
    if len(shown) > MOST_DRAWN:
        left = Words(
            f" The first {MOST_DRAWN} classes are drawn.", f"仅绘出前 {MOST_DRAWN} 个类别。"
        )
    lead = Words(
        f"In {unit.en}, with 95 % intervals; found minus true. The limits of agreement hold about "
        f"95 % of the differences between single cases (Bland and Altman 1986).{left.en}",
        f"单位：{unit.zh or unit.en}，附 95 % 区间；差值为预测减参考。"
        f"一致性界限约包含 95 % 的单例差值（Bland 与 Altman，1986）。{left.zh}",
    )
    figures = f'<div class="figures">{"".join(charts)}</div>' if charts else ""
    title = Words(f"{extent.en.capitalize()}s", extent.zh)
    return section("extents", title, table(head, rows, 1, "dense") + figures, lead)


def _extent_row(view: MaskView, name: str) -> list[str]:
    entries = view.metrics["per_class"][name]
    bias, gap = entries["volume_difference"], entries["volume_absolute_difference"]
    digits = decimals(bias["mean_truth"] or 0)
    limits = "–"
    if bias["limits_of_agreement"]:
        ends = [bias["limits_of_agreement"][end] for end in ("lower", "upper")]
        low, high = (figure(end["value"], digits) for end in ends)
        span = Words(f"{low} to {high}", f"{low} 至 {high}")
        each = "".join(f'<span class="ci">{both(interval(end, digits))}</span>' for end in ends)
        limits = f"<b>{both(span)}</b>{each}"
    return [
        escape(name),
        count(bias["n"]),
        figure(bias["mean_truth"], digits),
        with_interval(bias, digits),
        limits,
        with_interval(gap, digits),
    ]


def mask_lesions(view: MaskView) -> str:
    """Lesion by lesion: a mask may miss nine small ones of ten and keep its Dice."""
    rows = []
    for name, entries in view.metrics["per_class"].items():
        of = entries["lesion_sensitivity"]
        if not (of["true"] or of["found"]):
            continue
        counts = [
            f"{count(of[a])} / {count(of[b])}" for a, b in (("hit", "true"), ("right", "found"))
        ]
        rows.append([escape(name), *counts, *(with_interval(entries[m]) for m in LESIONS)])
    if not rows:
        return ""
    head = [
        Words("Class", "类别"),
        Words("Found of the true", "检出 / 参考"),
        Words("True of the found", "正确 / 预测"),
        *(metric(name) for name in LESIONS),
    ]
    rule = view.metrics["lesion_rule"]
    zh = "至少有一个体素重叠" if rule == Match().words else rule
    lead = Words(
        "A lesion is a connected part of a class; for an organ that is the organ itself. One "
        f"counts as found when this holds: {rule}. All cases together, 95 % intervals over "
        f"patients. {view.cases.en}.",
        "病灶指某一类别中相互连通的一块；对器官而言即器官本身。"
        f"判为检出的条件：{zh}。全部病例合并计算，95 % 区间按患者重抽样。{view.cases.zh}。",
    )
    title = Words("Lesion by lesion", "逐病灶检出")
    return section("lesions", title, table(head, rows, 1, "dense"), lead)
