"""Fills the report: figures, worst cases with heat maps, data, plan, training, model card."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from tomos import evaluate as figures
from tomos.evaluate import Card, Notice, Picture, Report
from tomos.formats import png_bytes, read
from tomos.plan import Plan
from tomos.transforms.prepare import Chain
from tomos.types import FormatError, Image, Progress, Silent
from tomos.types.words import Words, counted, times
from tomos.workflows.background import Background, data_summary, looks_notice, plan_choices
from tomos.workflows.card import NOT_FOR, PURPOSE, USERS, limits
from tomos.workflows.judging import Judged
from tomos.workflows.part import save_metrics

WORST = 8
SHOWN_SIDE = 256
HEAT_MAPS = {
    "cam": Words("class activation map", "类激活图（CAM）"),
    "occlusion": Words("occlusion", "遮挡法"),
    "none": Words("none", "无"),
}


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
        data=data_summary(judged.dataset, known, judged.failed),
        notices=[*known.notices, *_notices(judged)],
        pictures=pictures(judged, progress),
        plan=plan_choices(known.plan),
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
    modalities = ", ".join(manifest.envelope.get("facts", {}).get("modality", {}).get("seen", []))
    size, channels = times(manifest.input.size), manifest.input.channels
    return Card(
        name=manifest.name,
        version=manifest.created[:10],
        purpose=PURPOSE,
        intended_use=PURPOSE,
        not_for=NOT_FOR,
        users=USERS,
        limits=limits(manifest),
        licence=manifest.licence,
        made=manifest.created,
        inputs=Words(
            f"{modalities or 'pictures'}, {counted(channels, 'channel')}, read at {size.en} pixels",
            f"{modalities or '图像'}，{channels} 通道，以 {size.zh} 像素读取",
        ),
        heat_maps=HEAT_MAPS.get(manifest.map_method, manifest.map_method),
        versions=manifest.versions,
    )


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
    found += looks_notice(judged.looks, judged.table.split)
    return found
