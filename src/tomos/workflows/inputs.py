"""What a command was given -> images, and a file name for each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tomos import formats
from tomos.datasets.channels import numbered
from tomos.types import TomosError


def addresses(inputs: Iterable[str | Path]) -> Iterable[str]:
    """The images that inputs stand for, in order.

    A file is itself, or its members (rows of an npz, frames); `x.npz#test` are the rows of that
    part; a folder gives its DICOM series and every other image below it, by name. What cannot be
    opened stays as it is, so that reading it says why.
    """
    for given in inputs:
        path = str(given).rpartition("#")[0]
        try:
            if Path(given).is_dir():
                yield from _in_folder(Path(given))
            elif path and Path(path).is_file() and not Path(given).exists():
                inside = [a for a in formats.members(path) if a.startswith(f"{given}/")]
                yield from inside or [str(given)]
            else:
                yield from formats.members(given)
        except TomosError:
            yield str(given)


def _in_folder(folder: Path) -> Iterable[str]:
    series = formats.series(folder)
    taken: set[Path] = set()
    for each in series:
        taken.update(map(Path, each.files))
        if each.volume:
            yield each.address
        else:
            for file in each.files:
                yield from formats.members(file)
    others = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file not in taken and formats.is_image(file)
    ]
    if not series and not others:
        yield str(folder)
    for file in others:
        yield from formats.members(file)


def stems(addresses: Iterable[str]) -> list[str]:
    """A name for each address that a file can have: short, plain, and no two alike; of the images
    of one case that of the first, without its number (`x_0000`)."""
    names: list[str] = []
    for address in addresses:
        first, *others = formats.split_joined(address)
        own = numbered(Path(first)) if others else None
        names.append(plain_name(own[0] if own else first, whole=own is not None))
    return unique(names)


def plain_name(address: str, whole: bool = False) -> str:
    """A name that a file can have: the address's own, without its ending unless it is `whole`."""
    path, _, member = address.rpartition("#") if "#" in address else (address, "", "")
    stem = Path(path).name
    if not whole:
        stem = stem.removesuffix(".gz").rsplit(".", 1)[0]
    stem = stem or "image"
    return re.sub(r"[^\w.-]+", "-", f"{stem}-{member}" if member else stem)[:80]


def unique(names: Sequence[str]) -> list[str]:
    """Names of which no two are alike: those that are get a number."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if names.count(name) == 1 else f"{name}-{seen[name]}")
    return found
