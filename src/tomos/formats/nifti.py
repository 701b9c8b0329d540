"""NIfTI-1 and -2, `.nii`, `.nii.gz` and `.hdr`/`.img` pairs.

The header is nibabel's; the pixel bytes are taken here, as many as it declares and no more. Axes
are reversed, so that the array is (Z, Y, X) and the affine's columns follow it.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats._stream import GZIP, take
from tomos.types import FormatError, GeometryError, Image, Origin

SUFFIXES = (".nii", ".nii.gz", ".hdr")
HEADER = {1: 348, 2: 540}
MAGIC_1 = (b"n+1\0", b"ni1\0")
MAGIC_2 = (b"n+2\0", b"ni2\0")
MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # unknown, m, mm, um: nifti1.h xyzt_units
RGB = {128: 3, 2304: 4}


def sniff(head: bytes) -> bool:
    if head.startswith(GZIP):
        try:
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEADER[2])
        except zlib.error:
            return False
    return _version(head) > 0


def read(path: Path, member: str, limits: Limits) -> Image:
    """(1, Z, Y, X) with scl_slope and scl_inter applied; unit "1".

    frame "patient" where sform or qform is set, else "detector": the spacing is known, the place is
    not. A fourth dimension is time: one of its volumes is addressed `file.nii#3`.
    """
    header, gzipped = _header(path)
    size = _size(header, path)
    volumes = int(np.prod(size[3:], dtype=object)) if len(size) > 3 else 1
    index = _which(path, member, volumes)
    channels = RGB.get(int(header["datatype"]), 1)
    dtype = np.dtype(np.uint8) if channels > 1 else _dtype(header, path)
    shape = tuple(reversed(size[:3]))
    needed = limits.check_shape((*shape, channels), max(dtype.itemsize, 4), str(path))
    needed = int(np.prod(shape)) * channels * dtype.itemsize
    data, start = _data_file(header, path)
    raw = take(data, start + index * needed, needed, gzipped)
    array = np.frombuffer(raw, dtype).reshape(*shape, channels)
    pixels = np.moveaxis(array, -1, 0)
    affine, frame, notes = _place(header, path)
    pixels = _scaled(np.ascontiguousarray(pixels.astype(dtype.newbyteorder("="))), header)
    return Image(
        pixels,
        affine,
        frame=frame,
        origin=Origin(path=f"{path}#{member}" if member else str(path), format="nifti"),
        warnings=notes,
    )


def members(path: Path, limits: Limits) -> list[str]:
    """One address a volume of a sequence; else the file itself."""
    size = _size(_header(path)[0], path)
    volumes = int(np.prod(size[3:], dtype=object)) if len(size) > 3 else 1
    if volumes > limits.elements:
        raise FormatError(f"{path}: the header declares {volumes} volumes")
    return [f"{path}#{index}" for index in range(volumes)] if volumes > 1 else [str(path)]


def _version(head: bytes) -> int:
    if len(head) >= HEADER[1] and head[344:348] in MAGIC_1:
        return 1
    if len(head) >= 8 and head[4:8] in MAGIC_2:
        return 2
    return 0


def _header(path: Path) -> tuple[Any, bool]:
    import nibabel
    from nibabel.spatialimages import HeaderDataError

    with path.open("rb") as file:
        gzipped = file.read(2) == GZIP
    head = take(path, 0, HEADER[1], gzipped)
    version = _version(head)
    if version == 2:
        head = take(path, 0, HEADER[2], gzipped)
    kind: Any = nibabel.Nifti2Header if version == 2 else nibabel.Nifti1Header
    try:
        return kind.from_fileobj(io.BytesIO(head), check=False), gzipped
    except (HeaderDataError, ValueError, struct.error, OverflowError) as error:
        raise FormatError(f"{path}: its NIfTI header is damaged ({error}); copy it again") from None


def _size(header: Any, path: Path) -> list[int]:
    dim = [int(length) for length in header["dim"]]
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


def _dtype(header: Any, path: Path) -> np.dtype:
    code = int(header["datatype"])
    try:
        dtype = header.get_data_dtype()
    except Exception as error:
        raise FormatError(f"{path}: NIfTI datatype {code} is not known ({error})") from None
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise FormatError(f"{path}: NIfTI datatype {code} ({dtype}) is no image to be read here")
    return dtype


def _data_file(header: Any, path: Path) -> tuple[Path, int]:
    start = float(header["vox_offset"])
    if not 0 <= start < 2**40:
        raise FormatError(f"{path}: its pixels would begin at byte {start}; the header is damaged")
    if bytes(header["magic"].item()).startswith((b"ni1", b"ni2")):
        data = path.with_suffix(".img")
        if not data.is_file():
            raise FormatError(f"{path}: a NIfTI pair; its pixels, {data.name}, are not beside it")
        return data, int(start)
    return path, max(int(start), HEADER[1])


def _place(header: Any, path: Path) -> tuple[np.ndarray, Any, tuple[str, ...]]:
    try:
        # nibabel takes the sform, else the qform, else spacing alone, as nifti1.h recommends.
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    except Exception as error:
        raise GeometryError(f"{path}: its orientation is damaged ({error})") from None
    millimetres = MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    affine = affine[:, [2, 1, 0, 3]]
    affine[:3] *= millimetres
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise GeometryError(f"{path}: its affine maps the volume onto a plane: {affine.tolist()}")
    if int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0:
        return affine, "patient", ()
    return affine, "detector", ("neither sform nor qform is set: the place in the patient is not "
                                "known, left and right may be exchanged",)  # fmt: skip


def _scaled(pixels: np.ndarray, header: Any) -> np.ndarray:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    # nifti1.h: a slope of zero (or none) means that nothing is to be scaled.
    if not np.isfinite(slope) or slope == 0 or not np.isfinite(intercept):
        return pixels
    if (slope, intercept) == (1.0, 0.0) or pixels.shape[0] > 1:
        return pixels
    return (pixels * slope + intercept).astype(np.float32)
