"""Looking over the masks of a data set: can each be laid on its image, and what does it hold?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tomos import formats
from tomos.datasets.cases import SPLITS
from tomos.datasets.dataset import Dataset
from tomos.datasets.findings import Problem, class_missing, problem
from tomos.datasets.shelf import laid_mask
from tomos.datasets.survey import in_threads
from tomos.types import Case, FormatError, Image, Progress

TINY = 0.001  # of the image: a label whose median share is below it is hard to learn


@dataclass
class Seen:
    """What was found: for each row the voxels of each label, or why there are none.

    unread  row -> why its images cannot be read, or not be put on one grid
    """

    counts: dict[int, np.ndarray] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    slanted: dict[int, str] = field(default_factory=dict)
    repaired: dict[int, str] = field(default_factory=dict)
    unread: dict[int, str] = field(default_factory=dict)


def mask_problems(dataset: Dataset, seen: Seen) -> Iterator[Problem]:
    """Problems of the masks alone; those of the images are told by `check`."""
    yield from _files(dataset, seen)
    if not seen.counts:
        return
    empty = [row for row, counts in seen.counts.items() if not counts[1:].any()]
    if empty:
        yield problem("masks_empty", _names(dataset, empty), n=len(empty), total=len(seen.counts))
    yield from _labels(dataset, seen)


def look_at_masks(dataset: Dataset, progress: Progress) -> Seen:
    """Lays every mask on its image."""
    seen = Seen()
    rows = [row for row, cell in enumerate(dataset.labels) if cell]
    work = in_threads(lambda row: _one(dataset, dataset.cases[row]), iter(rows))
    for done, (row, found) in enumerate(work, 1):
        progress.step(done, len(rows), "masks looked at")
        if isinstance(found, FormatError):
            seen.unread[row] = str(found)
            continue
        if isinstance(found, str):
            seen.errors[row] = found
            continue
        seen.counts[row], seen.sizes[row], notes, slanted = found
        if notes:
            seen.repaired[row] = notes[0]
        if slanted:
            seen.slanted[row] = slanted
    return seen


def _one(
    dataset: Dataset, case: Case
) -> tuple[np.ndarray, int, list[str], str] | str | FormatError:
    """Voxels of each label, of all, notes, and how far the axes are from right angles; or what is
    wrong with the mask; what is wrong with the image."""
    try:
        image = dataset.read(case)
    except FormatError as error:
        return error
    try:
        mask, notes = laid_mask(dataset, case, image)
    except FormatError as error:
        return str(error)
    return np.array([0, *mask.counts().values()]), mask.labels.size, notes, _slanted(image)


def _slanted(image: Image) -> str:
    """The file with the smallest angle between two of its axes; "" where they are straight."""
    degrees = formats.slant(image)
    return "" if degrees == 90 else f"{image.origin.path or 'image'} ({degrees:.1f}°)"


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
    if seen.slanted:
        rows = sorted(seen.slanted)
        total, first = len(seen.errors) + len(seen.counts), seen.slanted[rows[0]]
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
            yield class_missing(name, lacking)
        if not there:
            continue
        share = float(np.median([seen.counts[row][k] / seen.sizes[row] for row in there]))
        if share < TINY:
            yield problem("label_tiny", label=name, share=100 * share)


def _names(dataset: Dataset, rows: list[int]) -> list[str]:
    return [dataset.cases[row].name for row in rows]
