"""Subgroups: does it work as well for everybody?"""

from __future__ import annotations

from tomos.evaluate.language import both, spaced
from tomos.evaluate.markup import forest, section
from tomos.evaluate.mask_view import MaskView
from tomos.evaluate.names import COLUMNS, metric
from tomos.evaluate.numbers import count
from tomos.evaluate.view import View
from tomos.types import Words

LEVELS = {"not stated": Words("not stated", "未说明"), "other": Words("other", "其他")}


def subgroups(view: View | MaskView, shown: str = "auroc") -> str:
    """One figure by subgroup on one scale, the whole as a line; accuracy beside where it is known.

    shown  AUROC of classes, Dice of masks
    """
    groups = view.metrics.get("subgroups", {})
    overall = view.metrics["overall"]
    blocks = []
    for column, levels in groups.items():
        rows = []
        for level, figures in levels.items():
            entry = figures.get(shown, {})
            name = LEVELS.get(level, _level(level))
            rows.append((both(name), entry, both(_note(entry, figures))))
        low = 0.5 if all((entry.get("low") or 0) >= 0.5 for _, entry, _ in rows) else 0.0
        title = both(COLUMNS.get(column, Words(column)))
        bars = forest(rows, low=low, mark=overall[shown]["value"])
        blocks.append(f'<div class="group"><h3>{title}</h3>{bars}</div>')
    if not blocks:
        return ""
    name = metric(shown)
    lead = Words(
        f"{name.en} by subgroup with 95 % intervals; the upright line is the whole. "
        f"{view.cases.en}. Many subgroups: one of twenty differs by chance.",
        f"各亚组的 {spaced(name.zh)}及 95 % 区间，竖线为总体。{view.cases.zh}。"
        "亚组很多时，约二十分之一会因偶然而不同。",
    )
    body = f'<div class="groups">{"".join(blocks)}</div>'
    return section("subgroups", Words("Subgroups", "亚组"), body, lead)


def _level(level: str) -> Words:
    shown = level.replace(">= ", "≥ ")
    return Words(shown, shown.replace(" to ", " 至 "))


def _note(entry: dict, figures: dict) -> Words:
    n, patients = count(entry.get("n", 0)), count(entry.get("n_patients", 0))
    en, zh = f"n = {n}, {patients} patients", f"n = {n}，{patients} 名患者"
    accuracy = figures.get("accuracy", {}).get("value")
    if accuracy is not None:
        en += f", {metric('accuracy').en.lower()} {accuracy:.3f}"
        zh += f"，{metric('accuracy').zh} {accuracy:.3f}"
    if entry.get("note") == "few cases":
        en, zh = f"{en}. Few cases: rough", f"{zh}。例数少，较粗略"
    return Words(en, zh)
