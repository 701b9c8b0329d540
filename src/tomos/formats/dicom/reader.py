"""One DICOM file -> an Image: scan, layout, stored values, colour or scale, place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats.dicom import sniff
from tomos.formats.dicom.colour import to_rgb
from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.elements import NeedMore
from tomos.formats.dicom.frames import frame_number
from tomos.formats.dicom.geometry import affine_of, flat_affine, plane_of, stack
from tomos.formats.dicom.kinds import is_segmentation, no_scan
from tomos.formats.dicom.layout import COLOUR, Layout, layout_of
from tomos.formats.dicom.pixels import native, significant
from tomos.formats.dicom.scan import Scanned, scan
from tomos.formats.dicom.tags import DEFLATED, NATIVE
from tomos.formats.dicom.values import Scale, apply, invert, scale_of, value_range, window_of
from tomos.types import FormatError, GeometryError, Image, Origin
from tomos.types.image import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """A file's pixels with their meaning, before their place: (F, Y, X, C)."""

    pixels: np.ndarray
    scale: Scale
    layout: Layout
    inverted: bool
    notes: tuple[str, ...]


HEAD = 2**14


def load(path: str | Path, limits: Limits, known: bool = True) -> Scanned:
    """A file's header, scanned; of the file no more is read than that takes.

    known  whether the file was already recognised as DICOM; if not, FormatError when it is none
    """
    # Thousands of slices: the system's own calls, not a file object.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        size = os.fstat(handle).st_size
        limits.check_file(size, str(path))
        data, want = b"", HEAD
        while True:
            data += os.read(handle, want - len(data))
            if not known and not sniff(data):
                raise FormatError(f"{path}: no DICOM file")
            try:
                return scan(data, size, str(path), limits)
            except NeedMore:
                if len(data) < want:
                    raise FormatError(f"{path}: became shorter while it was read") from None
                # Most headers fit at once; others are scanned again with four times as much.
                want = min(size, 4 * want)
    finally:
        os.close(handle)


def whole(path: Path, scanned: Scanned, limits: Limits) -> Scanned:
    """The same with all of the file in memory, for compressed pixels."""
    if len(scanned.dataset.data) >= scanned.size:
        return scanned
    data = path.read_bytes()
    return scan(data, len(data), str(path), limits)


def read_file(path: Path, member: str, limits: Limits, as_stored: bool = False) -> Image:
    """The image of one file, or of one of its frames.

    A file of several frames is a volume (C, Z, Y, X) in the patient where the frames say so; else
    its frames are stacked in their order, and a warning says why they are no volume.

    as_stored  also the frames of a segmentation, which is refused else
    """
    scanned = load(path, limits)
    where = str(path)
    if is_segmentation(scanned.dataset) and not as_stored:
        raise no_scan(scanned.dataset, where)
    layout = layout_of(scanned.dataset, where, limits)
    frame = frame_number(member, layout.frames, where) if member else None
    content = content_of(scanned, layout, frame, path, limits)
    if layout.frames == 1 or frame is not None:
        return _picture(scanned, content, frame or 0, path, member)
    return _frames(scanned, content, path)


def content_of(
    scanned: Scanned, layout: Layout, frame: int | None, path: Path, limits: Limits
) -> Content:
    """Stored values of one frame or all, in colour or in their unit."""
    dataset, where = scanned.dataset, str(path)
    notes = list(scanned.warnings)
    stored, layout = _stored(scanned, layout, frame, path, limits, notes)
    if layout.photometric in COLOUR or layout.photometric == "PALETTE COLOR":
        if layout.photometric != "RGB":
            stored = to_rgb(stored, layout, dataset, where)
        return Content(stored, Scale(), layout, False, tuple(notes))
    first = frame or 0
    scale = scale_of(dataset, first, where)
    inverted = layout.photometric == "MONOCHROME1" and scale.unit == "1"
    if layout.photometric == "MONOCHROME1":
        notes.append(
            "MONOCHROME1 (larger is darker): inverted, so that larger is brighter" if inverted
            else f"MONOCHROME1 (larger is darker) in {scale.unit}: the values are kept as measured"
        )  # fmt: skip
    if inverted and scale.table is None:
        stored = invert(stored, layout)
    scales = [scale_of(dataset, k, where) for k in range(layout.frames)] if frame is None else []
    if all(scale.same(other) or scale.table is not None for other in scales):
        values = apply(stored, scale, layout)
    else:
        values = np.stack([apply(stored[k], scales[k], layout) for k in range(layout.frames)])
        notes.append("its frames are scaled differently")
    if inverted and scale.table is not None:
        values = np.iinfo(values.dtype).max - values
    return Content(values, scale, layout, inverted, tuple(notes))


def _stored(
    scanned: Scanned,
    layout: Layout,
    frame: int | None,
    path: Path,
    limits: Limits,
    notes: list[str],
) -> tuple[np.ndarray, Layout]:
    """(F, Y, X, S) stored values, and the layout they have after decoding."""
    if scanned.fragments or scanned.syntax not in NATIVE:
        from tomos.formats.dicom.codec import decoded

        scanned = whole(path, scanned, limits)
        values, layout = decoded(scanned, layout, frame, str(path), limits)
        return significant(values, layout), layout
    source = None if scanned.syntax == DEFLATED else path
    return significant(native(scanned.dataset, layout, frame, source, str(path)), layout), layout


def _picture(scanned: Scanned, content: Content, frame: int, path: Path, member: str) -> Image:
    """One frame: (C, Y, X)."""
    dataset = scanned.dataset
    notes = list(content.notes)
    kind: Frame
    try:
        plane = plane_of(dataset, frame, str(path))
    except GeometryError as error:
        plane = None
        notes.append(f"place in the patient unknown: {error}")
    if plane is not None:
        affine, kind = affine_of(plane), "patient"
    else:
        affine, kind = flat_affine(dataset)
    pixels = np.moveaxis(content.pixels[0], -1, 0)
    return build(scanned, content, pixels, affine, kind, notes, path, member, frame)


def _frames(scanned: Scanned, content: Content, path: Path) -> Image:
    """All frames: (C, Z, Y, X)."""
    dataset, count = scanned.dataset, content.layout.frames
    notes = list(content.notes)
    pixels = np.moveaxis(content.pixels, -1, 0)
    try:
        order, affine = _volume(dataset, count, path.name)
        if order != list(range(count)):
            pixels = pixels[:, order]
        kind: Frame = "patient"
    except GeometryError as error:
        affine, kind = flat_affine(dataset)
        notes.append(
            f"{count} frames that are no volume, stacked in their order; one is {path.name}#0. "
            f"Why: {error}"
        )
    return build(scanned, content, pixels, affine, kind, notes, path, "", 0)


def _volume(dataset: Dataset, count: int, where: str) -> tuple[list[int], np.ndarray]:
    """Order and affine of frames that lie in the patient; GeometryError when they do not."""
    planes = [plane_of(dataset, frame, where) for frame in range(count)]
    known = [plane for plane in planes if plane is not None]
    if len(known) < count:
        raise GeometryError("the frames do not say where they lie in the patient")
    first = known[0]
    if all(np.array_equal(plane.position, first.position) for plane in known):
        return _by_offsets(dataset, first, count)
    return stack(known, [f"frame {frame}" for frame in range(count)], where)


def _by_offsets(dataset: Dataset, plane, count: int) -> tuple[list[int], np.ndarray]:
    """One position for all frames: RT Dose (PS3.3 C.8.8.3.2) and nuclear medicine give the rest."""
    offsets = np.array(dataset.numbers("GridFrameOffsetVector"))
    between = dataset.number("SpacingBetweenSlices")
    if len(offsets) != count and between and "RECON TOMO" in dataset.texts("ImageType"):
        offsets = np.arange(count) * between
    steps = np.diff(offsets) if len(offsets) == count else np.zeros(1)
    usual = float(np.median(steps))
    if not usual or np.abs(steps - usual).max() > 0.02 * abs(usual):
        raise GeometryError("the frames have one position and no even distance")
    if abs(offsets[0]) > 1e-3 * abs(usual):
        # Offsets that do not begin at 0 are patient coordinates along z: only for axial slices.
        if abs(abs(plane.facing.normal[2]) - 1) > 1e-3:
            raise GeometryError("frame offsets in patient coordinates need axial slices")
        usual *= float(np.sign(plane.facing.normal[2]))
    return list(range(count)), affine_of(plane, plane.facing.normal * usual)


def build(
    scanned: Scanned,
    content: Content,
    pixels: np.ndarray,
    affine: np.ndarray,
    frame: Frame,
    notes: list[str],
    path: Path,
    member: str,
    number: int,
) -> Image:
    """The Image, with what the header says of unit, window and origin."""
    dataset, layout = scanned.dataset, content.layout
    grey = pixels.shape[0] == 1
    bounds = value_range(content.scale, layout) if grey else _colour_range(pixels)
    return Image(
        pixels,
        affine,
        frame=frame,
        unit=content.scale.unit,
        modality=dataset.text("Modality"),
        value_range=bounds,
        window=window_of(dataset, number, bounds, content.inverted) if grey else None,
        origin=origin_of(dataset, scanned.syntax, f"{path}#{member}" if member else str(path)),
        warnings=tuple(dict.fromkeys(notes)),
    )


def _colour_range(pixels: np.ndarray) -> tuple[float, float] | None:
    if pixels.dtype.kind not in "ui":
        return None
    info = np.iinfo(pixels.dtype)
    return float(info.min), float(info.max)


def origin_of(dataset: Dataset, syntax: str, path: str) -> Origin:
    """The header facts that learning and serving use."""
    text = dataset.person_text
    dates = ("AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")
    device = f"{text('Manufacturer')} {text('ManufacturerModelName')}".strip()
    return Origin(
        path=path,
        format="dicom",
        patient=text("PatientID"),
        study=text("StudyInstanceUID"),
        series=text("SeriesInstanceUID"),
        instance=text("SOPInstanceUID"),
        body_part=text("BodyPartExamined"),
        view=text("ViewPosition"),
        site=text("InstitutionName"),
        device=device,
        date=next((found for name in dates if (found := text(name))), ""),
        sex=text("PatientSex"),
        age=text("PatientAge"),
        transfer_syntax=syntax,
        frame_of_reference=text("FrameOfReferenceUID"),
    )


def member_addresses(path: Path, limits: Limits) -> list[str]:
    """One address for a picture or volume; one a frame where the frames are no volume. Of a
    segmentation its own, so that reading it says once what it is."""
    scanned = load(path, limits)
    if is_segmentation(scanned.dataset):
        return [str(path)]
    layout = layout_of(scanned.dataset, str(path), limits)
    if layout.frames == 1:
        return [str(path)]
    try:
        _volume(scanned.dataset, layout.frames, str(path))
    except GeometryError:
        return [f"{path}#{frame}" for frame in range(layout.frames)]
    return [str(path)]
