"""What a command was given -> images, and a file name for each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tomos import formats
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
    """A name for each address that a file can have: short, plain, and no two alike."""
    names: list[str] = []
    for address in addresses:
        path, _, member = address.rpartition("#") if "#" in address else (address, "", "")
        stem = Path(path).name.removesuffix(".gz").rsplit(".", 1)[0] or "image"
        names.append(re.sub(r"[^\w.-]+", "-", f"{stem}-{member}" if member else stem)[:80])
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if names.count(name) == 1 else f"{name}-{seen[name]}")
    return unique
