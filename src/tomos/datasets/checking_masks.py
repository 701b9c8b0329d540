"""Looking over the masks of a data set: can each be laid on its image, and what does it hold?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tomos import formats
from tomos.datasets.cases import SPLITS
from tomos.datasets.dataset import Dataset
from tomos.datasets.findings import Problem, Severity, problem
from tomos.datasets.shelf import crooked, laid_mask
from tomos.datasets.survey import in_threads
from tomos.types import Case, FormatError, Progress

TINY = 0.001  # of the image: a label whose median share is below it is hard to learn


@dataclass
class Seen:
    """What was found: for each row the voxels of each label, or why there are none."""

    counts: dict[int, np.ndarray] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    crooked: dict[int, str] = field(default_factory=dict)
    repaired: dict[int, str] = field(default_factory=dict)


def mask_problems(dataset: Dataset, progress: Progress) -> Iterator[Problem]:
    """Problems of the masks alone; those of the images are told by `check`."""
    seen = _look(dataset, progress)
    yield from _files(dataset, seen)
    if not seen.counts:
        return
    empty = [row for row, counts in seen.counts.items() if not counts[1:].any()]
    if empty:
        yield problem("masks_empty", _names(dataset, empty), n=len(empty), total=len(seen.counts))
    yield from _labels(dataset, seen)


def _look(dataset: Dataset, progress: Progress) -> Seen:
    seen = Seen()
    rows = [row for row, cell in enumerate(dataset.labels) if cell]
    work = in_threads(lambda row: _one(dataset, dataset.cases[row]), iter(rows))
    for done, (row, found) in enumerate(work, 1):
        progress.step(done, len(rows), "masks looked at")
        if found is None:
            continue
        if isinstance(found, str):
            seen.errors[row] = found
            continue
        seen.counts[row], seen.sizes[row], notes, slanted = found
        if notes:
            seen.repaired[row] = notes[0]
        if slanted:
            seen.crooked[row] = slanted
    return seen


def _one(dataset: Dataset, case: Case) -> tuple[np.ndarray, int, list[str], str] | str | None:
    """Voxels of each label, of all, notes, and why it is not learned from; or what is wrong with
    the mask; None where the image is."""
    try:
        image = formats.read(dataset.image(case))
    except FormatError:
        return None  # `check` has told of it
    try:
        mask, notes = laid_mask(dataset, case, image)
    except FormatError as error:
        return str(error)
    return np.array([0, *mask.counts().values()]), mask.labels.size, notes, crooked(image)


def _files(dataset: Dataset, seen: Seen) -> Iterator[Problem]:
    if seen.errors:
        rows = sorted(seen.errors)
        yield problem(
            "masks_unfit",
            _names(dataset, rows),
            n=len(rows),
            total=len(rows) + len(seen.counts),
            first=seen.errors[rows[0]],
        )
    if seen.crooked:
        rows = sorted(seen.crooked)
        total, first = len(seen.errors) + len(seen.counts), seen.crooked[rows[0]]
        yield problem("axes_slanted", _names(dataset, rows), n=len(rows), total=total, first=first)
    if seen.repaired:
        rows = sorted(seen.repaired)
        first = seen.repaired[rows[0]]
        yield problem("masks_repaired", _names(dataset, rows), n=len(rows), first=first)


def _labels(dataset: Dataset, seen: Seen) -> Iterator[Problem]:
    for k, name in enumerate(dataset.classes, 1):
        there = [row for row, counts in seen.counts.items() if counts[k]]
        splits = {dataset.cases[row].split for row in there}
        lacking = [s for s in SPLITS if s not in splits and len(dataset.split(s))]
        if lacking:
            severity: Severity = "error" if "train" in lacking else "warning"
            said = ", ".join(lacking)
            yield problem("class_missing", severity=severity, label=name, splits=said)
        if not there:
            continue
        share = float(np.median([seen.counts[row][k] / seen.sizes[row] for row in there]))
        if share < TINY:
            yield problem("label_tiny", label=name, share=100 * share)


def _names(dataset: Dataset, rows: list[int]) -> list[str]:
    return [dataset.cases[row].name for row in rows]
