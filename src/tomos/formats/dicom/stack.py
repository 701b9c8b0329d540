"""A folder of DICOM files -> its series; a series -> one volume.

Slices are sorted by their position along the slice normal, never by file name or number. What is
missing, twice there, turned, tilted or mixed is named file by file and refused.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

from tomos.formats import dicom
from tomos.formats._limits import Limits
from tomos.formats._series import Series
from tomos.formats.dicom import alike
from tomos.formats.dicom.alike import each
from tomos.formats.dicom.dataset import Dataset
from tomos.formats.dicom.geometry import Plane, planes_of, stack
from tomos.formats.dicom.layout import LAYOUT, Layout, layout_of
from tomos.formats.dicom.reader import Content, build, load, read_file
from tomos.formats.dicom.scan import Scanned
from tomos.formats.dicom.slices import Slice, fill
from tomos.formats.dicom.tags import PIXEL_KEYS
from tomos.types import FormatError, GeometryError, Image, LimitError

SEG = "SEG"  # modality of segmentations, PS3.3 C.8.20.1
MOST_FILES = 2_000_000
REMEMBERED_FILES = 20_000
REMEMBERED = 16
FOREIGN = (".png", ".jpg", ".jpeg", ".csv", ".json", ".txt", ".md", ".py", ".html", ".gz", ".zip")


@dataclass(slots=True)
class _Group:
    """The files of one series in a folder, and what the first of them says of it."""

    files: list[str]
    modality: str
    description: str
    patient: str
    study: str
    volume: bool = True


_index: OrderedDict[tuple, dict[str, _Group]] = OrderedDict()


def forget() -> None:
    """Forget which files were seen in which folder, and how they were written."""
    _index.clear()
    alike.forget()


def list_series(folder: Path, limits: Limits) -> list[Series]:
    """The series below `folder`. Segmentations, files without pixels, and files of other formats
    are passed."""
    groups = _scans(_scan_folder(folder, limits))
    return [_series(folder, uid, group) for uid, group in groups.items()]


def segmentation_files(folder: Path, uid: str, limits: Limits) -> list[Path]:
    """The segmentations below `folder` of one series, without `uid` of all."""
    groups = _scan_folder(folder, limits)
    return [
        Path(path)
        for name, group in groups.items()
        if group.modality == SEG and uid in ("", name)
        for path in group.files
    ]


def _scans(groups: dict[str, _Group]) -> dict[str, _Group]:
    return {uid: group for uid, group in groups.items() if group.modality != SEG}


def _series(folder: Path, uid: str, group: _Group) -> Series:
    return Series(
        uid=uid,
        folder=folder,
        files=tuple(Path(path) for path in group.files),
        modality=group.modality,
        description=group.description,
        patient=group.patient,
        study=group.study,
        volume=len(group.files) > 1 and group.volume,
    )


def folder_members(folder: Path, limits: Limits) -> list[str]:
    """One address a volume (`FOLDER#SeriesInstanceUID`); the files' own for all others."""
    addresses: list[str] = []
    for series in list_series(folder, limits):
        if series.volume:
            addresses.append(series.address)
            continue
        for path in series.files:
            try:
                addresses += dicom.members(path, limits)
            except FormatError:
                addresses.append(str(path))  # it stays listed: reading it says what is wrong
    return addresses


def read_series(folder: Path, uid: str, limits: Limits) -> Image:
    """The volume (1, Z, Y, X) of one series; without `uid`, of the only series there.

    A series of one file is that file's image. Raises FormatError when there is none or several to
    choose from, GeometryError when its slices make no volume.
    """
    headers: dict[str, Scanned] = {}
    groups = _scan_folder(folder, limits, uid, headers)
    # Beside the scan that it was drawn on a segmentation is none to choose from.
    groups = groups if uid else _scans(groups) or groups
    if not groups:
        raise FormatError(f"{folder}: a folder without DICOM images; name a file instead")
    if not uid and len(groups) > 1:
        listed = [_series(folder, name, group) for name, group in groups.items()]
        names = ", ".join(f"{series.address} ({series.description})" for series in listed[:4])
        raise FormatError(f"{folder}: {len(listed)} series are in it; choose one: {names}")
    chosen = uid or next(iter(groups))
    if chosen not in groups:
        known = ", ".join(list(groups)[:4])
        raise FormatError(f"{folder}: no series {uid} in it; there are: {known}")
    files = groups[chosen].files
    if len(files) == 1:
        return read_file(Path(files[0]), "", limits)
    scanned = [headers.get(path) or load(path, limits) for path in files]
    return _volume(folder, chosen, files, scanned, limits)


def _volume(
    folder: Path, uid: str, files: list[str], scanned: list[Scanned], limits: Limits
) -> Image:
    """Geometry from every header, then pixels straight into their place."""
    where = f"{folder}#{uid}"
    datasets = [one.dataset for one in scanned]
    layouts = each(datasets, LAYOUT, lambda k: layout_of(datasets[k], files[k], limits))
    names = [os.path.basename(path) for path in files]  # noqa: PTH119  thousands of slices
    _check_alike(layouts, names, where)
    planes = _planes(datasets, files, names, where)
    order, affine = stack(planes, names, where)
    limits.check_shape((len(order), layouts[0].rows, layouts[0].columns), 4, where)
    slices = [Slice(files[k], scanned[k], layouts[k]) for k in order]
    pixels, contents = fill(slices, where, limits)
    notes = [note for content in contents for note in content.notes]
    image = build(slices[0].scanned, contents[0], pixels, affine, "patient", notes, folder, uid, 0)
    return replace(image, value_range=_widest(contents, image))


def _widest(contents: list[Content], image: Image) -> tuple[float, float] | None:
    """PET rescales every slice by itself: the range is that of all."""
    if image.value_range is None:
        return None
    from tomos.formats.dicom.values import value_range

    ranges = [value_range(content.scale, content.layout) for content in contents]
    known = [found for found in ranges if found is not None]
    return min(low for low, _ in known), max(high for _, high in known)


def _check_alike(layouts: list[Layout], names: list[str], where: str) -> None:
    first = layouts[0]
    for layout, name in zip(layouts, names, strict=True):
        if layout.frames != 1 or layout.samples != 1:
            raise GeometryError(
                f"{where}: {name} holds {layout.frames} frames of {layout.samples} "
                "samples; a volume is made of single grey slices. Read the files one by one"
            )
        if (layout.rows, layout.columns) != (first.rows, first.columns):
            raise GeometryError(
                f"{where}: mixed sizes, {name} is {layout.rows} x {layout.columns}, "
                f"{names[0]} is {first.rows} x {first.columns}; read the files one by one"
            )


def _planes(datasets: list[Dataset], files: list[str], names: list[str], where: str) -> list[Plane]:
    planes = planes_of(datasets, files)
    missing = [name for name, plane in zip(names, planes, strict=True) if plane is None]
    if missing:
        raise GeometryError(
            f"{where}: {len(missing)} of {len(names)} files do not say where they lie in "
            f"the patient ({', '.join(missing[:8])}); read the files one by one"
        )
    keyword = "FrameOfReferenceUID"
    frames = set(each(datasets, (keyword,), lambda k: datasets[k].text(keyword))) - {""}
    # Some anonymisers give every slice a frame of reference of its own: that says nothing at all.
    if 1 < len(frames) < len(names):
        raise GeometryError(
            f"{where}: {len(frames)} frames of reference in one series (mixed); positions "
            "of one mean nothing in the other"
        )
    return [plane for plane in planes if plane is not None]


def _scan_folder(
    folder: Path, limits: Limits, wanted: str | None = None, keep: dict | None = None
) -> dict[str, _Group]:
    """The files with pixels by series, remembered as long as no file in the folder changes.

    Headers of the series `wanted` ("" = the first) are put into `keep` when they are scanned now.
    """
    key = (str(folder), tuple(_files(folder)))
    if key in _index:
        _index.move_to_end(key)
        return _index[key]
    groups: dict[str, _Group] = {}
    for path, _, _ in key[1]:
        scanned = _look(path, limits)
        if scanned is None:
            continue
        uid = _sort_in(groups, path, scanned.dataset)
        if keep is not None and uid == (wanted or next(iter(groups))):
            keep[path] = scanned
    if len(key[1]) <= REMEMBERED_FILES:
        _index[key] = groups
    while len(_index) > REMEMBERED:
        _index.popitem(last=False)
    return groups


def _files(folder: Path) -> list[tuple[str, int, int]]:
    """(path, time of change, size) of the files below a folder, by path; hidden ones are passed."""
    found: list[tuple[str, int, int]] = []
    waiting = [str(folder)]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif not entry.name.lower().endswith(FOREIGN) and entry.is_file():
                facts = entry.stat()
                found.append((entry.path, facts.st_mtime_ns, facts.st_size))
        if len(found) > MOST_FILES:
            raise LimitError(f"{folder}: more than {MOST_FILES} files; name a folder below it")
    return sorted(found)


def _look(path: str, limits: Limits) -> Scanned | None:
    """The header of one file; None when it is no DICOM file with pixels."""
    try:
        scanned = load(path, limits, known=False)
    except (FormatError, OSError):
        return None
    return None if scanned.dataset.elements.keys().isdisjoint(PIXEL_KEYS) else scanned


def _sort_in(groups: dict[str, _Group], path: str, dataset: Dataset) -> str:
    """Add a file to its series; -> the series' UID."""
    uid = dataset.text("SeriesInstanceUID")
    group = groups.get(uid)
    if group is None:
        text = dataset.person_text
        group = groups[uid] = _Group(
            [],
            dataset.text("Modality"),
            text("SeriesDescription"),
            text("PatientID"),
            dataset.text("StudyInstanceUID"),
        )
    group.files.append(path)
    if "ImagePositionPatient" not in dataset or dataset.integer("NumberOfFrames", 1) != 1:
        group.volume = False
    return uid
