"""`cases.csv` <-> cases: one row a case, or a frame of one.

Columns: `case`, `patient`, `image` or `image:<role>`, `label` or `label:<target>`, `mask`, `boxes`,
`roi`, `split`, `site`, `date`, `index`; every other column is clinical. A blank label means "not
assessed". Addresses are relative to the data set's folder, or absolute.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from tomos.datasets.table import Table, write_table
from tomos.types import Case, DatasetError

SPLITS = ("train", "val", "test")
FOLD = "fold"  # the part that one round of cross-validation is judged on; never in a file
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "imagestr", "tr", "训练", "训练集"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "imagesval", "验证", "验证集"), "val"),
    **dict.fromkeys(("test", "testing", "imagests", "ts", "测试", "测试集"), "test"),
}
ADDRESS_TARGETS = ("mask", "boxes")
ADDRESS_CLINICAL = ("roi",)
OWN = ("case", "patient", "split", "site", "date", "index")
FRAME = re.compile(r"(?P<role>.+)@(?P<frame>\d+)$")


def split_word(text: str) -> str | None:
    """'Training' -> 'train'; '' -> ''; None when the word names no split."""
    return SPLIT_WORDS.get(text.strip().lower()) if text.strip() else ""


def resolve(cell: str, folder: Path) -> str:
    """An address of a cell -> an absolute one. `#member` rides along untouched."""
    if not cell or PurePosixPath(cell).is_absolute() or PureWindowsPath(cell).is_absolute():
        return cell
    return os.path.normpath(folder / cell)


def relative(address: str, folder: Path) -> str:
    """An absolute address -> one relative to `folder`, with forward slashes.

    It stays absolute where no relative one exists (another drive on Windows).
    """
    if not address:
        return ""
    try:
        return Path(os.path.relpath(address, folder)).as_posix()
    except ValueError:
        return address


def read_cases(table: Table, folder: Path) -> tuple[Case, ...]:
    """Rows -> cases with absolute addresses; rows that share `case` become one.

    Raises DatasetError naming file, line and column.
    """
    images = [c for c in table.columns if c == "image" or c.startswith("image:")]
    if not images:
        raise DatasetError(
            f"{table.path}: expected a column 'image' (or 'image:<role>'), got "
            f"{', '.join(map(repr, table.columns))}; map one with --column image='its name'"
        )
    labels = {_target(c): c for c in table.columns if c == "label" or c.startswith("label:")}
    rest = {*images, *labels.values(), *OWN, *ADDRESS_TARGETS}
    clinical = [c for c in table.columns if c not in rest]
    frames: dict[str, list[tuple[tuple, Case, int]]] = {}
    for row, cells in enumerate(table.rows):
        values = dict(zip(table.columns, cells, strict=True))
        case = _case(table, row, values, images, labels, clinical, folder)
        order = (_number(table, row, values.get("index", "")), case.date, row)
        frames.setdefault(case.name, []).append((order, case, row))
    return tuple(_merge(table, rows) for rows in frames.values())


def roles_in(table: Table) -> tuple[str, ...]:
    """The roles of the images, in the order of their columns."""
    images = (c for c in table.columns if c == "image" or c.startswith("image:"))
    return tuple(c.partition(":")[2] or "image" for c in images)


def roles_of(cases: Iterable[Case]) -> tuple[str, ...]:
    """The roles of images, in the order of the case that has most; frames of a sequence are none of
    their own."""
    each = ([_role(role)[0] for role in case.images] for case in cases)
    return tuple(_ordered(role for roles in sorted(each, key=len, reverse=True) for role in roles))


def _target(column: str) -> str:
    return column.partition(":")[2] or "label"


def _case(table, row, values, images, labels, clinical, folder) -> Case:
    roles = {c.partition(":")[2] or "image": resolve(values[c], folder) for c in images}
    roles = {role: address for role, address in roles.items() if address}
    if not roles:
        raise DatasetError(f"{table.where(row, images[0])}: expected an address, the cell is empty")
    split = split_word(values.get("split", ""))
    if split is None:
        raise DatasetError(
            f"{table.where(row, 'split')}: expected train, val, test or nothing, "
            f"got {values['split']!r}"
        )
    targets = {target: values[column] for target, column in labels.items()}
    targets |= {c: resolve(values[c], folder) for c in ADDRESS_TARGETS if c in table}
    return Case(
        name=values.get("case") or _name(next(iter(roles.values())), folder),
        images=roles,
        targets=targets,
        patient=values.get("patient", ""),
        split=split,
        site=values.get("site", ""),
        date=values.get("date", ""),
        clinical={
            c: resolve(values[c], folder) if c in ADDRESS_CLINICAL else values[c] for c in clinical
        },
    )


def _name(address: str, folder: Path) -> str:
    """A row without a `case` cell is called by its address."""
    return relative(address, folder)


def _number(table: Table, row: int, cell: str) -> float:
    try:
        return float(cell) if cell else 0.0
    except ValueError:
        raise DatasetError(
            f"{table.where(row, 'index')}: expected a number, got {cell!r}"
        ) from None


def _merge(table: Table, rows: list[tuple[tuple, Case, int]]) -> Case:
    """Rows of one case -> one case; its later frames have the roles `image@2`, `image@3`, ..."""
    if len(rows) == 1:
        return rows[0][1]
    rows = sorted(rows, key=lambda entry: entry[0])
    first = rows[0][1]
    images = dict(first.images)
    for frame, (_, case, row) in enumerate(rows[1:], 2):
        for field in ("patient", "split", "site"):
            if getattr(case, field) != getattr(first, field):
                raise DatasetError(
                    f"{table.where(row, field)}: rows of case {case.name!r} must agree, got "
                    f"{getattr(case, field)!r} and {getattr(first, field)!r}"
                )
        for target, value in case.targets.items():
            if value != first.targets[target]:
                raise DatasetError(
                    f"{table.where(row, target)}: case {case.name!r} has two labels, {value!r} "
                    f"and {first.targets[target]!r}; give each row its own name in 'case'"
                )
        images |= {f"{role}@{frame}": address for role, address in case.images.items()}
    return replace(first, images=images)


def write_cases(path: Path, cases: Sequence[Case], first: Sequence[str] = ()) -> None:
    """Write `cases.csv` beside its data set; addresses become relative to that folder.

    first  roles of images in the order of their columns; others follow
    """
    frames = any(FRAME.match(role) for case in cases for role in case.images)
    roles = _ordered([*first, *roles_of(cases)])
    targets = _ordered(target for case in cases for target in case.targets)
    clinical = _ordered(column for case in cases for column in case.clinical)
    given = [c for c in ("site", "date") if any(getattr(case, c) for case in cases)]
    columns = [
        *("case", "patient"),
        *(["index"] if frames else []),
        *(role if role == "image" else f"image:{role}" for role in roles),
        *(t if t == "label" or t in ADDRESS_TARGETS else f"label:{t}" for t in targets),
        *("split", *given, *clinical),
    ]
    rows = (
        _row(case, frame, path.parent, roles, targets, given, clinical, frames)
        for case in cases
        for frame in sorted({_role(role)[1] for role in case.images})
    )
    write_table(path, columns, rows)


def _row(case, frame, folder, roles, targets, given, clinical, frames) -> list[str]:
    names = {role: role if frame == 1 else f"{role}@{frame}" for role in roles}
    return [
        *(case.name, case.patient),
        *([str(frame)] if frames else []),
        *(relative(case.images.get(name, ""), folder) for name in names.values()),
        *(
            relative(case.targets.get(t, ""), folder)
            if t in ADDRESS_TARGETS
            else case.targets.get(t, "")
            for t in targets
        ),
        *(case.split, *(getattr(case, c) for c in given)),
        *(
            relative(case.clinical.get(c, ""), folder)
            if c in ADDRESS_CLINICAL
            else case.clinical.get(c, "")
            for c in clinical
        ),
    ]


def _role(role: str) -> tuple[str, int]:
    match = FRAME.match(role)
    return (match["role"], int(match["frame"])) if match else (role, 1)


def _ordered(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
