"""`check.html`: what was found, to be read by a person. One file, no request, no script."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from tomos import formats
from tomos.datasets.cases import SPLITS
from tomos.datasets.findings import CLUES_ZH, Findings, Problem
from tomos.datasets.glance import downscale
from tomos.datasets.shortcuts import TELLING, Shortcut
from tomos.datasets.split import in_words
from tomos.types import FormatError, Image

SIDE = 128
SHOWN, GROUPS, MEMBERS = 12, 6, 4
WITH_PICTURES = {
    "conflicting_labels", "copies_across_split", "near_across_split", "duplicate_exact",
    "duplicate_near", "nearly_blank", "constant", "odd_size", "mixed_channels", "mixed_depth",
    "test_leak",
}  # fmt: skip
GROUPED = WITH_PICTURES & {
    "conflicting_labels", "copies_across_split", "near_across_split", "duplicate_exact",
    "duplicate_near", "test_leak",
}  # fmt: skip
SEVERITIES = {
    "error": ("must be fixed", "必须修复"),
    "warning": ("worth knowing", "值得注意"),
    "note": ("note", "说明"),
}
STYLE = """
*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}
body{margin:0;background:#f4f6f8;color:#1c2733;font:16px/1.55 system-ui,-apple-system,"Segoe UI",
Roboto,"Noto Sans","PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
main{max-width:1080px;margin:0 auto;padding:0 20px 64px}
header{display:flex;flex-wrap:wrap;gap:12px 24px;align-items:flex-end;
justify-content:space-between;padding:36px 0 20px}
h1{font-size:30px;line-height:1.2;margin:0;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:19px;margin:36px 0 12px}p{margin:0}.sub{color:#5a6b7b;margin-top:6px}
input.lang{position:absolute;opacity:0;pointer-events:none}
.switch{display:inline-flex;border:1px solid #c9d3dc;border-radius:8px;overflow:hidden;
background:#fff}.switch label{padding:5px 14px;font-size:14px;cursor:pointer;color:#46586a}
#en:checked~main .zh,#zh:checked~main .en{display:none}
#en:checked~main .to-en,#zh:checked~main .to-zh{background:#17507f;color:#fff}
.lang:focus-visible~main .switch{outline:2px solid #17507f;outline-offset:2px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}
.tile,.card{background:#fff;border:1px solid #e0e6eb;border-radius:12px}
.tile{padding:14px 16px}.tile b{display:block;font-size:26px;line-height:1.2;
font-variant-numeric:tabular-nums}.tile.split b{font-size:20px;line-height:31px;white-space:nowrap}
.tile span{color:#5a6b7b;font-size:14px}
.tile.bad b{color:#b3261e}.tile.good b{color:#17714a}
.card{padding:16px 18px;margin:12px 0;border-left:5px solid #b9c4ce}
.card.error{border-left-color:#b3261e}.card.warning{border-left-color:#d18700}
.head{display:flex;flex-wrap:wrap;gap:8px;align-items:center;margin-bottom:6px}
.tag{font-size:12.5px;font-weight:600;border-radius:6px;padding:2px 8px;background:#e8edf1;
color:#46586a}.error .tag{background:#fbe4e2;color:#8f1d17}
.warning .tag{background:#fdf0d5;color:#7a4f00}
code{font:13px ui-monospace,SFMono-Regular,Consolas,monospace;color:#5a6b7b}
.msg{overflow-wrap:anywhere}details{margin-top:8px;color:#46586a;font-size:14px}
summary{cursor:pointer}.list{columns:260px;margin-top:6px;overflow-wrap:anywhere}
.shots{display:flex;flex-wrap:wrap;gap:10px;margin-top:12px}
figure{margin:0;width:112px}figure img{width:112px;height:112px;object-fit:contain;
background:#10161c;border-radius:8px;display:block}
figcaption{font-size:12px;line-height:1.35;color:#5a6b7b;margin-top:4px;overflow-wrap:anywhere}
.group{display:flex;flex-wrap:wrap;gap:8px;padding:8px;border:1px solid #e0e6eb;border-radius:10px}
.scroll{overflow-x:auto;background:#fff;border:1px solid #e0e6eb;border-radius:12px}
table{border-collapse:collapse;width:100%;font-size:15px}
th,td{padding:9px 14px;text-align:right;border-top:1px solid #edf1f4;
font-variant-numeric:tabular-nums;white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:normal;overflow-wrap:anywhere}
thead th{border-top:0;color:#5a6b7b;font-weight:600;font-size:14px}
.bar{position:relative;height:14px;margin:4px 0 14px;border-radius:7px;background:#e8edf1}
.bar i,.bar s,.bar u{position:absolute;top:0;bottom:0;text-decoration:none}
.bar i{left:0;border-radius:7px;background:#5f7f99}.bar.telling i{background:#c9544d}
.bar s{top:6px;bottom:6px;background:#10161c}.bar u{top:-3px;bottom:-3px;border-left:2px dashed
#46586a}.bar u.line{border-color:#b3261e}
.foot{color:#5a6b7b;font-size:14px;margin-top:40px}
@media(max-width:600px){main{padding:0 14px 48px}h1{font-size:24px}
figure,figure img{width:92px}figure img{height:92px}th,td{padding:8px 10px}}
@media print{body{background:#fff}.switch{display:none}}
"""


def page(found: Findings) -> str:
    """The whole HTML text, self-contained, in English and Chinese."""
    info = found.dataset.info
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        "<meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none';img-src data:;style-src 'unsafe-inline'\">",
        f"<title>{escape(info.name)} · tomos check</title><style>{STYLE}</style></head><body>",
        "<input class=lang type=radio name=lang id=en checked aria-label=English>",
        "<input class=lang type=radio name=lang id=zh aria-label=中文><main>",
        _header(found),
        _tiles(found),
        _two("h2", "What was found", "检查结果"),
        *(_card(found, problem) for problem in found.problems),
        "" if found.problems else _two("p", "Nothing to complain about.", "没有发现问题。"),
        _two("h2", "Cases by class and split", "各类别与划分的病例数"),
        _counts(found),
        _shortcut_chart(found.shortcuts),
        _foot(found),
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part)


def _two(tag: str, english: str, chinese: str, attributes: str = "") -> str:
    """The same text in both languages, one of them hidden."""
    return (
        f'<{tag} class="en {attributes}">{escape(english)}</{tag}>'
        f'<{tag} class="zh {attributes}" lang=zh>{escape(chinese)}</{tag}>'
    )


def _header(found: Findings) -> str:
    info = found.dataset.info
    rule = in_words(info.provenance.split)
    return (
        f"<header><div><h1>{escape(info.name)}</h1>"
        + _two("p", f"Data check · split: {rule.en or 'as in cases.csv'}",
               f"数据检查 · 划分：{rule.zh or rule.en or '见 cases.csv'}", "sub")
        + "</div><div class=switch role=group><label class=to-en for=en>English</label>"
        "<label class=to-zh for=zh>中文</label></div></header>"
    )  # fmt: skip


def _tiles(found: Findings) -> str:
    cases = found.dataset.cases
    people = {case.patient for case in cases if case.patient}
    count = {s: sum(p.severity == s for p in found.problems) for s in SEVERITIES}
    split = " / ".join(str(sum(case.split == part for case in cases)) for part in SPLITS)
    tiles = [
        (str(len(cases)), "cases", "病例", ""),
        (str(len(people)) if people else "–", "known patients", "已知患者", ""),
        (split, "train / val / test", "训练 / 验证 / 测试", "split"),
        (str(count["error"]), "to fix", "需修复", "bad" if count["error"] else "good"),
        (str(count["warning"]), "to know", "需留意", ""),
    ]
    return "<div class=tiles>" + "".join(
        f'<div class="tile {kind}"><b>{escape(value)}</b>{_two("span", english, chinese)}</div>'
        for value, english, chinese, kind in tiles
    ) + "</div>"  # fmt: skip


def _card(found: Findings, problem: Problem) -> str:
    return (
        f"<section class='card {problem.severity}'><div class=head>"
        + _two("span", *SEVERITIES[problem.severity], "tag")
        + f"<code>{problem.code}</code></div>"
        + _two("p", problem.message, problem.chinese, "msg")
        + _pictures(found, problem)
        + _list(problem.cases)
        + "</section>"
    )


def _list(cases: Sequence[str], most: int = 500) -> str:
    if not cases:
        return ""
    names = "".join(f"<div>{escape(name)}</div>" for name in cases[:most])
    more = f"<div>… +{len(cases) - most}</div>" if len(cases) > most else ""
    return (
        f"<details><summary>{_two('span', f'{len(cases)} cases', f'{len(cases)} 个病例')}</summary>"
        f"<div class=list>{names}{more}</div></details>"
    )


def _pictures(found: Findings, problem: Problem) -> str:
    if problem.code not in WITH_PICTURES:
        return ""
    if problem.code in GROUPED:
        named = set(problem.cases)
        groups = [g for g in _groups_of(found, problem.code) if named.issuperset(g)]
        shots = [
            "<div class=group>" + "".join(_figures(found, _members(found, group))) + "</div>"
            for group in groups[:GROUPS]
        ]
    else:
        shots = list(_figures(found, problem.cases[:SHOWN]))
    return f"<div class=shots>{''.join(shots)}</div>"


def _members(found: Findings, group: Sequence[str]) -> list[str]:
    """A few cases of a group, from as many splits as it has."""
    wanted = set(group)
    split = {case.name: case.split for case in found.dataset.cases if case.name in wanted}
    turn: dict[str, int] = {}
    place = {}
    for name in group:
        turn[split[name]] = turn.get(split[name], 0) + 1
        place[name] = turn[split[name]]
    return sorted(group, key=lambda name: place[name])[:MEMBERS]


def _groups_of(found: Findings, code: str) -> Sequence[tuple[str, ...]]:
    across = set(found.across_split)
    if code == "duplicate_near":
        return found.near
    if code == "near_across_split":
        return [group for group in found.near if group in across]
    if code in ("copies_across_split", "test_leak"):
        return [group for group in found.exact if group in across]
    return found.exact


def _figures(found: Findings, names: Sequence[str]) -> Iterator[str]:
    wanted = set(names)
    cases = {case.name: case for case in found.dataset.cases if case.name in wanted}
    for name in names:
        case = cases[name]
        source = _thumbnail(found.dataset.reference(case))
        if not source:
            continue
        label = case.targets.get(found.dataset.info.target, "")
        about = " · ".join(part for part in (label, case.split) if part)
        yield (
            f'<figure><img alt="" src="{source}"><figcaption>{escape(name)}'
            f"<br>{escape(about)}</figcaption></figure>"
        )


def _thumbnail(address: str) -> str:
    """A data: address of a small PNG; "" when the image cannot be read."""
    try:
        shown = thumbnail(formats.read(address))
    except (FormatError, OSError):
        return ""
    return "data:image/png;base64," + base64.b64encode(formats.png_bytes(shown)).decode()


def thumbnail(image: Image, side: int = SIDE) -> np.ndarray:
    """(1 or 3, y, x) uint8, at most `side` long: the picture, or the middle slice of a volume."""
    pixels = image.pixels
    if pixels.ndim == 4:
        pixels = pixels[:, pixels.shape[1] // 2]
    pixels = pixels[:3] if len(pixels) >= 3 else pixels[:1]
    scale = min(1.0, side / max(pixels.shape[1:]))
    y, x = (max(1, round(length * scale)) for length in pixels.shape[1:])
    small = np.stack([downscale(np.asarray(plane, np.float32), y, x) for plane in pixels])
    low, high = _shades(image, small)
    return (np.clip((small - low) / max(high - low, 1e-9), 0, 1) * 255).round().astype(np.uint8)


def _shades(image: Image, small: np.ndarray) -> tuple[float, float]:
    if image.window is not None:
        half = image.window.width / 2
        return image.window.centre - half, image.window.centre + half
    if image.pixels.dtype == np.uint8:
        return 0.0, 255.0
    low, high = np.percentile(small, (0.5, 99.5))
    return float(low), float(high)


def _counts(found: Findings) -> str:
    splits = [split for split in (*SPLITS, "") if split in found.counts]
    known = {label for counts in found.counts.values() for label in counts}
    labels = [*found.dataset.classes, *sorted(known - set(found.dataset.classes))]
    head = "".join(f"<th>{escape(split) or '–'}</th>" for split in splits)
    rows = []
    for label in labels:
        cells = [found.counts[split].get(label, 0) for split in splits]
        name = escape(label) if label else _two("i", "not assessed", "未评估")
        numbers = "".join(f"<td>{n}</td>" for n in (*cells, sum(cells)))
        rows.append(f"<tr><td>{name}</td>{numbers}</tr>")
    return (
        f"<div class=scroll><table><thead><tr><th></th>{head}<th>Σ</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _shortcut_chart(found: Sequence[Shortcut]) -> str:
    """A bar for each clue with its interval; what lies right of the line is suspicious."""
    if not found:
        return ""
    chance = found[0].chance
    line = chance + TELLING * (1 - chance)
    bars = "".join(_bar(clue, chance, line) for clue in found)
    english = (
        "How well the label is guessed from what should not matter (balanced accuracy, 95 % "
        "interval, cross-validated by patient, test split not used). Grey line: chance; right of "
        "the red line a model may learn the source instead of the disease."
    )
    chinese = (
        "仅凭本不应相关的特征猜测标签的能力（平衡准确率，95% 区间，按患者交叉验证，未使用测试集）。"
        "灰线：随机水平；超过红线时，模型可能学到的是数据来源而不是疾病。"
    )
    return (
        _two("h2", "Shortcuts", "捷径特征")
        + "<div class=card>"
        + bars
        + _two("p", english, chinese, "sub")
        + "</div>"
    )


def _bar(clue: Shortcut, chance: float, line: float) -> str:
    figure = f"{clue.balanced_accuracy:.2f} ({clue.low:.2f}–{clue.high:.2f})"
    kind = "telling" if clue.telling else ""
    return (
        _two("p", f"{clue.clue}: {figure}", f"{CLUES_ZH.get(clue.clue, clue.clue)}：{figure}")
        + f'<div class="bar {kind}"><i style="width:{clue.balanced_accuracy:.1%}"></i>'
        f'<s style="left:{clue.low:.1%};width:{clue.high - clue.low:.1%}"></s>'
        f'<u style="left:{chance:.1%}"></u><u class=line style="left:{line:.1%}"></u></div>'
    )


def _foot(found: Findings) -> str:
    info = found.dataset.info
    source = info.provenance
    english = (
        f"Patients: {source.patient or 'as in cases.csv'}. Imported {source.date or 'by hand'}. "
        "Pictures stay on this machine: they are inside this file."
    )
    chinese = (
        f"患者：{source.patient or '见 cases.csv'}。导入日期：{source.date or '手工'}。"
        "图像保存在本文件内，不会离开本机。"
    )
    return _two("p", english, chinese, "foot")
