"""The first page of a report on masks: how well, how sure, on whom; then class by class."""

from __future__ import annotations

from html import escape

from tomos.evaluate.language import both
from tomos.evaluate.markup import forest, section, table, with_interval
from tomos.evaluate.mask_view import MaskView
from tomos.evaluate.names import MACRO, MEANING, intervals, metric, short
from tomos.evaluate.numbers import count, figure, interval, round_up
from tomos.evaluate.report_data import Notice
from tomos.evaluate.sections.summary import first_sentence
from tomos.types.words import Words, joined, words

SHARES = ("dice", "iou", "nsd", "auroc")
OF_VOXELS = Words(
    "chance that a voxel of the class scores higher than one outside it, in the same case",
    "同一病例中，属于该类别的体素得分高于类外体素的概率",
)


def mask_verdict(view: MaskView, found: list[Notice]) -> str:
    """One paragraph for somebody who reads nothing else."""
    sentences = [_what(view), _how_sure(view), _classes(view), _missed(view)]
    if found:
        serious = [notice for notice in found if notice.serious] or found
        first = words(serious[0].text)
        en = first_sentence(first.en)
        zh = first_sentence(first.zh or first.en, "。")
        sentences.append(Words(f"Beware: {en}", f"注意：{zh}"))
    sentences.append(
        Words(
            "It supports a reader and does not replace one.",
            "本模型辅助医生阅片，不能代替医生。",
        )
    )
    said = joined([sentence for sentence in sentences if sentence.en])
    return f'<p class="verdict">{both(said)}</p>'


def mask_headline(view: MaskView) -> str:
    """Dice, IoU, NSD on one scale; the distance on its own."""
    overall = view.metrics["overall"]
    rows = [
        (both(_titled(view, name)), overall[name], both(_meaning(view, name) + _n(overall[name])))
        for name in SHARES
        if name in overall
    ]
    low = 0.5 if all((row[1].get("low") or 0) >= 0.5 for row in rows) else 0.0
    far = overall["hd95"]
    top = round_up(max(far["high"] or 0, far["value"] or 0, 1))
    note = MEANING["hd95"] + _n(far) + _nowhere(view)
    unit = view.distance
    title = _titled(view, "hd95") + Words(f", {unit.en}", f"，{unit.zh or unit.en}")
    made = intervals(view.metrics)
    lead = Words(
        f"{view.cases.en}. Bars are 95 % intervals ({made.en}). "
        "Background is no class. A class that is in neither outline of a case is not counted "
        "there; one that is in one of them only has a Dice of 0.",
        f"{view.cases.zh}。横条为 95 % 区间（{made.zh}）。背景不计为类别。"
        "某病例的参考与预测中均无某类别时，该类别在该病例中不计入；仅一方有时 Dice 系数记为 0。",
    )
    body = forest(rows, low=low) + forest([(both(title), far, both(note))], 0, top, digits=2)
    return section("figures", Words("Headline figures", "主要指标"), body, lead)


def mask_classes(view: MaskView) -> str:
    """Every class with its figures, their intervals and their spread over cases."""
    first: dict = next(iter(view.metrics["per_class"].values()))
    names = [name for name in ("dice", "iou", "nsd", "hd95", "auroc") if name in first]
    unit = view.distance
    head = [
        Words("Class", "类别"),
        Words("Cases", "例数"),
        *(
            short(name) + (f" ({unit.en})" if name == "hd95" and unit.en == "mm" else "")
            for name in names
        ),
    ]
    rows = []
    for name, entries in view.metrics["per_class"].items():
        cells = [_cell(entries[m], 2 if m == "hd95" else 3) for m in names]
        rows.append([escape(name), _cases_of(view, name), *cells])
    lead = Words(
        f"Means over the cases in which the class counts, with 95 % intervals and the standard "
        f"deviation (SD) over cases. NSD at a tolerance of {view.tolerance.en}. {view.cases.en}.",
        f"对计入该类别的病例取均值，附 95 % 区间和病例间标准差（SD）。"
        f"NSD 容差为 {view.tolerance.zh}。{view.cases.zh}。",
    )
    title = Words("Class by class", "分类别")
    return section("classes", title, table(head, rows, 1, "dense"), lead)


def _cell(entry: dict, digits: int) -> str:
    spread = ""
    if entry.get("sd") is not None:
        spread = (
            f'<span class="ci">SD {figure(entry["sd"], digits)}, n = {count(entry["n"])}</span>'
        )
    return with_interval(entry, digits) + spread


def _cases_of(view: MaskView, name: str) -> str:
    """How many hold the class, and in how many it was missed or found where there is none."""
    n = view.metrics["counts"][name]
    lines = [f"<b>{count(n['present'])}</b>"]
    if n["missed"]:
        text = Words(f"{n['missed']} missed", f"漏检 {n['missed']}")
        lines.append(f'<span class="ci">{both(text)}</span>')
    if n["found_only"]:
        alarms = "false alarm" if n["found_only"] == 1 else "false alarms"
        text = Words(f"{n['found_only']} {alarms}", f"误检 {n['found_only']}")
        lines.append(f'<span class="ci">{both(text)}</span>')
    return "".join(lines)


def _titled(view: MaskView, name: str) -> Words:
    return metric(name) + MACRO if view.several else metric(name)


def _meaning(view: MaskView, name: str) -> Words:
    if name == "auroc":
        return OF_VOXELS
    if name == "nsd":
        tolerance = view.tolerance
        return MEANING[name] + Words(f"; tolerance {tolerance.en}", f"；容差 {tolerance.zh}")
    return MEANING[name]


def _n(entry: dict) -> Words:
    n = count(entry["n"])
    return Words(f"; n = {n} cases", f"；n = {n} 例")


def _nowhere(view: MaskView) -> Words:
    """That the mean holds cases in which no distance exists."""
    n = sum(c["missed"] + c["found_only"] for c in view.metrics["counts"].values())
    if not n:
        return Words("", "")
    return Words(
        f". In {count(n)} outlines there is no distance, as truth or finding is empty: "
        "the diagonal of the image is counted",
        f"。有 {count(n)} 处因参考或预测为空而不存在距离，按图像对角线长度计入",
    )


def _what(view: MaskView) -> Words:
    dice = view.metrics["overall"]["dice"]
    opening = words(view.report.card.purpose)
    clean = not any(notice.serious for notice in view.report.notices)
    kept = Words(", kept out of training", "未用于训练的") if clean else Words("", "")
    over = Words(f", mean over {len(view.table.classes)} classes", "各类平均 ")
    over = over if view.several else Words("", "")
    value = figure(dice["value"])
    span = interval(dice)
    inside = (
        Words(f"95 % interval {span.en[1:-1]}", f"95 % 区间 {span.zh[1:-1]}")
        if dice["low"] is not None
        else Words("no interval", "无区间")
    )
    result = Words(
        f"On {view.cases.en}{kept.en}, the model's outlines agree with the true ones with a Dice "
        f"of {value} ({inside.en}; 1 is the same){over.en}.",
        f"在{kept.zh}{view.cases.zh}上，模型分割与参考标准的{over.zh or ' '}Dice 系数为 {value}"
        f"（{inside.zh}；1 为完全一致）。",
    )
    return joined([opening, result]) if opening.en else result


def _how_sure(view: MaskView) -> Words:
    dice = view.metrics["overall"]["dice"]
    if dice["value"] is None or dice["low"] is None:
        return Words("No interval can be given.", "无法给出区间。")
    width = dice["high"] - dice["low"]
    if width < 0.02:
        return Words("The Dice is known closely.", "Dice 系数的估计较精确。")
    if width < 0.06:
        return Words("The Dice is known fairly well.", "Dice 系数的估计尚可。")
    return Words("The Dice is known only roughly.", "Dice 系数的估计较粗略，请谨慎解读。")


def _classes(view: MaskView) -> Words:
    """The best and the worst class."""
    known = {
        name: entries["dice"]["value"]
        for name, entries in view.metrics["per_class"].items()
        if entries["dice"]["value"] is not None
    }
    if len(known) < 2:
        return Words("")
    best, worst = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
    return Words(
        f"Best is {best} ({figure(known[best])}), worst {worst} ({figure(known[worst])}).",
        f"最佳类别为 {best}（{figure(known[best])}），"
        f"最差类别为 {worst}（{figure(known[worst])}）。",
    )


def _missed(view: MaskView) -> Words:
    """How often a class that is there was not found at all."""
    parts = [
        (name, counts["missed"], counts["present"])
        for name, counts in view.metrics["counts"].items()
        if counts["missed"]
    ]
    if not parts:
        return Words("No class that was there was missed whole.", "没有完全漏检的类别。")
    en = ", ".join(f"{name} in {n} of {total}" for name, n, total in parts[:4])
    zh = "，".join(f"{name} {n} 例（共 {total} 例）" for name, n, total in parts[:4])
    rest = Words("", "")
    if len(parts) > 4:
        rest = Words(f" and {len(parts) - 4} more classes", f"，另有 {len(parts) - 4} 个类别")
    return Words(
        f"Missed whole, where it was there: {en}{rest.en}.", f"完全漏检的情况：{zh}{rest.zh}。"
    )
