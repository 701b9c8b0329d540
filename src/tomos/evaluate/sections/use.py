"""What it means to use the model at its threshold: in rates, and in people."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from tomos.evaluate.language import both
from tomos.evaluate.markup import section, table, with_interval
from tomos.evaluate.names import MEANING, RULES, metric
from tomos.evaluate.numbers import count, percent
from tomos.evaluate.svg import thousand
from tomos.evaluate.view import View
from tomos.types.words import Words, plain


def operating(view: View) -> str:
    """Two classes: threshold and why, rates, and a thousand people at the stated prevalence;
    several labels: a row each."""
    point, overall = view.operating, view.metrics["overall"]
    if view.table.kind == "multilabel":
        return _labels(view, point.get("per_class", {}))
    if not view.table.is_binary or overall["sensitivity"]["value"] is None:
        return ""
    if overall["specificity"]["value"] is None:
        return ""
    rows = []
    for name in ("sensitivity", "specificity", "ppv", "npv", "lr_positive", "lr_negative"):
        entry = overall.get(name) or point["measured"][name]
        digits = 3 if name in overall or name.endswith("pv") else 2
        rows.append([both(metric(name)), with_interval(entry, digits), both(MEANING[name])])
    head = [Words("Figure", "指标"), Words("Value", "数值"), Words("Meaning", "含义")]
    sides = (
        f'<div class="split"><div>{_choice(view, point)}{table(head, rows, 1, "plain")}</div>'
        f"<div>{_people(view, point)}</div></div>"
    )
    return section(
        "use", Words("Used at its threshold", "在阈值下使用"), sides + _prevalences(view, point)
    )


def _labels(view: View, points: Mapping[str, Any]) -> str:
    rows = []
    for name, point in points.items():
        if "measured" not in point:
            continue
        figures = [view.metrics["per_class"][name][key] for key in ("sensitivity", "specificity")]
        figures += [point["measured"][key] for key in ("ppv", "npv")]
        shown = [f"{point['threshold']:.3f}", percent(point["prevalence"])]
        rows.append([escape(name), *shown, *map(with_interval, figures)])
    if not rows:
        return ""
    head = [
        Words("Finding", "病变"),
        Words("Threshold", "阈值"),
        Words("Prevalence", "患病比例"),
        *(metric(name) for name in ("sensitivity", "specificity", "ppv", "npv")),
    ]
    stated = any(point.get("prevalence_stated") for point in points.values())
    source = (
        Words("as stated for this report", "为本报告设定")
        if stated
        else Words(
            "that of these cases; in use it is often rarer", "与本数据相同；实际应用中往往更低"
        )
    )
    chosen = Words("No threshold was chosen on validation. ", "阈值未经验证集选择。")
    if all("rule" in point for point in points.values()):
        chosen = Words("Each threshold was chosen on validation. ", "各阈值在验证集上选定。")
    lead = chosen + Words(
        f"Prevalence: {source.en}. {view.cases.en}, 95 % intervals.",
        f"患病比例{source.zh}。{view.cases.zh}，95 % 区间。",
    )
    title = Words("Used at its thresholds", "在阈值下使用")
    return section("use", title, table(head, rows, 1, "wide"), lead)


def _choice(view: View, point: Mapping[str, Any]) -> str:
    threshold = f"{point['threshold']:.3f}"
    given = view.report.operating
    if given is None:
        text = Words(
            f"A case is called {view.positive} from a probability of {threshold} on. "
            "No threshold was chosen on validation.",
            f"概率达到 {threshold} 即判为 {view.positive}。阈值未经验证集选择。",
        )
        return f"<p>{both(text)}</p>"
    rule = RULES.get(given.rule, Words(given.rule))
    on = f"{count(given.n)} validation cases of {count(given.n_patients)} patients"
    text = Words(
        f"A case is called {view.positive} from a probability of {threshold} on. The threshold was "
        f"fixed on {on}, before the {view.metrics['split']} cases were seen. Rule: {rule.en}.",
        f"概率达到 {threshold} 即判为 {view.positive}。阈值在验证集（{count(given.n)} 例，"
        f"{count(given.n_patients)} 名患者）上确定，先于测试。规则：{rule.zh}。",
    )
    why = Words(
        f"Why: {given.reason}. On validation it gave sensitivity {given.sensitivity:.3f} and "
        f"specificity {given.specificity:.3f}.",
        f"阈值在 {given.low:.3f} 至 {given.high:.3f} 之间效果相当。"
        f"在验证集上敏感度 {given.sensitivity:.3f}，特异度 {given.specificity:.3f}。",
    )
    return f'<p>{both(text)}</p><p class="small">{both(why)}</p>'


def _people(view: View, point: Mapping[str, Any]) -> str:
    share = point["prevalence"]
    sens, spec = (view.metrics["overall"][n]["value"] for n in ("sensitivity", "specificity"))
    ill = round(1000 * share)
    found, alarms = round(ill * sens), round((1000 - ill) * (1 - spec))
    groups = [("found", found), ("missed", ill - found)]
    groups += [("alarm", alarms), ("quiet", 1000 - ill - alarms)]
    stated = (
        Words("stated for this report", "本报告设定")
        if point.get("prevalence_stated")
        else Words(
            "as in these cases; in use it is often rarer", "与本数据相同；实际应用中往往更低"
        )
    )
    title = Words("Of 1,000 people", "每 1,000 人")
    text = Words(
        f"If {percent(share)} have {view.positive} ({stated.en}), {ill} of 1,000 have it. "
        f"The model finds {found} and misses {ill - found}. Of the {1000 - ill} without it, "
        f"{alarms} are called positive by mistake.",
        f"若 {percent(share)} 的人有 {view.positive}（{stated.zh}），1,000 人中有 {ill} 人。"
        f"模型检出 {found} 人，漏掉 {ill - found} 人；其余 {1000 - ill} 人中误报 {alarms} 人。",
    )
    names = {
        "found": Words("found", "检出"),
        "missed": Words("missed", "漏诊"),
        "alarm": Words("false alarm", "误报"),
        "quiet": Words("rightly negative", "正确判阴"),
    }
    legend = "".join(
        f'<li><i class="key people {tone}"></i>{both(names[tone])} <b>{n}</b></li>'
        for tone, n in groups
    )
    return (
        f"<figure><h3>{both(title)}</h3>{thousand(groups, text)}"
        f'<ul class="legend">{legend}</ul><figcaption>{both(text)}</figcaption></figure>'
    )


def _prevalences(view: View, point: Mapping[str, Any]) -> str:
    rows = []
    for entry in point.get("by_prevalence", ()):
        name = percent(entry["prevalence"])
        here = entry["prevalence"] == point["prevalence"]
        label = f"<b>{name}</b>" if here else name
        alarms = entry["ppv"]["value"]
        odds = "–" if not alarms else plain((1 - alarms) / alarms)
        rows.append([label, with_interval(entry["ppv"]), with_interval(entry["npv"]), odds])
    head = [
        Words("Prevalence", "患病比例"),
        metric("ppv"),
        metric("npv"),
        Words("False alarms per finding", "每检出一例的误报数"),
    ]
    title = Words("The same threshold where it is rarer or commoner", "同一阈值，不同患病比例")
    note = Words(
        "Sensitivity and specificity are taken as they were here. "
        f"{view.cases.en}, 95 % intervals.",
        f"敏感度与特异度取自本次测试。{view.cases.zh}，95 % 区间。",
    )
    return f'<h3>{both(title)}</h3>{table(head, rows, 1, "rare")}<p class="small">{both(note)}</p>'
