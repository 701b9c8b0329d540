"""Reading DICOM segmentations, PS3.3 A.51 and A.75, C.8.20.2 and C.8.23.

Each frame is laid where it says it lies: on the slice of the source image that it refers to and
whose place it has, else on the slice at its position. The order of frames means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomos.formats._labels import check_values, kind_of, listed, mapped
from tomos.formats._limits import Limits
from tomos.formats.dicom import kinds
from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.layout import Layout, layout_of
from tomos.formats.dicom.pixels import native, significant
from tomos.formats.dicom.placing import Place, Placing
from tomos.formats.dicom.reader import load, origin_of, whole
from tomos.formats.dicom.scan import Scanned
from tomos.formats.dicom.tags import DEFLATED, NATIVE, key_of
from tomos.types import FormatError, GeometryError, Image, Mask

REFERENCED_SERIES = 0x00081115
SEGMENT_SEQUENCE = 0x00620002
SEGMENT_NUMBER = 0x00620004
SEGMENT_LABEL = 0x00620005
IDENTIFICATION = 0x0062000A
REFERENCED_SEGMENT = 0x0062000B
MAXIMUM = 0x0062000E
PADDING = 0x00280120
KINDS = ("BINARY", "FRACTIONAL", "LABELMAP")
# A frame of one bit a pixel is small, and frames are read one by one: many are no danger.
FRAMES = 64


def is_segmentation(path: Path, limits: Limits) -> bool:
    """Whether a DICOM file holds segments. Raises FormatError for a damaged one."""
    return kinds.is_segmentation(load(path, limits).dataset)


@dataclass(frozen=True, slots=True)
class References:
    """labels  of the segments, in the order of their numbers; series  SeriesInstanceUIDs of what
    they were drawn on (PS3.3 C.12.4)"""

    labels: tuple[str, ...]
    series: tuple[str, ...]


def references(path: Path, limits: Limits) -> References:
    """What a segmentation shows and of what, without its pixels. Raises FormatError."""
    scanned = load(path, limits)
    own = {n: label for n, label in _segments(scanned.dataset, str(path)).items() if n != 0}
    items = scanned.dataset.sequences.get(key_of(REFERENCED_SERIES), [])
    return References(tuple(own.values()), tuple(item.text("SeriesInstanceUID") for item in items))


def read_seg(
    path: Path,
    like: Image,
    names: Sequence[str] | None,
    values: Mapping[int, int] | None,
    notes: list[str],
    limits: Limits,
) -> Mask:
    """The labels of a segmentation on the grid of `like`; arguments as `formats.read_mask`.

    BINARY as it is; FRACTIONAL: the label with the highest fraction, from half of the maximum on;
    LABELMAP as it is. Where segments overlap, the later label counts, and it is said.
    Raises GeometryError for frames that lie elsewhere, or refer to images that `like` is not;
    FormatError for what contradicts itself and for segments that have no label.
    """
    scanned = load(path, limits)
    file = _File.of(path, scanned, limits)
    names, table = _table(file.segments, names, values, str(path))
    placing = Placing(scanned.dataset, file.layout, like, str(path), limits)
    labels: np.ndarray = np.zeros(
        like.size if like.is_volume else (1, *like.size), kind_of(len(names))
    )
    notes += [f"{path}: {warning}" for warning in scanned.warnings]
    fill = {"BINARY": _binary, "FRACTIONAL": _fractional, "LABELMAP": _label_map}[file.kind]
    fill(file, table, placing, labels, notes)
    placing.check()
    notes += [f"{path}: {note}" for note in placing.notes]
    origin = origin_of(scanned.dataset, scanned.syntax, str(path))
    return Mask(labels.reshape(like.size), names, like.affine, like.frame, origin)


@dataclass(frozen=True, slots=True)
class _File:
    """A segmentation, checked: its segments by number, and its frames one by one."""

    path: Path
    scanned: Scanned
    layout: Layout
    kind: str
    segments: Mapping[int, str]
    limits: Limits

    @staticmethod
    def of(path: Path, scanned: Scanned, limits: Limits) -> _File:
        dataset, where = scanned.dataset, str(path)
        if not kinds.is_segmentation(dataset):
            raise FormatError(f"{where}: expected a DICOM segmentation, got another kind of object")
        kind = dataset.text("SegmentationType")
        if kind not in KINDS:
            raise FormatError(f"{where}: expected {', '.join(KINDS)} segments, got {kind!r}")
        generous = replace(limits, pixels=FRAMES * limits.pixels, memory=FRAMES * limits.memory)
        layout = layout_of(dataset, where, generous)
        limits.check_shape((layout.rows, layout.columns), 4, where)
        if layout.samples != 1 or layout.is_float or layout.signed:
            raise FormatError(f"{where}: expected one whole number a pixel, from 0 on")
        described = len(dataset.items("PerFrameFunctionalGroupsSequence"))
        if described != layout.frames:
            raise FormatError(
                f"{where}: {layout.frames} frames, of which {described} say what they are; the "
                "file contradicts itself, or holds the tiles of a slide, which are not read"
            )
        if scanned.fragments or scanned.syntax not in NATIVE:
            scanned = whole(path, scanned, limits)
        return _File(path, scanned, layout, kind, _segments(dataset, where), limits)

    def frame(self, number: int) -> np.ndarray:
        """(Y, X) stored values."""
        where = f"{self.path}#{number}"
        if self.scanned.fragments or self.scanned.syntax not in NATIVE:
            from tomos.formats.dicom.codec import decoded

            values, layout = decoded(self.scanned, self.layout, number, where, self.limits)
        else:
            source = None if self.scanned.syntax == DEFLATED else self.path
            values = native(self.scanned.dataset, self.layout, number, source, where)
            layout = self.layout
        return significant(values, layout)[0, :, :, 0]

    def segment(self, number: int) -> int:
        """The segment that a frame belongs to."""
        found = _functional(self.scanned.dataset, number, IDENTIFICATION)
        segment = _whole(found, REFERENCED_SEGMENT) if found is not None else 0
        if segment not in self.segments:
            raise FormatError(
                f"{self.path}#{number}: expected a frame of the segments "
                f"{_said(self.segments)}, it refers to segment {segment}"
            )
        return segment


def _segments(dataset: Dataset, where: str) -> dict[int, str]:
    """Number -> label, in the order of the numbers."""
    found: dict[int, str] = {}
    for item in dataset.sequences.get(key_of(SEGMENT_SEQUENCE), []):
        number = _whole(item, SEGMENT_NUMBER)
        if number in found:
            raise FormatError(f"{where}: segment {number} is described twice")
        found[number] = _label(item, dataset) or f"segment {number}"
    if not found:
        raise FormatError(f"{where}: a segmentation that describes no segment")
    return dict(sorted(found.items()))


def _table(
    segments: Mapping[int, str],
    names: Iterable[str] | None,
    values: Mapping[int, int] | None,
    where: str,
) -> tuple[tuple[str, ...], dict[int, int]]:
    """The names, and segment number -> label. Segment 0 is what a label map calls background."""
    own = {number: label for number, label in segments.items() if number != 0}
    if names is None:
        names = own.values()
        values = {number: k for k, number in enumerate(own, 1)} if values is None else values
    names = tuple(names)
    check_values(values, names)
    if values is None:
        order = {name.casefold(): label for label, name in enumerate(names, 1)}
        values = {n: order[text.casefold()] for n, text in own.items() if text.casefold() in order}
    missing = {number: label for number, label in own.items() if number not in values}
    if missing:
        raise FormatError(
            f"{where}: its segments {_said(missing)} are none of the labels {', '.join(names)}; "
            f"say which is which, as values={{{next(iter(missing))}: 1}}, 0 for background"
        )
    return names, {0: 0, **{number: values[number] for number in own}}


def _binary(
    file: _File, table: Mapping[int, int], placing: Placing, labels: np.ndarray, notes: list[str]
) -> None:
    overlap = 0
    for place, label in _frames(file, table, placing):
        inside = place.turned(file.frame(place.frame)) != 0
        there = place.view(labels)
        overlap += int(np.count_nonzero(inside & (there != 0) & (there != label)))
        np.copyto(there, there.dtype.type(label), where=inside & (there < label))
    if overlap:
        notes.append(
            f"{file.path}: its segments overlap in {overlap} voxels, which have the later label"
        )


def _fractional(
    file: _File, table: Mapping[int, int], placing: Placing, labels: np.ndarray, notes: list[str]
) -> None:
    highest = _whole(file.scanned.dataset, MAXIMUM) or file.layout.range[1]
    best = np.zeros(labels.shape, file.layout.dtype)
    for place, label in _frames(file, table, placing):
        value = place.turned(file.frame(place.frame))
        there, most = place.view(labels), place.view(best)
        inside = value >= (highest + 1) // 2
        inside &= (value > most) | ((value == most) & (there > label))
        np.copyto(there, there.dtype.type(label), where=inside)
        np.copyto(most, value, where=inside)
    notes.append(f"{file.path}: its fractions are taken as inside from one half on")


def _label_map(
    file: _File, table: Mapping[int, int], placing: Placing, labels: np.ndarray, notes: list[str]
) -> None:
    background = _whole(file.scanned.dataset, PADDING)
    table = {background: 0, **table}
    seen: set[tuple] = set()
    for number in range(file.layout.frames):
        place = placing.of(number)
        if place is None:
            continue
        _once(place, 0, seen, file)
        found = mapped(file.frame(number), table, labels.dtype.type)
        if found is None:
            strange = sorted(set(np.unique(file.frame(number)).tolist()) - set(table))
            raise FormatError(
                f"{file.path}#{number}: holds {listed(strange)}, its segments are "
                f"{_said(file.segments)}"
            )
        place.view(labels)[...] = place.turned(found)


def _frames(file: _File, table: Mapping[int, int], placing: Placing) -> Iterator[tuple[Place, int]]:
    """(place, label) of the frames that have both."""
    seen: set[tuple] = set()
    for number in range(file.layout.frames):
        segment = file.segment(number)
        place = placing.of(number)
        if place is None:
            continue
        _once(place, segment, seen, file)
        if table[segment]:
            yield place, table[segment]


def _once(place: Place, segment: int, seen: set, file: _File) -> None:
    key = (place.region, segment)
    if key in seen:
        raise GeometryError(
            f"{file.path}#{place.frame}: another frame of the same segment lies at the same place; "
            "the file contradicts itself"
        )
    seen.add(key)


def _functional(dataset: Dataset, frame: int, tag: int) -> Dataset | None:
    """The item of a functional group of a frame, its own or shared."""
    groups = [*dataset.items("PerFrameFunctionalGroupsSequence")[frame : frame + 1]]
    groups += dataset.items("SharedFunctionalGroupsSequence")[:1]
    for group in groups:
        items = group.sequences.get(key_of(tag), [])
        if items:
            return items[0]
    return None


def _raw(dataset: Dataset, tag: int) -> bytes:
    found = dataset.locate(key_of(tag))
    return b"" if found is None else dataset.data[found[1] : found[1] + found[2]]


def _whole(dataset: Dataset, tag: int) -> int:
    """A US; 0 when absent."""
    return int.from_bytes(_raw(dataset, tag)[:2], "big" if dataset.big else "little")


def _label(item: Dataset, dataset: Dataset) -> str:
    """Segment Label, in the character set that the data set names for all of its items."""
    raw = _raw(item, SEGMENT_LABEL)[:256]
    if not raw.isascii() or b"\x1b" in raw:
        from pydicom.charset import convert_encodings, decode_bytes

        try:
            encodings = convert_encodings(dataset.texts("SpecificCharacterSet") or [""])
            return decode_bytes(raw, encodings, set()).strip(" \0")
        except (LookupError, UnicodeError, ValueError):
            pass
    return raw.decode("latin-1").strip(" \0")


def _said(segments: Mapping[int, str]) -> str:
    return listed([f"{number} ({label})" for number, label in segments.items()])
