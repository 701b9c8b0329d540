"""Files of cases copied into a data set's folder, and cases that know their new places."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from tomos.config import free_or_raise
from tomos.datasets.cases import ADDRESS_CLINICAL, ADDRESS_TARGETS
from tomos.datasets.dataset import container
from tomos.types import Case, Progress, StorageError


def copied(cases: Sequence[Case], place: Path, progress: Progress) -> tuple[Case, ...]:
    """Copy every file to `images/`, named by its case; containers are copied once."""
    targets: dict[str, Path] = {}
    for case in cases:
        for role, address in _addresses(case).items():
            path, _ = container(address)
            if path in targets:
                continue
            name = case.name if role == "image" else f"{case.name}.{role}"
            suffix = "".join(
                PurePath(path).suffixes[-2:] if path.endswith(".gz") else [PurePath(path).suffix]
            )
            shared = path != address and Path(path).is_file()
            own = PurePath(path).name if shared or Path(path).is_dir() else _safe(name, suffix)
            targets[path] = _free(place / "images" / own, set(targets.values()))
    size = sum(_size(Path(path)) for path in targets)
    free_or_raise(place, size, "the copy of the images")
    for done, (path, there) in enumerate(targets.items(), 1):
        _copy(Path(path), there)
        progress.step(done, len(targets), "files copied")
    return tuple(_readdressed(case, lambda a: _other(a, targets)) for case in cases)


def moved(cases: Sequence[Case], place: Path, folder: Path) -> tuple[Case, ...]:
    """The cases with the addresses that they have once `place` has become `folder`."""

    def move(address: str) -> str:
        return (
            str(folder) + address[len(str(place)) :]
            if address.startswith(f"{place}{os.sep}")
            else address
        )

    return tuple(_readdressed(case, move) for case in cases)


def _addresses(case: Case) -> dict[str, str]:
    """Every file of a case by its role: images, and what stands in a cell as an address."""
    cells = {name: case.targets.get(name, "") for name in ADDRESS_TARGETS}
    cells |= {name: case.clinical.get(name, "") for name in ADDRESS_CLINICAL}
    return {**case.images, **{name: cell for name, cell in cells.items() if cell}}


def _readdressed(case: Case, other: Callable[[str], str]) -> Case:
    def cells(table: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
        return {k: other(v) if k in names and v else v for k, v in table.items()}

    return replace(
        case,
        images={role: other(address) for role, address in case.images.items()},
        targets=cells(case.targets, ADDRESS_TARGETS),
        clinical=cells(case.clinical, ADDRESS_CLINICAL),
    )


def _safe(name: str, suffix: str) -> str:
    parts = [part for part in PurePath(name.replace("\\", "/")).parts if part not in ("/", "..")]
    path = "/".join(part.replace(":", "_") for part in parts)
    return path if suffix and path.endswith(suffix) else path + suffix


def _free(path: Path, taken: set[Path]) -> Path:
    count, there = 1, path
    while there in taken:
        count += 1
        there = path.with_name(f"{path.stem}_{count}{path.suffix}")
    return there


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(entry.stat().st_size for entry in path.iterdir() if entry.is_file())
    return path.stat().st_size if path.exists() else 0


def _copy(path: Path, there: Path) -> None:
    try:
        there.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, there, dirs_exist_ok=True)
        elif path.exists():
            shutil.copy2(path, there)
    except OSError as error:
        raise StorageError(f"{there}: cannot be copied ({error.strerror})") from None


def _other(address: str, targets: Mapping[str, Path]) -> str:
    path, member = container(address)
    return f"{targets[path]}#{member}" if member else str(targets[path])
