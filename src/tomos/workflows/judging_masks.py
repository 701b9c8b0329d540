"""A model for masks on one part of a data set: its masks beside the true ones, and the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from tomos import datasets
from tomos import evaluate as figures
from tomos.config.plugins import did_you_mean
from tomos.datasets import Dataset
from tomos.evaluate import MaskTable
from tomos.evaluate.mask_table import Unit
from tomos.inference import MaskPredictor
from tomos.inference.masks import Scores
from tomos.inference.memory import OutOfMemory
from tomos.measures.segmentation import LabelFigures, measure
from tomos.measures.voxel_ranking import voxel_auroc
from tomos.transforms.prepare import carry_labels
from tomos.types import (
    Case,
    DatasetError,
    FormatError,
    Image,
    Mask,
    PackageError,
    Prediction,
    Progress,
    SettingsError,
    Silent,
)
from tomos.workflows.part import cell_of, columns_of, labelled, look

SHOWN = ("dice", "iou", "nsd", "hd95", "auroc")
TOLERANCE = 1.0  # mm, of the NSD where nothing else is said; voxels where no size is known
Tolerance = float | Mapping[str, float]
"""Of the NSD: one for all classes, or class -> its own, and `TOLERANCE` for those not named."""


@dataclass(frozen=True, slots=True, eq=False)
class MasksJudged:
    """A model for masks on one part of a data set.

    failed  cases that could not be read, with the reason
    looks   how many models have been judged on these cases so far, this one included
    """

    predictor: MaskPredictor
    dataset: Dataset
    table: MaskTable
    metrics: Mapping[str, Any]
    predictions: Mapping[str, Prediction] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    looks: int = 0

    @property
    def page(self) -> Path:
        """The report; there is one once `report` has written it."""
        return next(path for path in self.files if path.suffix == ".html")

    def to_json(self) -> dict:
        return dict(self.metrics)

    def lines(self) -> list[str]:
        """The figures for a terminal."""
        people = "patients" if self.table.patients_known else "cases counted as patients"
        lines = [
            f"{self.predictor.name} on {self.dataset.info.name}, {self.table.split}: "
            f"{self.metrics['n_cases']} cases, {self.metrics['n_patients']} {people}"
        ]
        for name in SHOWN:
            entry = self.metrics["overall"].get(name) or {}
            if entry.get("value") is None:
                continue
            each = ", ".join(
                f"{label} {of[name]['value']:.3f}"
                for label, of in self.metrics["per_class"].items()
                if (of.get(name) or {}).get("value") is not None
            )
            low, high = entry.get("low"), entry.get("high")
            span = "" if low is None else f"  (95 % {low:.3f} to {high:.3f})"
            lines.append(f"  {name:<6} {entry['value']:.3f}{span}  {each}")
        if n := self.metrics["n_referred"]:
            total = self.metrics["n_cases"]
            lines.append(f"  {n} of {total} would be referred to a reader")
        if self.failed:
            lines.append(f"  {len(self.failed)} could not be read or segmented")
        if self.looks > 1:
            lines.append(f"  {self.looks} models have been judged on these cases so far")
        return [*lines, *(f"  {path}" for path in self.files)]


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """One case: its image, what is true, what was found."""

    image: Image
    truth: Mask
    roi: np.ndarray | None
    found: Prediction
    figures: Mapping[str, LabelFigures]
    auroc: Mapping[str, float]


def judge(
    predictor: MaskPredictor,
    dataset: Dataset,
    split: str,
    by: Sequence[str] = (),
    tolerance: Tolerance = TOLERANCE,
    progress: Progress | None = None,
) -> MasksJudged:
    """Predict and score every case of `split` that has a mask; nothing is written. A case that
    cannot be read or does not fit into memory is left out, and told in `failed`.

    Raises DatasetError when the part has no case with a mask or its classes are not the model's,
    SettingsError for a tolerance that is not above 0 or of a class that the model has not.
    """
    progress = progress or Silent()
    tolerances = each_tolerance(predictor.classes, tolerance)
    part = labelled(predictor, dataset, split).seen_as(predictor.roles)
    found: dict[str, Prediction] = {}
    measured: list[Mapping[str, LabelFigures]] = []
    failed: dict[str, str] = {}
    ranked: list[Mapping[str, float]] = []
    kept: list[Case] = []
    unit: Unit = "voxels"
    for done, case in enumerate(part.cases, 1):
        progress.step(done, len(part), f"judging on {split}")
        try:
            seen = beside(predictor, part, case, tolerances)
        except (FormatError, PackageError, OutOfMemory) as error:
            failed[case.name] = str(error)
            continue
        except MemoryError:
            failed[case.name] = f"{part.image(case)}: not enough memory to measure its masks"
            continue
        found[case.name] = _light(seen.found)
        unit = seen.truth.unit
        measured.append(seen.figures)
        ranked.append(seen.auroc)
        kept.append(case)
    if not kept:
        first = next(iter(failed.values()))
        raise DatasetError(f"{dataset.folder}: no case of {split!r} could be judged; {first}")
    table = _table(predictor, part.only(kept), measured, found, (split, unit, failed), ranked)
    scored = figures.score_masks(table, subgroups=list(by) or None)
    looks = look(predictor, dataset, split)
    return MasksJudged(predictor, dataset, table, scored, found, failed, looks=looks)


def each_tolerance(classes: Sequence[str], tolerance: Tolerance) -> list[float]:
    """One tolerance a class, in their order. Raises SettingsError."""
    if not isinstance(tolerance, Mapping):
        tolerance = dict.fromkeys(classes, tolerance)
    for name, value in tolerance.items():
        if name not in classes:
            raise SettingsError(
                f"--tolerance {name}={value:g}: no class {name!r}"
                f"{did_you_mean(name, list(classes))}"
            )
        if not 0 < value < inf:
            raise SettingsError(f"--tolerance {value:g}: expected mm above 0, as 1.5")
    return [float(tolerance.get(name, TOLERANCE)) for name in classes]


def tolerance_said(text: str) -> Tolerance:
    """What was written on the command line: "1.5", or "liver=2,tumour=1". Raises SettingsError."""
    parts = [part.rpartition("=") for part in text.split(",")]
    try:
        found = {name.strip(): float(value) for name, _, value in parts}
    except ValueError:
        found = {}
    if len(found) != len(parts) or ("" in found and len(parts) > 1):
        raise SettingsError(
            f"--tolerance {text}: expected mm, as 1.5, or one for each class, as liver=2,tumour=1"
        )
    return found.get("", found)


def beside(
    predictor: MaskPredictor,
    part: Dataset,
    case: Case,
    tolerance_mm: float | Sequence[float] = TOLERANCE,
) -> Beside:
    """A case with its truth and what the model finds, on the image's own grid."""
    image = part.read(case)
    target = part.target(predictor.manifest.target)
    truth, inside = datasets.true_mask(part, case, image), datasets.region(case, image)
    roi = None if inside is None else inside.labels > 0
    scores = predictor.scores(image)
    prediction = predictor.predict_image(image, part.image(case), scores=scores)
    mask = prediction.targets[predictor.manifest.target].mask
    assert mask is not None
    order = [0, *(predictor.classes.index(name) + 1 for name in target.classes)]
    labels = np.array(order, np.uint8)[truth.labels]
    truth = truth.with_labels(labels)
    known = measure(mask.labels, labels, predictor.classes, image.spacing, tolerance_mm, roi)
    ranked = _auroc(scores, replace(truth, names=predictor.classes), inside)
    return Beside(image, truth, roi, prediction, known, ranked)


def _auroc(scores: Scores | None, truth: Mask, inside: Mask | None) -> dict[str, float]:
    """Class -> how well its probability ranks voxels, on the prepared grid; NaN where the class is
    not there, or the image too large to hold all its scores."""
    if scores is None:
        return dict.fromkeys(truth.names, float("nan"))
    labels = carry_labels(truth, scores.prepared)
    roi = None if inside is None else carry_labels(inside, scores.prepared) > 0
    chances = scores.probabilities
    return {
        name: voxel_auroc(chances[k], labels == k, roi) for k, name in enumerate(truth.names, 1)
    }


def _light(prediction: Prediction) -> Prediction:
    """Without the mask itself: a hundred volumes at once would not fit into memory."""
    targets = {name: replace(a, mask=None, doubt=None) for name, a in prediction.targets.items()}
    return replace(prediction, targets=targets)


def _table(
    predictor: MaskPredictor,
    part: Dataset,
    measured: Sequence[Mapping[str, LabelFigures]],
    found: Mapping[str, Prediction],
    about: tuple[str, Unit, Mapping[str, str]],
    ranked: Sequence[Mapping[str, float]],
) -> MaskTable:
    split, unit, failed = about
    columns = [name for name in columns_of(part) if name != "roi"]
    return MaskTable(
        cases=[case.name for case in part.cases],
        groups=np.array([case.group for case in part.cases]),
        figures=measured,
        classes=predictor.classes,
        target=predictor.manifest.target,
        dataset=part.info.name,
        split=split,
        columns={name: [cell_of(case, name) for case in part.cases] for name in columns},
        addresses=[part.image(case) for case in part.cases],
        unit=unit,
        auroc=ranked,
        failed=failed,
        patients_known=all(case.patient for case in part.cases),
        verdicts=[(found[c.name].verdict, found[c.name].reason) for c in part.cases],
    )
