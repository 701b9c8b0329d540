"""Prepared cases of their own sizes, each with its mask, kept so that a box out of any is read
quickly: 16-bit values in compressed blocks (blosc2) in DATASET/.cache, or all in memory.

How stores are kept: `tomos.datasets.keeping`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tomos.config import atomic_write, free_or_raise
from tomos.datasets import keeping
from tomos.datasets.dataset import Dataset, TargetInfo
from tomos.datasets.keeping import LIMIT, META
from tomos.datasets.spots import spots
from tomos.datasets.store import groups_of
from tomos.datasets.survey import in_threads
from tomos.types import (
    Case,
    DatasetError,
    FormatError,
    Image,
    Mask,
    MissingExtra,
    Progress,
    Silent,
    StorageError,
    TomosError,
)

IGNORED = 255  # the label of what is neither learned nor judged: outside the region of interest
STEPS = 32000  # of the 16-bit scale on each side of 0, at most
FINE = 2000  # steps of a channel's spread: finer ones keep noise, which takes room
BLOCK = {2: (64, 64), 3: (32, 32, 32)}
CHUNK = {2: (512, 512), 3: (96, 96, 96)}
SPOTS = "places.npz"
FORM = 4  # of what is kept; another number prepares the cases again


@dataclass(frozen=True, eq=False)
class Shelf:
    """Prepared cases, row by row.

    cases     the case of each row; those that could not be read are left out
    groups    (N,) int64: equal for cases of one patient
    sizes     (N, D) prepared lengths (Z, Y, X) or (Y, X)
    counts    (N, K + 1) voxels of background and of each label; ignored ones are not counted
    skipped   case name -> why it could not be read or prepared
    files     (N,) the number under which each case is kept in `folder`
    """

    folder: Path
    files: tuple[int, ...]
    cases: tuple[Case, ...]
    groups: np.ndarray
    sizes: np.ndarray
    counts: np.ndarray
    scales: np.ndarray
    spots: Mapping[str, np.ndarray]
    skipped: Mapping[str, str]
    _open: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(case.name for case in self.cases)

    @property
    def channels(self) -> int:
        return self.scales.shape[1]

    @property
    def nbytes(self) -> int:
        """Of all images and masks in memory: two bytes a value, one a label."""
        voxels = int(self.sizes.astype(np.int64).prod(axis=1).sum())
        return voxels * (2 * self.channels + 1)

    def box(
        self, row: int, low: Sequence[int], high: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """(C, ...) float32 and (...) uint8 labels of the part of a case from `low` up to `high`,
        which must lie inside it."""
        pixels, labels = self._arrays(row)
        part = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        # Two passes without a buffer between them are quicker than one product of mixed types.
        values = pixels[(slice(None), *part)].astype(np.float32)
        values *= self.scales[row].astype(np.float32).reshape(-1, *[1] * len(part))
        return values, np.asarray(labels[part])

    def case(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """The whole of a case: `box` from corner to corner."""
        return self.box(row, [0] * self.sizes.shape[1], self.sizes[row])

    def places(self, row: int, label: int) -> np.ndarray:
        """(M, D) indices of voxels of a label, some of many, drawn once (`spots`)."""
        at = self.spots[f"{row}"]
        return at[at[:, 0] == label, 1:]

    def to_memory(self) -> None:
        """Hold every case in memory from now on, as 16-bit values."""
        for row in range(len(self)):
            pixels, labels = self._arrays(row)
            self._open[row] = (np.asarray(pixels[:]), np.asarray(labels[:]))

    def _arrays(self, row: int) -> tuple[Any, Any]:
        if row not in self._open:
            self._open[row] = _opened(self.folder, self.files[row])
        return self._open[row]


def shelved(
    dataset: Dataset,
    chain,
    folder: Path | None = None,
    limit: int = LIMIT,
    progress: Progress | None = None,
    threads: int = 0,
) -> Shelf:
    """Read, prepare and keep every case that has a mask; the next call with the same files and
    `chain` is instant.

    chain  `tomos.transforms.prepare.Chain`; cases may come out in any size, with the same channels
    Raises DatasetError when no case can be prepared, StorageError when there is no room,
    MissingExtra without blosc2.
    """
    target = dataset.target(dataset.info.target)
    cases = [case for case in dataset.cases if case.targets.get(dataset.info.target)]
    if not cases:
        raise DatasetError(f"{dataset.folder}: no case has a mask to learn from")
    _blosc2()
    files = [address for case in cases for address in _files(dataset, case)]
    told = {"prepare": chain.data, "classes": target.classes, "values": target.values, "form": FORM}
    told |= {"roles": dataset.roles} if dataset.roles else {}
    keep = (Path(folder) if folder else dataset.folder / ".cache") / "shelved"
    place = keep / keeping.key(told, files)
    if not (place / META).is_file():
        maker = _Maker(dataset, tuple(cases), target, chain)
        maker.make(place, limit, progress or Silent(), threads)
    return _read(place, cases)


def _files(dataset: Dataset, case: Case) -> list[str]:
    found = [*dataset.images(case), case.targets[dataset.info.target], case.clinical.get("roi", "")]
    return [address for address in found if address]


def _blosc2():
    try:
        import blosc2
    except ImportError:
        raise MissingExtra("learning from masks", "train", "blosc2") from None
    return blosc2


def true_mask(dataset: Dataset, case: Case, image: Image) -> Mask:
    """What is true of a case, on the grid of its image. Raises FormatError, GeometryError."""
    return laid_mask(dataset, case, image)[0]


def laid_mask(dataset: Dataset, case: Case, image: Image) -> tuple[Mask, list[str]]:
    """`true_mask`, and what had to be repaired for it to lie there."""
    from tomos import formats

    notes: list[str] = []
    target = dataset.target(dataset.info.target)
    values = {target.values[name]: i for i, name in enumerate(target.classes, 1) if target.values}
    address = case.targets[dataset.info.target]
    return formats.read_mask(address, image, target.classes, values or None, notes), notes


def region(case: Case, image: Image) -> Mask | None:
    """Where a case is learned from and judged; None: everywhere."""
    from tomos import formats

    address = case.clinical.get("roi", "")
    return formats.read_mask(address, image, ("roi",), None, []) if address else None


def prepare_case(dataset: Dataset, case: Case, chain) -> tuple[Image, np.ndarray]:
    """The prepared image of a case, and the labels of its mask on the prepared grid: uint8,
    `IGNORED` outside the region of interest. A sheared scan is put on straight axes first, as a
    network that predicts is shown it. Raises FormatError, GeometryError."""
    from tomos.transforms.prepare import carry_labels, straightened

    image = dataset.read(case)
    mask, inside = true_mask(dataset, case, image), region(case, image)
    prepared = chain(straightened(image))
    labels = carry_labels(mask, prepared).astype(np.uint8)
    if inside is not None:
        labels = np.where(carry_labels(inside, prepared) == 0, np.uint8(IGNORED), labels)
    return prepared, labels


@dataclass(frozen=True)
class _Maker:
    """Fills a new shelf."""

    dataset: Dataset
    cases: tuple[Case, ...]
    target: TargetInfo
    chain: Any

    def make(self, place: Path, limit: int, progress: Progress, threads: int) -> None:
        keeping.make_room(place.parent, limit, 0)
        found: dict[int, dict[str, Any]] = {}
        skipped: dict[int, str] = {}
        spots: dict[str, np.ndarray] = {}
        with keeping.drafted(place) as draft:
            rows = iter(range(len(self.cases)))
            for row, made in in_threads(lambda row: self._one(row, draft), rows, threads):
                progress.step(row + 1, len(self.cases), "cases prepared")
                if isinstance(made, str):
                    skipped[row] = made
                else:
                    found[row], spots[str(row)] = made
            self._check(found, skipped)
            np.savez(draft / SPOTS, **spots)  # type: ignore[arg-type]
            meta = {"rows": found, "skipped": skipped, "chain": self.chain.data}
            text = json.dumps(meta, ensure_ascii=False, default=str)
            atomic_write(draft / META, text.encode("utf-8"))
        if skipped:
            progress.say(f"{len(skipped)} of {len(self.cases)} cases could not be prepared")

    def _check(self, found: Mapping[int, Any], skipped: Mapping[int, str]) -> None:
        if not found:
            raise DatasetError(
                f"none of {len(self.cases)} cases could be prepared; {next(iter(skipped.values()))}"
            )
        kinds = {(len(row["scale"]), len(row["size"])) for row in found.values()}
        if len(kinds) > 1:
            raise DatasetError(
                f"{self.dataset.folder}: cases were prepared to different channels or axes: "
                f"{sorted(kinds)}; put a step `channels` into the preparation"
            )

    def _one(self, row: int, draft: Path) -> tuple[dict[str, Any], np.ndarray] | str:
        """Prepare and write one case; or why not. One bad file must not stop a night's work."""
        case = self.cases[row]
        try:
            image, labels = prepare_case(self.dataset, case, self.chain)
        except FormatError as error:
            return str(error)
        except TomosError:
            raise
        except (ValueError, ArithmeticError, MemoryError) as error:
            return f"{case.name}: {type(error).__name__}: {error}"
        pixels = image.pixels
        flat = np.abs(pixels).reshape(len(pixels), -1).max(axis=1)
        spread = pixels.reshape(len(pixels), -1).std(axis=1)
        scale = np.maximum(np.where(flat > 0, flat, 1) / STEPS, spread / FINE)
        steps = np.rint(pixels / scale.reshape(-1, *[1] * labels.ndim)).astype(np.int16)
        free_or_raise(draft, steps.nbytes + labels.nbytes, "preparing the cases")
        _written(draft, row, steps, labels)
        counts = np.bincount(labels.ravel(), minlength=IGNORED + 1)[: len(self.target.classes) + 1]
        about = {"size": labels.shape, "scale": scale.tolist(), "counts": counts.tolist()}
        return about, spots(labels, len(self.target.classes), IGNORED, row)


def _written(draft: Path, row: int, pixels: np.ndarray, labels: np.ndarray) -> None:
    blosc2 = _blosc2()
    dims = labels.ndim
    # High bytes of values pack well beside each other; a label has but one byte, and is read more
    # quickly as it is.
    values, marks = blosc2.Filter.SHUFFLE, blosc2.Filter.NOFILTER
    for name, array, lead, order in (("x", pixels, (1,), values), ("y", labels, (), marks)):
        chunk = tuple(min(a, b) for a, b in zip(CHUNK[dims], labels.shape, strict=True))
        block = tuple(min(a, b) for a, b in zip(BLOCK[dims], chunk, strict=True))
        blosc2.asarray(
            np.ascontiguousarray(array),
            urlpath=str(draft / f"{row}.{name}.b2nd"),
            chunks=(*lead, *chunk),
            blocks=(*lead, *block),
            # Slower to write than LZ4, smaller and quicker to read.
            cparams={"codec": blosc2.Codec.LZ4HC, "clevel": 5, "filters": [order]},
        )


def _opened(folder: Path, row: int) -> tuple[Any, Any]:
    blosc2 = _blosc2()
    try:
        # One thread: boxes are small, and are read by several threads at once.
        return tuple(
            blosc2.open(str(folder / f"{row}.{name}.b2nd"), mode="r", dparams={"nthreads": 1})
            for name in "xy"
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise StorageError(
            f"{folder}: the prepared cases are damaged ({error}); remove it"
        ) from None


def _read(place: Path, cases: Sequence[Case]) -> Shelf:
    try:
        meta = json.loads((place / META).read_text(encoding="utf-8"))
        with np.load(place / SPOTS) as file:
            spots = {name: file[name] for name in file.files}
        rows = {int(row): about for row, about in meta["rows"].items()}
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(
            f"{place}: the prepared cases are damaged ({error}); remove it"
        ) from None
    keeping.used(place)
    order = sorted(rows)
    kept = tuple(cases[row] for row in order)
    return Shelf(
        folder=place,
        files=tuple(order),
        cases=kept,
        groups=groups_of(kept),
        sizes=np.array([rows[row]["size"] for row in order], np.int64),
        counts=np.array([rows[row]["counts"] for row in order], np.int64),
        scales=np.array([rows[row]["scale"] for row in order], np.float32),
        spots={str(new): spots[str(old)] for new, old in enumerate(order)},
        skipped={cases[int(row)].name: why for row, why in meta["skipped"].items()},
    )
