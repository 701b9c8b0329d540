"""A folder of DICOM files -> its series; a series -> one volume.

Slices are sorted by their position along the slice normal, never by file name or number. What is
missing, twice there, turned, tilted or mixed is named file by file and refused.
"""

from __future__ import annotations

import os
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tomos.formats import dicom
from tomos.formats._limits import Limits
from tomos.formats._series import Series
from tomos.formats.dicom.geometry import Plane, plane_of, stack
from tomos.formats.dicom.layout import Layout, layout_of
from tomos.formats.dicom.reader import Content, build, content_of, load, read_file
from tomos.formats.dicom.scan import Scanned
from tomos.formats.dicom.tags import PIXEL_KEYS
from tomos.types import FormatError, GeometryError, Image, LimitError

MOST_FILES = 200_000
HEADER_BYTES = 2**16
REMEMBERED = 16
FOREIGN = (".png", ".jpg", ".jpeg", ".csv", ".json", ".txt", ".md", ".py", ".html", ".gz", ".zip")


@dataclass(frozen=True, slots=True)
class _Found:
    """One file of a folder that holds an image, and which series it belongs to."""

    path: Path
    uid: str
    modality: str
    description: str
    patient: str
    study: str
    placed: bool
    frames: int


_index: OrderedDict[tuple, tuple[_Found, ...]] = OrderedDict()


def forget() -> None:
    """Forget which files were seen in which folder."""
    _index.clear()


def list_series(folder: Path, limits: Limits) -> list[Series]:
    """The series below `folder`. Files without pixels, and files of other formats, are passed."""
    groups: dict[str, list[_Found]] = defaultdict(list)
    for found in _scan_folder(folder, limits):
        groups[found.uid].append(found)
    listed = []
    for uid, files in groups.items():
        first = files[0]
        listed.append(
            Series(
                uid=uid,
                folder=folder,
                files=tuple(found.path for found in files),
                modality=first.modality,
                description=first.description,
                patient=first.patient,
                study=first.study,
                volume=len(files) > 1 and all(f.placed and f.frames == 1 for f in files),
            )
        )
    return listed


def folder_members(folder: Path, limits: Limits) -> list[str]:
    """One address a volume (`FOLDER#SeriesInstanceUID`); the files' own for all others."""
    addresses: list[str] = []
    for series in list_series(folder, limits):
        if series.volume:
            addresses.append(series.address)
            continue
        for path in series.files:
            addresses += dicom.members(path, limits)
    return addresses


def read_series(folder: Path, uid: str, limits: Limits) -> Image:
    """The volume (1, Z, Y, X) of one series; without `uid`, of the only series there.

    A series of one file is that file's image. Raises FormatError when there is none or several to
    choose from, GeometryError when its slices make no volume.
    """
    listed = list_series(folder, limits)
    if not listed:
        raise FormatError(f"{folder}: a folder without DICOM images; name a file instead")
    if not uid and len(listed) > 1:
        names = ", ".join(f"{series.address} ({series.description})" for series in listed[:4])
        raise FormatError(f"{folder}: {len(listed)} series are in it; choose one: {names}")
    chosen = next((series for series in listed if uid in ("", series.uid)), None)
    if chosen is None:
        known = ", ".join(series.uid for series in listed[:4])
        raise FormatError(f"{folder}: no series {uid} in it; there are: {known}")
    if len(chosen.files) == 1:
        return read_file(chosen.files[0], "", limits)
    return _volume(chosen, limits)


def _volume(series: Series, limits: Limits) -> Image:
    """Two passes over the slices: geometry from every header, then pixels straight into place."""
    scanned = [load(path, limits) for path in series.files]
    names = [path.name for path in series.files]
    layouts = [
        layout_of(one.dataset, str(path), limits)
        for one, path in zip(scanned, series.files, strict=True)
    ]
    _check_alike(layouts, names, series)
    planes = _planes(scanned, names, series)
    order, affine = stack(planes, names, series.address)
    total = (len(order), layouts[0].rows, layouts[0].columns)
    limits.check_shape(total, 4, series.address)
    contents: list[Content] = [
        content_of(scanned[k], layouts[k], None, series.files[k], limits) for k in order
    ]
    units = {content.scale.unit for content in contents}
    if len(units) > 1:
        raise GeometryError(f"{series.address}: slices in different units {sorted(units)}")
    kind = np.result_type(*{content.pixels.dtype for content in contents})
    pixels = np.empty((1, *total), kind)
    for z, content in enumerate(contents):
        pixels[0, z] = content.pixels[0, :, :, 0]
    notes = [note for content in contents for note in content.notes]
    first = order[0]
    image = build(
        scanned[first], contents[0], pixels, affine, "patient", notes, series.folder, series.uid, 0
    )
    return replace(image, value_range=_widest(contents, image))


def _widest(contents: list[Content], image: Image) -> tuple[float, float] | None:
    """PET rescales every slice by itself: the range is that of all."""
    if image.value_range is None:
        return None
    from tomos.formats.dicom.values import value_range

    ranges = [value_range(content.scale, content.layout) for content in contents]
    known = [found for found in ranges if found is not None]
    return min(low for low, _ in known), max(high for _, high in known)


def _check_alike(layouts: list[Layout], names: list[str], series: Series) -> None:
    first = layouts[0]
    for layout, name in zip(layouts, names, strict=True):
        if layout.frames != 1 or layout.samples != 1:
            raise GeometryError(
                f"{series.address}: {name} holds {layout.frames} frames of {layout.samples} "
                "samples; a volume is made of single grey slices. Read the files one by one"
            )
        if (layout.rows, layout.columns) != (first.rows, first.columns):
            raise GeometryError(
                f"{series.address}: mixed sizes, {name} is {layout.rows} x {layout.columns}, "
                f"{names[0]} is {first.rows} x {first.columns}; read the files one by one"
            )


def _planes(scanned: list[Scanned], names: list[str], series: Series) -> list[Plane]:
    planes = [plane_of(s.dataset, 0, str(p)) for s, p in zip(scanned, series.files, strict=True)]
    missing = [name for name, plane in zip(names, planes, strict=True) if plane is None]
    if missing:
        raise GeometryError(
            f"{series.address}: {len(missing)} of {len(names)} files do not say where they lie in "
            f"the patient ({', '.join(missing[:8])}); read the files one by one"
        )
    frames = {s.dataset.text("FrameOfReferenceUID") for s in scanned} - {""}
    # Some anonymisers give every slice a frame of reference of its own: that says nothing at all.
    if 1 < len(frames) < len(names):
        raise GeometryError(
            f"{series.address}: {len(frames)} frames of reference in one series (mixed); positions "
            "of one mean nothing in the other"
        )
    return [plane for plane in planes if plane is not None]


def _scan_folder(folder: Path, limits: Limits) -> tuple[_Found, ...]:
    """What is in a folder, remembered as long as no file in it changes."""
    paths = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and not name.lower().endswith(FOREIGN):
                paths.append(Path(place, name))
        if len(paths) > MOST_FILES:
            raise LimitError(f"{folder}: more than {MOST_FILES} files; name a folder below it")
    stats = [path.stat() for path in paths]
    facts = [(str(p), s.st_mtime_ns, s.st_size) for p, s in zip(paths, stats, strict=True)]
    key = (str(folder), tuple(facts))
    if key not in _index:
        _index[key] = tuple(found for path in paths if (found := _look(path, limits)) is not None)
        while len(_index) > REMEMBERED:
            _index.popitem(last=False)
    return _index[key]


def _look(path: Path, limits: Limits) -> _Found | None:
    """The header facts of one file; None when it is no DICOM file with pixels."""
    try:
        with path.open("rb") as file:
            head = file.read(1024)
            if not dicom.sniff(head):
                return None
        scanned = load(path, limits)
    except (FormatError, OSError):
        return None
    dataset = scanned.dataset
    if not any(tag in dataset.elements for tag in PIXEL_KEYS):
        return None
    try:
        placed = plane_of(dataset, 0, str(path)) is not None
    except GeometryError:
        placed = True
    return _Found(
        path,
        dataset.text("SeriesInstanceUID"),
        dataset.text("Modality"),
        dataset.person_text("SeriesDescription"),
        dataset.person_text("PatientID"),
        dataset.text("StudyInstanceUID"),
        placed,
        dataset.integer("NumberOfFrames", 1),
    )
