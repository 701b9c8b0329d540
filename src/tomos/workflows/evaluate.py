"""`tomos evaluate`: a model on a data set -> metrics.json and report.html; two -> comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tomos import datasets
from tomos import evaluate as figures
from tomos.config import atomic_write, writable_or_raise
from tomos.inference import MaskPredictor, predictor
from tomos.types import Progress, SettingsError, Silent
from tomos.workflows.judging import Judged, for_scoring, interval, judge
from tomos.workflows.judging_masks import TOLERANCE, MasksJudged, Tolerance
from tomos.workflows.judging_masks import judge as judge_masks
from tomos.workflows.report import report
from tomos.workflows.report_masks import report as report_masks


def evaluate(
    model: str | Path,
    dataset: str | Path,
    *,
    split: str = "test",
    out: str | Path | None = None,
    by: Sequence[str] = (),
    prevalence: float | None = None,
    tolerance: Tolerance | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> Judged | MasksJudged:
    """Predict every labelled case of `split`, and write figures and report to `out`.

    out        a folder; beside the model, named by data set and split, where none is given
    tolerance  of the NSD of masks, mm: one for all classes, or class -> its own (1)
    """
    progress = progress or Silent()
    model = model_file(model)
    using, opened = predictor(model, threads=threads), datasets.open(dataset)
    folder = Path(out) if out else model.parent / f"{opened.info.name}-{split}"
    writable_or_raise(folder)
    if isinstance(using, MaskPredictor):
        _no_prevalence(prevalence)
        near = TOLERANCE if tolerance is None else tolerance
        masks = judge_masks(using, opened, split, by, near, progress)
        return report_masks(masks, folder, progress=progress)
    _no_tolerance(tolerance)
    judged = judge(using, opened, split, by, prevalence, progress)
    return report(judged, folder, progress=progress)


def _no_prevalence(prevalence: float | None) -> None:
    if prevalence is not None:
        raise SettingsError("--prevalence: for classes; a mask has no PPV and NPV")


def _no_tolerance(tolerance: Tolerance | None) -> None:
    if tolerance is not None:
        raise SettingsError("--tolerance: for the surfaces of masks; classes have none")


def model_file(model: str | Path) -> Path:
    """The model file itself, where the folder of its run is given."""
    path = Path(model)
    return path / "model.tomos" if path.is_dir() else path


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Two models on the same cases; differences are second minus first."""

    first: Judged | MasksJudged
    second: Judged | MasksJudged
    result: Mapping[str, Any]
    page: Path

    def to_json(self) -> dict:
        return dict(self.result)

    def lines(self) -> list[str]:
        lines = [f"{self.first.table.dataset}, {self.first.table.split}: second minus first"]
        for name, row in self.result["metrics"].items():
            if row["difference"]["value"] is not None:
                lines.append(f"  {name:<18} {interval(row['difference'])}")
        return [*lines, f"  {self.page}"]


def compare(
    first: str | Path,
    second: str | Path,
    dataset: str | Path,
    *,
    split: str = "test",
    out: str | Path | None = None,
    by: Sequence[str] = (),
    prevalence: float | None = None,
    tolerance: Tolerance | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> Compared:
    """Paired comparison on the cases that both can read -> comparison.json and .html in `out`.

    `out` defaults to the folder of the second model; `tolerance` as in `evaluate`. Raises
    DatasetError when classes differ.
    """
    files = model_file(first), model_file(second)
    opened = datasets.open(dataset)
    folder = Path(out) if out else files[1].parent
    writable_or_raise(folder)
    models = [predictor(model, threads=threads) for model in files]
    if any(isinstance(model, MaskPredictor) for model in models):
        _no_prevalence(prevalence)
        near = TOLERANCE if tolerance is None else tolerance
        pair, result = _compared_masks(models, opened, (split, by, near), _names(*files), progress)
    else:
        _no_tolerance(tolerance)
        pair, result = _compared(models, opened, split, by, prevalence, _names(*files), progress)
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    atomic_write(folder / "comparison.json", text.encode())
    figures.write_comparison(folder / "comparison.html", result)
    return Compared(pair[0], pair[1], result, folder / "comparison.html")


def _compared(models, opened, split, by, prevalence, names, progress):
    pair = [judge(model, opened, split, by, prevalence, progress) for model in models]
    both = set(pair[0].table.cases) & set(pair[1].table.cases)
    tables = [
        judged.table.rows(np.array([case in both for case in judged.table.cases]))
        for judged in pair
    ]
    points = tuple(for_scoring(judged.points, judged.table) for judged in pair)
    return pair, figures.compare(tables[0], tables[1], points, names)


def _compared_masks(models, opened, how, names, progress):
    told = {isinstance(model, MaskPredictor): model.name for model in models}
    if len(told) > 1:
        raise SettingsError(
            f"expected two models of one kind: {told[False]} tells classes and {told[True]} "
            "outlines masks; compare each with one of its own kind"
        )
    split, by, tolerance = how
    pair = [judge_masks(model, opened, split, by, tolerance, progress) for model in models]
    return pair, figures.compare_masks(pair[0].table, pair[1].table, names)


def _names(first: Path, second: Path) -> tuple[str, str]:
    """What tells the two files apart: their names, else their folders."""
    if first.stem != second.stem:
        return first.stem, second.stem
    return first.resolve().parent.name, second.resolve().parent.name
