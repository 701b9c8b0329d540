"""A data set is a folder that a person can read: `dataset.toml` and `cases.csv`."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, Literal

from pydantic import Field, model_validator

from tomos import formats
from tomos.config import Settings, load, save
from tomos.config.plugins import did_you_mean
from tomos.datasets.cases import FOLD, SPLITS, read_cases, roles_in, write_cases
from tomos.datasets.table import Table, read_table
from tomos.types import Case, DatasetError, FormatError, Image

TOML, CSV = "dataset.toml", "cases.csv"
MASKED = "with a mask"
HEADER = "A Tomos data set. The cases are in cases.csv; edit both by hand as you like."


CODE = re.compile(r"(?P<system>SNOMED-CT|RadLex):(?P<code>[A-Za-z0-9]+)( (?P<meaning>.+))?")


class TargetInfo(Settings):
    """What a label column means. `classes` in order; `positive` is the finding of a label of two
    classes (the one with the threshold); "" is the one that is not called "normal" or the like,
    else the second. `codes`: class -> its codes, as "SNOMED-CT:233604007 Pneumonia".

    `values`: class -> its value in the files, for masks that do not count 1, 2, ... themselves.

    A cell of a multilabel column lists what is present: "mass|effusion", "-" for nothing, "?mass"
    for a class that was not assessed; a blank cell was not assessed at all.
    """

    kind: Literal["class", "multilabel", "ordinal", "number", "mask", "boxes"] = "class"
    classes: tuple[str, ...] = ()
    positive: str = ""
    codes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    unit: str = ""
    values: dict[str, int] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_classes(self) -> TargetInfo:
        if self.positive and (self.kind != "class" or len(self.classes) != 2):
            raise ValueError(
                "positive is for a target of two classes, this one is of kind "
                f"{self.kind!r} with {len(self.classes)}"
            )
        if self.values and (self.kind != "mask" or set(self.values) != set(self.classes)):
            raise ValueError("values are for masks, one for each of their classes")
        for name in (self.positive, *self.codes):
            if name and name not in self.classes:
                raise ValueError(f"no class {name!r}{did_you_mean(name, list(self.classes))}")
        for code in (code for codes in self.codes.values() for code in codes):
            if not CODE.fullmatch(code):
                raise ValueError(
                    f"expected a code as 'SNOMED-CT:233604007 Pneumonia' or 'RadLex:RID...', "
                    f"got {code!r}"
                )
        return self


class Provenance(Settings):
    """How `tomos import` made the data set. `columns` maps our columns to the source's own."""

    source: str = ""
    layout: str = ""
    date: str = ""
    tomos: str = ""
    split: str = ""
    seed: int = 0
    patient: str = ""
    labels: str = ""
    images: str = ""
    columns: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


class DatasetInfo(Settings):
    """`dataset.toml`. `classes` are those of `target`, the one that is learned unless told.

    checksum   that of all rows at import, so that a later change can be told
    roles      of cases with several images, those that are learned from, each the column
               `image:<role>`; none: all of these columns. Masks are learned from all of them
               together, classes from `reference` alone
    reference  the role of the image whose grid counts when a case has several: masks lie on it;
               none: the first
    """

    schema_number: Literal[1] = Field(default=1, alias="schema")
    name: str
    task: Literal["classify", "segment"] = "classify"
    target: str = "label"
    classes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    licence: str = ""
    roles: tuple[str, ...] = ()
    reference: str = ""
    checksum: str = ""
    targets: dict[str, TargetInfo] = Field(default_factory=dict)
    provenance: Provenance = Provenance()

    @model_validator(mode="before")
    @classmethod
    def _one_list_of_classes(cls, data: Any) -> Any:
        """`classes` and `[targets.label] classes` say the same; either may be left out."""
        if not isinstance(data, dict) or not isinstance(data.get("targets"), dict):
            return data
        name = data.get("target", "label")
        entry = data["targets"].get(name)
        if isinstance(entry, TargetInfo):
            entry = entry.model_dump()
        if not isinstance(entry, dict):
            return data
        classes = data.get("classes") or entry.get("classes") or ()
        if entry.get("classes") and list(entry["classes"]) != list(classes):
            raise ValueError(f"classes and targets.{name}.classes must be equal")
        targets = {**data["targets"], name: {**entry, "classes": classes}}
        return {**data, "classes": classes, "targets": targets}

    @model_validator(mode="after")
    def _known_roles(self) -> DatasetInfo:
        if len(set(self.roles)) < len(self.roles):
            raise ValueError(f"expected roles with different names, got {', '.join(self.roles)}")
        if self.roles and self.reference and self.reference not in self.roles:
            hint = did_you_mean(self.reference, list(self.roles))
            raise ValueError(f"reference: {self.reference!r} is none of the roles{hint}")
        return self


@dataclass(frozen=True, eq=False)
class Dataset:
    """Cases of one folder. Addresses in `cases` are absolute."""

    folder: Path
    info: DatasetInfo
    cases: tuple[Case, ...]

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the target that is learned, in order."""
        return self.info.classes

    @property
    def kind(self) -> str:
        """ "class", "multilabel", "ordinal", ... of the target that is learned."""
        return self.target(self.info.target).kind

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The label cells of the target that is learned; "" = not assessed."""
        return tuple(case.targets.get(self.info.target, "") for case in self.cases)

    def target(self, name: str) -> TargetInfo:
        """What the target `name` means; DatasetError with the nearest name when there is none."""
        if name not in self.info.targets:
            known = list(self.info.targets)
            raise DatasetError(f"{self.folder}: no target {name!r}{did_you_mean(name, known)}")
        return self.info.targets[name]

    def split(self, name: str) -> Dataset:
        """The cases of "train", "val", "test", a round's "fold", or "all"; possibly none."""
        if name == "all":
            return self
        known = [*SPLITS, FOLD]
        if name not in known:
            raise DatasetError(f"no split {name!r}{did_you_mean(name, [*known, 'all'])}")
        return self.only(case for case in self.cases if case.split == name)

    def only(self, cases: Iterable[Case]) -> Dataset:
        """The same data set with fewer cases."""
        return replace(self, cases=tuple(cases))

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Of cases whose images are learned from together, what these are called, the reference
        first; () where one image is: of classes, and where cases have no more."""
        target, known = self.info.targets.get(self.info.target), self.info.roles
        masked = self.info.task == "segment" or (target is not None and target.kind == "mask")
        if not masked or len(known) < 2:
            return ()
        first = self.info.reference or known[0]
        return (first, *(role for role in known if role != first))

    def reference(self, case: Case) -> str:
        """The address of the image whose grid counts: the role `reference`, else the first."""
        roles = (self.info.reference, *self.info.roles)
        return next((case.images[role] for role in roles if role in case.images), case.image)

    def images(self, case: Case) -> tuple[str, ...]:
        """The addresses of what is learned from, one a role; "" for one that the case lacks."""
        if not self.roles:
            return (self.reference(case),)
        return tuple(case.images.get(role, "") for role in self.roles)

    def image(self, case: Case) -> str:
        """What is learned from as one address, see `tomos.formats.read`: of several images these
        together, else the reference."""
        return formats.joined(self.images(case))

    def lacks(self, case: Case) -> str:
        """Why a case cannot be read: an image that it lacks; "" where it has all."""
        missing = [role for role in self.roles if not case.images.get(role)]
        if not missing:
            return ""
        return (
            f"{case.name}: has no image {', '.join(map(repr, missing))}; expected "
            f"{', '.join(self.roles)} of every case (roles in {TOML})"
        )

    def read(self, case: Case) -> Image:
        """What is learned from, on the grid of the reference. Raises FormatError, of a case that
        lacks an image with its name."""
        if why := self.lacks(case):
            raise FormatError(why)
        return formats.read(self.image(case))

    def seen_as(self, roles: Sequence[str]) -> Dataset:
        """The same cases with the images that a model reads; none: the reference alone. Raises
        DatasetError where the data set has not all of these."""
        roles = tuple(roles)
        if roles == self.roles:
            return self
        missing = [role for role in roles if role not in self.info.roles]
        if missing:
            known = ", ".join(self.info.roles) or "one"
            raise DatasetError(
                f"{self.folder}: expected the images {', '.join(roles)} of every case, as the "
                f"model reads them, got {known}; call the columns 'image:{missing[0]}' and so on"
            )
        changes = {"roles": roles, "reference": roles[0]} if roles else {"roles": ()}
        return replace(self, info=self.info.model_copy(update=changes))

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over the rows that are learned from (train and val).

        It covers each case's name, patient, split, labels, and its files' names and sizes, not
        where they lie: a data set that was moved keeps it.
        """
        learned = [case for case in self.cases if case.split in ("train", "val")]
        return checksum(learned or self.cases)


def checksum(cases: Sequence[Case]) -> str:
    """SHA-256 of rows, independent of their order and of where the files lie."""
    sizes: dict[str, int] = {}
    total = hashlib.sha256()
    for row in sorted(_fingerprint(case, sizes) for case in cases):
        total.update(row)
    return total.hexdigest()


def _fingerprint(case: Case, sizes: dict[str, int]) -> bytes:
    parts = [case.name, case.patient, case.split]
    for target, cell in sorted(case.targets.items()):
        parts += [target, PurePath(cell).name if target in ("mask", "boxes") else cell]
    for role, address in case.images.items():
        path, member = container(address)
        if path not in sizes:
            there = Path(path)
            sizes[path] = there.stat().st_size if there.is_file() else -1
        parts += [role, PurePath(path).name, member, str(sizes[path])]
    return hashlib.sha256("\0".join(parts).encode()).digest()


def normal(path: str | Path) -> Path:
    """An absolute path without `..`; links are kept as they are."""
    return Path(os.path.normpath(Path(path).absolute()))


def container(address: str) -> tuple[str, str]:
    """'x.npz#train/12' -> ('x.npz', 'train/12'); a `#` in a file's own name is no separator."""
    path, mark, member = address.rpartition("#")
    if not mark or Path(address).exists():
        return address, ""
    return path, member


def open(folder: str | Path) -> Dataset:
    """Read a data set's folder.

    Raises DatasetError (no such data set, or file, line and column of a wrong cell) or
    SettingsError (dataset.toml).
    """
    folder = normal(folder)
    if folder.name in (TOML, CSV):
        folder = folder.parent
    if not (folder / TOML).is_file():
        hint = "make one from it: tomos import SOURCE DATASET" if folder.exists() else "wrong path?"
        raise DatasetError(f"{folder}: not a data set, there is no {TOML}; {hint}")
    info = load(DatasetInfo, folder / TOML)
    table = read_table(folder / CSV)
    cases = read_cases(table, folder)
    if not cases:
        raise DatasetError(f"{folder / CSV}: there is no case in it")
    _check_cells(table, info)
    return Dataset(folder, _with_roles(info, table), cases)


def create(folder: Path, info: DatasetInfo, cases: Sequence[Case]) -> Dataset:
    """Write `cases.csv`, then `dataset.toml`: a folder without the latter is no data set."""
    write_cases(folder / CSV, cases, info.roles)
    save(info, folder / TOML, HEADER)
    return Dataset(folder, info, tuple(cases))


def _with_roles(info: DatasetInfo, table: Table) -> DatasetInfo:
    """With all columns of images where `roles` names none of them."""
    there = roles_in(table)
    for name in (*info.roles, *([info.reference] if info.reference else [])):
        if name not in there:
            raise DatasetError(
                f"{table.path}: expected a column 'image:{name}', as {TOML} says"
                f"{did_you_mean(name, list(there))}"
            )
    return info if info.roles or len(there) < 2 else info.model_copy(update={"roles": there})


def _check_cells(table: Table, info: DatasetInfo) -> None:
    for name, target in info.targets.items():
        column = f"label:{name}" if name != "label" or "label:label" in table else "label"
        if target.kind in ("mask", "boxes"):
            continue
        if column not in table:
            raise DatasetError(
                f"{table.path}: expected a column {column!r} for [targets.{name}], got "
                f"{', '.join(map(repr, table.columns))}"
            )
        for row, cell in enumerate(table.column(column)):
            for word in words(cell, target.kind):
                _check_word(word, target, table.where(row, column))


def _check_word(word: str, target: TargetInfo, where: str) -> None:
    if target.kind == "number":
        try:
            float(word)
        except ValueError:
            raise DatasetError(f"{where}: expected a number, got {word!r}") from None
    elif word not in target.classes:
        raise DatasetError(
            f"{where}: {word!r} is not one of the classes in {TOML}"
            f"{did_you_mean(word, list(target.classes))}"
        )


def words(cell: str, kind: str) -> list[str]:
    """The class names that a label cell mentions: none for blank, several for multilabel. What a
    mask shows is not known by its address: it says `MASKED`."""
    if not cell or (kind == "multilabel" and cell == "-"):
        return []
    if kind == "mask":
        return [MASKED]
    if kind != "multilabel":
        return [cell]
    return [word.strip().removeprefix("?") for word in cell.split("|") if word.strip()]
