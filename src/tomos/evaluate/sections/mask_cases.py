"""The worst masks as pictures, and every case in a table."""

from __future__ import annotations

from html import escape

import numpy as np

from tomos.evaluate.language import both
from tomos.evaluate.markup import image, section, table
from tomos.evaluate.mask_report_data import MaskPicture
from tomos.evaluate.mask_view import MaskView
from tomos.evaluate.names import metric, short
from tomos.evaluate.numbers import count, decimals, figure
from tomos.evaluate.referred import referred
from tomos.evaluate.sections.cases import MOST_BYTES, data_address
from tomos.types.words import Text, Words

MOST_ROWS, MOST_COLUMNS = 400, 6
WHY = {
    "worst": Words("among the worst", "最差病例"),
    "median": Words("median case", "中位病例"),
    "best": Words("best case", "最好病例"),
}


def mask_pictures(view: MaskView) -> str:
    """Cards of one case each; what would make the page too large is left out and counted."""
    cards, used = [], 0
    size = sum(len(p.image) + len(p.plain or b"") for p in view.report.pictures)
    with_plain = size * 4 / 3 <= MOST_BYTES  # else the outlines alone: more cases find room
    for picture in view.report.pictures:
        shown = data_address(picture.image)
        bare = data_address(picture.plain) if picture.plain and with_plain else ""
        used += len(shown) + len(bare)
        if used > MOST_BYTES:
            break
        cards.append(_card(view, picture, shown, bare))
    if not cards:
        return ""
    lead = Words(
        "The cases of lowest Dice first; then, to compare, the median and the best case of all. "
        "Of a volume the slice in which most is wrong, cut to what matters.",
        "Dice 系数最低的病例在前，其后为全部病例中的中位病例和最好病例，供对照。"
        "三维图像取分歧最大的一层，并裁剪至相关区域。",
    )
    legend = "".join(
        f'<li><i class="key {tone}"></i>{both(name)}</li>'
        for tone, name in (
            ("truth", Words("true outline", "参考轮廓")),
            ("found", Words("found outline", "预测轮廓")),
            ("shared", Words("both on one another", "两者重合")),
        )
    )
    rest, missing = "", len(view.report.pictures) - len(cards)
    if missing:
        text = Words(
            f"{missing} more were left out to keep this file small.",
            f"为控制文件大小，另有 {missing} 例未显示。",
        )
        rest = f'<p class="small">{both(text)}</p>'
    body = f'<ul class="legend">{legend}</ul><div class="cases masks">{"".join(cards)}</div>{rest}'
    return section("cases", Words("Worst cases", "最差病例"), body, lead)


def _card(view: MaskView, picture: MaskPicture, shown: str, bare: str) -> str:
    alt = Words(f"Case {picture.case} without outlines", f"病例 {picture.case}，无轮廓")
    lined = Words(f"Case {picture.case} with both outlines", f"病例 {picture.case}，含两种轮廓")
    pair = (image(bare, alt) if bare else "") + image(shown, lined)
    tone = "bad" if picture.why == "worst" else "good"
    tag = f'<span class="tag {tone}">{both(WHY[picture.why])}</span>'
    note = f"{both(picture.note)}<br>" if picture.note else ""
    return (
        f'<figure class="case"><div class="pair">{pair}</div><figcaption>'
        f"<b>{escape(picture.case)}</b> {tag}<br>{note}{both(_figures(view, picture.case))}"
        "</figcaption></figure>"
    )


def _figures(view: MaskView, case: str) -> Words:
    """Dice of each class in this case, at most six; which were missed."""
    if case not in view.table.cases:
        return Words("")
    figures = view.table.figures[list(view.table.cases).index(case)]
    counted = {name: f for name, f in figures.items() if f.counted}
    order = sorted(counted, key=lambda name: counted[name].dice)[:MOST_COLUMNS]
    en, zh = [], []
    for name in (name for name in counted if name in order):
        state = Words("", "")
        if not counted[name].voxels_found:
            state = Words(" (missed)", "（漏检）")
        elif not counted[name].voxels_truth:
            state = Words(" (none there)", "（误检）")
        en.append(f"{name} {figure(counted[name].dice)}{state.en}")
        zh.append(f"{name} {figure(counted[name].dice)}{state.zh}")
    return Words(f"Dice: {', '.join(en)}", f"Dice 系数：{'，'.join(zh)}")


def mask_each(view: MaskView) -> str:
    """Every case, worst first, folded away; cases that failed above them, with the reason."""
    means_N3 = np.stack([view.table.case_mean(figure) for figure in ("dice", "nsd", "hd95")], 1)
    dice = means_N3[:, 0]
    order = np.argsort(np.where(np.isnan(dice), np.inf, dice), kind="stable").tolist()
    names = list(view.table.classes[:MOST_COLUMNS])
    rows = [_row(view, row, names, means_N3[row]) for row in order[:MOST_ROWS]]
    head: list[Text] = [Words("Case", "病例")]
    far = view.distance
    if view.metrics.get("patients_known", True):
        head.append(Words("Patient", "患者"))
    if view.several:
        head.append(Words("Dice, mean", "Dice 均值"))
    head += [short("nsd"), short("hd95") + Words(f" ({far.en})", f"（{far.zh or far.en}）")]
    head += [
        *(names if view.several else [metric("dice")]),
        *([Words("To a reader", "转交医生")] if view.table.verdicts else []),
    ]
    unit = view.unit
    lead = Words(
        "Lowest Dice first. NSD and HD95 are means over the classes. Below the Dice of a class its "
        f"{view.extent.en} found / true, in {unit.en}; a dash: neither outline holds it.",
        "Dice 系数由低到高，NSD 与 HD95 为各类平均。各类别 Dice 系数下方为预测 / 参考"
        f"{view.extent.zh}（{unit.zh or unit.en}）；短横表示参考与预测中均无该类别。",
    )
    more = _left_out(view, len(order))
    title = both(Words(f"Show all {count(len(order))} cases", f"展开全部 {count(len(order))} 例"))
    body = (
        f"{_failed(view)}<details><summary>{title}</summary>{table(head, rows, 1, 'each')}{more}"
        "</details>"
    )
    return section("each", Words("Case by case", "逐例"), body, lead)


def _row(view: MaskView, row: int, names: list[str], means: np.ndarray) -> list[str]:
    """Cells; `means` are Dice, NSD and HD95 over the classes of this case."""
    cells = [escape(view.table.cases[row])]
    if view.metrics.get("patients_known", True):
        cells.append(escape(str(view.table.groups[row])))
    values = [None if np.isnan(mean) else float(mean) for mean in means]
    said = [figure(value, n) for value, n in zip(values, (3, 3, 2), strict=True)]
    if view.several:
        cells.append(f"<b>{said[0]}</b>")
    cells += said[1:]
    ml = 1000.0 if view.metrics["unit"] == "ml" else 1.0
    for name in names:
        one = view.table.figures[row][name]
        if not one.counted:
            cells.append("–")
            continue
        found, truth = one.volume_found / ml, one.volume_truth / ml
        digits = decimals(max(found, truth))
        size = f"{figure(found, digits)} / {figure(truth, digits)}"
        cells.append(f'{figure(one.dice)}<span class="ci">{size}</span>')
    if view.table.verdicts:
        verdict, reason = view.table.verdicts[row]
        cells.append(both(referred(reason)) or "✓" if verdict == "refer" else "")
    return cells


def _left_out(view: MaskView, n: int) -> str:
    said = []
    if n > MOST_ROWS:
        said.append(Words(f"The {MOST_ROWS} worst are listed.", f"仅列出最差的 {MOST_ROWS} 例。"))
    if len(view.table.classes) > MOST_COLUMNS:
        said.append(
            Words(
                f"The first {MOST_COLUMNS} of {len(view.table.classes)} classes are listed.",
                f"仅列出 {len(view.table.classes)} 个类别中的前 {MOST_COLUMNS} 个。",
            )
        )
    return "".join(f'<p class="small">{both(text)}</p>' for text in said)


def _failed(view: MaskView) -> str:
    if not view.table.failed:
        return ""
    items = "".join(
        f"<li><b>{escape(case)}</b>: <code>{escape(reason)}</code></li>"
        for case, reason in list(view.table.failed.items())[:MOST_ROWS]
    )
    title = both(Words("Could not be read or predicted", "无法读取或预测"))
    return f"<h3>{title}</h3><ul>{items}</ul>"
