"""A model on one part of a data set: predictions beside what is true, and the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tomos import evaluate as figures
from tomos.config.plugins import did_you_mean
from tomos.datasets import Dataset
from tomos.evaluate import Table
from tomos.inference import Predictor
from tomos.measures.operating import OperatingPoint
from tomos.tasks import classify
from tomos.types import DatasetError, Prediction, Progress, SettingsError, Silent
from tomos.workflows.part import cell_of, columns_of, labelled, look

SHOWN = ("auroc", "average_precision", "accuracy", "sensitivity", "specificity", "brier", "ece")


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A model on one part of a data set.

    referred  cases the model would not decide, with its reason; they are counted all the same
    failed    cases that could not be read, with the reason
    looks     how many models have been judged on these cases so far, this one included
    """

    predictor: Predictor
    dataset: Dataset
    table: Table
    metrics: Mapping[str, Any]
    points: Mapping[str, OperatingPoint]
    predictions: Mapping[str, Prediction] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    looks: int = 0

    @property
    def referred(self) -> dict[str, str]:
        return {n: p.reason for n, p in self.predictions.items() if p.verdict == "refer"}

    @property
    def page(self) -> Path:
        """The report; there is one once `report` has written it."""
        return next(path for path in self.files if path.suffix == ".html")

    def to_json(self) -> dict:
        return dict(self.metrics)

    def lines(self) -> list[str]:
        """The figures for a terminal."""
        head = (
            f"{self.predictor.name} on {self.dataset.info.name}, {self.table.split}: "
            f"{self.metrics['n_cases']} cases, {self.metrics['n_patients']} "
            f"{'patients' if self.table.patients_known else 'cases counted as patients'}"
        )
        lines = [head]
        for name in SHOWN:
            entry = self.metrics["overall"].get(name) or {}
            if entry.get("value") is not None:
                lines.append(f"  {name:<18} {interval(entry)}")
        if self.referred:
            lines.append(f"  {len(self.referred)} would be referred to a reader")
        if self.failed:
            lines.append(f"  {len(self.failed)} could not be read")
        if self.looks > 1:
            lines.append(f"  {self.looks} models have been judged on these cases so far")
        return [*lines, *(f"  {path}" for path in self.files)]


def interval(entry: Mapping[str, Any]) -> str:
    if entry.get("low") is None:
        return f"{entry['value']:.3f}"
    return f"{entry['value']:.3f}  (95 % {entry['low']:.3f} to {entry['high']:.3f})"


def judge(
    predictor: Predictor,
    dataset: Dataset,
    split: str,
    by: Sequence[str] = (),
    prevalence: float | None = None,
    progress: Progress | None = None,
) -> Judged:
    """Predict and score; nothing is written.

    Raises DatasetError when the part has no labelled case or its classes are not the model's.
    """
    progress = progress or Silent()
    part = labelled(predictor, dataset, split)
    _check_wishes(predictor, part, by, prevalence)
    predictions: dict[str, Prediction] = {}
    answers = predictor.predict(part.image(case) for case in part.cases)
    for done, (case, answer) in enumerate(zip(part.cases, answers, strict=True), 1):
        progress.step(done, len(part), f"judging on {split}")
        predictions[case.name] = answer
    failed = {name: p.error for name, p in predictions.items() if p.error}
    part = part.only(case for case in part.cases if case.name not in failed)
    if not len(part):
        raise DatasetError(f"{dataset.folder}: no case of {split!r} could be read")
    whole = {name: p for name, p in predictions.items() if not p.error}
    table = table_of(predictor, part, whole, split)
    points = points_of(predictor)
    scored = figures.score(
        table, for_scoring(points, table), prevalence=prevalence, subgroups=list(by) or None
    )
    looks = look(predictor, dataset, split)
    return Judged(predictor, dataset, table, scored, points, whole, failed, looks=looks)


def _check_wishes(
    predictor: Predictor, part: Dataset, by: Sequence[str], prevalence: float | None
) -> None:
    """Refuse what cannot be done before every case is predicted for it. Raises SettingsError."""
    if prevalence is not None and not 0 < prevalence < 1:
        raise SettingsError(
            f"--prevalence {prevalence:g}: expected a share between 0 and 1, as 0.05 for 5 in 100"
        )
    one_of_several = predictor.manifest.kind != "multilabel" and len(predictor.classes) != 2
    if prevalence is not None and one_of_several:
        raise SettingsError(
            f"--prevalence: for a finding or several findings; {predictor.name} chooses one of "
            f"{len(predictor.classes)} classes, which has no PPV and NPV of its own"
        )
    known = list(dict.fromkeys(["site", *(n for case in part.cases for n in case.clinical)]))
    for column in by:
        if column not in known:
            raise SettingsError(
                f"--by {column}: cases.csv has no such column{did_you_mean(column, known)}"
            )
        if column not in columns_of(part):
            raise SettingsError(f"--by {column}: all {len(part)} cases have the same value there")


def table_of(
    predictor: Predictor, part: Dataset, predictions: Mapping[str, Prediction], split: str
) -> Table:
    """Predictions beside what is true, case by case."""
    target, classes = predictor.manifest.target, predictor.classes
    kind = predictor.manifest.kind
    assert kind != "mask", "models for masks are judged by judging_masks"
    scores = [
        [predictions[case.name].targets[target].scores[name] for name in classes]
        for case in part.cases
    ]
    columns = {
        name: [cell_of(case, name) for case in part.cases]
        for name in columns_of(part)
    }  # fmt: skip
    return Table(
        cases=[case.name for case in part.cases],
        groups=np.array([case.group for case in part.cases]),
        truth=classify.encode(part.cases, target, classes, kind),
        probabilities=np.array(scores),
        classes=classes,
        target=target,
        kind=kind,
        positive=next(iter(predictor.manifest.operating_point.thresholds), "")
        if len(classes) == 2
        else "",
        dataset=part.info.name,
        split=split,
        columns=columns,
        addresses=[part.image(case) for case in part.cases],
        patients_known=all(case.patient for case in part.cases),
    )


def points_of(predictor: Predictor) -> dict[str, OperatingPoint]:
    """The operating points that the model file carries."""
    known = predictor.manifest.operating_point.figures
    return {name: _point(data) for name, data in known.items()}


def _point(data: Mapping[str, Any]) -> OperatingPoint:
    settings = tuple(tuple(pair) for pair in data.get("settings", ()))
    return OperatingPoint(**{**data, "settings": settings})


def for_scoring(points: Mapping[str, OperatingPoint], table: Table):
    if table.is_binary:
        return next(iter(points.values()), None)
    return dict(points) or None
