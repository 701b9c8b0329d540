"""Several images of one case as one image on the grid of the first: T1 and T2, CT and PET."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tomos.formats._grid import turn, without_place
from tomos.formats._regrid import regridded
from tomos.types import GeometryError, Image, Part

MOST = 64  # images, as many as a model file has channels
# Of a voxel, at the farthest corner: two scans of one study are written so far apart by rounding,
# and no registration is that exact; interpolating would only blur.
NEAR = 0.05


class _Laid(NamedTuple):
    """Pixels on the grid of the first image, and what is to be said of the way there."""

    pixels: np.ndarray
    note: str = ""
    resampled: bool = False


def on_one_grid(images: Sequence[Image]) -> Image:
    """The channels of all images, in order, on the grid of the first, with their `parts`.

    The same grid, whatever the order and direction of its axes: values as they are. Another one in
    the same patient: linear interpolation; what lies outside of an image gets its lowest value.
    Values of different types become float32. Raises GeometryError, naming the file, for another
    patient or frame of reference, where DICOM says so; for images that do not overlap, or do not
    say where they lie and have another size; for pictures of other sizes.
    """
    first = images[0]
    for other in images[1:]:
        _check_kin(first, other)
    laid = [_Laid(first.pixels), *(_laid(other, first) for other in images[1:])]
    notes = list(first.warnings)
    for number, (image, one) in enumerate(zip(images, laid, strict=True), 1):
        told = [*(image.warnings if number > 1 else ()), *([one.note] if one.note else [])]
        notes += [f"image {number} of {len(images)}: {note}" for note in told]
    return replace(
        first,
        pixels=_stacked([one.pixels for one in laid]),
        unit=first.unit if len({image.unit for image in images}) == 1 else "1",
        modality=_modalities(images),
        value_range=first.value_range if len({i.value_range for i in images}) == 1 else None,
        warnings=tuple(dict.fromkeys(notes)),
        parts=tuple(
            Part(image.channels, image.unit, image.modality, one.resampled)
            for image, one in zip(images, laid, strict=True)
        ),
    )


def _check_kin(first: Image, other: Image) -> None:
    """Raises GeometryError where the headers say that the two have nothing to do with each other.

    Who the patients are is told to nobody.
    """
    if "" not in (first.origin.patient, other.origin.patient) and (
        first.origin.patient != other.origin.patient
    ):
        raise GeometryError(
            f"{_name(other)}: expected an image of the same patient as {_name(first)}, their "
            "headers name two"
        )
    spaces = {first.origin.frame_of_reference, other.origin.frame_of_reference} - {""}
    if len(spaces) > 1:
        raise GeometryError(
            f"{_name(other)}: expected the frame of reference of {_name(first)}, its header names "
            "another, so that places in the one mean nothing in the other; register the two, and "
            "write what comes out as NIfTI or with one frame of reference"
        )
    if first.is_volume != other.is_volume:
        kinds = {True: "a volume", False: "a picture"}
        raise GeometryError(
            f"{_name(other)}: {kinds[other.is_volume]}, but {_name(first)} is "
            f"{kinds[first.is_volume]}; expected images of one kind for a case"
        )


def _laid(other: Image, first: Image) -> _Laid:
    onto, size = _size(first), _size(other)
    placed = first.frame == other.frame == "patient"
    reason = "the sizes differ"
    if placed:
        found = turn(other.affine, size, first.affine, onto)
        if found is not None and found.off <= NEAR:
            planes = [found.apply(channel.reshape(size)) for channel in other.pixels]
            return _Laid(np.stack(planes).reshape(-1, *first.size))
        if first.is_volume:
            return _resampled(other, first)
        reason = "it lies elsewhere in the patient" if size == onto else reason
    elif size == onto:
        trusted, note = without_place(other.affine, other.frame, first, onto)
        if trusted:
            return _Laid(other.pixels, note)
        reason = note or "its spacing is another"
    raise GeometryError(
        f"{_name(other)}: cannot be laid on {_name(first)}: {reason}. Its size is "
        f"{_times(other.size)}, that of the other {_times(first.size)}; only volumes whose place "
        "in the patient is known are resampled"
    )


def _resampled(other: Image, first: Image) -> _Laid:
    pixels, share = regridded(other, first)
    if not share:
        raise GeometryError(
            f"{_name(other)}: does not overlap {_name(first)} anywhere; are they of one scan of "
            "one patient?"
        )
    steps = " to ".join(" x ".join(f"{mm:.3g}" for mm in each.spacing) for each in (other, first))
    note = f"put on the grid of the first by linear interpolation ({steps} mm)"
    if share < 1:
        note += f"; {1 - share:.1%} of that grid lies outside of it and has its lowest value"
    return _Laid(pixels, note, resampled=True)


def _stacked(parts: Sequence[np.ndarray]) -> np.ndarray:
    kinds = {part.dtype for part in parts}
    kind = kinds.pop() if len(kinds) == 1 else np.dtype(np.float32)
    return np.concatenate([part.astype(kind, copy=False) for part in parts])


def _modalities(images: Sequence[Image]) -> str:
    """MR of three MR, CT+PT of a CT and a PET."""
    each = [image.modality for image in images]
    return each[0] if len(set(each)) == 1 else "+".join(name or "?" for name in each)


def _size(image: Image) -> tuple[int, ...]:
    return image.size if image.is_volume else (1, *image.size)


def _times(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


def _name(image: Image) -> str:
    return image.origin.path or "image"
