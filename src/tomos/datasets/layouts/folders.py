"""A folder per class, alone or below `train|Training` / `val` / `test|Testing` folders."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tomos.datasets.cases import split_word
from tomos.datasets.layouts import Draft, Request, dicom
from tomos.datasets.layouts._files import (
    MOST,
    PATIENT_FOLDER,
    images_below,
    natural,
    patients,
    unique_stems,
)
from tomos.types import Case, DatasetError, Progress

RANK = 90
# Folders that belong to other tasks: a class of that name would be nonsense.
OTHER_TASKS = re.compile(
    r"(?i)images?|jpegimages|labels?|masks?|annotations?|(images|labels)(tr|ts)|ground_?truth"
    r"|segmentation(s|class)?|1st_manual"
)


def detect(request: Request) -> bool:
    """Any folder: this is what is tried last."""
    return request.source.is_dir()


def draft(request: Request, progress: Progress) -> Draft:
    """Split and class from each image's folders, patient from its name where that is known."""
    if dicom.detect(request):
        return dicom.draft(request, progress, from_folders=True)
    root = request.source.absolute()
    found = images_below(root, request.exclude)
    if not found.files:
        raise DatasetError(f"{root}: there is no image in it ({found.ignored} other files)")
    places = [_place(path) for path in found.files]
    official = any(split for split, _, _ in places)
    classes = sorted({title for _, title, _ in places if title}, key=natural)
    _refuse_other_tasks(root, classes)
    notes = _notes(found.ignored, places, classes)
    people, how = patients(found.files, request.patient)
    if not request.patient and not any(people):
        people, how = _patient_folders(places, people, how)
    if not request.patient and _are_people(places, classes):
        people, classes = [title for _, title, _ in places], []
        how = "from the names of the folders; turn this off with --layout folders --patient none"
        notes.append("the folders look like patients, not classes: the images have no label")
    labelled = len(classes) > 0
    cases = tuple(
        Case(
            name,
            {"image": str(root / path)},
            {"label": title if labelled else ""},
            patient=person,
            split=split or ("train" if official else ""),
        )
        for name, path, person, (split, title, _) in zip(
            unique_stems(found.files), found.files, people, places, strict=True
        )
    )
    return Draft(
        layout="folders",
        name=root.name,
        cases=cases,
        kinds={"label": "class"},
        classes={"label": tuple(classes)},
        official=official,
        patient=how,
        notes=tuple(notes),
    )


def _place(path: Path) -> tuple[str, str, tuple[str, ...]]:
    """'train/A/p1/x.png' -> ('train', 'A', ('p1',)). The innermost leading split word counts."""
    split, title = "", ""
    deeper: list[str] = []
    for part in path.parts[:-1]:
        word = split_word(part)
        if word and not deeper:
            split = word
        elif not title:
            title = part
        else:
            deeper.append(part)
    return split, title, tuple(deeper)


def _refuse_other_tasks(root: Path, classes: list[str]) -> None:
    odd = [title for title in classes if OTHER_TASKS.fullmatch(title)]
    if odd and len(odd) >= len(classes) - 1:
        raise DatasetError(
            f"{root}: the folders {', '.join(map(repr, odd))} look like images beside masks, boxes "
            "or annotations, not like classes; name the images by a CSV with the columns "
            "image and label, or force it with --layout folders on a folder of classes"
        )


def _notes(ignored: int, places: list, classes: list[str]) -> list[str]:
    notes = []
    if ignored:
        notes.append(f"{ignored} files that are no images were passed over")
    splits = {split for split, _, _ in places}
    if "" in splits and splits & {"val", "test"}:
        notes.append(
            "a test or val folder lies inside the training folder; its images are kept apart"
        )
    bare = sum(1 for _, title, _ in places if not title)
    if bare and classes:
        notes.append(f"{bare} images lie in no class folder; they have no label")
    if len(classes) == 1:
        notes.append(f"there is one class folder only, {classes[0]!r}: nothing can be told apart")
    return notes


def _patient_folders(places: list, people: list[str], how: str) -> tuple[list[str], str]:
    """Folders below the class folders that are called like patients: 'P012', 'patient-7'."""
    inner = [deeper[0] if deeper else "" for _, _, deeper in places]
    named = [name for name in inner if name]
    if len(named) < MOST * len(inner):
        return people, how
    if sum(bool(PATIENT_FOLDER.fullmatch(name)) for name in named) < MOST * len(named):
        return people, how
    return inner, "from the folders below the classes; turn this off with --patient none"


def _are_people(places: list, classes: list[str]) -> bool:
    counts = Counter(title for _, title, _ in places if title)
    if len(counts) < 10:
        return False
    alike = sum(bool(PATIENT_FOLDER.fullmatch(title)) for title in counts)
    return alike >= MOST * len(counts) and len(counts) > 0.02 * len(places)
