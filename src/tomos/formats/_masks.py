"""A mask file of any format -> labels on the grid of its image."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tomos.formats._facts import SegmentationFacts
from tomos.formats._grid import lay
from tomos.formats._labels import check_values, kind_of, labels_of, readings, unexplained
from tomos.formats._limits import LIMITS, Limits
from tomos.formats._reading import (
    format_name,
    read,
    read_stored,
    series,
    split_address,
)
from tomos.types import FormatError, Image, Mask, SettingsError


def read_mask(
    address: str | os.PathLike[str],
    like: Image,
    names: Sequence[str] | None,
    values: Mapping[int, int] | None = None,
    notes: list[str] | None = None,
    limits: Limits = LIMITS,
) -> Mask:
    """The labels of a mask file on the grid of the image `like`.

    address  as `read`: NIfTI, NRRD, MetaImage, a picture, a row of an npz, DICOM or DICOM SEG
    names    of the labels 1..K; None takes those in the file (DICOM SEG, or as `write_mask` wrote)
    values   value in the file -> label, as {128: 1, 255: 2}; 0 is background unless it is mapped.
             None: the values are the labels 0..K as they are; with one name, 0 and 255 too. A
             colour is 0xRRGGBB; where a picture has a palette of colours, its index counts as well.
             For DICOM SEG, segment number -> label; None: segments are found by their names
    notes    is added what was repaired or is odd; None: it is said by `warnings.warn`
    Raises FormatError for values that are neither 0 nor mapped, naming those found; GeometryError
    where the grid is not provably the image's (see `_grid.lay`); SettingsError for unknown labels.
    """
    said: list[str] = []
    path, member = split_address(address)
    try:
        segmentation = _segmentation_file(path, member, limits)
        if segmentation is not None:
            from tomos.formats.dicom.segmentation import read_seg

            mask = read_seg(segmentation, like, names, values, said, limits)
        else:
            mask = _plain(address, like, names, values, said, limits)
    except MemoryError:
        raise FormatError(f"{address}: not enough memory to read it") from None
    except OSError as error:
        raise FormatError(f"{address}: cannot be read ({error.strerror or error})") from None
    if notes is not None:
        notes.extend(said)
    else:
        for note in said:
            warnings.warn(note, stacklevel=2)
    return mask


def mask_values(address: str | os.PathLike[str], limits: Limits = LIMITS) -> list[int]:
    """The values that a mask file holds, in order; see `values` of `read_mask`.

    A picture with a palette of colours is told by its indices, but for GIF. Raises FormatError for
    what is no mask: fractions, negative values, channels that differ and are no colour.
    """
    image = read_stored(address, limits)
    found = readings(image, *split_address(address))
    return np.unique(found[-1]).tolist()


def write_mask(mask: Mask, path: str | Path) -> None:
    """Write labels as `.nii`, `.nii.gz` or, of a picture, `.png` (grey, the labels as they are).

    NIfTI carries the affine and the names, see `write_nifti_mask`; a PNG carries neither. For DICOM
    see `write_seg`. Raises FormatError for another ending, or a volume as PNG.
    """
    name = str(path).lower()
    if name.endswith((".nii", ".nii.gz")):
        from tomos.formats._nifti_write import write_nifti_mask

        write_nifti_mask(mask, path)
    elif name.endswith(".png"):
        from tomos.config import atomic_write  # pydantic comes with it: late
        from tomos.formats._png import png_bytes

        if mask.is_volume:
            raise FormatError(f"{path}: a PNG holds (Y, X), the mask is {mask.size}; write NIfTI")
        atomic_write(Path(path), png_bytes(mask.labels.astype(kind_of(len(mask.names)))))
    else:
        raise FormatError(
            f"{path}: expected a name that ends with .nii, .nii.gz or .png; DICOM needs the images "
            "it was drawn on, see write_seg"
        )


def write_seg(
    mask: Mask,
    source: Image,
    path: str | Path,
    facts: SegmentationFacts,
    limits: Limits = LIMITS,
) -> None:
    """Write a DICOM segmentation of `source`, atomically: binary, one segment a label.

    source  the image the mask was drawn on, as `read` returns it: its files are read again for
            patient, study, frame of reference and the UID of every slice
    Each frame has the place and orientation of a slice of the source and refers to it; slices that
    hold nothing of a label are left out. Raises FormatError where the source is no DICOM image or
    its header lacks what must be said; GeometryError where the mask lies on another grid, or the
    source was turned or resampled since it was read.
    """
    from tomos.formats.dicom import segmentation_write

    segmentation_write.write(mask, source, path, facts, limits)


def _plain(
    address: str | os.PathLike[str],
    like: Image,
    names: Sequence[str] | None,
    values: Mapping[int, int] | None,
    notes: list[str],
    limits: Limits,
) -> Mask:
    image = read(address, limits)
    names = _own_names(image) if names is None else tuple(names)
    check_values(values, names)
    found = readings(image, *split_address(address))
    explained = (labels_of(stored, len(names), values) for stored in found)
    labels = next((each for each in explained if each is not None), None)
    if labels is None:
        raise unexplained(image, found[-1], names, values)
    where = image.origin.path
    if image.origin.format != "nifti":  # which warns only of its place, as `lay` does
        notes += [f"{where}: {warning}" for warning in image.warnings]
    laid = lay(labels, image.affine, image.frame, like, where, notes)
    return Mask(laid, names, like.affine, like.frame, image.origin)


def _own_names(image: Image) -> tuple[str, ...]:
    names: tuple[str, ...] = ()
    if image.origin.format == "nifti":
        from tomos.formats.nifti import label_names

        names = label_names(split_address(image.origin.path)[0])
    if not names:
        raise SettingsError(
            f"{image.origin.path}: the file does not name its labels; give names=[...]"
        )
    return names


def _segmentation_file(path: Path, member: str, limits: Limits) -> Path | None:
    """The file where the address is a DICOM segmentation, as a file or as FOLDER#series."""
    if path.is_dir():
        from tomos.formats.dicom.stack import segmentation_files

        found = segmentation_files(path, member, limits)
        if len(found) != 1 or (not member and series(path, limits)):
            return None
        path = found[0]
    if format_name(path, limits) != "dicom":
        return None
    from tomos.formats.dicom.segmentation import is_segmentation

    return path if is_segmentation(path, limits) else None
