"""What the reader must know before the figures of masks."""

from __future__ import annotations

from tomos.evaluate.mask_view import MaskView
from tomos.evaluate.names import split
from tomos.evaluate.numbers import count, figure, interval, percent
from tomos.evaluate.report_data import Notice
from tomos.types import Words

FEW_PATIENTS, FEW_OF_A_CLASS = 50, 10
HALF, MUCH_OFF = 0.5, 0.1


def mask_notices(view: MaskView) -> list[Notice]:
    """The given ones first, then what the data and the figures themselves warn of."""
    found = [*view.report.notices, *_about_patients(view), *_about_cases(view)]
    for name in view.table.classes:
        found += _about_class(view, name)
    return found


def _about_patients(view: MaskView) -> list[Notice]:
    out, m = [], view.metrics
    if not m.get("patients_known", True):
        text = Words(
            "The patients are not known. Every image counts as its own patient, so the intervals "
            "may be too narrow, and the split may have the same patient on both sides.",
            "患者身份未知。每张图像按一名患者计，区间可能偏窄，"
            "同一患者也可能同时出现在训练与测试中。",
        )
        out.append(Notice(text))
    if m["n_patients"] < FEW_PATIENTS:
        n, one = count(m["n_patients"]), m["n_patients"] == 1
        en, zh = ("patient", "名患者") if m.get("patients_known", True) else ("image", "张图像")
        text = Words(
            f"Only {n} {en}{' was' if one else 's were'} tested. The figures may change much with "
            "others.",
            f"仅测试了 {n} {zh}，换一批数据，数值可能明显不同。",
        )
        out.append(Notice(text))
    return out


def _about_cases(view: MaskView) -> list[Notice]:
    out, m = [], view.metrics
    if n := m["n_failed"]:
        text = Words(
            f"{count(n)} {'case' if n == 1 else 'cases'} could not be read or predicted and "
            f"{'is' if n == 1 else 'are'} not in the figures; the list of cases names "
            f"{'it' if n == 1 else 'them'}.",
            f"{count(n)} 例无法读取或预测，未计入指标，名称见逐例列表。",
        )
        out.append(Notice(text))
    if n := m["n_referred"]:
        total = count(m["n_cases"])
        text = Words(
            f"{count(n)} of {total} cases would be referred to a reader. The figures count the "
            "model's outlines on all of them.",
            f"{total} 例中有 {count(n)} 例会转交医生阅片。各项指标仍统计模型对全部病例的分割。",
        )
        out.append(Notice(text, serious=False))
    return out


def _about_class(view: MaskView, name: str) -> list[Notice]:
    counts, entries = view.metrics["counts"][name], view.metrics["per_class"][name]
    part = split(view.metrics["split"])
    if not counts["present"]:
        text = Words(
            f"No {part.en} case holds {name}: nothing is known of how well it is found.",
            f"{part.zh or part.en}集中没有 {name}：无法得知其分割效果。",
        )
        return [Notice(text)]
    out = []
    if counts["present"] < FEW_OF_A_CLASS:
        n = counts["present"]
        text = Words(
            f"Only {n} {part.en} {'case holds' if n == 1 else 'cases hold'} {name}. "
            "Its figures are rough.",
            f"{part.zh or part.en}集中含 {name} 者仅 {n} 例，其数值较粗略。",
        )
        out.append(Notice(text, serious=False))
    dice = entries["dice"]
    if dice["value"] is not None and dice["value"] < HALF:
        text = Words(
            f"The outlines of {name} agree poorly with the truth: Dice {figure(dice['value'])} "
            f"{interval(dice).en}, n = {count(dice['n'])}.",
            f"{name} 的分割与参考标准一致性差：Dice 系数 {figure(dice['value'])}"
            f"{interval(dice).zh}，n = {count(dice['n'])}。",
        )
        out.append(Notice(text))
    return out + _about_extent(view, name, entries["volume_difference"])


def _about_extent(view: MaskView, name: str, entry: dict) -> list[Notice]:
    """Too much or too little on average, by more than a tenth and more than chance."""
    if entry["low"] is None or not entry["mean_truth"] or entry["low"] <= 0 <= entry["high"]:
        return []
    share = entry["value"] / entry["mean_truth"]
    if abs(share) < MUCH_OFF:
        return []
    more = Words("more", "偏大") if share > 0 else Words("less", "偏小")
    text = Words(
        f"On average {percent(abs(share))} {more.en} {name} is found than there is "
        f"(n = {count(entry['n'])}).",
        f"{name} 的预测{view.extent.zh}平均{more.zh} {percent(abs(share))}"
        f"（n = {count(entry['n'])}）。",
    )
    return [Notice(text, serious=False)]
