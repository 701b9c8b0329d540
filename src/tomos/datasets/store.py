"""Prepared images of a data set as one memory-mapped array, made once and kept in DATASET/.cache.

How stores are kept: `tomos.datasets.keeping`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomos.config import atomic_write, free_or_raise
from tomos.datasets import keeping
from tomos.datasets.dataset import Dataset
from tomos.datasets.keeping import LIMIT, META
from tomos.datasets.survey import in_threads
from tomos.types import Case, DatasetError, FormatError, Progress, Silent, StorageError, TomosError

CHUNK, AT_ONCE = 32, 2**24  # images, and values of them as read, in one thread's hands
ARRAY = "x.f32"


@dataclass(frozen=True, eq=False)
class Store:
    """Prepared images and the cases they belong to, row by row.

    x        (N, C, Y, X) or (N, C, Z, Y, X) float32, memory-mapped and read-only
    cases    the case of each row; those that could not be read are left out
    groups   (N,) int64: equal for cases of one patient
    skipped  case name -> why it could not be read or prepared
    """

    x: np.ndarray
    cases: tuple[Case, ...]
    groups: np.ndarray
    skipped: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(case.name for case in self.cases)

    def targets(self, name: str) -> tuple[str, ...]:
        """The label cells of one target, row by row; `tasks.encode` makes an array of `cases`."""
        return tuple(case.targets.get(name, "") for case in self.cases)


def prepared(
    dataset: Dataset,
    chain,
    folder: Path | None = None,
    limit: int = LIMIT,
    progress: Progress | None = None,
    threads: int = 0,
) -> Store:
    """Read and prepare every case once; the next call with the same files and `chain` is instant.

    chain   `tomos.transforms.prepare.Chain`; every image must come out with the same shape
    folder  where stores are kept instead of DATASET/.cache
    limit   bytes: the oldest stores are removed beyond it
    Raises DatasetError when no image can be read or their shapes differ, StorageError when there is
    no room.
    """
    if not len(dataset):
        raise DatasetError(f"{dataset.folder}: there are no cases to prepare")
    addresses = [dataset.image(case) for case in dataset.cases]
    keep = (Path(folder) if folder else dataset.folder / ".cache") / "prepared"
    place = keep / keeping.key(chain.data, addresses)
    if not (place / META).is_file():
        _make(dataset.cases, addresses, chain, place, limit, progress or Silent(), threads)
    return _open(place, dataset.cases)


def _open(place: Path, cases: Sequence[Case]) -> Store:
    try:
        meta = json.loads((place / META).read_text(encoding="utf-8"))
        shape = tuple(meta["shape"])
        x = np.memmap(place / ARRAY, np.float32, "r", shape=shape)
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(f"{place}: the prepared data are damaged ({error}); remove it") from None
    keeping.used(place)
    skipped = {cases[int(row)].name: why for row, why in meta["skipped"].items()}
    kept = tuple(case for case in cases if case.name not in skipped)
    return Store(x, kept, groups_of(kept), skipped)


def groups_of(cases: Sequence[Case]) -> np.ndarray:
    """(N,) int64: equal for cases of one patient."""
    names = {name: number for number, name in enumerate(dict.fromkeys(c.group for c in cases))}
    return np.array([names[case.group] for case in cases], np.int64)


def _make(cases, addresses, chain, place: Path, limit: int, progress: Progress, threads: int):
    first, shape, skipped = _first(addresses, chain)
    size = 4 * int(np.prod(shape)) * len(addresses)
    keeping.make_room(place.parent, limit, size)
    free_or_raise(place.parent, size + 2**20, "preparing the images")
    with keeping.drafted(place) as draft:
        rows = np.memmap(draft / ARRAY, np.float32, "w+", shape=(len(addresses), *shape))
        skipped |= _fill(rows, addresses, chain, first, progress, threads)
        kept = [row for row in range(len(addresses)) if row not in skipped]
        for to, row in enumerate(kept if skipped else []):
            rows[to] = rows[row]
        rows.flush()
        del rows
        os.truncate(draft / ARRAY, 4 * int(np.prod(shape)) * len(kept))
        meta = {"shape": [len(kept), *shape], "chain": chain.data, "skipped": skipped}
        text = json.dumps(meta, ensure_ascii=False, default=str)
        atomic_write(draft / META, text.encode("utf-8"))
    if skipped:
        progress.say(
            f"{len(skipped)} of {len(addresses)} images could not be read and are left out"
        )


def _first(addresses: Sequence[str], chain) -> tuple[int, tuple[int, ...], dict[int, str]]:
    """(row, shape) of the first image that can be prepared, and why those before it cannot."""
    skipped: dict[int, str] = {}
    for row, address in enumerate(addresses):
        done = _prepare(address, chain)
        if not isinstance(done, str):
            return row, done.shape, skipped
        skipped[row] = done
    raise DatasetError(f"none of {len(addresses)} images could be prepared; {skipped[0]}")


def _fill(rows, addresses, chain, first: int, progress: Progress, threads: int) -> dict[int, str]:
    step = _chunk(addresses[first])
    chunks = (range(i, min(i + step, len(rows))) for i in range(0, len(rows), step))
    skipped: dict[int, str] = {}

    def work(chunk: range) -> dict[int, str]:
        found = _prepare_many([addresses[row] for row in chunk], chain)
        failed = {}
        for row, pixels in zip(chunk, found, strict=True):
            if isinstance(pixels, str):
                failed[row] = pixels
            elif pixels.shape != rows.shape[1:]:
                raise DatasetError(
                    f"{addresses[row]}: prepared to {pixels.shape}, but {addresses[first]} to "
                    f"{rows.shape[1:]}; end with a step that fixes channels and size"
                )
            else:
                rows[row] = pixels
        return failed

    for chunk, failed in in_threads(work, chunks, threads):
        skipped |= failed
        progress.step(chunk.stop, len(rows), "images prepared")
    return skipped


def _chunk(address: str) -> int:
    """How many images like this one are held at once: few of large ones, one volume."""
    from tomos import formats

    return max(1, min(CHUNK, AT_ONCE // formats.read(address).pixels.size))


def _prepare_many(addresses: Sequence[str], chain) -> list[np.ndarray | str]:
    """Each image prepared, or why not; pictures that are alike go through the chain together."""
    from tomos import formats

    found: list[np.ndarray | str] = [""] * len(addresses)
    images = []
    for place, address in enumerate(addresses):
        try:
            images.append((place, formats.read(address)))
        except FormatError as error:
            found[place] = str(error)
    try:
        for (place, _), pixels in zip(images, chain.many([im for _, im in images]), strict=True):
            found[place] = pixels
    except (TomosError, ValueError, ArithmeticError, MemoryError):
        # One of them does not fit: take them one by one, so that only that one is left out.
        for place, _ in images:
            found[place] = _prepare(addresses[place], chain)
    return found


def _prepare(address: str, chain) -> np.ndarray | str:
    """(C, Y, X) float32, or why not. One bad file must not stop a night's work."""
    from tomos import formats

    try:
        return chain(formats.read(address)).pixels
    except FormatError as error:
        return str(error)
    except TomosError:
        raise
    except (ValueError, ArithmeticError, MemoryError) as error:
        return f"{address}: {type(error).__name__}: {error}"
