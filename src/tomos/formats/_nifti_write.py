"""Writing NIfTI-1 with numpy alone: an answer on an image's grid must not need a library.

Source: nifti1.h (NIfTI-1.1), field order and the meaning of sform_code and qform_code.
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from tomos.types import FormatError, Image

_CODES = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "float64": 64, "uint16": 512}
SCANNER = 1
MILLIMETRES = 2


def write_nifti(image: Image, path: str | Path) -> None:
    """Write an image (1, Y, X) or (1, Z, Y, X) as .nii or .nii.gz, atomically.

    The image's affine becomes the sform; where the place in the patient is not known ("detector",
    "pixel"), only the spacing is written, with code 0, so that no viewer shows a made-up side.
    Raises FormatError for several channels or a type that NIfTI has not.
    """
    from tomos.config import atomic_write  # pydantic comes with it: late

    if image.channels != 1 or str(image.pixels.dtype) not in _CODES:
        raise FormatError(
            f"{path}: NIfTI is written of one channel of {', '.join(_CODES)}; "
            f"got {image.pixels.shape} {image.pixels.dtype}"
        )
    content = nifti_bytes(image)
    if str(path).endswith(".gz"):
        content = gzip.compress(content, 6, mtime=0)
    atomic_write(Path(path), content)


def nifti_bytes(image: Image) -> bytes:
    """A single .nii file. Our (Z, Y, X) in C order is NIfTI's (x, y, z), first axis fastest."""
    voxels = image.pixels[0] if image.is_volume else image.pixels
    kind = voxels.dtype
    z, y, x = voxels.shape
    affine = image.affine[:, [2, 1, 0, 3]]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    patient = image.frame == "patient"
    header = struct.pack(
        "<i 36x 8h 14x h h h 8f 3f 2x 2b 2f 2f 2i 80x 24x 2h 6f 12f 16s 4s 4x",
        348,
        *(3, x, y, z, 1, 1, 1, 1),
        *(_CODES[str(kind)], 8 * kind.itemsize, 0),
        *(1.0, *map(float, spacing), 0.0, 0.0, 0.0, 0.0),
        *(352.0, 1.0, 0.0),
        *(0, MILLIMETRES if image.frame != "pixel" else 0),
        *(0.0, 0.0, 0.0, 0.0, 0, 0),
        *(0, SCANNER if patient else 0),
        *(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *map(float, affine[:3].ravel()),
        b"",
        b"n+1\0",
    )
    return header + np.ascontiguousarray(voxels, kind.newbyteorder("<")).tobytes()
