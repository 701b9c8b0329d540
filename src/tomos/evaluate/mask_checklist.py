"""The reporting checklist for masks: the same items, some of them answered differently."""

from __future__ import annotations

from dataclasses import replace

from tomos.evaluate.checklist import ITEMS, Item
from tomos.evaluate.mask_view import MaskView
from tomos.evaluate.numbers import count
from tomos.types.words import Text, Words, joined


def _performance(view: MaskView) -> Text:
    said = []
    for metric, name in (("dice", "Dice"), ("nsd", "NSD"), ("hd95", "HD95")):
        entry = view.metrics["overall"][metric]
        if entry["value"] is None or entry["low"] is None:
            continue
        digits = 2 if metric == "hd95" else 3
        span = ", ".join(f"{entry[end]:.{digits}f}" for end in ("low", "high"))
        unit = Words(" ") + view.distance if metric == "hd95" else ""
        said.append(Words(f"{name} {entry['value']:.{digits}f} ({span})") + unit)
    return joined(said, "; ", "；")


def _decision(view: MaskView) -> Text:
    return Words(
        "the most probable class of every voxel; no threshold was chosen",
        "每个体素取概率最高的类别，未设阈值",
    )


def _missing(view: MaskView) -> Text:
    n = count(view.metrics["n_failed"])
    return Words(f"{n} cases could not be read or predicted", f"{n} 例无法读取或预测")


def _failures(view: MaskView) -> Text:
    n = sum(picture.why == "worst" for picture in view.report.pictures)
    return Words(f"{n} worst cases are shown", f"展示最差病例 {n} 例") if n else ""


ANSWERS = {
    "performance": _performance,
    "final": _decision,
    "missing": _missing,
    "failures": _failures,
}
NAMES = {"final": Words("From scores to a mask", "由得分到分割结果")}


def _item(item: Item) -> Item:
    if item.key not in ANSWERS:
        return item
    return replace(item, answer=ANSWERS[item.key], name=NAMES.get(item.key, item.name))


MASK_ITEMS = tuple(_item(item) for item in ITEMS)
