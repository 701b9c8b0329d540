"""Slices of a series are written alike: a file with the same tags and lengths at the same places as
one scanned before needs no scan of its own, only proof that it is so.

The proof compares every byte that the scanner would have looked at: mark, transfer syntax, and the
tag, value representation and length of every element, item and delimiter. What differs is values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats.dicom.dataset import LONG, Dataset
from tomos.formats.dicom.tags import PIXEL_DATA

REMEMBERED = 8
ITEM_MARK = b"\xfe\xff\x00\xe0"


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """Where the scanner looked in one file, and what it saw there.

    places  offset of each byte looked at; `seen`, those bytes
    header  bytes up to the pixels; `pixels`, offset and length of those
    items   times that the mark of an item occurs in the header: a value that began with one would
            be a sequence
    """

    places: np.ndarray
    seen: bytes
    header: int
    pixels: tuple[int, int]
    items: int
    dataset: Dataset
    syntax: str
    limits: Limits


_shapes: tuple[_Shape, ...] = ()


def recall(data: bytes, size: int, limits: Limits) -> tuple[Dataset, str] | None:
    """(data set, transfer syntax) of a file built like one remembered; None when there is none."""
    for shape in _shapes:
        if len(data) < shape.header or sum(shape.pixels) > size or shape.limits != limits:
            continue
        looked = np.frombuffer(data, np.uint8)[shape.places]
        if looked.tobytes() == shape.seen and (
            data.count(ITEM_MARK, 0, shape.header) == shape.items
        ):
            return _with(shape.dataset, data), shape.syntax
    return None


def remember(
    data: bytes, dataset: Dataset, syntax: str, looked: list[tuple[int, int]], limits: Limits
) -> None:
    """Keep the shape of a file that was scanned without anything odd.

    looked  (offset, length) of what the scanner saw outside the elements of `dataset`
    """
    global _shapes
    found = dataset.locate(PIXEL_DATA)
    if found is None or dataset.big:
        return
    _, start, length = found
    spans = [*looked, *_heads(dataset)]
    places = np.concatenate([np.arange(at, at + count) for at, count in spans])
    if start > len(data) or places.max() >= start:
        return
    shape = _Shape(
        places=places,
        seen=np.frombuffer(data, np.uint8)[places].tobytes(),
        header=start,
        pixels=(start, length),
        items=data.count(ITEM_MARK, 0, start),
        dataset=_with(dataset, b""),
        syntax=syntax,
        limits=limits,
    )
    _shapes = (shape, *_shapes[: REMEMBERED - 1])


def _heads(dataset: Dataset) -> list[tuple[int, int]]:
    """(offset, length) of tag, value representation and length of each element, nested too."""
    spans = []
    waiting = [dataset]
    while waiting:
        one = waiting.pop()
        for at in one.elements.values():
            long = one.explicit and one.data[at + 4 : at + 6] in LONG
            spans.append((at, 12 if long else 8))
        for items in one.sequences.values():
            waiting += items
    return spans


def _with(dataset: Dataset, data: bytes) -> Dataset:
    """The same structure over other bytes; nested as deep as the limits allow, no deeper."""
    other = Dataset(data, dataset.big, dataset.explicit)
    other.elements = dataset.elements
    other.sequences = {
        key: [_with(item, data) for item in items] for key, items in dataset.sequences.items()
    }
    return other
