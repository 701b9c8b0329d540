"""Fills the report of a model for masks."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from tomos import evaluate as figures
from tomos.config import atomic_write
from tomos.evaluate import Card, MaskPicture, MaskReport, Notice
from tomos.inference.memory import OutOfMemory
from tomos.transforms.prepare import Chain, carry_labels
from tomos.types import Case, FormatError, Mask, PackageError, Progress, Silent
from tomos.workflows.background import Background, data_summary, looks_notice, plan_choices
from tomos.workflows.card import (
    MASK_NOT_FOR,
    MASK_PURPOSE,
    USERS,
    grid_said,
    images_said,
    limits,
    tiles_said,
)
from tomos.workflows.judging_masks import MasksJudged, beside
from tomos.workflows.part import save_metrics

WORST = 8
PER_CASE = "per_case.csv"
ORIENT = Chain([{"step": "orient"}])


def report(
    judged: MasksJudged,
    folder: Path,
    background: Background | None = None,
    progress: Progress | None = None,
) -> MasksJudged:
    """Write `metrics.json`, `per_case.csv` and `report.html` to `folder`."""
    progress = progress or Silent()
    known = background or Background()
    page = MaskReport(
        metrics=judged.metrics,
        table=judged.table,
        title=judged.predictor.name,
        card=_card(judged),
        data=data_summary(judged.dataset, known, judged.failed),
        notices=[*known.notices, *_notices(judged)],
        pictures=_pictures(judged, progress),
        plan=plan_choices(known.plan),
        training=known.training,
        made=date.today().isoformat(),
    )
    progress.say("writing the report")
    save_metrics(judged, folder / "metrics.json")
    atomic_write(folder / PER_CASE, figures.per_case_csv(judged.table).encode())
    figures.write_mask_report(folder / "report.html", page)
    files = tuple(folder / name for name in ("metrics.json", PER_CASE, "report.html"))
    return replace(judged, files=files)


def _pictures(judged: MasksJudged, progress: Progress) -> list[MaskPicture]:
    """The worst cases, and for comparison a middling and the best one; predicted once more, since
    masks of all cases at once would not fit into memory."""
    cases = {case.name: case for case in judged.dataset.cases}
    chosen = figures.worst_masks(judged.table, WORST)
    shown = []
    for done, found in enumerate(chosen, 1):
        progress.step(done, len(chosen), "drawing the worst cases")
        try:
            shown.append(_picture(judged, cases[found.case], found))
        except (FormatError, PackageError, OutOfMemory):
            continue
    return shown


def _picture(judged: MasksJudged, case: Case, found: figures.WorstMask) -> MaskPicture:
    seen = beside(judged.predictor, judged.dataset, case)
    mask = seen.found.targets[judged.predictor.manifest.target].mask
    assert mask is not None
    # On the axes that a radiologist expects.
    image = ORIENT(seen.image)
    turned = [
        Mask.on(image, carry_labels(each, image), judged.predictor.classes)
        for each in (replace(seen.truth, names=judged.predictor.classes), mask)
    ]
    return figures.mask_picture(found, image, *turned)


def _card(judged: MasksJudged) -> Card:
    manifest = judged.predictor.manifest
    return Card(
        name=manifest.name,
        version=manifest.created[:10],
        purpose=MASK_PURPOSE,
        intended_use=MASK_PURPOSE,
        not_for=MASK_NOT_FOR,
        users=USERS,
        limits=limits(manifest),
        licence=manifest.licence,
        made=manifest.created,
        inputs=images_said(manifest) + tiles_said(manifest) + grid_said(manifest),
        versions=manifest.versions,
    )


def _notices(judged: MasksJudged) -> list[Notice]:
    """A case that failed, and those that would be referred, are told by the report itself."""
    return looks_notice(judged.looks, judged.table.split)
