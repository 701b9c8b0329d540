"""A CSV that names images: with our columns, or with foreign ones that are mapped."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tomos.datasets.cases import (
    ADDRESS_CLINICAL,
    ADDRESS_TARGETS,
    SPLITS,
    read_cases,
    roles_in,
)
from tomos.datasets.dataset import CSV, TOML, words
from tomos.datasets.dataset import open as datasets_open
from tomos.datasets.layouts import Draft, Request, dicom
from tomos.datasets.layouts._files import natural, patients, stem
from tomos.datasets.layouts._finder import Ambiguous, Finder
from tomos.datasets.table import Table, read_table
from tomos.types import Case, DatasetError, Progress, SettingsError

RANK = 20
SUFFIXES = {".csv", ".tsv", ".txt"}
OURS = ("image", "label", "mask", "roi", "patient", "split", "case", "site", "date", "index")
# What others call our columns, compared without case, spaces, dashes and underscores.
SYNONYMS = {
    "image": "imageid imageindex imagename imagefile imagepath filename file filepath path img "
    "图像 图片 影像 文件 文件名 图像编号 图像文件",
    "label": "classlabel class diagnosis target category findinglabels finding y "
    "标签 类别 诊断 分类",
    "mask": "maskfile maskpath maskimage segmentation segmentationfile segmentationmask "
    "掩膜 掩码 分割",
    "roi": "fov fieldofview 视野",
    "patient": "patientid patientname subject subjectid pid 患者 患者编号 病人 病人编号 病历号",
    "split": "set subset partition 划分 数据集划分",
    "site": "hospital centre center institution 医院 机构 中心",
    "date": "studydate examdate acquisitiondate 日期 检查日期",
}
ADDRESSES = (*ADDRESS_TARGETS, *ADDRESS_CLINICAL)
FILES = ("image", *ADDRESSES)
NOTHING = {"no finding", "no findings", "none", "未见异常"}
MOST_CLASSES = 1000


def detect(request: Request) -> bool:
    """A CSV; or a folder with one, where it was asked for or holds our columns."""
    if request.source.is_file():
        return request.source.suffix.lower() in SUFFIXES
    tables = _tables(request.source)
    if request.labels or request.columns or request.images:
        return not _holds_dicom(request)
    if not tables:
        return False
    if (request.source / CSV) in tables:
        return True
    if any(entry.is_dir() and entry != request.exclude for entry in request.source.iterdir()):
        return False
    return len(tables) == 1 and "image" in _guess(read_table(tables[0]), {})


def draft(request: Request, progress: Progress) -> Draft:
    """Rows -> cases. Raises DatasetError, with file, line and column, for what does not fit."""
    table = read_table(_which(request))
    if (table.path.parent / TOML).is_file() and table.path.name == CSV and not request.columns:
        return _our_own(table.path.parent)
    mapping = _guess(table, request.columns)
    people, rule = _patient_rule(table, request.patient, mapping)
    if "image" not in mapping and not any(c.startswith("image:") for c in table.columns):
        raise DatasetError(
            f"{table.path}: no column is known to name the image, there are "
            f"{', '.join(map(repr, table.columns))}; say which: --column image='its name'"
        )
    files = Finder(request, table.path.parent)
    renamed, notes = _renamed(table, mapping, request.images, files)
    cases = read_cases(renamed, table.path.parent)
    cases = _short_names(cases, table.path.parent, files.base)
    if people == "rule":
        found, how = patients([_below(case.image, files.base) for case in cases], rule)
        cases = tuple(
            replace(case, patient=person or case.patient)
            for case, person in zip(cases, found, strict=True)
        )
    else:
        how = people
    made = _labelled(table, cases, mapping, how, request, notes)
    return replace(made, roles=roles_in(renamed))


def _our_own(folder: Path) -> Draft:
    """A data set of ours as a source: its classes keep their order, codes and finding."""
    known = datasets_open(folder)
    return Draft(
        layout="table",
        name=known.info.name,
        cases=known.cases,
        kinds={name: target.kind for name, target in known.info.targets.items()},
        classes={name: target.classes for name, target in known.info.targets.items()},
        targets=known.info.targets,
        roles=known.info.roles,
        reference=known.info.reference,
        official=any(case.split for case in known.cases),
        patient=known.info.provenance.patient,
        licence=known.info.licence,
        modalities=known.info.modalities,
    )


def _tables(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES - {".txt"})


def _holds_dicom(request: Request) -> bool:
    return request.source.is_dir() and dicom.detect(request)


def _which(request: Request) -> Path:
    if request.labels:
        return request.labels.absolute()
    source = request.source.absolute()
    if source.is_file():
        return source
    tables = _tables(source)
    if source / CSV in tables:
        return source / CSV
    if len(tables) == 1:
        return tables[0]
    raise DatasetError(
        f"{source}: expected one table of cases, found "
        f"{', '.join(path.name for path in tables) or 'none'}; name it as SOURCE or by --labels"
    )


def _guess(table: Table, given: Mapping[str, str]) -> dict[str, str]:
    """Our column -> the table's: what was said, else the same name, else a usual other name."""
    mapping: dict[str, str] = {}
    for ours, theirs in given.items():
        if ours not in OURS and not ours.startswith(("label:", "image:")):
            raise SettingsError(
                f"--column {ours}={theirs}: expected one of {', '.join(OURS)}, label:NAME or "
                "image:ROLE before the sign"
            )
        table.column(theirs)
        mapping[ours] = theirs
    roles = [c for c in table.columns if c.startswith(("image:", "label:"))]
    for ours in OURS:
        family = [c for c in (*mapping, *roles) if c.split(":")[0] == ours]
        if ours not in mapping and not family:
            theirs = _named(table, ours, set(mapping.values()))
            if theirs:
                mapping[ours] = theirs
    return mapping


def _named(table: Table, ours: str, taken: set[str]) -> str:
    plain = {re.sub(r"[\s_\-]+", "", c).lower(): c for c in table.columns if c not in taken}
    for name in (ours, *SYNONYMS.get(ours, "").split()):
        if name in plain:
            return plain[name]
    return ""


def _patient_rule(table: Table, patient: str, mapping: dict[str, str]) -> tuple[str, str]:
    """('rule', expression) when patients come from paths, else (how, '')."""
    if patient and patient != "none" and patient in table:
        mapping["patient"] = patient
    elif patient:
        mapping.pop("patient", None)
        return "rule", patient
    if "patient" in mapping:
        return f"from the column {mapping['patient']!r}", ""
    return "rule", ""


def _renamed(table: Table, mapping: Mapping[str, str], pattern: str, files: Finder):
    """(the table under our names with absolute addresses, notes)."""
    place = {theirs: ours for ours, theirs in mapping.items()}
    # A foreign column that happens to be called like one of ours keeps its content as clinical.
    names = [place.get(c, f"{c} (source)" if c in OURS else c) for c in table.columns]
    images = [i for i, c in enumerate(names) if c in FILES or c.startswith("image:")]
    rows, missing, first = [], [], ""
    for number, cells in enumerate(table.rows):
        new = list(cells)
        for i in images:
            where = table.where(number, table.columns[i])
            own = "" if names[i] in ADDRESSES else pattern
            name = _file_name(cells[i], own, dict(zip(table.columns, cells, strict=True)), where)
            if not name:
                continue
            try:
                address = files(name, names[i].partition(":")[0])
            except Ambiguous as error:
                raise DatasetError(
                    f"{where}: {name!r} is the name of several files: {error}"
                ) from None
            if address is None:
                missing.append(f"{where}: {name!r}")
                first = first or cells[i]
            new[i] = address or os.path.normpath(files.base / name)
        rows.append(tuple(new))
    if len(missing) > 0.5 * len(rows):
        raise DatasetError(
            f"{missing[0]} names no file below {files.base} (nor do {len(missing) - 1} others); "
            f"say how a cell becomes a file name, as in --images '{files.example(first)}'"
        )
    notes = files.notes()
    if missing:
        notes.append(f"{len(missing)} rows name a file that is not there, first {missing[0]}")
    return Table(table.path, tuple(names), tuple(rows), table.lines), notes


def _file_name(cell: str, pattern: str, row: dict[str, str], where: str) -> str:
    if not pattern or not cell:
        return cell
    number = re.fullmatch(r"[+-]?\d+(\.0+)?", cell)
    for value in ([int(float(cell))] if number else []) + [cell]:
        try:
            return pattern.format(value, **row)
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            reason = error
    raise DatasetError(f"{where}: --images {pattern!r} does not fit the cell {cell!r} ({reason})")


def _below(address: str, base: Path) -> Path:
    try:
        return Path(address).relative_to(base)
    except ValueError:
        return Path(address)


def _short_names(cases: tuple[Case, ...], folder: Path, base: Path) -> tuple[Case, ...]:
    """Cases that are called by their address get the file's name without suffix, where unique."""
    short = [
        stem(_below(c.image, base)) if os.path.normpath(folder / c.name) == c.image else c.name
        for c in cases
    ]
    counts = Counter(short)
    return tuple(
        replace(case, name=name) if counts[name] == 1 else case
        for case, name in zip(cases, short, strict=True)
    )


def _labelled(table, cases, mapping, how, request, notes) -> Draft:
    targets = dict.fromkeys(t for case in cases for t in case.targets)
    kinds: dict[str, str] = {}
    classes: dict[str, tuple[str, ...]] = {}
    for target in targets:
        if target in ("mask", "boxes"):
            kinds[target], classes[target] = target, ()
            continue
        cells = [case.targets.get(target, "") for case in cases]
        kinds[target] = "multilabel" if any("|" in cell for cell in cells) else "class"
        if kinds[target] == "multilabel":
            cases = tuple(_without_nothing(case, target) for case in cases)
            cells = [case.targets.get(target, "") for case in cases]
        classes[target] = _classes(table, target, cells, kinds[target])
    if not targets:
        notes = [
            *notes,
            "no column is known to hold the label; say which: --column label='its name'",
        ]
    splits = Counter(case.split for case in cases)
    return Draft(
        layout="table",
        name=_title(request, table),
        cases=cases,
        kinds=kinds or {"label": "class"},
        classes=classes or {"label": ()},
        official=any(splits[split] for split in SPLITS),
        patient=how,
        columns={ours: theirs for ours, theirs in mapping.items() if ours != theirs},
        labels=os.path.relpath(table.path, request.source) if request.labels else "",
        notes=tuple(notes),
    )


def _title(request: Request, table: Table) -> str:
    source = request.source.absolute()
    if source.is_dir():
        return source.name
    return table.path.stem if table.path.name != CSV else table.path.parent.name


def _without_nothing(case: Case, target: str) -> Case:
    """ "No Finding" in a multilabel column is the absence of all classes, not one of them."""
    words = [word.strip() for word in case.targets[target].split("|") if word.strip()]
    kept = [word for word in words if word.lower() not in NOTHING]
    cell = "|".join(kept) or ("-" if words else "")
    return replace(case, targets={**case.targets, target: cell})


def _classes(table: Table, target: str, cells: list[str], kind: str) -> tuple[str, ...]:
    count = Counter(word for cell in cells for word in words(cell, kind))
    if len(count) > MOST_CLASSES or (len(count) > 50 and len(count) > 0.5 * len(cells)):
        raise DatasetError(
            f"{table.path}: the column for {target!r} has {len(count)} different values in "
            f"{len(cells)} rows, too many for classes; map another column: --column {target}=..."
        )
    return tuple(sorted(count, key=natural))
