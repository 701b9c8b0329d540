"""A folder of DICOM series with DICOM segmentations: each lies on the series that it refers to.

As `dicom`, but that segmentations are the masks of the cases, not cases of their own. The classes
are the labels of the segments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tomos.datasets.dataset import TargetInfo
from tomos.datasets.layouts import Draft, Request, dicom
from tomos.types import Case, DatasetError, FormatError, Progress

RANK = 25
ROOTS = (b"1.2.840.10008.5.1.4.1.1.66.4", b"1.2.840.10008.5.1.4.1.1.66.7")
MARK = 4096  # bytes from the beginning that hold the class of the object


def detect(request: Request) -> bool:
    """A folder of DICOM files, at least one of which is a segmentation."""
    if request.labels or request.masks or not dicom.detect(request):
        return False
    return next(_segmentations(request), None) is not None


def draft(request: Request, progress: Progress) -> Draft:
    """Raises DatasetError when no segmentation belongs to a series that is here."""
    masks = set(_segmentations(request))
    whole, _ = dicom.unlabelled(request, progress)
    cases = [case for case in whole.cases if Path(case.image) not in masks]
    by_series: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        by_series[case.clinical["series"]].append(case.name)
    found, labels, notes = _laid(sorted(masks), by_series)
    if not found:
        raise DatasetError(
            f"{request.source}: none of {len(masks)} segmentations refers to a series that is "
            "here; keep each beside the images that it was drawn on"
        )
    classes = request.classes or tuple(labels)
    bare = len(cases) - len(found)
    if bare:
        notes.append(f"{bare} of {len(cases)} series have no segmentation: no mask")
    return replace(
        whole,
        layout="dicom_seg",
        cases=tuple(_with_mask(case, found.get(case.name)) for case in cases),
        kinds={"mask": "mask"},
        classes={"mask": classes},
        targets={"mask": TargetInfo(kind="mask", classes=classes)},
        official=any(case.split for case in cases),
        modalities=tuple(name for name in whole.modalities if name != "SEG"),
        notes=tuple(notes),
    )


def _segmentations(request: Request):
    for path in dicom.files(request.source.absolute(), request.exclude):
        try:
            with path.open("rb") as file:
                head = file.read(MARK)
        except OSError:
            continue
        if any(root in head for root in ROOTS):
            yield path


def _laid(
    paths: Sequence[Path], by_series: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Path], list[str], list[str]]:
    """Case -> its segmentation, the labels in the order in which they come, and what to know."""
    from tomos.formats import LIMITS
    from tomos.formats.dicom.segmentation import references

    found: dict[str, Path] = {}
    labels: dict[str, None] = {}
    notes: list[str] = []
    more: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        try:
            told = references(path, LIMITS)
        except FormatError as error:
            notes.append(f"left out: {error}")
            continue
        here = [uid for uid in told.series if uid in by_series]
        names = [name for uid in here for name in by_series[uid]]
        if len(names) != 1:
            notes.append(
                f"left out: {path.name} refers to {len(told.series)} series, of which "
                f"{len(here)} are here with {len(names)} images; expected one volume or picture"
            )
        elif names[0] in found:
            more[names[0]].append(path.name)
        else:
            found[names[0]] = path
            labels |= dict.fromkeys(told.labels)
    notes += [
        f"{name}: {found[name].name} is its mask; left out: {', '.join(others)}"
        for name, others in more.items()
    ]
    return found, list(labels), notes


def _with_mask(case: Case, path: Path | None) -> Case:
    return replace(case, targets={"mask": str(path) if path else ""})
