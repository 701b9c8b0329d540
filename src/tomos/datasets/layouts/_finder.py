"""Cells of a table -> files: beside the table or below the source."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tomos.datasets.dataset import container
from tomos.datasets.layouts import Request, masks
from tomos.datasets.layouts._files import images_below, stem
from tomos.types import FormatError

MOST_VALUES = 32  # of the one mask that is looked into: a picture of grey has more
NUMBER = re.compile(r"[+-]?(\d+)(\.0+)?")


class Ambiguous(LookupError):
    """A cell that is the name of several files; its text names them, and how to tell them apart."""


class Finder:
    """Addresses by cell. Where a cell is the name of a picture and of its mask, a column of images
    means the picture and a column of masks the mask; `notes` says so afterwards.

    base  folder below which files are looked for
    """

    def __init__(self, request: Request, folder: Path):
        source = request.source.absolute()
        self.base = source if source.is_dir() else folder
        self._exclude = request.exclude
        self._folders = (folder, self.base) if folder != self.base else (folder,)
        self._files: tuple[Path, ...] | None = None
        self._index: dict[str, list[Path]] = {}
        self._numbers: dict[int, list[Path]] = {}
        self._masks: dict[Path, Path] | None = None
        self._numbered: tuple[str, str] | None = None
        self._beside: list[Path] = []

    def __call__(self, cell: str, wanted: str = "image") -> str | None:
        """The absolute address, None when no file fits. Raises Ambiguous when several do.

        wanted  "image" or "mask", whose column the cell is of; another cannot be told apart
        """
        path, member = container(cell)
        tail = f"#{member}" if member else ""
        for folder in self._folders:
            there = folder / cell
            if there.exists():
                return os.path.normpath(there)
            if tail and (folder / path).exists():
                return os.path.normpath(folder / path) + tail
        found = self._called(cell)
        if len(found) > 1:
            found = [self._meant(cell, found, wanted)]
        return str(self.base / found[0]) if found else None

    def notes(self) -> list[str]:
        """What was taken for granted."""
        said = []
        if self._numbered:
            cell, name = self._numbered
            said.append(f"numbers of the table are taken for those of the files: {cell} is {name}")
        if self._beside:
            said.append(
                f"{len(self._beside)} of the images have a mask beside them, such as "
                f"{self._beside[0]}; to learn from the masks: --layout masks"
            )
        return said

    def example(self, cell: str) -> str:
        """How a cell might become a file name, as most files here end."""
        ends = Counter(_end(path) for path in self._all())
        end = ends.most_common(1)[0][0] if ends else ".png"
        return "{:03d}" + end if NUMBER.fullmatch(cell) else "{}" + end

    def _all(self) -> tuple[Path, ...]:
        """Every image below the base, relative to it."""
        if self._files is None:
            self._files = images_below(self.base, self._exclude).files
            for file in self._files:
                name = Path(stem(file)).name
                for key in {file.name, name}:
                    self._index.setdefault(key, []).append(file)
                if name.isdecimal():
                    self._numbers.setdefault(int(name), []).append(file)
        return self._files

    def _called(self, cell: str) -> list[Path]:
        self._all()
        found = self._index.get(Path(cell).name, [])
        number = NUMBER.fullmatch(cell)
        if not found and number and not cell.startswith("-"):
            found = self._numbers.get(int(number[1]), [])
            if found and not self._numbered:
                self._numbered = (cell, stem(found[0]))
        return found

    def _meant(self, cell: str, found: Sequence[Path], wanted: str) -> Path:
        """Which of two files of one name: the picture or its mask."""
        if self._masks is None:
            self._masks = self._pairs()
        for picture in found if len(found) == 2 else ():
            own = self._masks.get(picture)
            if own is not None and own in found and wanted in ("image", "mask"):
                if wanted == "image":
                    self._beside.append(own)
                return picture if wanted == "image" else own
        ways = " or ".join(f"--images '{_way(cell, path, found)}'" for path in found[:3])
        listed = ", ".join(str(self.base / path) for path in found[:3])
        raise Ambiguous(f"{listed}; say which is meant: {ways}")

    def _pairs(self) -> dict[Path, Path]:
        """Picture -> mask, as the layout `masks` has them; none where the first is no mask."""
        from tomos.formats import mask_values

        pairs = masks.pairs(self.base, self._all())
        try:
            if pairs and len(mask_values(self.base / pairs[0][1])) <= MOST_VALUES:
                return dict(pairs)
        except FormatError:
            pass
        return {}


def _end(path: Path) -> str:
    return path.name.removeprefix(Path(stem(path)).name)


def _way(cell: str, path: Path, others: Sequence[Path]) -> str:
    """The pattern by which `cell` becomes `path`: with its folder where names alone do not tell."""
    name, number = Path(stem(path)).name, NUMBER.fullmatch(cell)
    value = "{}" if Path(cell).name in (path.name, name) else ""
    if not value and number and name.isdecimal():
        value = f"{{:0{len(name)}d}}" if name.startswith("0") else "{:d}"
    value = value or name
    pattern = value if Path(cell).name == path.name else value + _end(path)
    alike = len({other.name for other in others}) < len(others)
    return (path.parent / pattern).as_posix() if alike or path.parent != Path() else pattern
