"""The page of a comparison: differences on one scale, and both models' figures beside."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from tomos.config import atomic_write
from tomos.evaluate.language import both, spaced
from tomos.evaluate.markup import forest, section, table, with_interval
from tomos.evaluate.names import metric, short, split
from tomos.evaluate.numbers import count, interval, round_up
from tomos.evaluate.page import page
from tomos.types.words import Text, Words, words

LESS_IS_BETTER = ("brier", "ece", "mae", "hd95")
DISTANCES = ("hd95",)  # in mm: on a scale of their own
METHODS = {
    "not defined": Words("not defined", "无法定义"),
    "DeLong, paired": Words("DeLong, paired", "DeLong 配对检验"),
    "DeLong, paired, clustered by patient": Words(
        "DeLong, paired, clustered by patient", "DeLong 配对检验，按患者聚类"
    ),
    "paired bootstrap over patients": Words("Paired bootstrap over patients", "按患者配对自助法"),
    "paired permutation by patient": Words("Paired permutation by patient", "按患者配对置换检验"),
}
CONTENTS = {
    "differences": Words("Differences", "差异"),
    "both": Words("Both models", "两个模型"),
    "classes": Words("Classes", "类别"),
    "cases": Words("Case by case", "逐例"),
}


def write_comparison(path: Path, comparison: Mapping[str, Any], title: Text = "") -> None:
    """Write what `compare` gave as one self-contained page, atomically."""
    first, second = comparison["comparison"]
    said = words(title) if title else Words(f"{second} against {first}", f"{second} 对比 {first}")
    cases = _cases(comparison)
    body = "\n".join(
        [
            f"<h1>{both(said)}</h1>",
            f'<p class="facts">{both(comparison["dataset"])} · {both(cases)}</p>',
            f'<p class="verdict">{both(_verdict(comparison))}</p>',
            "<!--contents-->",
            _differences(comparison, cases),
            _figures(comparison),
            _classes(comparison),
            _case_by_case(comparison),
        ]
    )
    foot = Words(
        "Intervals are 95 %. This file is complete in itself: it loads nothing from anywhere.",
        "区间为 95 %。本文件自成一体，不从任何地方加载内容。",
    )
    atomic_write(Path(path), page(said, body, foot, CONTENTS, comparison).encode("utf-8"))


def p_value(p: float | None) -> str:
    """P = 0.012, or P < 0.001."""
    if p is None:
        return "–"
    return "P\u00a0<\u00a00.001" if p < 0.001 else f"P\u00a0=\u00a0{p:.3f}"


def _cases(comparison: Mapping[str, Any]) -> Words:
    n, patients = count(comparison["n_cases"]), count(comparison["n_patients"])
    part = split(comparison["split"])
    if not comparison.get("patients_known", True):
        return Words(
            f"{n} {part.en} images (patients unknown)",
            f"{part.zh or part.en}集 {n} 张图像（患者未知）",
        )
    return Words(
        f"the same {n} {part.en} cases of {patients} patients",
        f"同一{part.zh or part.en}集 {n} 例（{patients} 名患者）",
    )


def _verdict(comparison: Mapping[str, Any]) -> Words:
    first, second = comparison["comparison"]
    primary = comparison.get("primary", "auroc")
    figure, difference = metric(primary), comparison["metrics"][primary]["difference"]
    cases, name = _cases(comparison), spaced(figure.zh)
    if difference["value"] is None or difference["p"] is None:
        return Words(f"The {figure.en} cannot be compared here.", f"此处无法比较 {figure.zh}。")
    if difference["value"] == 0:
        return Words(
            f"On {cases.en}, the {figure.en} of {second} is the same as that of {first}.",
            f"在{cases.zh}上，{second} 与 {first} 的 {name}相同。",
        )
    more = Words("higher", "高") if difference["value"] > 0 else Words("lower", "低")
    size, p = f"{abs(difference['value']):.3f}", p_value(difference["p"])
    sure = difference["p"] < 0.05
    end = (
        Words("That is more than chance would give.", "差异超出偶然范围。")
        if sure
        else Words(
            "That may be chance: the data do not tell which is better.",
            "差异可能出于偶然，数据不足以判断优劣。",
        )
    )
    return Words(
        f"On {cases.en}, the {figure.en} of {second} is {size} {more.en} than that of {first} "
        f"(95 % interval of the difference {interval(difference).en[1:-1]}, {p}). {end.en}",
        f"在{cases.zh}上，{second} 的 {name}比 {first} {more.zh} {size}"
        f"（差值的 95 % 区间 {interval(difference).zh[1:-1]}，{p}）。{end.zh}",
    )


def _differences(comparison: Mapping[str, Any], cases: Words) -> str:
    first, second = comparison["comparison"]
    lead = Words(
        f"{second} minus {first} with 95 % intervals, on {cases.en}. The line is no difference.",
        f"{second} 减 {first}，95 % 区间，{cases.zh}。竖线为无差异。",
    )
    rows = comparison["metrics"]
    shares = {name: row for name, row in rows.items() if name not in DISTANCES}
    distances = {name: row for name, row in rows.items() if name in DISTANCES}
    bars = _bars(shares) + (_bars(distances, _unit(comparison)) if distances else "")
    return section("differences", CONTENTS["differences"], bars, lead)


def _unit(comparison: Mapping[str, Any]) -> Words:
    unit = comparison.get("distance_unit", "mm")
    return Words(", mm", "，mm") if unit == "mm" else Words(", pixels", "，像素")


def _bars(rows: Mapping[str, Any], unit: Words | None = None) -> str:
    """The differences on one scale about 0."""
    drawn, reach = [], 0.01
    for name, row in rows.items():
        difference = row["difference"]
        ends = (difference["low"], difference["high"], difference["value"])
        reach = max([reach, *(abs(v) for v in ends if v is not None)])
        less = Words(" (less is better)", "（越小越好）")
        method = METHODS.get(difference["method"], Words(difference["method"]))
        title = metric(name) + (unit or Words("", ""))
        title = title + less if name in LESS_IS_BETTER else title
        p, adjusted = p_value(difference["p"]), p_value(difference["p_holm"])
        note = Words(
            f"{p}; adjusted for the number of tests (Holm) {adjusted}. {method.en}.",
            f"{p}；多重检验校正（Holm）后 {adjusted}。{method.zh or method.en}。",
        )
        drawn.append((both(title), difference, both(note)))
    reach = round_up(reach)
    return forest(drawn, low=-reach, high=reach, mark=0.0, digits=2 if unit else 3)


def _figures(comparison: Mapping[str, Any]) -> str:
    rows = []
    for name, row in comparison["metrics"].items():
        digits, unit = (2, _unit(comparison)) if name in DISTANCES else (3, Words("", ""))
        both_models = [with_interval(row[side], digits) for side in ("first", "second")]
        rows.append([both(metric(name) + unit), *both_models])
    head = [Words("Figure", "指标"), *(Words(name) for name in comparison["comparison"])]
    return section("both", CONTENTS["both"], table(head, rows, 1))


def _classes(comparison: Mapping[str, Any]) -> str:
    """Of masks: every class, where there are several."""
    classes = comparison.get("per_class", {})
    if len(classes) < 2:
        return ""
    rows = []
    for name, metrics in classes.items():
        for figure, row in metrics.items():
            digits, unit = (2, _unit(comparison)) if figure in DISTANCES else (3, Words("", ""))
            sides = [row[side] for side in ("first", "second", "difference")]
            p = p_value(row["difference"]["p_holm"])
            values = [with_interval(entry, digits) for entry in sides]
            rows.append([escape(name), both(short(figure) + unit), *values, p])
    head = [
        Words("Class", "类别"),
        Words("Figure", "指标"),
        *(Words(name) for name in comparison["comparison"]),
        Words("Difference", "差值"),
        Words("P, adjusted (Holm)", "校正后 P 值（Holm）"),
    ]
    return section("classes", CONTENTS["classes"], table(head, rows, 2, "dense"))


def _case_by_case(comparison: Mapping[str, Any]) -> str:
    if "mcnemar" not in comparison:
        return _masks_by_case(comparison)
    first, second = comparison["comparison"]
    test = comparison["mcnemar"]
    a, b, p = test["only_first"], test["only_second"], p_value(test["p"])
    note = Words("", "")
    if test["note"]:
        note = Words(
            " Patients have several answers here, so trust the permutation test of the accuracy.",
            "此处同一患者有多个结果，请以准确率的置换检验为准。",
        )
    text = Words(
        f"Only {first} was right on {a} answers, only {second} on {b}. McNemar, exact: {p}."
        f"{note.en}",
        f"仅 {first} 判对 {a} 个，仅 {second} 判对 {b} 个。McNemar 精确检验：{p}。{note.zh}",
    )
    return section("cases", CONTENTS["cases"], f"<p>{both(text)}</p>")


def _masks_by_case(comparison: Mapping[str, Any]) -> str:
    first, second = comparison["comparison"]
    n = comparison["case_by_case"]
    text = Words(
        f"{second} has the higher Dice in {n['second']} cases, {first} in {n['first']}; "
        f"in {n['same']} they are the same.",
        f"{second} 的 Dice 系数较高者 {n['second']} 例，{first} 较高者 {n['first']} 例，"
        f"相同者 {n['same']} 例。",
    )
    return section("cases", CONTENTS["cases"], f"<p>{both(text)}</p>")
