"""The first page: what the model does, how well, how sure, on whom, and what to beware of."""

from __future__ import annotations

from tomos.evaluate.figures import OF_A_CLASS
from tomos.evaluate.language import both
from tomos.evaluate.markup import forest, section, table, with_interval
from tomos.evaluate.names import MACRO, MEANING, intervals, metric
from tomos.evaluate.numbers import figure, interval, of_hundred
from tomos.evaluate.report_data import Notice
from tomos.evaluate.view import View
from tomos.types.words import Words, joined, words

HEADLINE = (
    "auroc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "precision",
    "f1",
    "kappa",
    "quadratic_kappa",
)
LESS_IS_BETTER = ("brier", "ece", "mae")


def verdict(view: View, found: list[Notice]) -> str:
    """One paragraph for somebody who reads nothing else."""
    sentences = [_what(view), _how_sure(view)]
    if view.table.is_binary:
        sentences.append(_at_threshold(view))
    if found:
        serious = [notice for notice in found if notice.serious] or found
        first = words(serious[0].text)
        en, zh = first_sentence(first.en), first_sentence(first.zh or first.en, "。")
        sentences.append(Words(f"Beware: {en}", f"注意：{zh}"))
    sentences.append(
        Words(
            "It supports a reader and does not replace one.",
            "本模型辅助医生阅片，不能代替医生。",
        )
    )
    return f'<p class="verdict">{both(joined(sentences))}</p>'


def headline(view: View) -> str:
    """The main figures on one scale."""
    rows = []
    several = not view.table.is_binary and view.table.kind != "multilabel"
    for name in HEADLINE:
        entry = view.metrics["overall"].get(name)
        if entry is None or (name == "sensitivity" and several):
            continue  # of several classes its mean is the balanced accuracy
        macro = not view.table.is_binary and name in (
            "auroc",
            "average_precision",
            "sensitivity",
            "specificity",
            "precision",
            "f1",
        )
        title = metric(name) + MACRO if macro else metric(name)
        rows.append((both(title), entry, both(MEANING[name])))
    less = [
        (both(metric(name)), with_interval(entry), both(MEANING[name]))
        for name in LESS_IS_BETTER
        if (entry := view.metrics["overall"].get(name)) is not None
    ]
    head = [Words("Less is better", "越小越好"), Words("Value", "数值"), Words("Meaning", "含义")]
    low = 0.5 if all((row[1].get("low") or 0) >= 0.5 for row in rows) else 0.0
    low = min(low, 0.0 if any((row[1].get("low") or 0) < 0 for row in rows) else low)
    made = intervals(view.metrics)
    lead = Words(
        f"{view.cases.en}. Bars are 95 % intervals ({made.en}).",
        f"{view.cases.zh}。横条为 95 % 区间（{made.zh}）。",
    )
    body = forest(rows, low=low) + table(head, less, numeric=1, name="plain")
    return section("figures", Words("Headline figures", "主要指标"), body, lead)


def per_class(view: View) -> str:
    """Every class against the rest, and every other figure, in one table."""
    first: dict = next(iter(view.metrics["per_class"].values()), {})
    names = [name for name in OF_A_CLASS if name in first]
    if not names or view.table.is_binary:
        return ""
    head = [Words("Class", "类别"), Words("Cases", "例数"), *(metric(name) for name in names)]
    rows = []
    for name, entries in view.metrics["per_class"].items():
        n = view.metrics["n_per_class"][name]
        rows.append(
            [both(name), str(n), *(with_interval(entries[m]) for m in names if m in entries)]
        )
    lead = Words(
        f"Each class against all others. {view.cases.en}.", f"每一类对其余各类。{view.cases.zh}。"
    )
    return section(
        "classes", Words("Class by class", "分类别"), table(head, rows, 1, "dense"), lead
    )


def _what(view: View) -> Words:
    auroc = view.metrics["overall"]["auroc"]
    value = Words(
        f"{figure(auroc['value'])} (95 % interval {interval(auroc).en[1:-1]})",
        f"{figure(auroc['value'])}（95 % 区间 {interval(auroc).zh[1:-1]}）",
    )
    opening = words(view.report.card.purpose)
    if view.table.is_binary:
        what = Words(
            f"told {view.positive} from {view.negative} with an AUROC of {value.en}",
            f"区分 {view.positive} 与 {view.negative} 的 AUROC 为 {value.zh}",
        )
    else:
        accuracy = view.metrics["overall"]["accuracy"]
        share = figure(accuracy["value"])
        k = len(view.table.classes)
        kind = view.table.kind
        thing = Words("findings", "种所见") if kind == "multilabel" else Words("classes", "个类别")
        what = Words(
            f"told {k} {thing.en} apart with a mean AUROC of {value.en} "
            f"and an accuracy of {share} {interval(accuracy).en}",
            f"区分 {k} {thing.zh}的平均 AUROC 为 {value.zh}，准确率 {share}{interval(accuracy).zh}",
        )
    # What the workflow itself warns of may be that test cases were learned from.
    clean = not any(notice.serious for notice in view.report.notices)
    kept = Words(", kept out of training", "未用于训练的") if clean else Words("", "")
    result = Words(
        f"On {view.cases.en}{kept.en}, the model {what.en}.",
        f"在{kept.zh}{view.cases.zh}上，模型{what.zh}。",
    )
    return joined([opening, result]) if opening.en else result


def _at_threshold(view: View) -> Words:
    sens = view.metrics["overall"]["sensitivity"]["value"]
    spec = view.metrics["overall"]["specificity"]["value"]
    if sens is None or spec is None:
        return Words("One class has no case here.", "此处有一类没有病例。")
    set_ = view.report.operating is not None
    where = Words("at the threshold set on validation", "在由验证集确定的阈值下")
    where = where if set_ else Words("at a threshold of 0.5", "在阈值 0.5 下")
    found, alarms = of_hundred(sens), of_hundred(1 - spec)
    return Words(
        f"Of 100 cases with {view.positive} it found {found}, and of 100 without it raised "
        f"{alarms} false alarms, {where.en}.",
        f"{where.zh}，每 100 例 {view.positive} 检出 {found} 例，"
        f"每 100 例无病变者误报 {alarms} 例。",
    )


def _how_sure(view: View) -> Words:
    auroc = view.metrics["overall"]["auroc"]
    if auroc["low"] is None:
        return Words("No interval can be given.", "无法给出区间。")
    width = auroc["high"] - auroc["low"]
    if width < 0.03:
        return Words("The AUROC is known closely.", "AUROC 的估计较精确。")
    if width < 0.1:
        return Words("The AUROC is known fairly well.", "AUROC 的估计尚可。")
    return Words("The AUROC is known only roughly.", "AUROC 的估计较粗略，请谨慎解读。")


def first_sentence(text: str, stop: str = ". ") -> str:
    """The first sentence, to its full stop."""
    head, found, _ = text.partition(stop)
    return head + stop.strip() if found else text
