"""A folder of DICOM files, labelled by a CSV (by UID, patient or path), by folders, or not at all.

A series whose slices lie in one volume is one case (`FOLDER#SeriesInstanceUID`); plain films are a
case each. Patient, body part, modality, view, site and date come from the header.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from tomos.datasets.cases import split_word
from tomos.datasets.layouts import Draft, Request
from tomos.datasets.layouts._files import natural, patients, stem, unique_stems
from tomos.datasets.table import Table, read_table
from tomos.types import Case, DatasetError, FormatError, Origin, Progress

RANK = 30
# How a table may name a case, the most exact first.
KEYS = {
    "instance": ("sopinstanceuid", "instanceuid", "sopuid"),
    "series": ("seriesinstanceuid", "seriesuid"),
    "path": ("image", "path", "file", "filename", "filepath", "imageid", "图像", "文件", "文件名"),
    "study": ("studyinstanceuid", "studyuid"),
    "patient": ("patientid", "patient", "患者", "患者编号", "病人编号"),
}
LABELS = ("label", "classlabel", "class", "diagnosis", "target", "标签", "类别", "诊断")
SAMPLE = 5


@dataclass(frozen=True)
class Entry:
    """One case to be: its address, the file whose header speaks for it, its path below the root."""

    address: str
    path: Path
    origin: Origin
    modality: str


def detect(request: Request) -> bool:
    """A folder most of whose first files are DICOM."""
    if not request.source.is_dir():
        return False
    from tomos.formats import dicom

    looked = [_head(path) for path in islice(files(request.source.absolute(), request.exclude), 20)]
    found = sum(dicom.sniff(head) for head in looked)
    return found > 0 and found >= 0.5 * len(looked)


def draft(request: Request, progress: Progress, from_folders: bool = False) -> Draft:
    """Series and films -> cases. `from_folders` takes the folders as classes without a question."""
    root = request.source.absolute()
    bare, entries = unlabelled(request, progress)
    cases, notes, labels = bare.cases, list(bare.notes), ""
    columns: dict[str, str] = {}
    table_path = request.labels or _only_table(root)
    if table_path is not None and not from_folders:
        table = read_table(table_path.absolute())
        cases, columns, notes = _label_by_table(cases, entries, table, request.columns)
        labels = os.path.relpath(table.path, root)
    elif from_folders or _folders_are_classes(cases, entries):
        cases = tuple(_label_by_folder(c, e) for c, e in zip(cases, entries, strict=True))
    else:
        notes.append(
            "no labels: give a table by --labels CSV (by SOPInstanceUID, SeriesInstanceUID, "
            "PatientID or path), or --layout folders where the folders are the classes"
        )
    classes = sorted({c.targets["label"] for c in cases if c.targets["label"]}, key=natural)
    return replace(
        bare,
        cases=cases,
        classes={"label": tuple(classes)},
        official=any(case.split for case in cases),
        columns=columns,
        labels=labels,
        notes=tuple(notes),
    )


def unlabelled(request: Request, progress: Progress) -> tuple[Draft, list[Entry]]:
    """The cases before anything says what they show, and where each comes from."""
    root = request.source.absolute()
    entries = _entries(root, request.exclude, progress)
    if not entries:
        raise DatasetError(f"{root}: there is no DICOM file with pixels in it")
    names = unique_stems([entry.path for entry in entries])
    cases = tuple(_case(name, entry) for name, entry in zip(names, entries, strict=True))
    cases, how = _patients(cases, entries, request.patient)
    return Draft(
        layout="dicom",
        name=root.name,
        cases=cases,
        kinds={"label": "class"},
        classes={"label": ()},
        official=any(case.split for case in cases),
        patient=how,
        modalities=tuple(sorted({e.modality for e in entries if e.modality})),
    ), entries


def files(root: Path, exclude: Path | None) -> Iterator[Path]:
    """Every file below `root` whose name does not say that it is something else than DICOM."""
    from tomos.datasets.layouts._files import OTHER

    for folder, below, names in os.walk(root):
        here = Path(folder)
        below[:] = sorted(b for b in below if not b.startswith(".") and here / b != exclude)
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() not in OTHER:
                yield here / name


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1024)
    except OSError:
        return b""


def _only_table(root: Path) -> Path | None:
    tables = [path for path in root.iterdir() if path.suffix.lower() in (".csv", ".tsv")]
    return tables[0] if len(tables) == 1 else None


def _entries(root: Path, exclude: Path | None, progress: Progress) -> list[Entry]:
    from tomos import formats

    entries = []
    listed = [
        s for s in formats.series(root) if exclude is None or exclude not in s.files[0].parents
    ]
    for done, series in enumerate(listed, 1):
        progress.step(done, len(listed), "series found")
        if series.volume:
            folder = Path(os.path.commonpath([path.parent for path in series.files]))
            origin, modality = _header(series.files[0])
            # A UID is no file name: without a suffix its last number would be taken for one.
            place = (folder / f"{series.uid}.series").relative_to(root)
            entries.append(Entry(f"{folder}#{series.uid}", place, origin, modality))
            continue
        for path in series.files:
            origin, modality = _header(path)
            entries.append(Entry(str(path), path.relative_to(root), origin, modality))
    taken = {path for series in listed for path in series.files}
    entries += [
        Entry(str(path), path.relative_to(root), Origin(path=str(path)), "")
        for path in files(root, exclude)
        if path not in taken and _is_damaged(path)
    ]
    return sorted(entries, key=lambda entry: natural(entry.path.as_posix()))


def _is_damaged(path: Path) -> bool:
    """A DICOM file that cannot be scanned stands as a case, so that `check` names it."""
    from tomos.formats import LIMITS, dicom
    from tomos.formats.dicom.reader import load

    if not dicom.sniff(_head(path)):
        return False
    try:
        load(path, LIMITS)
    except (FormatError, OSError):
        return True
    return False


def _header(path: Path) -> tuple[Origin, str]:
    """(header facts, modality); empty where the file is damaged, which `check` will name."""
    from tomos.formats import LIMITS
    from tomos.formats.dicom.reader import load, origin_of

    try:
        scanned = load(path, LIMITS)
    except (FormatError, OSError):
        return Origin(path=str(path)), ""
    return origin_of(scanned.dataset, scanned.syntax, str(path)), scanned.dataset.text("Modality")


def _case(name: str, entry: Entry) -> Case:
    origin = entry.origin
    facts = {
        "modality": entry.modality,
        "body_part": origin.body_part,
        "view": origin.view,
        "sex": origin.sex,
        "age": origin.age,
        "device": origin.device,
        "series": origin.series,
    }
    folders = [split_word(part) for part in entry.path.parts[:-1]]
    return Case(
        name=name,
        images={"image": entry.address},
        targets={"label": ""},
        patient=origin.patient,
        split=next((word for word in reversed(folders) if word), ""),
        site=origin.site,
        date=origin.date,
        clinical=facts,
    )


def _patients(cases, entries: list[Entry], rule: str) -> tuple[tuple[Case, ...], str]:
    if rule == "none":
        cases = tuple(replace(case, patient="") for case in cases)
        return cases, "not used; each image counts as its own patient"
    if rule and rule.lower().replace("_", "") not in KEYS["patient"]:
        found, how = patients([entry.path for entry in entries], rule)
        return tuple(
            replace(case, patient=person) for case, person in zip(cases, found, strict=True)
        ), how
    return cases, "from the header (PatientID)"


def _class_folder(entry: Entry) -> str:
    """The first folder below the root that names no split."""
    return next((part for part in entry.path.parts[:-1] if not split_word(part)), "")


def _folders_are_classes(cases: tuple[Case, ...], entries: list[Entry]) -> bool:
    """Whether the top folders each hold several patients: then they do not stand for patients."""
    people: dict[str, set[str]] = {}
    for case, entry in zip(cases, entries, strict=True):
        people.setdefault(_class_folder(entry), set()).add(case.patient)
    people.pop("", None)
    return len(people) >= 2 and min(len(found) for found in people.values()) >= 2


def _label_by_folder(case: Case, entry: Entry) -> Case:
    return replace(case, targets={"label": _class_folder(entry)})


def _plain(text: str) -> str:
    return re.sub(r"[\s_\-]+", "", text).lower()


def _column(table: Table, given: Mapping[str, str], ours: str, names: tuple[str, ...]) -> str:
    if ours in given:
        table.column(given[ours])
        return given[ours]
    plain = {_plain(column): column for column in table.columns}
    return next((plain[name] for name in names if name in plain), "")


def _label_by_table(
    cases: tuple[Case, ...], entries: list[Entry], table: Table, given: Mapping[str, str]
) -> tuple[tuple[Case, ...], dict[str, str], list[str]]:
    """Give each case the row that names it. Raises DatasetError when none fits, or two disagree."""
    label = _column(table, given, "label", LABELS)
    if not label:
        raise DatasetError(
            f"{table.path}: no column is known to hold the label, there are "
            f"{', '.join(map(repr, table.columns))}; say which: --column label='its name'"
        )
    known = {"path": "image", "patient": "patient"}
    for kind, names in KEYS.items():
        column = _column(table, given, known.get(kind, kind), names)
        if not column:
            continue
        rows = _rows(table, column, label)
        hits = [_hit(kind, entry, case, rows) for entry, case in zip(entries, cases, strict=True)]
        if any(hit is not None for hit in hits):
            labelled = tuple(
                case if hit is None else _with_row(case, table, hit, label, column)
                for case, hit in zip(cases, hits, strict=True)
            )
            notes = _unmatched(hits, rows, table, column)
            return labelled, {"label": label, kind: column}, notes
    raise DatasetError(
        f"{table.path}: no row names a file below the source by SOPInstanceUID, SeriesInstanceUID, "
        f"path, StudyInstanceUID or PatientID; it has {', '.join(map(repr, table.columns))}"
    )


def _rows(table: Table, column: str, label: str) -> dict[str, int]:
    rows: dict[str, int] = {}
    labels = table.column(label)
    for row, key in enumerate(table.column(column)):
        first = rows.setdefault(key, row)
        if labels[first] != labels[row]:
            raise DatasetError(
                f"{table.where(row, label)}: {key!r} is {labels[row]!r} here and "
                f"{labels[first]!r} in line {table.lines[first]}; one of them must go"
            )
    return rows


def _hit(kind: str, entry: Entry, case: Case, rows: dict[str, int]) -> int | None:
    origin = entry.origin
    if kind == "path":
        path = entry.path
        keys = [path.as_posix(), stem(path), path.name, Path(stem(path)).name]
    else:
        keys = [case.patient if kind == "patient" else getattr(origin, kind)]
    return next((rows[key] for key in keys if key and key in rows), None)


def _with_row(case: Case, table: Table, row: int, label: str, key: str) -> Case:
    cells = dict(zip(table.columns, table.rows[row], strict=True))
    taken = {label, key, *case.clinical}
    split = split_word(cells.get("split", ""))
    if split is None:
        raise DatasetError(f"{table.where(row, 'split')}: expected train, val or test")
    extra = {name: cell for name, cell in cells.items() if name not in taken and name != "split"}
    return replace(
        case,
        targets={"label": cells[label]},
        split=split or case.split,
        clinical={**case.clinical, **extra},
    )


def _unmatched(hits: list, rows: dict[str, int], table: Table, column: str) -> list[str]:
    notes = []
    without = sum(hit is None for hit in hits)
    if without:
        notes.append(f"{without} of {len(hits)} images have no row in {table.path.name}: no label")
    unused = sorted(set(rows.values()) - set(hits))
    if unused:
        notes.append(
            f"{len(unused)} rows of {table.path.name} name nothing that is here, first line "
            f"{table.lines[unused[0]]}, column {column!r}"
        )
    return notes
