"""Slices of a series are written alike: a file with the same tags and lengths at the same places as
one scanned before needs no scan of its own, only proof that it is so.

The proof compares every byte that the scanner would have looked at: mark, transfer syntax, and the
tag, value representation and length of every element, item and delimiter. What differs is values.
Most values do not differ either, so what is worked out of them is worked out once (`each`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeVar

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.tags import KEYS, PIXEL_DATA, PIXEL_KEYS

REMEMBERED = 32
SIZES = 4096
ITEM_MARK = b"\xfe\xff\x00\xe0"
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """Where the scanner looked in one file, and what it saw there.

    size    bytes of the file
    places  offset of each byte looked at; `seen`, those bytes
    header  bytes up to the pixels
    items   how often the mark of an item occurs in the header, which is once an item: a value that
            began with one would be a sequence
    """

    size: int
    places: np.ndarray
    seen: bytes
    header: int
    items: int
    dataset: Dataset
    syntax: str
    limits: Limits


_shapes: tuple[_Shape, ...] = ()
_sizes: set[int] = set()


def forget() -> None:
    """Forget how the files seen so far were written."""
    global _shapes
    _shapes = ()
    _sizes.clear()


def recall(data: bytes, size: int, limits: Limits) -> tuple[Dataset, str] | None:
    """(data set, transfer syntax) of a file built like one remembered; None when there is none."""
    for shape in _shapes:
        # Where lengths differ the sizes do, nearly always: only files of one size are compared.
        if shape.size != size or len(data) < shape.header or shape.limits != limits:
            continue
        looked = np.frombuffer(data, np.uint8)[shape.places]
        if looked.tobytes() == shape.seen and _marks(data, shape.header) == shape.items:
            return _with(shape.dataset, data), shape.syntax
    return None


def remember(
    size: int,
    dataset: Dataset,
    syntax: str,
    looked: list[tuple[int, int]],
    begin: int,
    limits: Limits,
) -> None:
    """Keep the shape of a file of `size` bytes that was scanned without anything odd.

    Only the second file of one size is worth it: files written alike come in numbers.

    looked  (offset, length) of what the scanner saw outside the elements of `dataset`
    begin   where the data set begins
    """
    global _shapes
    located = dataset.locate(PIXEL_DATA)
    if not _seen(size) or located is None or dataset.big or located[1] > len(dataset.data):
        return
    header = located[1]
    heads, elements, items = _spans(dataset)
    places = _every_place([*looked, *heads])
    if places.max() >= header or _marks(dataset.data, header) != items:
        return
    # A tag that comes twice hides its first element, which would go uncompared.
    if not _covered([*looked, *elements], begin, header):
        return
    seen = np.frombuffer(dataset.data, np.uint8)[places].tobytes()
    shape = _Shape(size, places, seen, header, items, _with(dataset, b""), syntax, limits)
    _shapes = (shape, *_shapes[: REMEMBERED - 1])


def _seen(size: int) -> bool:
    """Whether a file of this size was scanned before; from now on one was."""
    if size in _sizes:
        return True
    if len(_sizes) >= SIZES:
        _sizes.clear()
    _sizes.add(size)
    return False


def _marks(data: bytes, end: int) -> int:
    """How often the mark of an item occurs before `end`."""
    # One byte is found far sooner than four, and the header of a plain slice has none.
    return data.count(ITEM_MARK, 0, end) if data.find(ITEM_MARK[:1], 0, end) >= 0 else 0


def _spans(dataset: Dataset) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int]:
    """(offset, length) of the heads of all elements, nested too: tag, value representation and
    length; the same of the whole elements; and the number of items."""
    heads, elements = [], []
    waiting, items = [dataset], -1
    while waiting:
        one = waiting.pop()
        items += 1
        for key, at in one.elements.items():
            _, start, length = one.locate(key) or (b"", at, 0)
            heads.append((at, start - at))
            elements.append((at, start - at + length))
        for nested in one.sequences.values():
            waiting += nested
    return heads, elements, items


def _every_place(spans: list[tuple[int, int]]) -> np.ndarray:
    """The offset of every byte of spans (offset, length)."""
    starts, lengths = np.array(spans).T
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1])


def _covered(spans: list[tuple[int, int]], begin: int, end: int) -> bool:
    """Whether every byte from `begin` to `end` lies in one of the spans (offset, length)."""
    reached = begin
    for start, length in sorted(spans):
        if start > reached:
            return reached >= end
        reached = max(reached, start + length)
    return reached >= end


def _with(dataset: Dataset, data: bytes) -> Dataset:
    """The same structure over other bytes; nested as deep as the limits allow, no deeper."""
    other = Dataset(data, dataset.big, dataset.explicit)
    other.elements = dataset.elements
    other.found = dataset.found
    if dataset.sequences:
        other.sequences = {
            key: [_with(item, data) for item in items] for key, items in dataset.sequences.items()
        }
    return other


def each(
    datasets: Sequence[Dataset], keywords: tuple[str, ...], work: Callable[[int], Found]
) -> list[Found]:
    """[work(k) for every data set k], worked out once for all that say the same.

    keywords  every attribute that `work` asks for in a data set; where data sets hold the same
              bytes for these, representation and length too, `work` must come to the same.
              What it comes to is shared, so it must not be changed; None is not kept
    """
    known: dict[tuple, Found] = {}
    cutters: dict[int, Callable[[bytes], tuple] | None] = {}
    results = []
    for k, dataset in enumerate(datasets):
        structure = id(dataset.elements)  # of data sets written alike it is one and the same
        if structure not in cutters:
            cutters[structure] = _cutter(dataset, keywords)
        cut = cutters[structure]
        said = (k,) if cut is None else (dataset.explicit, cut(dataset.data))
        found = known.get(said)
        if found is None:
            found = known[said] = work(k)
        results.append(found)
    return results


def _cutter(dataset: Dataset, keywords: tuple[str, ...]) -> Callable[[bytes], tuple] | None:
    """What cuts the elements of these keywords out of a header's bytes; None where bytes do not
    tell all: sequences, odd writing, big endian."""
    keys = [KEYS[keyword] for keyword in keywords]
    if dataset.big or dataset.odd or any(key in dataset.sequences for key in keys):
        return None
    spans: list[tuple[int, int]] = [(0, 0)]
    for at, key in sorted((dataset.elements[key], key) for key in keys if key in dataset.elements):
        _, start, length = dataset.locate(key) or (b"", at, 0)
        end = at + 4 if key in PIXEL_KEYS else start + length
        if at == spans[-1][1]:  # elements that lie side by side are cut out as one
            at = spans.pop()[0]
        spans.append((at, end))
    return itemgetter(*(slice(*span) for span in spans))
