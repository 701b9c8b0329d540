"""What a training run knows of its data and plan, in the words of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tomos.datasets import CLUES_ZH, DROPPED_ZH, FOLD, Dataset, Dropped, Findings
from tomos.datasets.split import in_words
from tomos.evaluate import Choice, DataSummary, Notice, Shortcut, Split, Training
from tomos.evaluate.names import split as split_words
from tomos.plan import Plan
from tomos.plan.sentences import UNITS
from tomos.types.words import Text, Words, counted, joined, times

PARTS = {
    "dimensions": Words("Dimensions", "维度"),
    "images": Words("Images", "图像"),
    "prepare": Words("Preparation", "预处理"),
    "augment": Words("Augmentation", "数据增强"),
    "model": Words("Model", "模型"),
    "train": Words("Training", "训练"),
    "recipe": Words("Recipe", "既定方案"),
}
# The steps of preparation and augmentation, as their files are called.
STEPS_ZH = {
    "bias_field": "偏置场",
    "blur": "模糊",
    "border": "去边框",
    "brightness": "亮度",
    "channels": "通道",
    "colour": "颜色",
    "contrast": "对比度",
    "crop": "裁剪",
    "crop_body": "裁剪至人体",
    "cutout": "随机遮挡",
    "denoise": "去噪",
    "elastic": "弹性形变",
    "even": "光照均匀化",
    "flip": "翻转",
    "gamma": "伽马",
    "ghosting": "鬼影",
    "low_resolution": "低分辨率",
    "mixup": "混合（mixup）",
    "motion": "运动伪影",
    "noise": "噪声",
    "normalise": "归一化",
    "orient": "方位统一",
    "pad": "填充",
    "resample": "重采样",
    "resize": "缩放至固定尺寸",
    "rotate": "旋转",
    "scale": "缩放",
    "sharpen": "锐化",
    "shear": "错切",
    "shift": "平移",
    "slice": "取层",
    "window": "窗宽窗位",
}
NAMED = 10  # cases that could not be read, by name in the report


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What a training run knows and an evaluation of a bare model file does not."""

    plan: Plan | None = None
    training: Training | None = None
    findings: Findings | None = None
    dropped: Sequence[Dropped] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[Notice] = ()


def data_summary(dataset: Dataset, known: Background, failed: Mapping[str, str]) -> DataSummary:
    """The data as the report tells them; `failed`: cases that could not be judged."""
    info = dataset.info
    parts = ["train", "val", "test"]
    if len(dataset.split(FOLD)):
        parts.append(FOLD)
    findings = known.findings
    return DataSummary(
        name=info.name,
        source=info.provenance.source,
        licence=info.licence,
        modalities=info.modalities,
        splits=[_split(dataset, name) for name in parts],
        split_rule=in_words(info.provenance.split),
        dropped=_dropped(known, failed),
        problems=[Words(p.message, p.chinese) for p in findings.problems] if findings else (),
        shortcuts=_shortcuts(findings) if findings else (),
    )


def _split(dataset: Dataset, name: str) -> Split:
    part = dataset.split(name)
    # What a mask shows is not known by its address.
    counts = Counter(label for label in part.labels if label and dataset.kind != "mask")
    return Split(name, len(part), len({case.group for case in part.cases}), dict(counts))


def _dropped(known: Background, failed: Mapping[str, str]) -> list[tuple[Words, int]]:
    reasons = Counter((gone.reason, gone.split) for gone in known.dropped)
    lines = [
        (Words(f"{reason} ({split})", f"{DROPPED_ZH[reason]}（{split_words(split).zh}）"), n)
        for (reason, split), n in reasons.items()
    ]
    unread = [*known.skipped, *failed]
    if unread:
        named = ", ".join(unread[:NAMED]) + (", …" if len(unread) > NAMED else "")
        lines.append((Words(f"could not be read: {named}", f"无法读取：{named}"), len(unread)))
    return lines


def _shortcuts(findings: Findings) -> list[Shortcut]:
    return [
        Shortcut(
            name=Words(found.clue, CLUES_ZH.get(found.clue, found.clue)),
            value=found.balanced_accuracy,
            low=found.low,
            high=found.high,
            n=found.n,
            split="all",
            metric="balanced_accuracy",
            chance=found.chance,
        )
        for found in findings.shortcuts
    ]


def plan_choices(plan: Plan | None) -> list[Choice]:
    """The plan, one line a part, with its reasons."""
    if plan is None:
        return []
    value: dict[str, Callable[[], Text]] = {
        "dimensions": lambda: _of_kinds(plan, _seen),
        "prepare": lambda: _steps(plan.prepare),
        "augment": lambda: _of_kinds(plan, lambda kind: _steps(kind.augment)),
        "model": lambda: _of_kinds(plan, _networks),
        "train": lambda: _of_kinds(plan, _learning),
        "recipe": lambda: plan.recipe,
    }
    return [
        Choice(PARTS.get(part, Words(part)), value.get(part, str)(), reason)
        for part, reason in plan.why.items()
    ]


def _of_kinds(plan: Plan, told: Callable[[Plan], Words]) -> Words:
    """Of each kind of network; what they have in common is said once."""
    return joined(list(dict.fromkeys(map(told, plan.kinds))), "; ", "；")


def _steps(steps: Sequence[Mapping[str, Any]]) -> Words:
    each = [Words(step["step"], STEPS_ZH.get(step["step"], "")) for step in steps]
    return joined(each, ", ", "、") or Words("none", "无")


def _seen(kind: Plan) -> Words:
    if len(kind.size) == 3:
        return Words("volumes", "三维")
    if not kind.context:
        return Words("slices", "逐层")
    k = kind.context
    return Words(f"slices with {counted(k, 'neighbour')} on each side", f"逐层，两侧各参考 {k} 层")


def _networks(kind: Plan) -> Words:
    n, name = kind.train.members, kind.model.name
    sides, units = times(kind.size), UNITS[len(kind.size)]
    return Words(
        f"{n} x {name} at {sides.en} {units.en}", f"{n} 个 {name}，输入 {sides.zh} {units.zh}"
    )


def _learning(kind: Plan) -> Words:
    train = kind.train
    return Words(
        f"{train.optimiser}, learning rate {train.learning_rate:g}, "
        f"{counted(train.epochs, 'epoch')}",
        f"{train.optimiser}，学习率 {train.learning_rate:g}，{train.epochs} 轮",
    )


def looks_notice(looks: int, split: str) -> list[Notice]:
    """A test part that several models were judged on is no longer quite a test."""
    if looks < 2 or split != "test":
        return []
    return [
        Notice(
            Words(
                f"{looks} models have been judged on these cases so far. Choosing between models "
                "by them makes the chosen one look better than it is.",
                f"迄今已有 {looks} 个模型在这些病例上评估过。若据此挑选模型，"
                "被选中的模型会显得比实际更好。",
            ),
            serious=False,
        )
    ]
