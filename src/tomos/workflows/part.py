"""One part of a data set, as judging sees it, whatever the task."""

from __future__ import annotations

import json
from pathlib import Path

from tomos import datasets
from tomos.config import atomic_write
from tomos.datasets import Dataset
from tomos.inference import AnyPredictor
from tomos.types import Case, DatasetError, StorageError
from tomos.workflows.job import Judged


def look(predictor: AnyPredictor, dataset: Dataset, split: str) -> int:
    """Count this look at the part; a data set in a read-only place is not counted."""
    # By its graphs: the file itself changes when the figures are written into it.
    mark = ",".join(part.sha256[:16] for part in predictor.manifest.graphs)
    try:
        return datasets.look(dataset, mark, split)
    except StorageError:
        return 0


def labelled(predictor: AnyPredictor, dataset: Dataset, split: str) -> Dataset:
    """The cases of `split` that have a label or a mask. Raises DatasetError where there is none, or
    the model does not know its classes."""
    target = predictor.manifest.target
    has = tuple(dataset.info.targets)
    if target not in has:
        raise DatasetError(
            f"{dataset.folder}: the model answers {target!r} ({predictor.manifest.kind}), and the "
            f"data set holds {', '.join(map(repr, has))}; judge it on a data set of its own task"
        )
    part = dataset.split(split)
    part = part.only(case for case in part.cases if case.targets.get(target, "") != "")
    if not len(part):
        raise DatasetError(
            f"{dataset.folder}: split {split!r} has no case with a label for {target!r}; "
            "choose another with --split"
        )
    given = dataset.target(target).classes
    if set(given) - set(predictor.classes):
        raise DatasetError(
            f"{dataset.folder}: its classes are {', '.join(given)}; the model knows "
            f"{', '.join(predictor.classes)}. Rename them in cases.csv and dataset.toml"
        )
    return part


def columns_of(part: Dataset) -> list[str]:
    """site and every clinical column that holds more than one value."""
    names = ["site", *dict.fromkeys(name for case in part.cases for name in case.clinical)]
    return [name for name in names if len({cell_of(case, name) for case in part.cases}) > 1]


def cell_of(case: Case, name: str) -> str:
    return case.site if name == "site" else case.clinical.get(name, "")


def save_metrics(judged: Judged, path: Path) -> None:
    """`metrics.json`"""
    text = json.dumps(judged.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    atomic_write(path, text.encode())
