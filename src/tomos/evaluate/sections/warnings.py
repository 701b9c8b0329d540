"""What the reader must know before the figures: given by the workflow, and seen by Tomos itself."""

from __future__ import annotations

from tomos.evaluate.language import both
from tomos.evaluate.names import metric, split
from tomos.evaluate.numbers import count, figure, interval
from tomos.evaluate.report_data import Notice
from tomos.evaluate.view import View
from tomos.types import Words

FEW_PATIENTS, FEW_OF_A_CLASS = 100, 30


def notices(view: View) -> list[Notice]:
    """The given ones first, then what the data themselves warn of."""
    return [
        *view.report.notices,
        *_about_cases(view),
        *_about_figures(view),
        *_about_shortcuts(view),
    ]


def box(found: list[Notice]) -> str:
    """The box on the first page; nothing when there is nothing to warn of."""
    if not found:
        return ""
    items = "".join(
        f'<li class="{"serious" if notice.serious else "minor"}">{both(notice.text)}</li>'
        for notice in sorted(found, key=lambda notice: not notice.serious)
    )
    title = both(Words("Read this first", "请先阅读"))
    return f'<aside class="warnings" role="note"><h2>{title}</h2><ul>{items}</ul></aside>'


def _about_cases(view: View) -> list[Notice]:
    out, m = [], view.metrics
    if not m.get("patients_known", True):
        text = Words(
            "The patients are not known. Every image counts as its own patient, so the intervals "
            "may be too narrow, and the split may have the same patient on both sides.",
            "患者身份未知。每张图像按一名患者计，区间可能偏窄，同一患者也可能同时出现在训练与测试中。",
        )
        out.append(Notice(text))
    if m["n_patients"] < FEW_PATIENTS:
        n = count(m["n_patients"])
        text = Words(
            f"Only {n} patients were tested. The figures may change much with others.",
            f"仅测试了 {n} 名患者，换一批患者，数值可能明显不同。",
        )
        out.append(Notice(text))
    for name, n in m["n_per_class"].items():
        part = split(m["split"])
        if n == 0:
            text = Words(
                f"No {part.en} case of {name}: nothing is known of how it is recognised. "
                "Means over classes leave it out.",
                f"{part.zh or part.en}集中没有 {name}：无法得知其识别效果，各类平均不含此类。",
            )
            out.append(Notice(text))
        elif n < FEW_OF_A_CLASS:
            text = Words(
                f"Only {n} {part.en} cases of {name}. Its figures are rough.",
                f"{part.zh or part.en}集中 {name} 仅 {n} 例，其数值较粗略。",
            )
            out.append(Notice(text, serious=False))
    if m.get("n_not_assessed"):
        n = count(m["n_not_assessed"])
        text = Words(f"{n} cases had no label and were left out.", f"{n} 例没有标签，未计入。")
        out.append(Notice(text, serious=False))
    return out


def _about_figures(view: View) -> list[Notice]:
    out, overall = [], view.metrics["overall"]
    auroc, ece = overall["auroc"], overall["ece"]
    if auroc["low"] is not None and auroc["low"] <= 0.5:
        text = Words(
            f"The interval of the AUROC {interval(auroc).en} holds 0.5: this model is not shown "
            "to be better than a coin.",
            f"AUROC 的区间{interval(auroc).zh}包含 0.5：尚不能证明模型优于随机猜测。",
        )
        out.append(Notice(text))
    if ece["low"] is not None and ece["low"] > 0.05:
        text = Words(
            f"The probabilities are off by {figure(ece['value'])} on average {interval(ece).en}. "
            "Read them as a ranking, not as a risk.",
            f"概率平均偏差 {figure(ece['value'])}{interval(ece).zh}。请当作排序而非风险值来看。",
        )
        out.append(Notice(text))
    point = view.report.operating
    if point is not None and overall["specificity"]["value"] is not None:
        for name, before, after in (
            ("sensitivity", point.sensitivity, overall["sensitivity"]),
            ("specificity", point.specificity, overall["specificity"]),
        ):
            if after["value"] is not None and after["high"] is not None:
                out += _fell(name, before, after)
    return out


def _fell(name: str, before: float, after: dict) -> list[Notice]:
    """A rate at the threshold that lies clearly below what validation promised."""
    if not before - after["high"] > 0.02:
        return []
    zh = {"sensitivity": "敏感度", "specificity": "特异度"}[name]
    text = Words(
        f"At the threshold, {name} fell from {before:.3f} on validation to {after['value']:.3f} "
        f"{interval(after).en} here: these cases differ from those it was tuned on.",
        f"在同一阈值下，{zh}由验证集的 {before:.3f} 降至 {after['value']:.3f}{interval(after).zh}："
        "这些病例与调试所用的病例不同。",
    )
    return [Notice(text)]


def _about_shortcuts(view: View) -> list[Notice]:
    out = []
    for shortcut in view.report.data.shortcuts:
        if shortcut.low > shortcut.chance + 0.05:
            name = Words(shortcut.name) if isinstance(shortcut.name, str) else shortcut.name
            figure = metric(shortcut.metric)
            value = f"{shortcut.value:.3f}"
            span = {"low": shortcut.low, "high": shortcut.high}
            text = Words(
                f"A shortcut exists: {name.en} alone gives {figure.en} {value} "
                f"{interval(span).en}. "
                "The model may have learned the source of the pictures, not the disease.",
                f"存在捷径：仅凭{name.zh or name.en}即可得到"
                f"{figure.zh} {value}{interval(span).zh}。"
                "模型学到的可能是图像来源而非疾病。",
            )
            out.append(Notice(text))
    return out
