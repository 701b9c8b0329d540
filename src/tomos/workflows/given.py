"""What a model was given: images or, for one that reads several images a case, the cases that
files, folders, tables and data sets hold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomos import datasets, formats
from tomos.config.plugins import did_you_mean
from tomos.datasets.cases import resolve
from tomos.datasets.channels import numbered
from tomos.datasets.dataset import TOML
from tomos.datasets.table import read_table
from tomos.inference import AnyPredictor, MaskPredictor
from tomos.package import InputPart
from tomos.types import DatasetError, FormatError
from tomos.workflows.inputs import addresses, plain_name, stems, unique

TABLES = (".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class Given:
    """One image, or the images of one case joined to one address.

    stem   a name for its files, no two alike
    error  why there is nothing to read
    """

    address: str
    stem: str
    error: str = ""


def given(model: AnyPredictor, inputs: Iterable[str | Path]) -> list[Given]:
    """What `inputs` stand for, in order; see `addresses` for a model that reads one image.

    Of a model that reads several: addresses joined by `|`; files x_0000, x_0001, alone or in a
    folder, by their numbers; a file that holds as many volumes; a table with the columns `case` and
    `image:<role>`; a data set. The others are refused by name. Raises DatasetError for a table or a
    data set that has not the images that the model reads.
    """
    part = model.manifest.input
    if not isinstance(model, MaskPredictor) or not part.roles:
        listed = list(addresses(inputs))
        return [Given(*each) for each in zip(listed, stems(listed), strict=True)]
    found = list(_cases(list(map(str, inputs)), part))
    names = unique([each.stem for each in found])
    return [Given(e.address, name, e.error) for e, name in zip(found, names, strict=True)]


def case_of(path: str | Path, part: InputPart) -> str:
    """The address of a case whose images are the volumes of one file; "" where it is none."""
    try:
        members = formats.members(path)
    except FormatError:
        return ""
    numbers = part.files or range(len(part.roles))
    own = len(members) == len(part.roles) > 1
    return formats.joined(members[k] for k in numbers) if own else ""


def by_number(paths: Sequence[Path], part: InputPart) -> dict[str, dict[int, Path]]:
    """Case -> place among the roles -> file, of files x_0000, x_0001, ..."""
    numbers, found = list(part.files or range(len(part.roles))), dict[str, dict[int, Path]]()
    for path in paths:
        name = numbered(path)
        if name is not None and name[1] in numbers:
            found.setdefault(name[0], {})[numbers.index(name[1])] = path
    return found


def _cases(inputs: Sequence[str], part: InputPart) -> Iterator[Given]:
    loose: list[Path] = []
    for text in inputs:
        path = Path(text)
        if path.is_file() and path.suffix.lower() not in TABLES:
            loose.append(path)  # the files of one case may follow one another
            continue
        yield from _of_files(loose, part)
        loose = []
        if len(formats.split_joined(text)) > 1:
            yield Given(text, stems([text])[0])
        elif path.is_file():
            yield from _of_table(path, part.roles)
        elif (path / TOML).is_file():
            yield from _of_dataset(path, part.roles)
        elif path.is_dir():
            yield from _of_files(_below(path), part, path)
        else:
            yield _refused(text, part)
    yield from _of_files(loose, part)


def _below(folder: Path) -> list[Path]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in files if not path.name.startswith(".") and formats.is_image(path)]


def _of_files(
    paths: Sequence[Path], part: InputPart, folder: Path | None = None
) -> Iterator[Given]:
    """Each case once, where its first file stands."""
    if folder is not None and not paths:
        yield _refused(str(folder), part)
    cases, done = by_number(paths, part), set[str]()
    for path in paths:
        name = (numbered(path) or ("", 0))[0]
        if name not in cases:
            inside = case_of(path, part)
            yield Given(inside, plain_name(str(path))) if inside else _refused(str(path), part)
        elif name not in done:
            done.add(name)
            yield _joined(name, [str(cases[name].get(k, "")) for k in range(len(part.roles))], part)


def _joined(name: str, own: Sequence[str], part: InputPart) -> Given:
    missing = [role for role, address in zip(part.roles, own, strict=True) if not address]
    if missing:
        why = f"{name}: {_reads(part)}; {', '.join(missing)} is missing"
        return Given(name, plain_name(name), why)
    return Given(formats.joined(own), plain_name(name))


def _of_table(path: Path, roles: Sequence[str]) -> Iterator[Given]:
    table = read_table(path)
    columns = [f"image:{role}" for role in roles]
    for column in columns:
        if column not in table:
            raise DatasetError(
                f"{path}: expected the columns {', '.join(columns)}, as the model reads them; "
                f"there is no {column!r}{did_you_mean(column, list(table.columns))}"
            )
    names = table.column("case") if "case" in table else [""] * len(table.rows)
    here = Path(os.path.normpath(path.absolute().parent))
    for name, *cells in zip(names, *map(table.column, columns), strict=True):
        own = [resolve(cell, here) for cell in cells]
        name = name or stems([formats.joined(own)])[0]
        missing = [role for role, address in zip(roles, own, strict=True) if not address]
        why = f"{name}: {path.name} names no image {', '.join(missing)}" if missing else ""
        yield Given(name if missing else formats.joined(own), plain_name(name, whole=True), why)


def _of_dataset(folder: Path, roles: Sequence[str]) -> Iterator[Given]:
    dataset = datasets.open(folder).seen_as(roles)
    for case in dataset.cases:
        why = dataset.lacks(case)
        address = case.name if why else dataset.image(case)
        yield Given(address, plain_name(case.name, whole=True), why)


def _refused(text: str, part: InputPart) -> Given:
    why = (
        f"{text}: {_reads(part)}; got 1. Give them as one address, t1.nii.gz|t2.nii.gz, as files "
        "x_0000, x_0001, or as a table with the columns case, "
        f"{', '.join(f'image:{role}' for role in part.roles)}"
    )
    exists = Path(text.rpartition("#")[0] or text).exists()
    return Given(text, plain_name(text), why if exists else f"{text}: there is no such file")


def _reads(part: InputPart) -> str:
    return f"this model reads {len(part.roles)} images a case: {', '.join(part.roles)}"
