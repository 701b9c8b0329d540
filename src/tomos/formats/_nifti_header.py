"""The header of NIfTI-1 and -2: a fixed record, read with struct alone.

Sources: nifti1.h and nifti2.h. nibabel's reader is not needed for it, takes half a second to import
and a millisecond a file; the tests hold this one against it.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

SIZES = {1: 348, 2: 540}
MAGIC_1 = (b"n+1\0", b"ni1\0")
MAGIC_2 = (b"n+2\0", b"ni2\0")
COMMENT = 6  # NIFTI_ECODE_COMMENT: plain ASCII
MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 0.001}  # m, mm, um; anything else is taken as mm
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
         1024: "i8", 1280: "u8"}  # fmt: skip
# dim, datatype, pixdim, vox_offset, scl_slope, scl_inter, units, codes, quaternion and srow:
# where each begins, and its struct code.
FIELDS: dict[int, dict[str, tuple[int, str]]] = {
    1: {"dim": (40, "8h"), "datatype": (70, "h"), "pixdim": (76, "8f"), "vox_offset": (108, "f"),
        "scale": (112, "2f"), "units": (123, "B"), "qform": (252, "h"), "sform": (254, "h"),
        "quatern": (256, "6f"), "srow": (280, "12f")},
    2: {"dim": (16, "8q"), "datatype": (12, "h"), "pixdim": (104, "8d"), "vox_offset": (168, "q"),
        "scale": (176, "2d"), "units": (500, "i"), "qform": (344, "i"), "sform": (348, "i"),
        "quatern": (352, "6d"), "srow": (400, "12d")},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Header:
    """What a NIfTI header says, unchecked.

    dim     number of axes, then the length of each, x first
    order   "<" or ">"
    scale   scl_slope and scl_inter
    pair    the pixels are in a file of their own (.img)
    """

    version: int
    order: str
    dim: tuple[int, ...]
    datatype: int
    pixdim: tuple[float, ...]
    vox_offset: float
    scale: tuple[float, float]
    units: int
    qform: int
    sform: int
    quatern: tuple[float, ...]
    srow: tuple[float, ...]
    pair: bool

    @property
    def millimetres(self) -> float:
        """Of one unit of length."""
        return MILLIMETRES.get(self.units & 7, 1.0)

    @property
    def affine(self) -> np.ndarray:
        """(4, 4), index (x, y, z) -> RAS in the file's unit of length.

        The sform, else the qform, else the spacing about the middle with x towards the left: the
        order that nifti1.h recommends, and nibabel's.
        """
        affine = np.eye(4)
        if self.sform > 0:
            affine[:3] = np.array(self.srow).reshape(3, 4)
        elif self.qform > 0:
            # pixdim[0] is the sign of the third axis; nifti1.h: 0 is to be taken as 1.
            step = np.array(self.pixdim[1:4]) * (1, 1, -1 if self.pixdim[0] < 0 else 1)
            affine[:3, :3] = _rotation(*self.quatern[:3]) * step
            affine[:3, 3] = self.quatern[3:]
        else:
            count = min(self.dim[0], 3)
            size, step = np.ones(3), np.ones(3)
            size[:count], step[:count] = self.dim[1 : count + 1], self.pixdim[1 : count + 1]
            step[0] = -step[0]
            affine[:3, :3] = np.diag(step)
            affine[:3, 3] = -step * (size - 1) / 2
        return affine


def version(head: bytes) -> int:
    """1 or 2 as the magic says, 0 where there is none."""
    if len(head) >= SIZES[1] and head[344:348] in MAGIC_1:
        return 1
    return 2 if head[4:8] in MAGIC_2 else 0


def parse(head: bytes) -> Header:
    """The header in the first 348 or 540 bytes. Raises struct.error where they are too few."""
    which = version(head)
    fields = FIELDS[which]
    # nifti1.h: dim[0] outside 1..7 means that the bytes are the other way round.
    order = "<" if 1 <= _unpack(head, "<", fields["dim"])[0] <= 7 else ">"
    found = {name: _unpack(head, order, place) for name, place in fields.items()}
    magic = head[344:348] if which == 1 else head[4:8]
    return Header(
        version=which,
        order=order,
        dim=found["dim"],
        pixdim=found["pixdim"],
        vox_offset=float(found["vox_offset"][0]),
        scale=(found["scale"][0], found["scale"][1]),
        quatern=found["quatern"],
        srow=found["srow"],
        pair=magic.startswith(b"ni"),
        **{name: int(found[name][0]) for name in ("datatype", "units", "qform", "sform")},
    )


def comment(extensions: bytes, order: str) -> str:
    """The first extension that is a plain text, "" where there is none.

    extensions  the bytes between the fixed header and the pixels, its four flags first
    """
    if len(extensions) < 4 or extensions[0] == 0:
        return ""
    at = 4
    while at + 8 <= len(extensions):
        size, code = struct.unpack_from(order + "2i", extensions, at)
        if size < 8 or at + size > len(extensions):
            return ""
        if code == COMMENT:
            return extensions[at + 8 : at + size].rstrip(b"\0").decode("ascii", "replace")
        at += size
    return ""


def _unpack(head: bytes, order: str, place: tuple[int, str]) -> tuple:
    return struct.unpack_from(order + place[1], head, place[0])


def _rotation(b: float, c: float, d: float) -> np.ndarray:
    """The rotation of the unit quaternion (a, b, c, d), a >= 0: nifti1.h, method 2."""
    # Stored in single precision, a half turn comes out slightly longer than 1. NaN stays NaN.
    square = 1.0 - (b * b + c * c + d * d)
    a = 0.0 if square < 0 else math.sqrt(square)
    length = math.sqrt(a * a + b * b + c * c + d * d)
    a, b, c, d = (part / length for part in (a, b, c, d))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
