"""MetaImage, `.mha` and `.mhd` with its data file: the format of ITK."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from tomos.formats._limits import Limits
from tomos.formats._stream import inflate, sibling, take
from tomos.types import FormatError, GeometryError, Image, Origin
from tomos.types.image import Frame

SUFFIXES = (".mha", ".mhd")
HEADER = 2**16
TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
TRUE = ("true", "1", "yes")


def sniff(head: bytes) -> bool:
    text = head[:512].lstrip()
    return text.startswith((b"ObjectType", b"NDims")) and b"=" in text[:16]


def read(path: Path, member: str, limits: Limits) -> Image:
    """(C, Z, Y, X), or (C, Y, X) for two axes; ITK's positions are LPS, turned to RAS here."""
    if member:
        raise FormatError(f"{path}#{member}: a MetaImage has no members; name {path} alone")
    fields, start = _header(path)
    sizes = [int(value) for value in _numbers(fields, "DimSize", 0, path)]
    if not 2 <= len(sizes) <= 3:
        raise GeometryError(f"{path}: expected 2 or 3 axes, the header declares {sizes}")
    code = TYPES.get(fields.get("ElementType", "").upper())
    if code is None:
        raise FormatError(f"{path}: ElementType {fields.get('ElementType')!r} is not known")
    order = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False"))
    dtype = np.dtype((">" if order.lower() in TRUE else "<") + code)
    channels = int(_numbers(fields, "ElementNumberOfChannels", 1, path, "1")[0])
    limits.check_shape([channels, *sizes], dtype.itemsize, str(path))
    raw = _data(path, fields, start, int(np.prod([channels, *sizes])) * dtype.itemsize)
    array = np.frombuffer(raw, dtype).reshape(*sizes[::-1], channels)
    pixels = np.ascontiguousarray(np.moveaxis(array, -1, 0), dtype.newbyteorder("="))
    affine, frame = _affine(fields, len(sizes), path)
    return Image(pixels, affine, frame=frame, origin=Origin(path=str(path), format="metaimage"))


def _header(path: Path) -> tuple[dict[str, str], int]:
    """The fields, and where the pixels begin: right after the line ElementDataFile."""
    with path.open("rb") as file:
        head = file.read(HEADER)
    fields: dict[str, str] = {}
    position = 0
    while position < len(head):
        end = head.find(b"\n", position)
        end = len(head) if end < 0 else end
        name, equals, value = head[position:end].decode("latin-1").partition("=")
        position = end + 1
        if not equals:
            break
        fields[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            return fields, position
    raise FormatError(f"{path}: its MetaImage header does not name ElementDataFile; damaged")


def _numbers(
    fields: dict[str, str], name: str, count: int, path: Path, default: str = ""
) -> list[float]:
    text = fields.get(name, default)
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = []
    if not values or (count and len(values) != count) or not np.isfinite(values).all():
        raise FormatError(f"{path}: expected {count or 'some'} numbers as {name}, got {text!r}")
    return values


def _data(path: Path, fields: dict[str, str], start: int, needed: int) -> bytes:
    name = fields["ElementDataFile"]
    data = path
    if name.upper() != "LOCAL":
        if name.upper() == "LIST" or "%" in name:
            raise FormatError(f"{path}: a list of data files is not read; save it as one file")
        data, start = sibling(path, name), 0
    header = int(float(fields.get("HeaderSize", "0") or 0))
    if fields.get("CompressedData", "False").lower() in TRUE:
        return inflate(data, start, 0, needed, zlib.MAX_WBITS | 32)
    if header == -1:
        start = max(data.stat().st_size - needed, 0)
    return take(data, start + max(header, 0), needed)


def _affine(fields: dict[str, str], axes: int, path: Path) -> tuple[np.ndarray, Frame]:
    spacing_name = "ElementSpacing" if "ElementSpacing" in fields else "ElementSize"
    if spacing_name not in fields:
        return np.eye(4), "pixel"
    spacing = _numbers(fields, spacing_name, axes, path)
    affine = np.eye(4)
    if axes == 2:
        if min(spacing) <= 0:
            raise GeometryError(f"{path}: expected spacing above 0, got {spacing}")
        return np.diag([1.0, spacing[1], spacing[0], 1.0]), "detector"
    matrix_name = next((n for n in ("TransformMatrix", "Rotation", "Orientation") if n in fields),
                       "TransformMatrix")  # fmt: skip
    matrix = np.array(_numbers(fields, matrix_name, 9, path, "1 0 0 0 1 0 0 0 1")).reshape(3, 3)
    offset_name = next((n for n in ("Offset", "Position", "Origin") if n in fields), "Offset")
    offset = np.array(_numbers(fields, offset_name, 3, path, "0 0 0"))
    for k in range(3):  # row k of the matrix is the direction of the file's axis k
        affine[:3, 2 - k] = matrix[k] * spacing[k] * LPS_TO_RAS
    affine[:3, 3] = offset * LPS_TO_RAS
    if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise GeometryError(f"{path}: its directions and spacing span no volume")
    return affine, "patient"
