"""Fills the report: figures, worst cases with heat maps, data, plan, training, model card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np

from tomos import evaluate as figures
from tomos.datasets import CLUES_ZH, DROPPED_ZH, FOLD, Dropped, Findings
from tomos.evaluate import (
    Card,
    Choice,
    DataSummary,
    Notice,
    Picture,
    Report,
    Shortcut,
    Split,
    Training,
    Words,
)
from tomos.evaluate.names import split as split_words
from tomos.formats import png_bytes, read
from tomos.plan import Plan
from tomos.transforms.prepare import Chain
from tomos.types import FormatError, Image, Progress, Silent
from tomos.workflows.card import NOT_FOR, PURPOSE, USERS
from tomos.workflows.judging import Judged, save_metrics

WORST = 8
SHOWN_SIDE = 256
PARTS = {
    "prepare": Words("Preparation", "预处理"),
    "augment": Words("Augmentation", "数据增强"),
    "model": Words("Model", "模型"),
    "train": Words("Training", "训练"),
    "recipe": Words("Recipe", "既定方案"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What a training run knows and an evaluation of a bare model file does not."""

    plan: Plan | None = None
    training: Training | None = None
    findings: Findings | None = None
    dropped: Sequence[Dropped] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[Notice] = ()


def report(
    judged: Judged,
    folder: Path,
    background: Background | None = None,
    progress: Progress | None = None,
) -> Judged:
    """Write `metrics.json` and `report.html` to `folder`."""
    progress = progress or Silent()
    known = background or Background()
    page = Report(
        metrics=judged.metrics,
        table=judged.table,
        operating=next(iter(judged.points.values()), None) if judged.table.is_binary else None,
        title=judged.predictor.name,
        card=_card(judged, known.plan),
        data=_data(judged, known),
        notices=[*known.notices, *_notices(judged)],
        pictures=pictures(judged, progress),
        plan=_plan(known.plan),
        training=known.training,
        made=date.today().isoformat(),
    )
    progress.say("writing the report")
    save_metrics(judged, folder / "metrics.json")
    figures.write_report(folder / "report.html", page)
    return replace(judged, files=(folder / "metrics.json", folder / "report.html"))


def pictures(judged: Judged, progress: Progress, n: int = WORST) -> list[Picture]:
    """The worst cases as pictures, each with the heat map of what was said."""
    from tomos.explain import heatmap

    points = judged.points
    binary = judged.table.is_binary
    chosen = figures.worst(judged.table, next(iter(points.values()), None) if binary else points, n)
    shown = []
    for done, found in enumerate(chosen, 1):
        progress.step(done, len(chosen), "explaining the worst cases")
        try:
            image = read(found.address)
        except FormatError:
            continue
        heat = heatmap(judged.predictor, image, _shown_class(judged, found.said))
        shown.append(
            Picture(
                case=found.case,
                image=_png(image),
                truth=found.truth,
                said=found.said,
                probability=found.probability,
                heat=_smaller(heat).pixels[0],
                note="" if not found.right else Words("right, but close", "正确，但接近阈值"),
            )
        )
    return shown


def _shown_class(judged: Judged, said: str) -> str:
    """The map is of what was said; for "no NAME" of a multilabel target, of NAME."""
    return said if said in judged.table.classes else said.removeprefix("no ")


def _smaller(image: Image) -> Image:
    longest = max(image.size)
    if longest <= SHOWN_SIDE:
        return image.with_pixels(np.asarray(image.pixels, np.float32))
    size = [max(1, round(length * SHOWN_SIDE / longest)) for length in image.size]
    return Chain([{"step": "resize", "size": size}])(image)


def _png(image: Image) -> bytes:
    """As a viewer would show it: the file's window, else all values; 8 bit."""
    windowed = Chain([{"step": "window", "source": "file"}])(image)
    pixels = _smaller(windowed).pixels
    return png_bytes(np.clip(np.round(pixels * 255), 0, 255).astype(np.uint8))


def _card(judged: Judged, plan: Plan | None) -> Card:
    manifest = judged.predictor.manifest
    limits: list[Words] = []
    if not manifest.dataset.get("patients_known", True):
        limits.append(
            Words(
                "Patients are not named in the data: intervals count every case as a patient.",
                "数据未标明患者：置信区间把每个病例当作一名患者。",
            )
        )
    limits.append(
        Words(
            "Made and tested on one data set; on another hospital's images figures can be lower.",
            "仅在一个数据集上训练和测试；在其他医院的图像上指标可能下降。",
        )
    )
    modalities = ", ".join(manifest.envelope.get("facts", {}).get("modality", {}).get("seen", []))
    size = " x ".join(map(str, manifest.input.size))
    return Card(
        name=manifest.name,
        version=manifest.created[:10],
        purpose=PURPOSE,
        intended_use=PURPOSE,
        not_for=NOT_FOR,
        users=USERS,
        limits=limits,
        licence=manifest.licence,
        made=manifest.created,
        inputs=Words(
            f"{modalities or 'pictures'}, {manifest.input.channels} channel(s), read at {size} px",
            f"{modalities or '图像'}，{manifest.input.channels} 通道，以 {size} 像素读取",
        ),
        heat_maps=manifest.map_method,
        versions=manifest.versions,
    )


def _data(judged: Judged, known: Background) -> DataSummary:
    info = judged.dataset.info
    parts = ["train", "val", "test"]
    if len(judged.dataset.split(FOLD)):
        parts.append(FOLD)
    findings = known.findings
    return DataSummary(
        name=info.name,
        source=info.provenance.source,
        licence=info.licence,
        modalities=info.modalities,
        splits=[_split(judged, name) for name in parts],
        split_rule=info.provenance.split,
        dropped=_dropped(known, judged.failed),
        problems=[Words(p.message, p.chinese) for p in findings.problems] if findings else (),
        shortcuts=_shortcuts(findings) if findings else (),
    )


def _split(judged: Judged, name: str) -> Split:
    part = judged.dataset.split(name)
    counts = Counter(label for label in part.labels if label)
    return Split(name, len(part), len({case.group for case in part.cases}), dict(counts))


def _dropped(known: Background, failed: Mapping[str, str]) -> list[tuple[Words, int]]:
    reasons = Counter((gone.reason, gone.split) for gone in known.dropped)
    lines = [
        (Words(f"{reason} ({split})", f"{DROPPED_ZH[reason]}（{split_words(split).zh}）"), n)
        for (reason, split), n in reasons.items()
    ]
    unread = len(known.skipped) + len(failed)
    if unread:
        lines.append((Words("could not be read", "无法读取"), unread))
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


def _plan(plan: Plan | None) -> list[Choice]:
    if plan is None:
        return []
    value: dict[str, Callable[[], str]] = {
        "prepare": lambda: ", ".join(step["step"] for step in plan.prepare),
        "augment": lambda: ", ".join(step["step"] for step in plan.augment) or "none",
        "model": lambda: (
            f"{plan.train.members} x {plan.model.name} at {' x '.join(map(str, plan.size))}"
        ),
        "train": lambda: (
            f"{plan.train.optimiser}, {plan.train.learning_rate:g}, {plan.train.epochs} epochs"
        ),
        "recipe": lambda: plan.recipe,
    }
    return [
        Choice(PARTS.get(part, Words(part)), value.get(part, str)(), reason)
        for part, reason in plan.reasons.items()
    ]


def _notices(judged: Judged) -> list[Notice]:
    found = []
    if judged.referred:
        n, total = len(judged.referred), len(judged.table.cases)
        found.append(
            Notice(
                Words(
                    f"{n} of {total} cases would be referred to a reader (unusual picture, or too "
                    "near to the threshold). The figures below count the model's answer on all.",
                    f"{total} 个病例中有 {n} 个会转交阅片者（图像异常或过于接近阈值）。"
                    "下列指标仍统计模型对全部病例的回答。",
                ),
                serious=False,
            )
        )
    if judged.looks > 1 and judged.table.split == "test":
        found.append(
            Notice(
                Words(
                    f"{judged.looks} models have been judged on these cases so far. Choosing "
                    "between models by them makes the chosen one look better than it is.",
                    f"迄今已有 {judged.looks} 个模型在这些病例上评估过。若据此挑选模型，"
                    "被选中的模型会显得比实际更好。",
                ),
                serious=False,
            )
        )
    return found
