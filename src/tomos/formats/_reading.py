"""An address -> an Image: find the file, look at its first bytes, hand it to its format."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

from tomos.formats._limits import LIMITS, Limits
from tomos.formats._series import Series
from tomos.types import FormatError, Image, LimitError

HEAD = 1024
MARK = "|"  # between the addresses of several images of one case
AHEAD = 4


def read(address: str | os.PathLike[str], limits: Limits = LIMITS) -> Image:
    """One image.

    address  a path; `x.npz#train/12` (array `train_images`, row 12); `FOLDER#SeriesInstanceUID`;
             `file.dcm#3` (frame 3, counted from 0); FOLDER, where it holds one DICOM series;
             `t1.nii.gz|t2.nii.gz`, several images of one case: their channels one after another on
             the grid of the first, onto which the others are put by linear interpolation where
             theirs is another, with a warning
    Raises FormatError (GeometryError, LimitError) with the reason when it cannot be read rightly,
    or is no image: a DICOM segmentation is read by `read_mask`.
    """
    return _read(address, limits, as_stored=False)


def read_stored(address: str | os.PathLike[str], limits: Limits = LIMITS) -> Image:
    """As `read`, but of a DICOM segmentation the frames as they are stored."""
    return _read(address, limits, as_stored=True)


def _read(address: str | os.PathLike[str], limits: Limits, as_stored: bool) -> Image:
    parts = split_joined(address)
    if len(parts) > 1:
        return _read_joined(parts, limits)
    path, member = split_address(address)
    try:
        if path.is_dir():
            from tomos.formats.dicom.stack import read_series

            return read_series(path, member, limits)
        format = _format_of(path, limits)
        if as_stored and format.__name__.endswith(".dicom"):
            from tomos.formats.dicom.reader import read_file

            return read_file(path, member, limits, as_stored)
        return format.read(path, member, limits)
    except MemoryError:
        raise FormatError(f"{address}: not enough memory to read it") from None
    except OSError as error:
        raise FormatError(f"{address}: cannot be read ({error.strerror or error})") from None


def _read_joined(addresses: list[str], limits: Limits) -> Image:
    from tomos.formats._joined import MOST, on_one_grid

    whole, count = MARK.join(addresses), len(addresses)
    if count > MOST:
        raise LimitError(f"{addresses[0]} and others: at most {MOST} images a case, got {count}")
    missing = [number for number, address in enumerate(addresses, 1) if not address]
    if missing:
        raise FormatError(
            f"{whole}: expected {count} images of one case, image {missing[0]} is missing"
        )
    images: list[Image] = []
    try:
        for address in addresses:
            images.append(_read(address, limits, as_stored=False))
            values = (sum(image.pixels.size for image in images),)
            replace(limits, side=limits.pixels).check_shape(values, 4, whole)
        channels = sum(image.channels for image in images)
        limits.check_shape((channels, *images[0].size), 4, whole)
        return on_one_grid(images)
    except MemoryError:
        raise FormatError(f"{whole}: not enough memory to read it") from None


def read_many(
    addresses: Iterable[str | os.PathLike[str]], limits: Limits = LIMITS, threads: int = 0
) -> Iterator[Image | FormatError]:
    """The images of `addresses`, in order, read ahead by `threads` (0: one a core, at most 4).

    An address that is refused yields its FormatError, so that the others go on. At most a few
    images more than are asked for are held.
    """
    workers = threads or min(AHEAD, os.cpu_count() or 1)
    waiting: deque[Future[Image | FormatError]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="tomos-read") as pool:
        try:
            for address in addresses:
                waiting.append(pool.submit(_read_or_refuse, address, limits))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def members(path: str | os.PathLike[str], limits: Limits = LIMITS) -> list[str]:
    """The addresses of the images in a container (npz, DICOM folder, frames); else the path."""
    if len(split_joined(path)) > 1:
        return [os.fspath(path)]
    place = Path(path)
    if place.is_dir():
        from tomos.formats.dicom.stack import folder_members

        return folder_members(place, limits)
    try:
        listed = getattr(_format_of(place, limits), "members", None)
        return listed(place, limits) if listed else [str(path)]
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from None


def series(folder: str | os.PathLike[str], limits: Limits = LIMITS) -> list[Series]:
    """The DICOM series in `folder` and below, by path; files that are no DICOM are passed over."""
    from tomos.formats.dicom.stack import list_series

    return list_series(Path(folder), limits)


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether the first bytes are those of a format that is read here (not whether it is whole).

    They are not where they name a DICOM object that is no scan: a segmentation, contours, a report.
    """
    try:
        head, _ = _head(Path(path))
    except OSError:
        return False
    from tomos.formats.dicom.kinds import says_no_scan

    return (
        bool(head) and any(format.sniff(head) for format in _formats()) and not says_no_scan(head)
    )


def split_address(address: str | os.PathLike[str]) -> tuple[Path, str]:
    """(path, member): what stands behind the last `#`, unless a file of the whole name exists."""
    text = os.fspath(address)
    if "#" not in text or Path(text).exists():
        return Path(text), ""
    path, _, member = text.rpartition("#")
    return Path(path), member


def split_joined(address: str | os.PathLike[str]) -> list[str]:
    """The addresses of several images that `|` joins to one; what exists as a file or folder of
    that name is not split."""
    text = os.fspath(address)
    pieces, found = text.split(MARK), []
    while pieces:
        names = (MARK.join(pieces[:count]) for count in range(len(pieces), 1, -1))
        name = next((name for name in names if split_address(name)[0].exists()), pieces[0])
        found.append(name)
        del pieces[: 1 + name.count(MARK)]
    return found


def joined(addresses: Iterable[str]) -> str:
    """One address of several images of a case, the one whose grid counts first; "" for one that
    the case lacks, so that reading it says so."""
    return MARK.join(addresses)


def _read_or_refuse(address: str | os.PathLike[str], limits: Limits) -> Image | FormatError:
    try:
        return read(address, limits)
    except FormatError as error:
        return error


def format_name(path: Path, limits: Limits = LIMITS) -> str:
    """The format's own name: "dicom", "picture", ..."""
    return _format_of(path, limits).__name__.rsplit(".", 1)[1]


def _format_of(path: Path, limits: Limits) -> ModuleType:
    try:
        head, size = _head(path)
    except FileNotFoundError:
        raise FormatError(f"{path}: there is no such file") from None
    limits.check_file(size, str(path))
    for format in _formats():
        if format.sniff(head):
            return format
    for format in _formats_of_others():
        if format.sniff(head):
            return format
    if head.startswith(b"\x1f\x8b") and path.name.lower().endswith(".nii.gz"):
        raise FormatError(f"{path}: cut short or damaged within its NIfTI header; copy it again")
    if head.startswith((b"\x1f\x8b", b"7z", b"Rar!", b"BZh")):
        raise FormatError(f"{path}: an archive of something else than NIfTI; unpack it first")
    raise FormatError(
        f"{path}: expected DICOM, NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF, BMP, GIF or npz; "
        f"the file begins with {head[:8]!r}, which is none of them"
    )


def _head(path: Path) -> tuple[bytes, int]:
    """The first bytes, and how many there are in all."""
    with path.open("rb", buffering=0) as file:
        return file.read(HEAD) or b"", os.fstat(file.fileno()).st_size


@cache
def _formats() -> tuple[ModuleType, ...]:
    """The formats of this folder, the most distinct first bytes first (DICOM may lack its mark)."""
    import importlib
    import pkgutil

    import tomos.formats

    found = [m.name for m in pkgutil.iter_modules(tomos.formats.__path__) if m.name[0] != "_"]
    last = sorted(found, key=lambda name: (name == "dicom", name))
    return tuple(importlib.import_module(f"tomos.formats.{name}") for name in last)


@cache
def _formats_of_others() -> tuple[ModuleType, ...]:
    """Formats that other distributions add through the entry-point group `tomos.formats`."""
    from importlib.metadata import entry_points

    return tuple(point.load() for point in entry_points(group="tomos.formats"))
