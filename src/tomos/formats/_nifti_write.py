"""Writing NIfTI-1 with numpy alone: an answer on an image's grid must not need a library.

Source: nifti1.h (NIfTI-1.1), field order and the meaning of sform_code and qform_code.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tomos.formats._nifti_header import COMMENT
from tomos.types import FormatError, Image, Mask

_CODES = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "float64": 64, "uint16": 512}
SCANNER = 1
MILLIMETRES = 2
LABELS = 1002  # NIFTI_INTENT_LABEL: viewers then colour by label and do not mix labels
LEVEL = 2  # ISA-L's: a CT 5 % larger than by zlib's level 6, in a fifteenth of the time


def write_nifti(image: Image, path: str | Path, slope: float = 1.0) -> None:
    """Write an image (1, Y, X) or (1, Z, Y, X) as .nii or .nii.gz, atomically.

    slope  what a reader multiplies the values by (scl_slope): 1 / 255 shows uint8 as 0..1
    The image's affine becomes the sform; where the place in the patient is not known ("detector",
    "pixel"), only the spacing is written, with code 0, so that no viewer shows a made-up side.
    Raises FormatError for several channels or a type that NIfTI has not.
    """
    if image.channels != 1 or str(image.pixels.dtype) not in _CODES:
        raise FormatError(
            f"{path}: NIfTI is written of one channel of {', '.join(_CODES)}; "
            f"got {image.pixels.shape} {image.pixels.dtype}"
        )
    _write(nifti_bytes(image, slope=slope), path)


def write_nifti_mask(mask: Mask, path: str | Path) -> None:
    """Write labels as .nii or .nii.gz, uint8 (uint16 from 256 names on), atomically.

    The names go into an extension of the header of code 6, a comment, as JSON in ASCII:
    `{"labels": {"1": "anterior", "2": "posterior"}}`. Readers that do not look for it pass over it,
    since the header says where the voxels begin. The place is written as `write_nifti` does.
    """
    kind = np.uint8 if len(mask.names) < 256 else np.uint16
    image = Image(mask.labels[None].astype(kind, copy=False), mask.affine, mask.frame)
    _write(nifti_bytes(image, mask.names), path)


def nifti_bytes(image: Image, names: Sequence[str] = (), slope: float = 1.0) -> bytes:
    """A single .nii file. Our (Z, Y, X) in C order is NIfTI's (x, y, z), first axis fastest.

    names  of the labels 1..K, where the image is a mask
    """
    voxels = image.pixels[0] if image.is_volume else image.pixels
    kind = voxels.dtype
    z, y, x = voxels.shape
    affine = image.affine[:, [2, 1, 0, 3]]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    patient = image.frame == "patient"
    extension = _comment(names) if names else b""
    header = struct.pack(
        "<i 36x 8h 12x h h h h 8f 3f 2x 2b 2f 2f 2i 80x 24x 2h 6f 12f 16s 4s 4B",
        348,
        *(3, x, y, z, 1, 1, 1, 1),
        *(LABELS if names else 0, _CODES[str(kind)], 8 * kind.itemsize, 0),
        *(1.0, *map(float, spacing), 0.0, 0.0, 0.0, 0.0),
        *(352.0 + len(extension), slope, 0.0),
        *(0, MILLIMETRES if image.frame != "pixel" else 0),
        *(0.0, 0.0, 0.0, 0.0, 0, 0),
        *(0, SCANNER if patient else 0),
        *(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *map(float, affine[:3].ravel()),
        b"",
        b"n+1\0",
        *(1 if extension else 0, 0, 0, 0),
    )
    voxels = np.ascontiguousarray(voxels, kind.newbyteorder("<"))
    return b"".join([header, extension, voxels.data])


def _comment(names: Sequence[str]) -> bytes:
    """An extension: its length, a multiple of 16 (nifti1.h), its code and its text."""
    text = json.dumps({"labels": {str(k): name for k, name in enumerate(names, 1)}}).encode("ascii")
    size = -(-(8 + len(text)) // 16) * 16
    return struct.pack("<2i", size, COMMENT) + text.ljust(size - 8, b"\0")


def _write(content: bytes, path: str | Path) -> None:
    from tomos.config import atomic_write  # pydantic comes with it: late

    if str(path).endswith(".gz"):
        content = _packed(content)
    atomic_write(Path(path), content)


def _packed(content: bytes) -> bytes:
    """As gzip, with no time in it."""
    try:
        from isal import isal_zlib
    except ImportError:
        return gzip.compress(content, 1, mtime=0)
    return isal_zlib.compress(content, LEVEL, 16 + 15)
