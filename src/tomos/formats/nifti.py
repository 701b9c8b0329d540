"""NIfTI-1 and -2, `.nii`, `.nii.gz` and `.hdr`/`.img` pairs.

The pixel bytes are taken as many as the header declares and no more. Axes are reversed, so that the
array is (Z, Y, X) and the affine's columns follow it.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats._nifti_header import SIZES, TYPES, Header, comment, parse, version
from tomos.formats._stream import GZIP, take, take_array
from tomos.types import FormatError, GeometryError, Image, Origin

SUFFIXES = (".nii", ".nii.gz", ".hdr")
RGB = {128: 3, 2304: 4}
EXTENSIONS = 2**20  # bytes of them that are looked through for names


def sniff(head: bytes) -> bool:
    if head.startswith(GZIP):
        try:
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, SIZES[2])
        except zlib.error:
            return False
    return version(head) > 0


def read(path: Path, member: str, limits: Limits) -> Image:
    """(1, Z, Y, X) with scl_slope and scl_inter applied; unit "1".

    frame "patient" where sform or qform is set, else "detector": the spacing is known, the place is
    not. A fourth dimension is time: one of its volumes is addressed `file.nii#3`.
    """
    header, gzipped = _header(path)
    size = _size(header, path)
    volumes = int(np.prod(size[3:], dtype=object)) if len(size) > 3 else 1
    index = _which(path, member, volumes)
    channels = RGB.get(header.datatype, 1)
    dtype = np.dtype(np.uint8) if channels > 1 else _dtype(header, path)
    shape = tuple(reversed(size[:3]))
    limits.check_shape((*shape, channels), max(dtype.itemsize, 4), str(path))
    affine, frame, notes = _place(header, path)
    data, start = _data_file(header, path)
    needed = int(np.prod(shape)) * channels * dtype.itemsize
    raw = take_array(data, start + index * needed, needed, gzipped)
    # What lies behind a header of odd length lies across the bounds of words.
    array = np.require(raw.view(dtype), requirements="A").reshape(*shape, channels)
    return Image(
        _values(array, header),
        affine,
        frame=frame,
        origin=Origin(path=f"{path}#{member}" if member else str(path), format="nifti"),
        warnings=notes,
    )


def label_names(path: Path) -> tuple[str, ...]:
    """The names of the labels 1..K that `write_mask` put into a file; () where it has none."""
    header, gzipped = _header(path)
    begin, (_, end) = SIZES[header.version], _data_file(header, path)
    if header.pair or not begin + 16 <= end <= EXTENSIONS:
        return ()
    try:
        said = json.loads(comment(take(path, begin, end - begin, gzipped), header.order))
        names = [said["labels"][str(k + 1)] for k in range(len(said["labels"]))]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(names) if all(isinstance(name, str) for name in names) else ()


def members(path: Path, limits: Limits) -> list[str]:
    """One address a volume of a sequence; else the file itself."""
    size = _size(_header(path)[0], path)
    volumes = int(np.prod(size[3:], dtype=object)) if len(size) > 3 else 1
    if volumes > limits.elements:
        raise FormatError(f"{path}: the header declares {volumes} volumes")
    return [f"{path}#{index}" for index in range(volumes)] if volumes > 1 else [str(path)]


def _header(path: Path) -> tuple[Header, bool]:
    with path.open("rb") as file:
        gzipped = file.read(2) == GZIP
    head = take(path, 0, SIZES[1], gzipped)
    if version(head) == 2:
        head = take(path, 0, SIZES[2], gzipped)
    try:
        return parse(head), gzipped
    except (KeyError, struct.error) as error:
        raise FormatError(f"{path}: its NIfTI header is damaged ({error}); copy it again") from None


def _size(header: Header, path: Path) -> list[int]:
    dim = list(header.dim)
    if not 1 <= dim[0] <= 7 or any(length < 1 for length in dim[1 : dim[0] + 1]):
        raise FormatError(f"{path}: expected 1 to 7 positive dimensions, the header declares {dim}")
    size = dim[1 : dim[0] + 1]
    return size + [1] * (3 - len(size))


def _which(path: Path, member: str, volumes: int) -> int:
    if not member:
        if volumes > 1:
            raise GeometryError(
                f"{path}: a sequence of {volumes} volumes, and time is no axis of an image; "
                f"address one as {path}#0"
            )
        return 0
    if not member.isdecimal() or int(member) >= volumes:
        raise FormatError(f"{path}#{member}: expected a volume from 0 to {volumes - 1}")
    return int(member)


def _dtype(header: Header, path: Path) -> np.dtype:
    if header.datatype not in TYPES:
        raise FormatError(
            f"{path}: NIfTI datatype {header.datatype} is no image that is read here; known are "
            "whole numbers up to 64 bit, float32, float64, RGB and RGBA"
        )
    return np.dtype(header.order + TYPES[header.datatype])


def _data_file(header: Header, path: Path) -> tuple[Path, int]:
    start = header.vox_offset
    if not 0 <= start < 2**40:
        raise FormatError(f"{path}: its pixels would begin at byte {start}; the header is damaged")
    if header.pair:
        data = path.with_suffix(".img")
        if not data.is_file():
            raise FormatError(f"{path}: a NIfTI pair; its pixels, {data.name}, are not beside it")
        return data, int(start)
    return path, max(int(start), SIZES[1])


def _place(header: Header, path: Path) -> tuple[np.ndarray, Any, tuple[str, ...]]:
    if not header.sform > 0 and header.qform > 0 and min(header.pixdim[1:4]) < 0:
        raise GeometryError(
            f"{path}: expected spacing above 0 beside its qform, got {header.pixdim[1:4]}"
        )
    affine = header.affine[:, [2, 1, 0, 3]]
    affine[:3] *= header.millimetres
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise GeometryError(f"{path}: its affine maps the volume onto a plane: {affine.tolist()}")
    if header.sform > 0 or header.qform > 0:
        return affine, "patient", ()
    return affine, "detector", ("neither sform nor qform is set: the place in the patient is not "
                                "known, left and right may be exchanged",)  # fmt: skip


def _values(array: np.ndarray, header: Header) -> np.ndarray:
    """(Z, Y, X, C) as stored -> (C, Z, Y, X), scaled."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.shape[-1] > 1:
        return np.ascontiguousarray(np.moveaxis(array, -1, 0))
    pixels = array.reshape(1, *array.shape[:3])
    slope, intercept = header.scale
    # nifti1.h: a slope of zero (or none) means that nothing is to be scaled.
    if not np.isfinite([slope, intercept]).all() or slope == 0 or (slope, intercept) == (1, 0):
        return pixels
    scaled = np.empty(pixels.shape, np.float32)
    for z, plane in enumerate(pixels[0]):
        scaled[0, z] = plane * slope + intercept
    return scaled
